"""The vocabulary: everything kubeops can do to a machine, one frozen dataclass per thing.

An action says what, with every parameter that matters; how is its handler's business
(kubeops/handlers). Adding one: a class here, a handler in kubeops/handlers registered for it, the
planner that uses it, and a test of each.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ConfigureKernel:
    """Load kernel modules and set sysctls, now and at every boot."""

    modules: tuple[str, ...]
    sysctls: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class DisableSwap:
    """Turn swap off, now and at every boot; /etc/fstab's lines are kept as comments."""


@dataclass(frozen=True, kw_only=True)
class InstallPrerequisites:
    """Install the Debian packages that kubeadm and kubeops rely on."""

    packages: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AddPackageSource:
    """Point apt at the package source of one minor release, signed by the source's own key."""

    url: str
    minor: str


@dataclass(frozen=True, kw_only=True)
class InstallRuntime:
    """Install containerd with the systemd cgroup driver and the sandbox image kubeadm expects.

    `version` is that of Kubernetes; `runtime_version` pins containerd, empty takes the newest.
    """

    image_repository: str
    version: str
    runtime_version: str = ""


@dataclass(frozen=True, kw_only=True)
class InstallPackages:
    """Install kubeadm, kubelet, kubectl and cri-tools at an exact version, and hold them."""

    version: str


@dataclass(frozen=True, kw_only=True)
class PullImages:
    """Pull the images the host's role needs, before anything depends on them."""

    version: str
    image_repository: str


@dataclass(frozen=True, kw_only=True)
class InitCluster:
    """Create the cluster on its first control plane with `kubeadm init`."""

    version: str
    endpoint: str
    address: str
    pods: str
    services: str
    dns_domain: str
    image_repository: str


@dataclass(frozen=True, kw_only=True)
class JoinControlPlane:
    """Join a control plane, with a fresh token and certificate key made on `via`."""

    address: str
    endpoint: str
    via: str


@dataclass(frozen=True, kw_only=True)
class JoinWorker:
    """Join a worker, with a fresh token made on `via`."""

    address: str
    endpoint: str
    via: str


@dataclass(frozen=True, kw_only=True)
class ConfigureBridge:
    """Write the bridge CNI configuration of this node and routes to the other nodes' pods."""

    node: str
    pods: str
    via: str


@dataclass(frozen=True, kw_only=True)
class ApplyManifest:
    """Apply a manifest from a URL or a file, and note its digest in the cluster."""

    name: str
    source: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class DescribeNode:
    """Give a Node the labels and taints the inventory wants; others' are left alone."""

    node: str
    labels: tuple[tuple[str, str], ...]
    taints: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AwaitCluster:
    """Change nothing; wait until nodes, CoreDNS and etcd members are as the inventory wants."""

    nodes: tuple[str, ...]
    control_planes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DrainNode:
    """Cordon a node and evict its pods, PodDisruptionBudgets respected; times in seconds."""

    node: str
    timeout: float
    grace: float


@dataclass(frozen=True, kw_only=True)
class RemoveEtcdMember:
    """Remove a node's etcd member through a healthy one, unless quorum would be lost."""

    node: str


@dataclass(frozen=True, kw_only=True)
class DeleteNode:
    """Delete the Node object."""

    node: str


@dataclass(frozen=True, kw_only=True)
class ResetHost:
    """Take the host out of its cluster: data, manifests and PKI moved aside, `kubeadm reset`."""


Action = (
    ConfigureKernel
    | DisableSwap
    | InstallPrerequisites
    | AddPackageSource
    | InstallRuntime
    | InstallPackages
    | PullImages
    | InitCluster
    | JoinControlPlane
    | JoinWorker
    | ConfigureBridge
    | ApplyManifest
    | DescribeNode
    | AwaitCluster
    | DrainNode
    | RemoveEtcdMember
    | DeleteNode
    | ResetHost
)
