"""`kubeadm init`, whole and by phase.

Phases, in order: preflight, certs, kubeconfig, etcd, control-plane, kubelet-start,
wait-control-plane, upload-config, upload-certs, mark-control-plane, bootstrap-token,
kubelet-finalize, addon, show-join-command. `init phase` runs upload-certs, upload-config
[all|kubeadm|kubelet], bootstrap-token, addon [all|coredns|kube-proxy], mark-control-plane, certs
all, kubeconfig all, control-plane all, etcd local, preflight and kubelet-start.
"""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rehearsal import (
    files,
    kubeadm_addons,
    kubeadm_config,
    kubeadm_kubelet,
    manifests,
    pki,
)
from rehearsal import kubeadm_objects as objects
from rehearsal import kubeadm_preflight as preflight
from rehearsal import kubeadm_texts as texts
from rehearsal.client import Client
from rehearsal.cobra import Given, Spec
from rehearsal.kubeadm_common import (
    CONFIG,
    Context,
    KubeadmError,
    start_kubelet,
    systemctl,
    wait_control_plane,
    wait_kubelet,
)
from rehearsal.kubeadm_mark import mark_control_plane
from rehearsal.kubeadm_pki import AUTHORITIES, SIGNERS, Certificates, kubeconfig
from rehearsal.kubelet_node import current_certificate
from rehearsal.manifests import Node
from rehearsal.version import Version

SPEC = CONFIG | Spec(
    values=(
        "apiserver-advertise-address",
        "apiserver-bind-port",
        "apiserver-cert-extra-sans",
        "cert-dir",
        "certificate-key",
        "control-plane-endpoint",
        "cri-socket",
        "feature-gates",
        "ignore-preflight-errors",
        "image-repository",
        "kubernetes-version",
        "node-name",
        "patches",
        "pod-network-cidr",
        "service-cidr",
        "service-dns-domain",
        "skip-phases",
        "token",
        "token-ttl",
    ),
    switches=("upload-certs", "skip-certificate-key-print", "skip-token-print", "dry-run"),
)
PHASES = (
    "preflight",
    "certs",
    "kubeconfig",
    "etcd",
    "control-plane",
    "kubelet-start",
    "wait-control-plane",
    "upload-config",
    "upload-certs",
    "mark-control-plane",
    "bootstrap-token",
    "kubelet-finalize",
    "addon",
    "show-join-command",
)
LEAVES = (
    "apiserver",
    "apiserver-kubelet-client",
    "front-proxy-client",
    "etcd/server",
    "etcd/peer",
    "etcd/healthcheck-client",
    "apiserver-etcd-client",
)
EXCLUDE = "node.kubernetes.io/exclude-from-external-load-balancers"
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
BAD_PHASE = "invalid phase name: {name}"


