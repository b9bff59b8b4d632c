"""What is wanted: one inventory file, loaded and validated. Nothing observed flows back into it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from kubeops.model.version import KubeVersion

Network = IPv4Network | IPv6Network


class Role(StrEnum):
    """What a host is for."""

    CONTROL_PLANE = "control-plane"
    WORKER = "worker"


class HostKeys(StrEnum):
    """How host keys are checked: against known_hosts, or written there on first sight."""

    STRICT = "strict"
    ACCEPT_NEW = "accept-new"


@dataclass(frozen=True, kw_only=True)
class Ssh:
    """How a host is logged in to. Paths are absolute; `jump` is `[user@]host[:port]`, or `none`.

    `None` means: what ~/.ssh/config says, else OpenSSH's default. The jump host `none` means that
    there is none, whatever ~/.ssh/config says.
    """

    user: str | None = None
    port: int | None = None
    key: Path | None = None
    jump: str | None = None
    known_hosts: Path | None = None
    host_keys: HostKeys = HostKeys.STRICT
    sudo: bool = True
    sudo_password_file: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Taint:
    """A node taint, `key=value:Effect`."""

    key: str
    value: str
    effect: str

    def __str__(self) -> str:
        return (
            f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"
        )


@dataclass(frozen=True, kw_only=True)
class Host:
    """One machine of the cluster; `name` is also the name of its node.

    `taints` is `None` when the inventory does not speak of them: the node then keeps what kubeadm
    gives it (control planes are tainted). An empty tuple takes kubeadm's taint off. `replaces`
    names the worker whose place this one takes in the next upgrade that replaces; empty for none.
    """

    name: str
    address: str
    role: Role
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] | None = None
    ssh: Ssh = field(default_factory=Ssh)
    replaces: str = ""

    @property
    def is_control_plane(self) -> bool:
        """Whether the host runs the control plane."""
        return self.role is Role.CONTROL_PLANE


@dataclass(frozen=True, kw_only=True)
class Networks:
    """The cluster's own networks."""

    pods: Network
    services: Network
    dns_domain: str = "cluster.local"


@dataclass(frozen=True, kw_only=True)
class Cni:
    """The network plugin. `source` is an absolute path or a URL and replaces its own manifest.

    `name` is bridge, flannel, calico, cilium or manifest (`source` alone says what is applied);
    `version` (`0.28.4`, no v) is set for flannel and calico; cilium's is the manifest's own.
    """

    name: str = "flannel"
    version: str | None = None
    source: str | None = None


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """The container runtime. `version` pins its package; `None` is the newest one on offer."""

    name: str = "containerd"
    version: str | None = None


@dataclass(frozen=True, kw_only=True)
class Drain:
    """How nodes are drained; times in seconds; `pdb` is wait, fail or force."""

    timeout: float = 600.0
    grace: float = 60.0
    pdb: str = "wait"


@dataclass(frozen=True, kw_only=True)
class UpgradePolicy:
    """How many workers may be away at once (a number, or a percentage of the workers)."""

    max_unavailable: int | str = 1
    failure_budget: int = 1
    drain: Drain = field(default_factory=Drain)


@dataclass(frozen=True, kw_only=True)
class S3:
    """How an S3-compatible store is reached; `None` is what the AWS configuration says.

    `path_style` puts the bucket into the path instead of the host name, as MinIO and Ceph want it.
    """

    endpoint: str | None = None
    region: str | None = None
    path_style: bool = False


@dataclass(frozen=True, kw_only=True)
class BackupPolicy:
    """Where backups go, when, how many are kept, what encrypts them, and who is told.

    Attributes:
        store: `file:///DIRECTORY` on the machine that runs kubeops, or `s3://BUCKET/PREFIX`.
        schedule: `hourly`, `daily HH:MM` or `weekly Sun HH:MM`, by that machine's clock.
        keep: how many `last`, `daily`, `weekly` and `monthly` ones are kept.
        prunes: whether a backup is followed by the removal of those not kept: only if the inventory
            itself says what to keep.
        passphrase_file: its first line encrypts and decrypts; excludes `recipients`.
        recipients: age or ssh public keys that are encrypted to.
        identity_file: the private key that decrypts what went to `recipients`.
        s3: how an s3:// store is reached.
        max_age: seconds after which the newest backup is too old.
        metrics_directory: where Prometheus textfile metrics are written; None for nowhere.
        on_failure: a command, argv by argv, that is run when a scheduled backup fails.
    """

    store: str = "file:///var/backups/kubeops"
    schedule: str = "daily 02:30"
    keep: Mapping[str, int] = field(
        default_factory=lambda: {"last": 7, "daily": 7, "weekly": 4, "monthly": 6}
    )
    prunes: bool = False
    passphrase_file: Path | None = None
    recipients: tuple[str, ...] = ()
    identity_file: Path | None = None
    s3: S3 = field(default_factory=S3)
    max_age: float = 93600.0
    metrics_directory: Path | None = None
    on_failure: tuple[str, ...] = ()

    @property
    def encrypted(self) -> bool:
        """Whether anything encrypts the backups."""
        return self.passphrase_file is not None or bool(self.recipients)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """One cluster as its inventory file describes it.

    Attributes:
        endpoint: `host:port` that clients and nodes use for the API; with one control plane and no
            endpoint given it is that host's own address.
        package_repository: URL with `{minor}` in it, filled per minor release; ends with a slash.
        addons: known names (`metrics-server`, `ingress-nginx`), paths or URLs of manifests.
        image_repository: registry and path the control plane's images come from.
        source: the file this was loaded from.
        warnings: what is allowed but unwise, one line each.
    """

    name: str
    kubernetes: KubeVersion
    endpoint: str
    networks: Networks
    hosts: tuple[Host, ...]
    cni: Cni = field(default_factory=Cni)
    runtime: Runtime = field(default_factory=Runtime)
    package_repository: str = "https://pkgs.k8s.io/core:/stable:/v{minor}/deb/"
    image_repository: str = "registry.k8s.io"
    addons: tuple[str, ...] = ()
    upgrade: UpgradePolicy = field(default_factory=UpgradePolicy)
    backup: BackupPolicy = field(default_factory=BackupPolicy)
    source: Path = Path("inventory.yaml")
    warnings: tuple[str, ...] = ()

    @property
    def control_planes(self) -> tuple[Host, ...]:
        """The control plane hosts, in the order of the file."""
        return tuple(host for host in self.hosts if host.is_control_plane)

    @property
    def workers(self) -> tuple[Host, ...]:
        """The worker hosts, in the order of the file."""
        return tuple(host for host in self.hosts if not host.is_control_plane)

    def host(self, name: str) -> Host:
        """Return the host called `name`.

        Raises:
            KeyError: there is none.
        """
        for host in self.hosts:
            if host.name == name:
                return host
        raise KeyError(name)
