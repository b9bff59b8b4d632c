"""What is: the facts of hosts and cluster, as parsed at the edge. Nothing here is ever edited.

`None` means "could not be read" or "is not there" as the attribute's comment says; sizes are bytes,
times are seconds, points in time are aware datetimes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from kubeops.model.desired import Host
from kubeops.model.version import KubeVersion

CORDONED_BY_US = "kubeops.io/cordoned"
"""The annotation that says of a Node that kubeops cordoned it, and since when."""


@dataclass(frozen=True, kw_only=True)
class Package:
    """An installed Debian package and whether it is held."""

    name: str
    version: str
    held: bool = False


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A systemd unit: `enabled`, `active` as systemctl words them."""

    name: str
    enabled: str
    active: str


@dataclass(frozen=True, kw_only=True)
class Listener:
    """A listening TCP port and the program that holds it (empty when unknown)."""

    port: int
    address: str
    program: str = ""


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """One file: mode, owner (`root:root`), sha256 of the content (empty where none is wanted)."""

    path: str
    mode: int
    owner: str
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class StaticPod:
    """A static pod manifest on a host: its image and the flags of its command."""

    name: str
    image: str
    flags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A certificate file of the host: what it is for and when it ends."""

    name: str
    expires: datetime
    authority: bool = False


@dataclass(frozen=True, kw_only=True)
class HostFacts:
    """Everything kubeops needs to know of one host, read in one round trip."""

    host: str
    hostname: str
    os_id: str
    os_version: str
    os_pretty: str
    kernel: str
    architecture: str
    machine_id: str
    boot_id: str
    cpus: int
    memory: int
    swap: int
    """Bytes of all swap that is on; 0 when none is."""
    disk_free: Mapping[str, int]
    """Free bytes by directory: /, /var/lib/{etcd,containerd,kubelet}, /var/cache/apt and
    /etc/kubernetes; of one that is not there yet, those of its nearest parent."""
    addresses: tuple[str, ...]
    cgroup: str
    """`stat -fc %T /sys/fs/cgroup`: cgroup2fs or tmpfs."""
    clock: datetime
    clock_skew: float
    """The host's clock minus ours, corrected by half the round trip."""
    sysctls: Mapping[str, str]
    modules: frozenset[str]
    """Kernel modules that are loaded or built in, of those kubeops asks for."""
    packages: Mapping[str, Package]
    """Packages that are wholly installed, of those kubeops asks for."""
    units: Mapping[str, Unit]
    """By full name (`kubelet.service`); those systemd does not know are left out."""
    listeners: tuple[Listener, ...]
    files: Mapping[str, FileFacts]
    programs: frozenset[str]
    """Programs found on the PATH, of those kubeops asks for."""
    swap_at_boot: bool = False
    """Whether /etc/fstab turns swap on, which then comes back at the next boot."""
    loadable: frozenset[str] = frozenset()
    """Kernel modules that modprobe knows how to load, of those Kubernetes needs."""
    container_runtime: str | None = None
    """Upstream version of containerd, such as 2.1.9; None when it is not installed."""
    sandbox_image: str | None = None
    """The sandbox (pause) image containerd is configured for."""
    kubeadm: KubeVersion | None = None
    kubelet: KubeVersion | None = None
    kubectl: KubeVersion | None = None
    static_pods: Mapping[str, StaticPod] = field(default_factory=dict)
    certificates: tuple[Certificate, ...] = ()
    cluster_ca: str | None = None
    """sha256 of /etc/kubernetes/pki/ca.crt; None when the host belongs to no cluster."""
    kubelet_server: str | None = None
    """The API server that kubelet.conf points to; None when the host has not joined."""
    etcd_data: bool = False
    """Whether /var/lib/etcd holds a member."""
    apt_locked: bool = False
    repository_status: str = ""
    """HTTP answer of the package source as seen from the host: `200`, or curl's or wget's words."""
    repository_seconds: float | None = None
    repository_offers: tuple[KubeVersion, ...] = ()
    """The releases of kubeadm in that package source, oldest first; empty when it was not asked."""
    kubeadm_tmp: int = 0
    """Bytes below /etc/kubernetes/tmp."""
    half_installed: frozenset[str] = frozenset()
    """Packages that dpkg was stopped in the middle of; `dpkg --configure -a` goes on with them."""
    kubeadm_running: bool = False
    """Whether a kubeadm is at work right now, e.g. one left behind by a killed run."""
    unfinished: str | None = None
    """/var/lib/kubeops/unfinished: `init`, `join`, `reset` or `restore` (onto a fresh host) that
    kubeops began and did not end."""
    unfinished_upgrade: str | None = None
    """/var/lib/kubeops/unfinished-upgrade: `apply` or `node` when kubeops began it and did not end
    it."""
    kubeadm_backups: tuple[str, ...] = ()
    """Names of the directories below /etc/kubernetes/tmp that kubeadm left there, oldest first."""
    drifted: tuple[str, ...] = ()
    """Files of kubeadm that were edited by hand, and what differs: `PATH: WHAT`, one each."""


