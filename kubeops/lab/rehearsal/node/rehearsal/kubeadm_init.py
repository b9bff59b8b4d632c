"""`kubeadm init`, whole and by phase.

Phases, in order: preflight, certs, kubeconfig, etcd, control-plane, kubelet-start,
wait-control-plane, upload-config, upload-certs, mark-control-plane, bootstrap-token,
kubelet-finalize, addon, show-join-command. `init phase` runs upload-certs, upload-config
[all|kubeadm|kubelet], bootstrap-token, addon [all|coredns|kube-proxy], mark-control-plane, certs
all, kubeconfig all, control-plane all, etcd local, preflight and kubelet-start.
"""

import os
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rehearsal import files, kubeadm_addons, kubeadm_config, kubeadm_kubelet, manifests, pki
from rehearsal import kubeadm_objects as objects
from rehearsal import kubeadm_preflight as preflight
from rehearsal.apierrors import ApiError, UnreachableError
from rehearsal.client import Client
from rehearsal.cobra import Given, Spec
from rehearsal.kubeadm_common import (
    CONFIG,
    Context,
    KubeadmError,
    pinned,
    retry,
    start_kubelet,
    systemctl,
    wait_control_plane,
    wait_kubelet,
)
from rehearsal.kubeadm_pki import AUTHORITIES, SIGNERS, Certificates, KeyMaker, kubeconfig
from rehearsal.kubelet_node import current_certificate, host_address
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
KEYS = 13


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
    keys: KeyMaker

    @property
    def node(self) -> Node:
        """This machine."""
        endpoint = self.settings["localAPIEndpoint"]
        name = self.settings["nodeRegistration"]["name"]
        return Node(name=name, address=endpoint["advertiseAddress"], port=int(endpoint["bindPort"]))

    @property
    def certificates(self) -> Certificates:
        """What makes this machine's certificates."""
        return Certificates(
            layout=self.context.layout, cluster=self.cluster, node=self.node, keys=self.keys
        )

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
        files.say(_DONE)
        if highly and key:
            files.say(_JOIN_CONTROL_PLANE.format(server=server, token=token, pin=pin, key=key))
        elif highly:
            files.say(_COPY_CERTIFICATES.format(server=server, token=token, pin=pin))
        files.say(_JOIN_WORKER.format(server=server, token=token, pin=pin))


def mark_control_plane(
    client: Client, name: str, taints: Sequence[Mapping[str, Any]] | None, *, timeout: float
) -> None:
    """Label node `name` as a control plane and taint it; `taints` None means the usual one."""
    wanted = [kubeadm_config.TAINT] if taints is None else list(taints)
    files.say(
        f"[mark-control-plane] Marking the node {name} as control-plane by adding the "
        f"labels: [{CONTROL_PLANE} {EXCLUDE}]"
    )
    if wanted:
        shown = " ".join(f"{t['key']}:{t['effect']}" for t in wanted)
        files.say(
            f"[mark-control-plane] Marking the node {name} as control-plane by adding the "
            f"taints [{shown}]"
        )

    def mark() -> None:
        node = client.get("nodes", name)
        present = node["spec"].get("taints") or []
        keys = {(taint["key"], taint["effect"]) for taint in wanted}
        kept = [t for t in present if (t["key"], t["effect"]) not in keys]
        patch: dict[str, Any] = {"metadata": {"labels": {CONTROL_PLANE: "", EXCLUDE: ""}}}
        if wanted:
            patch["spec"] = {"taints": [*wanted, *kept]}
        client.patch("nodes", name, patch)

    retry(mark, timeout=timeout, what="error applying control-plane label and taints")


