"""What pki.tar of a bundle holds, as far as a plan needs to know: no key is kept in here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

DIRECTORY = "etc/kubernetes/pki/"
"""Where Kubernetes keeps its PKI; paths in the archive are without the first slash."""

REQUIRED = tuple(
    DIRECTORY + name
    for name in (
        *("ca.crt", "ca.key", "etcd/ca.crt", "etcd/ca.key"),
        *("front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub"),
    )
)
"""What cannot be made anew: who holds a certificate or a token of the cluster trusts these."""

_MADE_ANEW = frozenset(
    f"{DIRECTORY}{name}.{kind}"
    for name in (
        *("apiserver", "apiserver-kubelet-client", "apiserver-etcd-client", "front-proxy-client"),
        *("etcd/server", "etcd/peer", "etcd/healthcheck-client"),
    )
    for kind in ("crt", "key")
) | frozenset(
    f"etc/kubernetes/{name}"
    for name in (
        *(f"manifests/{pod}.yaml" for pod in ("etcd", "kube-apiserver", "kube-scheduler")),
        "manifests/kube-controller-manager.yaml",
        *(f"{user}.conf" for user in ("admin", "super-admin", "controller-manager")),
        *(f"{user}.conf" for user in ("scheduler", "kubelet", "bootstrap-kubelet")),
    )
)


@dataclass(frozen=True, kw_only=True)
class Pki:
    """What a bundle holds besides the snapshot.

    Attributes:
        authority: SHA-256 of the cluster's CA certificate; empty when it has none.
        expires: when the certificates of its CAs end, by their paths.
        paths: all files in it.
        settings: the ClusterConfiguration that kubeadm kept; empty when the API did not answer
            when the bundle was taken.
    """

    authority: str = ""
    expires: Mapping[str, datetime] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)

    @property
    def missing(self) -> tuple[str, ...]:
        """What it lacks of that which no fresh control plane can do without."""
        return tuple(path for path in REQUIRED if path not in self.paths)

    @property
    def files(self) -> tuple[str, ...]:
        """What goes back onto a fresh control plane, in order.

        That is everything of the host but what kubeadm makes anew for each host (certificates,
        kubeconfigs, its own static pods), and hidden files, which nobody reads.
        """
        return tuple(
            path
            for path in sorted(self.paths)
            if path.startswith("etc/")
            and not any(part.startswith(".") for part in path.split("/"))
            and path not in _MADE_ANEW
        )

    @property
    def beside(self) -> tuple[str, ...]:
        """What of `files` kubeadm does not bring to a control plane that joins."""
        return tuple(path for path in self.files if path not in REQUIRED)

    @property
    def endpoint(self) -> str:
        """The endpoint that nodes and clients of the cluster know; empty when it is not known."""
        return str(self.settings.get("controlPlaneEndpoint") or "")

    @property
    def networks(self) -> Mapping[str, str]:
        """The cluster's networks as kubeadm calls them: podSubnet, serviceSubnet, dnsDomain."""
        found = self.settings.get("networking")
        return {str(k): str(v) for k, v in found.items()} if isinstance(found, Mapping) else {}