@dataclass(frozen=True, kw_only=True)
class Unreachable:
    """A host that could not be read, and why."""

    host: str
    reason: str
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Whether `source` reached `target` on a port; a refused connection is reached, too.

    `untested` says why it could not be tried from `source`, whatever the target.
    """

    source: str
    target: str = ""
    port: int = 0
    reached: bool = False
    untested: str = ""


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """One Node object of the API."""

    name: str
    ready: bool
    ready_message: str
    kubelet: KubeVersion
    container_runtime: str
    addresses: tuple[str, ...]
    unschedulable: bool
    control_plane: bool
    labels: Mapping[str, str]
    taints: tuple[str, ...]
    pod_cidr: str = ""
    cordoned_by_us: bool = False
    """Whether the Node carries the annotation of `CordonNode`; it is then ours to uncordon."""


@dataclass(frozen=True, kw_only=True)
class EtcdMember:
    """A member as a healthy one tells; `id` is hexadecimal as etcdctl's commands want it."""

    id: str
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]
    learner: bool
    healthy: bool
    version: str = ""
    db_size: int = 0
    leader: bool = False
    revision: int = 0

    def is_of(self, host: Host) -> bool:
        """Whether it is the host's: by name, or by address while it has not started yet."""
        address = f"[{host.address}]" if ":" in host.address else host.address
        return self.name == host.name or any(f"//{address}:" in url for url in self.peer_urls)


@dataclass(frozen=True, kw_only=True)
class EtcdFacts:
    """The etcd cluster, asked of the control plane `asked`; alarms as etcd words them."""

    asked: str
    members: tuple[EtcdMember, ...]
    alarms: tuple[str, ...] = ()

    def member_of(self, host: Host) -> EtcdMember | None:
        """Return the member of `host`; None when it has none."""
        return next((member for member in self.members if member.is_of(host)), None)


@dataclass(frozen=True, kw_only=True)
class WorkloadFacts:
    """A Deployment or DaemonSet of kube-system: wanted and ready replicas and its images."""

    kind: str
    namespace: str
    name: str
    wanted: int
    ready: int
    images: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ApiObjects:
    """The objects that tell whether a cluster works: nodes, and the workloads of kube-system."""

    nodes: tuple[NodeFacts, ...]
    system: tuple[WorkloadFacts, ...]


@dataclass(frozen=True, kw_only=True)
class ApiFacts(ApiObjects):
    """The cluster as its API tells, asked from the control plane `asked`."""

    asked: str
    server: KubeVersion
    uid: str
    """UID of the kube-system namespace: the cluster's identity."""
    endpoint: str
    """controlPlaneEndpoint of kubeadm-config; empty when there is none."""
    kubernetes: KubeVersion | None = None
    """kubernetesVersion of kubeadm-config."""
    feature_gates: Mapping[str, bool] = field(default_factory=dict)
    applied: Mapping[str, str] = field(default_factory=dict)
    """Manifests kubeops applied, name to digest (ConfigMap kube-system/kubeops)."""


@dataclass(frozen=True, kw_only=True)
class ClusterFacts:
    """All that was observed at one moment. `api` and `etcd` are None when nobody answers for them.

    `api_error` and `etcd_error` then say in whose words.
    """

    at: datetime
    hosts: Mapping[str, HostFacts]
    unreachable: Mapping[str, Unreachable] = field(default_factory=dict)
    api: ApiFacts | None = None
    etcd: EtcdFacts | None = None
    api_error: str = ""
    etcd_error: str = ""

    @property
    def rehearsal(self) -> bool:
        """Whether any component reports itself as a stand-in of the lab."""
        versions = [facts.kubeadm or facts.kubelet for facts in self.hosts.values()]
        if self.api is not None:
            versions.append(self.api.server)
        return any(version.rehearsal for version in versions if version is not None)