def load(context: Context, given: Given) -> Init:
    """Read flags and configuration into a run of `kubeadm init`.

    Raises:
        KubeadmError: they are not what they must be.
    """
    documents = kubeadm_config.read(given.value("config")) if given.has("config") else {}
    if given.has("config"):
        mixed = [n for n in given.found if n not in _WITH_CONFIG]
        if mixed:
            raise KubeadmError(f"can not mix '--config' with arguments [{' '.join(sorted(mixed))}]")
        kubeadm_config.check_documents(documents, "InitConfiguration", "ClusterConfiguration")
    own = dict(documents.get("InitConfiguration", {}))
    cluster = dict(documents.get("ClusterConfiguration", {}))
    _from_flags(given, own, cluster)
    target = kubeadm_config.wanted_version(cluster, context.version)
    _supported(target, context.version)
    complete = kubeadm_config.cluster(cluster, version=target)
    address = (own.get("localAPIEndpoint") or {}).get("advertiseAddress") or host_address()
    hostname = socket.gethostname()
    settings = kubeadm_config.init(own, address=address, hostname=hostname)
    kubelet = kubeadm_kubelet.configuration(complete, documents.get("KubeletConfiguration", {}))
    return Init(
        context=context,
        given=given,
        settings=settings,
        cluster=complete,
        kubelet=kubelet,
        proxy=documents.get("KubeProxyConfiguration", {}),
        target=target,
        keys=KeyMaker(),
    )


def _from_flags(given: Given, own: dict[str, Any], cluster: dict[str, Any]) -> None:
    networking = {
        "podSubnet": given.value("pod-network-cidr"),
        "serviceSubnet": given.value("service-cidr"),
        "dnsDomain": given.value("service-dns-domain"),
    }
    present = {name: value for name, value in networking.items() if value}
    if present:
        cluster["networking"] = present
    for flag, name in (
        ("kubernetes-version", "kubernetesVersion"),
        ("control-plane-endpoint", "controlPlaneEndpoint"),
        ("image-repository", "imageRepository"),
        ("cert-dir", "certificatesDir"),
    ):
        if given.has(flag):
            cluster[name] = given.value(flag)
    if given.has("apiserver-cert-extra-sans"):
        cluster["apiServer"] = {"certSANs": list(given.values("apiserver-cert-extra-sans"))}
    endpoint = {
        "advertiseAddress": given.value("apiserver-advertise-address"),
        "bindPort": int(given.value("apiserver-bind-port", "0")),
    }
    if any(endpoint.values()):
        own["localAPIEndpoint"] = {name: value for name, value in endpoint.items() if value}
    registration = {"name": given.value("node-name"), "criSocket": given.value("cri-socket")}
    if any(registration.values()):
        own["nodeRegistration"] = {name: value for name, value in registration.items() if value}


def _supported(target: Version, own: Version) -> None:
    oldest = own.minor - 1
    if target.minor < oldest:
        raise KubeadmError(
            "this version of kubeadm only supports deploying clusters with the control "
            f"plane version >= 1.{oldest}.0. "
            f"Current version: {target}"
        )


def run(context: Context, given: Given) -> int:
    """Run `kubeadm init`.

    Raises:
        KubeadmError: it stopped.
    """
    pinned(given.words, 0, f'unknown command "{"".join(given.words[:1])}" for "kubeadm init"')
    init = load(context, given)
    skipped = {*given.values("skip-phases"), *(init.settings.get("skipPhases") or ())}
    for name in skipped:
        if name.split("/")[0] not in PHASES:
            raise KubeadmError(BAD_PHASE.format(name=name))
    if given.switch("dry-run") or init.settings.get("dryRun"):
        raise KubeadmError("the rehearsal does not know `kubeadm init --dry-run`")
    files.say(f"[init] Using Kubernetes version: {init.target}")
    results: dict[str, str] = {}
    phases: dict[str, Callable[[], Any]] = {
        "preflight": init.preflight,
        "certs": init.certs,
        "kubeconfig": init.kubeconfig,
        "etcd": init.etcd,
        "control-plane": init.control_plane,
        "kubelet-start": init.kubelet_start,
        "wait-control-plane": init.wait_control_plane,
        "upload-config": init.upload_config,
        "upload-certs": init.upload_certs,
        "mark-control-plane": init.mark_control_plane,
        "bootstrap-token": init.bootstrap_token,
        "kubelet-finalize": init.kubelet_finalize,
        "addon": init.addon,
    }
    for name, phase in phases.items():
        if name in skipped:
            continue
        try:
            results[name] = phase() or ""
        except (ApiError, UnreachableError) as error:
            raise KubeadmError(f"error execution phase {name}: {error}") from error
        context.reached(name)
    if "show-join-command" not in skipped:
        init.show(token=results.get("bootstrap-token", ""), key=results.get("upload-certs", ""))
    return 0


