"""Where things lie on a node. Tests give another root."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The paths kubeadm and the kubelet use, below `root`."""

    root: Path = Path("/")

    def at(self, path: str) -> Path:
        """Return an absolute path of the node."""
        return self.root / path.lstrip("/")

    @property
    def kubernetes(self) -> Path:
        """/etc/kubernetes."""
        return self.at("/etc/kubernetes")

    @property
    def manifests(self) -> Path:
        """The folder of static pods."""
        return self.kubernetes / "manifests"

    @property
    def pki(self) -> Path:
        """The folder of certificates."""
        return self.kubernetes / "pki"

    @property
    def temporary(self) -> Path:
        """Where kubeadm keeps backups while it upgrades."""
        return self.kubernetes / "tmp"

    @property
    def kubelet(self) -> Path:
        """/var/lib/kubelet."""
        return self.at("/var/lib/kubelet")

    @property
    def admin(self) -> Path:
        """The administrator's kubeconfig."""
        return self.kubernetes / "admin.conf"

    @property
    def kubelet_conf(self) -> Path:
        """The kubelet's kubeconfig."""
        return self.kubernetes / "kubelet.conf"

    @property
    def bootstrap_conf(self) -> Path:
        """The kubeconfig a kubelet joins with."""
        return self.kubernetes / "bootstrap-kubelet.conf"

    def conf(self, name: str) -> Path:
        """The kubeconfig `name`.conf."""
        return self.kubernetes / f"{name}.conf"
