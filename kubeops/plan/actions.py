"""The vocabulary: everything kubeops can do to a machine, one frozen dataclass per thing.

An action says what, with every parameter that matters; how is its handler's business
(kubeops/handlers). Adding one: a class here, a handler in kubeops/handlers registered for it, the
planner that uses it, and a test of each.
"""

from dataclasses import dataclass

from kubeops.plan.restore_actions import RestoreAction

WORKSTATION = "workstation"
"""The host of steps that touch no host, such as rewriting the inventory."""


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
    """Create the cluster on its first control plane with `kubeadm init`.

    `certificate_names` are names and addresses of API servers besides kubeadm's own. The node
    registers with `taints`, each `key=value:Effect` or `key:Effect`; None leaves kubeadm's default.
    """

    version: str
    endpoint: str
    address: str
    pods: str
    services: str
    dns_domain: str
    image_repository: str
    certificate_names: tuple[str, ...]
    taints: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class JoinControlPlane:
    """Join a control plane, with a fresh token and certificate key made on `via`.

    `files` (without the first slash) are copied from there first: what its pods read besides the
    PKI, which kubeadm brings. `taints` as in `InitCluster`.
    """

    address: str
    endpoint: str
    via: str
    files: tuple[str, ...] = ()
    taints: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class JoinWorker:
    """Join a worker, with a fresh token made on `via`.

    `version` is the release that the control plane runs; empty: the one of the inventory. `taints`
    as in `InitCluster`.
    """

    address: str
    endpoint: str
    via: str
    version: str = ""
    taints: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class ConfigureBridge:
    """Write the bridge CNI configuration of this node and routes to the other nodes' pods."""

    node: str
    via: str


@dataclass(frozen=True, kw_only=True)
class ApplyManifest:
    """Apply a manifest from a URL or a file, and note its digest in the cluster."""

    name: str
    source: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class DescribeNode:
    """Give a Node the labels and taints the inventory wants; others' are left alone.

    The taints of `untaint` are taken off, where they are there.
    """

    node: str
    labels: tuple[tuple[str, str], ...]
    taints: tuple[str, ...]
    untaint: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AwaitCluster:
    """Change nothing; wait until nodes, CoreDNS and etcd members are as the inventory wants.

    The members of hosts in `left_out` are not looked at: the run has nothing to do with them.
    """

    nodes: tuple[str, ...]
    control_planes: tuple[str, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CordonNode:
    """Keep new pods off a node, and note on the Node itself that it was kubeops that did.

    The note (the annotation `model.observed.CORDONED_BY_US`) is written in the same request as the
    cordon, so no crash separates them. A node that is cordoned without the note is the operator's:
    it is left alone.
    """

    node: str


@dataclass(frozen=True, kw_only=True)
class DrainNode:
    """Cordon a node and evict its pods; times in seconds.

    Attributes:
        node: the node.
        timeout: how long evictions may take in all.
        grace: how long a pod gets to end.
        pdb: `wait` retries evictions that a PodDisruptionBudget forbids until the timeout; `fail`
            gives up on the first one; `force` deletes pods instead of evicting them.
        bare_pods: also delete pods that nobody will create again.
    """

    node: str
    timeout: float
    grace: float
    pdb: str = "wait"
    bare_pods: bool = True


@dataclass(frozen=True, kw_only=True)
class UncordonNode:
    """Let pods on a node again and take the note of `CordonNode` off, if it was kubeops'."""

    node: str


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


@dataclass(frozen=True, kw_only=True)
class SaveSnapshot:
    """Take a backup of the step's control plane into `store`, proven by restoring it."""

    store: str


@dataclass(frozen=True, kw_only=True)
class FetchPackages:
    """Point apt at the package source of `minor`, and download what the host will install.

    kubeadm, kubelet and kubectl of `version` end up in apt's cache; nothing is installed.
    """

    url: str
    minor: str
    version: str


@dataclass(frozen=True, kw_only=True)
class UpgradeKubeadm:
    """Install kubeadm at an exact version, older or newer than the present one, and hold it."""

    version: str


@dataclass(frozen=True, kw_only=True)
class CheckUpgrade:
    """Change nothing; have `kubeadm upgrade plan` agree that the cluster can go to `version`."""

    version: str


@dataclass(frozen=True, kw_only=True)
class UpgradeApply:
    """`kubeadm upgrade apply` on a control plane: its static pods, and the cluster's settings.

    /var/lib/kubeops/unfinished-upgrade says `apply` from before kubeadm starts until it is done.
    """

    version: str


@dataclass(frozen=True, kw_only=True)
class UpgradeNode:
    """`kubeadm upgrade node` on any other node: its static pods, if any, and kubelet settings.

    /var/lib/kubeops/unfinished-upgrade says `node` from before kubeadm starts until it is done.
    """

    version: str


@dataclass(frozen=True, kw_only=True)
class UpgradeKubelet:
    """Install and hold kubelet and kubectl at an exact version, then restart the kubelet once.

    A kubelet whose package is at the version already is still restarted when an older one runs.
    """

    node: str
    version: str


@dataclass(frozen=True, kw_only=True)
class AwaitNode:
    """Change nothing; wait until the node is Ready at `version` and its system pods are ready."""

    node: str
    version: str


@dataclass(frozen=True, kw_only=True)
class HoldPackages:
    """Hold the Kubernetes packages, so that no unattended upgrade moves them."""

    packages: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PruneUpgradeBackups:
    """Delete what kubeadm kept below /etc/kubernetes/tmp, but for the newest of each kind."""


@dataclass(frozen=True, kw_only=True)
class FinishUpgrade:
    """Change nothing; wait until the cluster is what an upgrade to `version` promises.

    CoreDNS and kube-proxy rolled out with the new images, `nodes` Ready at the version or newer,
    none of them cordoned by kubeops, etcd's members exactly `control_planes`.
    """

    version: str
    nodes: tuple[str, ...]
    control_planes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RewriteInventory:
    """Write `version` into the inventory's `kubernetes:` line; done on the workstation."""

    version: str


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
    | CordonNode
    | DrainNode
    | UncordonNode
    | RemoveEtcdMember
    | DeleteNode
    | ResetHost
    | SaveSnapshot
    | FetchPackages
    | UpgradeKubeadm
    | CheckUpgrade
    | UpgradeApply
    | UpgradeNode
    | UpgradeKubelet
    | AwaitNode
    | HoldPackages
    | PruneUpgradeBackups
    | FinishUpgrade
    | RewriteInventory
    | RestoreAction
)