def run_phase(context: Context, given: Given) -> int:
    """Run `kubeadm init phase ...`.

    Raises:
        KubeadmError: there is no such phase, or it stopped.
    """
    name, *rest = given.words or ("",)
    what = rest[0] if rest else "all"
    init = (
        load_for_phase(context, given)
        if name.startswith(("upload", "addon", "bootstrap", "mark"))
        else load(context, given)
    )
    phases: dict[str, Callable[[], Any]] = {
        "preflight": init.preflight,
        "certs": init.certs,
        "kubeconfig": init.kubeconfig,
        "etcd": init.etcd,
        "control-plane": init.control_plane,
        "kubelet-start": init.kubelet_start,
        "upload-config": lambda: init.upload_config(what),
        "upload-certs": init.upload_certs,
        "mark-control-plane": init.mark_control_plane,
        "bootstrap-token": init.bootstrap_token,
        "addon": lambda: init.addon(what),
    }
    if name not in phases or what not in {
        "all",
        "kubeadm",
        "kubelet",
        "coredns",
        "kube-proxy",
        "local",
    }:
        raise KubeadmError(f'unknown command "{" ".join(given.words)}" for "kubeadm init phase"')
    try:
        phases[name]()
    except (ApiError, UnreachableError) as error:
        raise KubeadmError(f"error execution phase {name}: {error}") from error
    return 0


def load_for_phase(context: Context, given: Given) -> Init:
    """Read what a phase on a finished cluster needs: the user's file, or what the cluster keeps."""
    init = load(context, given)
    if given.has("config") or not context.layout.admin.exists():
        return init
    client = init.client()
    found = retry(
        lambda: client.get("configmaps", "kubeadm-config", namespace="kube-system"),
        timeout=60.0,
        what="failed to get config map",
    )
    kept = files.load_yaml(found["data"]["ClusterConfiguration"])
    target = kubeadm_config.wanted_version(kept, context.version, quiet=True)
    complete = kubeadm_config.cluster(kept, version=target)
    return Init(
        context=context,
        given=given,
        settings=init.settings,
        cluster=complete,
        kubelet=kubeadm_kubelet.configuration(complete, {}),
        proxy={},
        target=target,
        keys=init.keys,
    )


_WITH_CONFIG = {
    "config",
    "upload-certs",
    "ignore-preflight-errors",
    "skip-phases",
    "skip-certificate-key-print",
    "skip-token-print",
    "dry-run",
    "v",
    "certificate-key",
    "rootfs",
    "kubeconfig",
    "patches",
    "node-name",
    "cri-socket",
}
_DONE = """
Your Kubernetes control-plane has initialized successfully!

To start using your cluster, you need to run the following as a regular user:

  mkdir -p $HOME/.kube
  sudo cp -i /etc/kubernetes/admin.conf $HOME/.kube/config
  sudo chown $(id -u):$(id -g) $HOME/.kube/config

Alternatively, if you are the root user, you can run:

  export KUBECONFIG=/etc/kubernetes/admin.conf

You should now deploy a pod network to the cluster.
Run "kubectl apply -f [podnetwork].yaml" with one of the options listed at:
  https://kubernetes.io/docs/concepts/cluster-administration/addons/
"""
_JOIN_CONTROL_PLANE = """\
You can now join any number of control-plane nodes running the following command on each as root:

  kubeadm join {server} --token {token} \\
\t--discovery-token-ca-cert-hash {pin} \\
\t--control-plane --certificate-key {key}

Please note that the certificate-key gives access to cluster sensitive data, keep it secret!
As a safeguard, uploaded-certs will be deleted in two hours; If necessary, you can use
"kubeadm init phase upload-certs --upload-certs" to reload certs afterward.
"""
_COPY_CERTIFICATES = """\
You can now join any number of control-plane nodes by copying certificate authorities
and service account keys on each node and then running the following as root:

  kubeadm join {server} --token {token} \\
\t--discovery-token-ca-cert-hash {pin} \\
\t--control-plane
"""
_JOIN_WORKER = """\
Then you can join any number of worker nodes by running the following on each as root:

kubeadm join {server} --token {token} \\
\t--discovery-token-ca-cert-hash {pin} """