@dataclass(frozen=True, kw_only=True)
class Init:
    """One run of `kubeadm init`.

    Args:
        context: the surroundings.
        given: the command line.
        settings: a complete InitConfiguration.
        cluster: a complete ClusterConfiguration.
        kubelet: a complete KubeletConfiguration.
        proxy: the KubeProxyConfiguration the user gave.
        target: the release to run.
    """

    context: Context
    given: Given
    settings: Mapping[str, Any]
    cluster: Mapping[str, Any]
    kubelet: Mapping[str, Any]
    proxy: Mapping[str, Any]
    target: Version

    @property
    def node(self) -> Node:
        """This machine."""
        endpoint = self.settings["localAPIEndpoint"]
        name = self.settings["nodeRegistration"]["name"]
        return Node(name=name, address=endpoint["advertiseAddress"], port=int(endpoint["bindPort"]))

    @property
    def certificates(self) -> Certificates:
        """What makes this machine's certificates."""
        return Certificates(layout=self.context.layout, cluster=self.cluster, node=self.node)

    @property
    def limits(self) -> dict[str, float]:
        """The timeouts, in seconds."""
        return kubeadm_config.timeouts(self.settings)

    def client(self) -> Client:
        """Return a client of this machine's own API server, as the cluster's administrator."""
        client = self.context.client()
        local = f"https://{self.node.address}:{self.node.port}"
        return Client(client.access._replace(server=local), timeout=10.0, user_agent="kubeadm")

    # Phases

    def preflight(self) -> None:
        """Check the machine and fetch the images."""
        files.say("[preflight] Running pre-flight checks")
        ignore = self.ignored()
        local = self.cluster["etcd"].get("local", {})
        checks = preflight.Checks(
            context=self.context, name=self.node.name, target=str(self.target)
        )
        data = local.get("dataDir", "/var/lib/etcd")
        preflight.run(checks.init(port=self.node.port, data=data), ignore=ignore)
        files.say("[preflight] Pulling images required for setting up a Kubernetes cluster")
        files.say(
            "[preflight] This might take a minute or two, depending on the speed of your "
            "internet connection"
        )
        files.say(
            "[preflight] You can also perform this action beforehand using 'kubeadm config "
            "images pull'"
        )
        pulled = checks.pulled(
            repository=self.cluster["imageRepository"], etcd_tag=local.get("imageTag", "")
        )
        preflight.run([pulled], ignore=ignore)

    def ignored(self) -> tuple[str, ...]:
        """Return the checks that must not stop us."""
        named = self.settings["nodeRegistration"].get("ignorePreflightErrors") or ()
        return (*self.given.values("ignore-preflight-errors"), *named)

    def certs(self) -> None:
        """Make every certificate that is not there."""
        certificates = self.certificates
        files.say(f'[certs] Using certificateDir folder "{self.cluster["certificatesDir"]}"')
        stacked = "external" not in self.cluster["etcd"]
        for authority in AUTHORITIES:
            if authority == "etcd/ca" and not stacked:
                continue
            certificates.make_authority(authority)
            for leaf in LEAVES:
                if SIGNERS[leaf] != authority:
                    continue
                if (certificates.folder / f"{leaf}.crt").exists():
                    files.say(f"[certs] Using existing {leaf} certificate and key on disk")
                    continue
                certificates.announce(leaf)
                certificates.make(leaf)
        certificates.make_sa()

    def kubeconfig(self) -> None:
        """Write every kubeconfig file that is not there."""
        files.say('[kubeconfig] Using kubeconfig folder "/etc/kubernetes"')
        for name in ("admin", "super-admin", "kubelet", "controller-manager", "scheduler"):
            path = self.context.layout.conf(name)
            if path.exists():
                files.say(f'[kubeconfig] Using existing kubeconfig file: "{path}"')
            else:
                self.certificates.write_conf(name)

    def etcd(self) -> None:
        """Write etcd's manifest."""
        if "external" in self.cluster["etcd"]:
            return
        files.say(
            "[etcd] Creating static Pod manifest for local etcd in "
            f'"{self.context.layout.manifests}"'
        )
        data = self.context.layout.at(self.cluster["etcd"]["local"]["dataDir"])
        data.mkdir(parents=True, exist_ok=True)
        os.chmod(data, 0o700)
        text = manifests.etcd(version=self.target, cluster=self.cluster, node=self.node)
        files.write(self.context.layout.manifests / "etcd.yaml", text, mode=0o600)

    def control_plane(self) -> None:
        """Write the manifests of the three components."""
        files.say(f'[control-plane] Using manifest folder "{self.context.layout.manifests}"')
        found = manifests.control_plane(version=self.target, cluster=self.cluster, node=self.node)
        for name, text in found.items():
            files.say(f'[control-plane] Creating static Pod manifest for "{name}"')
            files.write(self.context.layout.manifests / f"{name}.yaml", text, mode=0o600)

    def kubelet_start(self) -> None:
        """Write the kubelet's files and start it."""
        systemctl("stop", "kubelet")
        registration = self.settings["nodeRegistration"]
        kubeadm_kubelet.write_flags(self.context, registration, self.cluster)
        kubeadm_kubelet.write_config(self.context, self.kubelet, socket=registration["criSocket"])
        start_kubelet()

    def wait_control_plane(self) -> None:
        """Wait for the kubelet and the three components."""
        limits = self.limits
        files.say(
            "[wait-control-plane] Waiting for the kubelet to boot up the control plane as "
            "static Pods from directory "
            f'"{self.context.layout.manifests}"'
        )
        wait_kubelet(timeout=limits["kubeletHealthCheck"])
        wait_control_plane(
            address=self.node.address,
            port=self.node.port,
            timeout=limits["controlPlaneComponentHealthCheck"],
        )
        self.bind_admin()

    def bind_admin(self) -> None:
        """Make the users of admin.conf administrators, with the rights of super-admin.conf."""
        access = self.context.client("super-admin").access
        local = f"https://{self.node.address}:{self.node.port}"
        client = Client(access._replace(server=local), timeout=10.0, user_agent="kubeadm")
        try:
            objects.cluster_role_binding(
                client, "kubeadm:cluster-admins", "cluster-admin", "kubeadm:cluster-admins"
            )
        except KubeadmError as error:
            raise KubeadmError(
                "error execution phase wait-control-plane: cannot obtain client without "
                "bootstrap: could not "
                "bootstrap the admin user in file admin.conf: unable to create "
                f"ClusterRoleBinding: {error}"
            ) from error

    def upload_config(self, what: str = "all") -> None:
        """Keep the configurations in the cluster."""
        client = self.client()
        if what in {"all", "kubeadm"}:
            objects.upload_kubeadm_config(client, self.cluster)
        if what in {"all", "kubelet"}:
            objects.upload_kubelet_config(client, self.kubelet)

    def upload_certs(self) -> str:
        """Keep the shared certificates in the cluster, if asked to; returns their key."""
        if not self.given.switch("upload-certs"):
            files.say("[upload-certs] Skipping phase. Please see --upload-certs")
            return ""
        key = (
            self.given.value("certificate-key")
            or self.settings.get("certificateKey")
            or secrets.token_hex(32)
        )
        objects.upload_certificates(
            self.client(), self.context.layout, self.cluster["certificatesDir"], key
        )
        return str(key)

    def mark_control_plane(self) -> None:
        """Label and taint this node."""
        taints = self.settings["nodeRegistration"].get("taints")
        mark_control_plane(
            self.client(), self.node.name, taints, timeout=self.limits["kubernetesAPICall"]
        )

    def bootstrap_token(self) -> str:
        """Make the token others join with, and publish where the cluster is; returns the token."""
        client = self.client()
        entries = [dict(entry) for entry in self.settings["bootstrapTokens"]]
        entries[0]["token"] = (
            entries[0].get("token") or self.given.value("token") or objects.new_token()
        )
        files.say(f"[bootstrap-token] Using token: {entries[0]['token']}")
        files.say(
            "[bootstrap-token] Configuring bootstrap tokens, cluster-info ConfigMap, RBAC Roles"
        )
        for entry in entries:
            objects.put_token(
                client,
                entry["token"],
                ttl=files.duration(self.given.value("token-ttl") or entry["ttl"]),
                usages=entry["usages"],
                groups=entry["groups"],
                description=entry.get("description", ""),
            )
        objects.bootstrap_rules(client)
        ca = self.certificates.authority("ca").certificate_pem
        objects.cluster_info(client, server=self.certificates.endpoint, ca=ca)
        return str(entries[0]["token"])

    def kubelet_finalize(self) -> None:
        """Point kubelet.conf at the certificate the kubelet keeps itself."""
        layout = self.context.layout
        link = current_certificate(layout)
        files.wait(link.exists, timeout=10.0)
        files.say(
            f'[kubelet-finalize] Updating "{layout.kubelet_conf}" to point to a rotatable '
            "kubelet client certificate "
            "and key"
        )
        text = kubeconfig(
            server=f"https://{self.certificates.local}",
            ca=self.certificates.authority("ca").certificate_pem,
            cluster=self.cluster["clusterName"],
            user=f"system:node:{self.node.name}",
            credentials={"client-certificate": str(link), "client-key": str(link)},
        )
        files.write(layout.kubelet_conf, text, mode=0o600)

    def addon(self, what: str = "all") -> None:
        """Apply the addons."""
        client = self.client()
        if what in {"all", "coredns"}:
            kubeadm_addons.apply_dns(client, self.cluster, self.target)
        if what in {"all", "kube-proxy"}:
            kubeadm_addons.apply_proxy(client, self.cluster, self.target, self.proxy)

    def show(self, *, token: str, key: str) -> None:
        """Say what to do next."""
        pin = pki.pin(self.certificates.authority("ca").certificate)
        server = self.certificates.endpoint.removeprefix("https://")
        highly = bool(self.cluster.get("controlPlaneEndpoint"))
        files.say(texts.DONE)
        if highly and key:
            files.say(texts.JOIN_CONTROL_PLANE.format(server=server, token=token, pin=pin, key=key))
        elif highly:
            files.say(texts.COPY_CERTIFICATES.format(server=server, token=token, pin=pin))
        files.say(texts.JOIN_WORKER.format(server=server, token=token, pin=pin))
