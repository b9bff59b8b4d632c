"""`kubeadm join`: a worker, or a further control plane.

Phases, in order: preflight (with discovery), control-plane-prepare, check-etcd, kubelet-start,
etcd-join, kubelet-wait-bootstrap, control-plane-join, wait-control-plane. etcd members join as
learners and are promoted.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rehearsal import files, kubeadm_config, kubeadm_etcd, kubeadm_kubelet, manifests
from rehearsal import kubeadm_objects as objects
from rehearsal import kubeadm_preflight as preflight
from rehearsal import kubeadm_texts as texts
from rehearsal.apierrors import ApiError, UnreachableError
from rehearsal.client import Client
from rehearsal.cobra import Given, Spec
from rehearsal.kubeadm_common import (
    CONFIG,
    Context,
    KubeadmError,
    retry,
    start_kubelet,
    systemctl,
    wait_control_plane,
    wait_kubelet,
)
from rehearsal.kubeadm_discovery import discover
from rehearsal.kubeadm_etcd import Etcd
from rehearsal.kubeadm_mark import mark_control_plane
from rehearsal.kubeadm_pki import SIGNERS, Certificates, kubeconfig
from rehearsal.kubeconfig import Access, load_kubeconfig
from rehearsal.kubelet_node import host_address
from rehearsal.manifests import Node
from rehearsal.version import Version, parse

SPEC = CONFIG | Spec(
    values=(
        "apiserver-advertise-address",
        "apiserver-bind-port",
        "certificate-key",
        "cri-socket",
        "discovery-file",
        "discovery-token",
        "discovery-token-ca-cert-hash",
        "ignore-preflight-errors",
        "node-name",
        "patches",
        "skip-phases",
        "tls-bootstrap-token",
        "token",
    ),
    switches=("control-plane", "discovery-token-unsafe-skip-ca-verification", "dry-run"),
)
PHASES = (
    "preflight",
    "control-plane-prepare",
    "check-etcd",
    "kubelet-start",
    "etcd-join",
    "kubelet-wait-bootstrap",
    "control-plane-join",
    "wait-control-plane",
)
LEARNER_SECONDS = 40.0
PREFLIGHT = "error execution phase preflight"


@dataclass(kw_only=True)
class Join:
    """One run of `kubeadm join`; `preflight` finds the cluster and fills in what is known of it."""

    context: Context
    given: Given
    settings: Mapping[str, Any]
    access: Access = field(default_factory=lambda: Access(server=""))
    cluster: dict[str, Any] = field(default_factory=dict)
    kubelet: dict[str, Any] = field(default_factory=dict)

    @property
    def control_plane(self) -> bool:
        """Whether this machine becomes a control plane."""
        return "controlPlane" in self.settings

    @property
    def name(self) -> str:
        """The node's name."""
        return str(self.settings["nodeRegistration"]["name"])

    @property
    def node(self) -> Node:
        """This machine."""
        endpoint = (self.settings.get("controlPlane") or {}).get("localAPIEndpoint") or {}
        return Node(
            name=self.name,
            address=endpoint.get("advertiseAddress") or host_address(),
            port=int(endpoint.get("bindPort") or 6443),
        )

    @property
    def target(self) -> Version:
        """The release the cluster runs."""
        return parse(self.cluster["kubernetesVersion"])

    @property
    def limits(self) -> dict[str, float]:
        """The timeouts, in seconds."""
        return kubeadm_config.timeouts(self.settings)

    @property
    def certificates(self) -> Certificates:
        """What makes this machine's certificates."""
        return Certificates(layout=self.context.layout, cluster=self.cluster, node=self.node)

    @property
    def pki(self) -> str:
        """The folder of certificates."""
        return str(self.cluster["certificatesDir"])

    def client(self) -> Client:
        """Return a client with the token's rights."""
        return Client(self.access, timeout=10.0, user_agent="kubeadm")

    def preflight(self) -> None:
        """Check the machine, find the cluster, and check again what a control plane needs."""
        files.say("[preflight] Running pre-flight checks")
        ignore = self._ignored()
        checks = preflight.Checks(
            context=self.context, name=self.name, target=str(self.context.version)
        )
        ca = self.settings.get("caCertPath") or "/etc/kubernetes/pki/ca.crt"
        preflight.run(checks.join(ca=ca, worker=not self.control_plane), ignore=ignore)
        self.access = self._discover()
        client = self.client()
        try:
            self.cluster = kubeadm_config.from_cluster(
                client, prefix="preflight", timeout=self.limits["kubernetesAPICall"]
            )
            found = client.get("configmaps", "kubelet-config", namespace="kube-system")
        except (KubeadmError, ApiError, UnreachableError) as error:
            raise KubeadmError(
                f"{PREFLIGHT}: unable to fetch the kubeadm-config ConfigMap: {error}"
            ) from error
        self.kubelet = kubeadm_kubelet.from_cluster(found)
        if not self.control_plane:
            return
        if not self.cluster.get("controlPlaneEndpoint"):
            raise KubeadmError(f"{PREFLIGHT}: {texts.NO_ENDPOINT}")
        files.say(
            "[preflight] Running pre-flight checks before initializing the new control plane "
            "instance"
        )
        local = self.cluster["etcd"].get("local", {})
        again = preflight.Checks(context=self.context, name=self.name, target=str(self.target))
        data = local.get("dataDir", "/var/lib/etcd")
        preflight.run(again.init(port=self.node.port, data=data, first=False), ignore=ignore)
        files.say("[preflight] Pulling images required for setting up a Kubernetes cluster")
        files.say(
            "[preflight] This might take a minute or two, depending on the speed of your "
            "internet connection"
        )
        files.say(
            "[preflight] You can also perform this action beforehand using 'kubeadm config "
            "images pull'"
        )
        pulled = again.pulled(
            repository=self.cluster["imageRepository"], etcd_tag=local.get("imageTag", "")
        )
        preflight.run([pulled], ignore=ignore)

    def _ignored(self) -> tuple[str, ...]:
        named = self.settings["nodeRegistration"].get("ignorePreflightErrors") or ()
        return (*self.given.values("ignore-preflight-errors"), *named)

    def _discover(self) -> Access:
        discovery = self.settings["discovery"]
        token = discovery.get("tlsBootstrapToken", "")
        if "file" in discovery:
            access = load_kubeconfig(discovery["file"]["kubeConfigPath"])
            return access._replace(token=access.token or token)
        entry = discovery["bootstrapToken"]
        access = discover(
            server=entry["apiServerEndpoint"],
            token=entry["token"],
            pins=entry.get("caCertHashes") or (),
            unsafe=bool(entry.get("unsafeSkipCAVerification")),
            timeout=self.limits["discovery"],
        )
        return access._replace(token=token or entry["token"])

    def control_plane_prepare(self) -> None:
        """Fetch the shared certificates, make our own, write kubeconfigs and manifests."""
        if not self.control_plane:
            return
        layout = self.context.layout
        key = self.settings["controlPlane"].get("certificateKey")
        if key:
            objects.download_certificates(self.client(), layout, self.pki, key)
        missing = [
            name
            for name in objects.SHARED.values()
            if not (layout.at(self.pki) / name).exists() and name != "sa.pub"
        ]
        if missing:
            raise KubeadmError(
                f"{PREFLIGHT}: \nOne or more conditions for hosting a new control plane "
                "instance is not satisfied.\n\n"
                f"[failure loading certificate for {missing[0]}: couldn't load the file "
                f"{self.pki}/{missing[0]}: no such file or directory]\n\n"
                "Please ensure that:\n* The cluster has a stable controlPlaneEndpoint address.\n"
                "* The certificates that must be shared among control plane instances are "
                "provided.\n\n"
            )
        certificates = self.certificates
        files.say(f'[certs] Using certificateDir folder "{self.pki}"')
        for leaf in SIGNERS:
            certificates.announce(leaf)
            certificates.make(leaf)
        files.say(f'[certs] Valid certificates and keys now exist in "{self.pki}"')
        certificates.make_sa()
        files.say("[kubeconfig] Generating kubeconfig files")
        files.say('[kubeconfig] Using kubeconfig folder "/etc/kubernetes"')
        for name in ("admin", "controller-manager", "scheduler"):
            certificates.write_conf(name)
        files.say(f'[control-plane] Using manifest folder "{layout.manifests}"')
        found = manifests.control_plane(version=self.target, cluster=self.cluster, node=self.node)
        for name, text in found.items():
            files.say(f'[control-plane] Creating static Pod manifest for "{name}"')
            files.write(layout.manifests / f"{name}.yaml", text, mode=0o600)

    def check_etcd(self) -> None:
        """Make sure that the etcd we are to join is healthy."""
        if not self._stacked():
            return
        files.say("[check-etcd] Checking that the etcd cluster is healthy")
        etcd = self._etcd()
        members = kubeadm_etcd.persist(
            etcd.members,
            timeout=20.0,
            what="error execution phase check-etcd: etcd cluster is not healthy",
        )
        sick = [
            url
            for member in members
            for url in member.client_urls
            if not member.learner
            and not files.wait(lambda url=url: etcd.healthy(url), timeout=20.0, interval=0.5)  # type: ignore[misc]
        ]
        if sick:
            raise KubeadmError(
                "error execution phase check-etcd: etcd cluster is not healthy: failed to "
                "dial endpoint "
                f"{sick[0]} with maintenance client: context deadline exceeded"
            )

    def kubelet_start(self) -> None:
        """Write the kubelet's files and start it with the token."""
        layout = self.context.layout
        self._must_be_new()
        systemctl("stop", "kubelet")
        server = (
            f"https://{self.node.address}:{self.node.port}"
            if self.control_plane
            else self.access.server
        )
        text = kubeconfig(
            server=server,
            ca=self.access.ca.encode(),
            cluster="kubernetes",
            user="tls-bootstrap-token-user",
            credentials={"token": self.access.token},
        )
        files.write(layout.bootstrap_conf, text, mode=0o600)
        if not self.control_plane or not (layout.at(self.pki) / "ca.crt").exists():
            files.write(layout.at(self.pki) / "ca.crt", self.access.ca)
        registration = self.settings["nodeRegistration"]
        kubeadm_kubelet.write_config(self.context, self.kubelet, socket=registration["criSocket"])
        flags = registration | {"registerTaints": not self.control_plane}
        kubeadm_kubelet.write_flags(self.context, flags, self.cluster)
        start_kubelet()

    def _must_be_new(self) -> None:
        """Refuse the name of a Node that is Ready, as far as the API knows."""
        node = self.client().find("nodes", self.node.name) or {}
        for condition in node.get("status", {}).get("conditions", ()):
            if condition["type"] == "Ready" and condition["status"] == "True":
                raise KubeadmError(
                    f'error execution phase kubelet-start: a Node with name "{self.node.name}" and '
                    'status "Ready" already exists in the cluster. You must delete the existing '
                    "Node or change the name of this new joining Node"
                )

    def etcd_join(self) -> None:
        """Add our etcd as a learner, wait until it has caught up, and promote it."""
        if not self._stacked():
            return
        peer = f"https://{self.node.address}:2380"
        etcd = self._etcd()
        phase = (
            "error execution phase etcd-join: error creating local etcd static pod manifest file"
        )
        limit = self.limits["etcdAPICall"]
        members = kubeadm_etcd.persist(lambda: etcd.add_learner(peer), timeout=limit, what=phase)
        files.say("[etcd] Announced new etcd member joining to the existing etcd cluster")
        files.say('[etcd] Creating static Pod manifest for "etcd"')
        layout = self.context.layout
        data = layout.at(self.cluster["etcd"]["local"]["dataDir"])
        data.mkdir(parents=True, exist_ok=True)
        os.chmod(data, 0o700)
        text = manifests.etcd(
            version=self.target,
            cluster=self.cluster,
            node=self.node,
            members=[(member.name or self.name, member.peer_urls[0]) for member in members],
        )
        files.write(layout.manifests / "etcd.yaml", text, mode=0o600)
        files.say(
            "[etcd] Waiting for the new etcd member to join the cluster. This can take up to 40s"
        )
        own = next(member for member in members if peer in member.peer_urls)
        self.context.reached("etcd-announced")
        kubeadm_etcd.persist(
            lambda: self._promote(etcd, own.id),
            timeout=max(limit, LEARNER_SECONDS),
            what=f"{phase}: timeout waiting for etcd cluster to be available",
        )
        local = f"https://{self.node.address}:2379"
        if not files.wait(lambda: etcd.healthy(local), timeout=LEARNER_SECONDS):
            raise KubeadmError(f"{phase}: timeout waiting for etcd cluster to be available")

    def _promote(self, etcd: Etcd, identifier: str) -> None:
        member = next((m for m in etcd.members() if m.id == identifier), None)
        if member is None:
            raise kubeadm_etcd.EtcdError("the announced member is gone")
        if not member.name:
            raise kubeadm_etcd.EtcdError("the announced member has not started")
        if member.learner:
            etcd.promote(identifier)

    def kubelet_wait_bootstrap(self) -> None:
        """Wait until the kubelet has its own credentials."""
        layout, limits = self.context.layout, self.limits
        wait_kubelet(timeout=limits["kubeletHealthCheck"])
        files.say("[kubelet-start] Waiting for the kubelet to perform the TLS Bootstrap")
        if not files.wait(layout.kubelet_conf.exists, timeout=limits["tlsBootstrap"]):
            raise KubeadmError(
                "error execution phase kubelet-wait-bootstrap: failed to wait for the "
                "kubelet to perform the TLS "
                "Bootstrap: context deadline exceeded"
            )
        layout.bootstrap_conf.unlink(missing_ok=True)
        conf = Client.from_kubeconfig(str(layout.kubelet_conf), timeout=10.0)
        retry(
            lambda: conf.get("nodes", self.name),
            timeout=limits["tlsBootstrap"],
            what="error execution phase kubelet-wait-bootstrap: the node did not register",
        )

    def control_plane_join(self) -> None:
        """Label and taint this node."""
        if self.control_plane:
            client = self.context.client()
            local = f"https://{self.node.address}:{self.node.port}"
            mark_control_plane(
                Client(client.access._replace(server=local), timeout=10.0),
                self.name,
                self.settings["nodeRegistration"].get("taints"),
                timeout=self.limits["kubernetesAPICall"],
            )

    def wait_control_plane(self) -> None:
        """Wait for the three components of this node."""
        if self.control_plane:
            wait_control_plane(
                address=self.node.address,
                port=self.node.port,
                timeout=self.limits["controlPlaneComponentHealthCheck"],
            )

    def _stacked(self) -> bool:
        return self.control_plane and "external" not in self.cluster["etcd"]

    def _etcd(self) -> Etcd:
        client = self.context.client()
        urls = kubeadm_etcd.endpoints(client, but=self.name)
        return Etcd(endpoints=urls, pki=self.context.layout.at(self.pki) / "etcd")
