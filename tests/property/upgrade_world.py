"""A world for upgrades: what each step makes of hosts, cluster and inventory, as values.

It is as strict as kubeadm, apt and the API are: a step that could not be done fails the test.
"""

from dataclasses import dataclass, replace
from functools import singledispatch

from hypothesis.vendor.pretty import RepresentationPrinter

from kubeops.model.desired import Cluster, Host
from kubeops.model.observed import ApiFacts, ClusterFacts, HostFacts, NodeFacts, Package
from kubeops.model.version import KubeVersion
from kubeops.plan.actions import (
    WORKSTATION,
    Action,
    AddPackageSource,
    AwaitNode,
    CheckUpgrade,
    ConfigureBridge,
    ConfigureKernel,
    CordonNode,
    DeleteNode,
    DescribeNode,
    DisableSwap,
    DrainNode,
    FetchPackages,
    FinishUpgrade,
    HoldPackages,
    InstallPackages,
    InstallPrerequisites,
    InstallRuntime,
    JoinWorker,
    PruneUpgradeBackups,
    PullImages,
    ResetHost,
    RewriteInventory,
    SaveSnapshot,
    UncordonNode,
    UpgradeApply,
    UpgradeKubeadm,
    UpgradeKubelet,
    UpgradeNode,
)
from kubeops.plan.model import Step
from kubeops.plan.standing import cordon
from kubeops.plan.upgrade import Strategy
from tests.property.world import after as installed
from tests.unit.plan.upgrade_values import source_files, static_pods, with_proxy


@dataclass(frozen=True, kw_only=True, repr=False)
class World:
    """The inventory, what would be observed, how many backups were taken, and what is typed."""

    desired: Cluster
    facts: ClusterFacts
    backups: int = 0
    strategy: Strategy = Strategy.ROLLING

    def __repr__(self) -> str:
        """Short: hypothesis shows many."""
        lines = (
            f"inventory {self.desired.kubernetes}",
            f"configured {self.api.kubernetes} {self.strategy}",
        )
        return "\n".join((*lines, *map(self._line, self.desired.hosts)))

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:  # noqa: FBT001 - hypothesis' hook
        assert not cycle
        printer.text(repr(self))

    def _line(self, host: Host) -> str:
        facts = self.host(host.name)
        if not self.is_node(host.name):
            return f"{host.name}: no node, replaces {host.replaces} {facts.unfinished or ''}"
        node = self.node(host.name)
        plane = self.apiserver(host.name) if host.is_control_plane else "-"
        packages = " ".join(
            f"{name} {self.package(host.name, name)}{'' if facts.packages[name].held else '?'}"
            for name in ("kubeadm", "kubelet", "kubectl")
        )
        return (
            f"{host.name}: {plane} {packages} runs {node.kubelet} {cordon(node)} "
            f"{facts.unfinished_upgrade or ''} {host.replaces and f'replaces {host.replaces}'}"
        )

    @property
    def decided(self) -> dict[str, object]:
        """What an upgrade decides.

        Not the versions of kubeadm that were new enough before; and not whether a kubelet that was
        just restarted has become Ready, which it does by itself.
        """
        system = {workload.name: workload.images for workload in self.api.system}
        lines: dict[str, object] = {"inventory": self.desired.kubernetes, "addons": system}
        for host in self.desired.hosts:
            facts = self.host(host.name)
            if not self.is_node(host.name):
                left = (facts.kubelet_server, facts.cluster_ca, facts.unfinished)
                lines[host.name] = left if _was_replaced(host, self) else host.replaces
                continue
            node = self.node(host.name)
            lines[host.name] = (
                {name: pod.image for name, pod in facts.static_pods.items()},
                [self.package(host.name, name) for name in ("kubelet", "kubectl")],
                [package.name for package in facts.packages.values() if package.held],
                (node.kubelet, cordon(node)),
                (facts.unfinished_upgrade, len(facts.kubeadm_backups) > 1),
            )
        return lines

    @property
    def api(self) -> ApiFacts:
        assert self.facts.api is not None
        return self.facts.api

    def host(self, name: str) -> HostFacts:
        return self.facts.hosts[name]

    def is_node(self, name: str) -> bool:
        return any(node.name == name for node in self.api.nodes)

    def node(self, name: str) -> NodeFacts:
        return next(node for node in self.api.nodes if node.name == name)

    def with_host(self, name: str, **changed: object) -> "World":
        host = replace(self.host(name), **changed)  # type: ignore[arg-type]  # attributes by name
        facts = replace(self.facts, hosts={**self.facts.hosts, name: host})
        return replace(self, facts=facts)

    def with_api(self, **changed: object) -> "World":
        api = replace(self.api, **changed)  # type: ignore[arg-type]  # attributes by name
        return replace(self, facts=replace(self.facts, api=api))

    def with_node(self, name: str, **changed: object) -> "World":
        return self.with_api(
            nodes=tuple(
                replace(node, **changed) if node.name == name else node  # type: ignore[arg-type]
                for node in self.api.nodes
            )
        )

    def with_packages(self, name: str, *packages: str, version: str, held: bool) -> "World":
        made = {
            package: Package(name=package, version=f"{version}-1.1", held=held)
            for package in packages
        }
        return self.with_host(name, packages={**self.host(name).packages, **made})

    def package(self, host: str, name: str) -> KubeVersion:
        return KubeVersion.from_package(self.host(host).packages[name].version)

    def apiserver(self, name: str) -> KubeVersion:
        image = self.host(name).static_pods["kube-apiserver"].image
        return KubeVersion.parse(image.rpartition(":")[2])

    def apiservers(self) -> tuple[KubeVersion, ...]:
        return tuple(self.apiserver(host.name) for host in self.desired.control_planes)


def _was_replaced(host: Host, world: World) -> bool:
    return any(other.replaces == host.name for other in world.desired.hosts)


def after(step: Step, world: World) -> World:
    """What there is when `step` has been done, all else being equal."""
    return _after(step.action, step, world)


def interruptions(step: Step, world: World) -> tuple[World, ...]:
    """What there may be when the run was killed in the middle of `step`."""
    return (world, *_halfway(step.action, step, world))


@singledispatch
def _after(action: Action, step: Step, _world: World) -> World:
    raise AssertionError(f"this world does not know {action} of {step.id}")


@singledispatch
def _halfway(_action: Action, _step: Step, _world: World) -> tuple[World, ...]:
    return ()


@_after.register
def _(_action: SaveSnapshot, step: Step, world: World) -> World:
    assert world.desired.host(step.host).is_control_plane
    return replace(world, backups=world.backups + 1)


@_after.register
def _(action: FetchPackages, step: Step, world: World) -> World:
    files = {**world.host(step.host).files, **source_files(world.desired, action.minor)}
    return world.with_host(step.host, files=files)


@_after.register(PullImages)
@_after.register(CheckUpgrade)
def _(_action: Action, _step: Step, world: World) -> World:
    return world


def _offered(step: Step, version: str, world: World) -> None:
    """Apt finds a version only while it points to the source of its minor release."""
    minor = str(KubeVersion.parse(version).minor)
    for path, file in source_files(world.desired, minor).items():
        assert world.host(step.host).files[path] == file, f"{step.id}: apt knows no {version}"


@_after.register
def _(action: UpgradeKubeadm, step: Step, world: World) -> World:
    _offered(step, action.version, world)
    return world.with_packages(step.host, "kubeadm", version=action.version, held=True)


@_halfway.register
def _(action: UpgradeKubeadm, step: Step, world: World) -> tuple[World, ...]:
    return (world.with_packages(step.host, "kubeadm", version=action.version, held=False),)


def _kubeadm_can(step: Step, version: KubeVersion, world: World) -> None:
    """The version policy of kubeadm (kubernetes.md, C.4)."""
    kubeadm = world.package(step.host, "kubeadm")
    assert kubeadm.minor == version.minor, f"{step.id}: kubeadm is {kubeadm}"
    assert kubeadm >= version
    configured = world.api.kubernetes
    assert configured is not None
    assert version.minor_number - configured.minor_number in {0, 1}, f"{step.id}: {configured}"
    oldest = min(node.kubelet.minor_number for node in world.api.nodes)
    assert version.minor_number - oldest <= 3, f"{step.id}: a kubelet is at 1.{oldest}"


def _pods(step: Step, version: str, world: World) -> World:
    """Static pods replaced; kubeadm leaves copies of manifests and data behind."""
    before = world.host(step.host).kubeadm_backups
    number = int(before[-1].rpartition("-")[2]) + 1 if before else 0
    kept = (*before, f"kubeadm-backup-etcd-2026-11-21-{number}")
    return world.with_host(step.host, static_pods=static_pods(version), kubeadm_backups=kept)


def _addons(version: str, world: World) -> World:
    """Only when no control plane is left behind."""
    if min(world.apiservers()) < KubeVersion.parse(version):
        return world
    return world.with_api(system=with_proxy(world.api, version))


def _configured(version: str, world: World) -> World:
    parsed = KubeVersion.parse(version)
    return world.with_api(kubernetes=parsed, server=parsed)


@_after.register
def _(action: UpgradeApply, step: Step, world: World) -> World:
    version = KubeVersion.parse(action.version)
    _kubeadm_can(step, version, world)
    assert world.apiserver(step.host) <= version, f"{step.id} goes back"
    world = _configured(action.version, _pods(step, action.version, world))
    return _addons(action.version, world).with_host(step.host, unfinished_upgrade=None)


@_halfway.register
def _(action: UpgradeApply, step: Step, world: World) -> tuple[World, ...]:
    marked = world.with_host(step.host, unfinished_upgrade="apply")
    pods = _pods(step, action.version, marked)
    return marked, pods, _configured(action.version, pods)


@_after.register
def _(action: UpgradeNode, step: Step, world: World) -> World:
    version = KubeVersion.parse(action.version)
    _kubeadm_can(step, version, world)
    if not world.desired.host(step.host).is_control_plane:
        assert min(world.apiservers()) >= version, f"{step.id} before all control planes"
        return world.with_host(step.host, unfinished_upgrade=None)
    assert world.api.kubernetes == version, f"{step.id} before apply"
    assert world.apiserver(step.host) <= version
    world = _addons(action.version, _pods(step, action.version, world))
    return world.with_host(step.host, unfinished_upgrade=None)


@_halfway.register
def _(action: UpgradeNode, step: Step, world: World) -> tuple[World, ...]:
    marked = world.with_host(step.host, unfinished_upgrade="node")
    if not world.desired.host(step.host).is_control_plane:
        return (marked,)
    return marked, _pods(step, action.version, marked)


@_after.register
def _(action: CordonNode, step: Step, world: World) -> World:
    node = world.node(action.node)
    assert not node.unschedulable, f"{step.id}: it is cordoned"
    return world.with_node(action.node, unschedulable=True, cordoned_by_us=True)


@_after.register
def _(action: DrainNode, step: Step, world: World) -> World:
    if step.id.startswith("/hosts/"):
        (new,) = (host for host in world.desired.hosts if host.replaces == action.node)
        assert world.node(new.name).ready, f"{step.id} before {new.name} is Ready"
        assert world.node(new.name).kubelet >= max(world.apiservers()), f"{step.id}: {new.name}"
        if not world.node(action.node).unschedulable:
            return world.with_node(action.node, unschedulable=True, cordoned_by_us=True)
    assert world.node(action.node).unschedulable, f"{step.id}: nobody remembers its cordon"
    assert world.desired.host(step.host).is_control_plane
    return world


@_after.register
def _(action: UpgradeKubelet, step: Step, world: World) -> World:
    assert action.node == step.host
    version = KubeVersion.parse(action.version)
    _offered(step, action.version, world)
    assert world.node(action.node).kubelet <= version, f"{step.id} goes back"
    others = [node for node in world.api.nodes if node.name != action.node]
    if any(not node.unschedulable or node.cordoned_by_us for node in others):
        assert world.node(action.node).unschedulable, f"{step.id} with pods on it"
    return world.with_packages(
        step.host, "kubelet", "kubectl", version=action.version, held=True
    ).with_node(action.node, kubelet=version, ready=True)


@_halfway.register
def _(action: UpgradeKubelet, step: Step, world: World) -> tuple[World, ...]:
    unpacked = world.with_packages(step.host, "kubelet", version=action.version, held=False)
    installed = unpacked.with_packages(step.host, "kubectl", version=action.version, held=False)
    restarted = installed.with_node(
        action.node, kubelet=KubeVersion.parse(action.version), ready=False
    )
    return unpacked, installed, restarted


@_after.register
def _(action: AwaitNode, step: Step, world: World) -> World:
    node = world.node(action.node)
    assert node.kubelet >= KubeVersion.parse(action.version), f"{step.id} waits for ever"
    return world.with_node(action.node, ready=True)


@_after.register
def _(action: UncordonNode, step: Step, world: World) -> World:
    assert world.node(action.node).cordoned_by_us, f"{step.id}: it is not ours to uncordon"
    return world.with_node(action.node, unschedulable=False, cordoned_by_us=False)


@_after.register
def _(action: HoldPackages, step: Step, world: World) -> World:
    packages = world.host(step.host).packages
    held = {name: replace(packages[name], held=True) for name in action.packages}
    return world.with_host(step.host, packages={**packages, **held})


@_after.register
def _(_action: PruneUpgradeBackups, step: Step, world: World) -> World:
    return world.with_host(step.host, kubeadm_backups=world.host(step.host).kubeadm_backups[-1:])


@_halfway.register
def _(_action: PruneUpgradeBackups, step: Step, world: World) -> tuple[World, ...]:
    return (world.with_host(step.host, kubeadm_backups=world.host(step.host).kubeadm_backups[1:]),)


@_after.register
def _(action: FinishUpgrade, step: Step, world: World) -> World:
    version = KubeVersion.parse(action.version)
    nodes = {name: world.node(name) for name in action.nodes}
    behind = [name for name, node in nodes.items() if node.kubelet < version]
    assert not behind, f"{step.id} waits for ever for {behind}"
    assert not [name for name, node in nodes.items() if node.cordoned_by_us and node.unschedulable]
    return world.with_api(nodes=tuple(replace(node, ready=True) for node in world.api.nodes))


@_after.register
def _(action: RewriteInventory, step: Step, world: World) -> World:
    assert step.host == WORKSTATION
    version = KubeVersion.parse(action.version)
    return replace(world, desired=replace(world.desired, kubernetes=version))


@_after.register(ConfigureKernel)
@_after.register(DisableSwap)
@_after.register(InstallPrerequisites)
@_after.register(AddPackageSource)
@_after.register(InstallPackages)
@_after.register(InstallRuntime)
@_after.register(ConfigureBridge)
@_after.register(DescribeNode)
def _(action: Action, step: Step, world: World) -> World:
    """As in an install of the version the step is for."""
    version = world.desired.kubernetes
    if isinstance(action, InstallPackages | InstallRuntime):
        version = KubeVersion.parse(action.version)
    elif isinstance(action, AddPackageSource):
        version = KubeVersion.parse(f"{action.minor}.0")
    desired = replace(world.desired, kubernetes=version)
    return replace(world, facts=installed(step, desired, world.facts))


@_after.register
def _(action: JoinWorker, step: Step, world: World) -> World:
    version = KubeVersion.parse(action.version)
    assert world.desired.host(action.via).is_control_plane
    assert min(world.apiservers()) >= version, f"{step.id} before all control planes"
    assert world.package(step.host, "kubelet") == version, f"{step.id}: not prepared"
    assert world.desired.host(step.host).replaces
    joined = replace(world, facts=installed(step, world.desired, world.facts))
    return joined.with_node(step.host, kubelet=version, ready=False)


@_halfway.register
def _(action: JoinWorker, step: Step, world: World) -> tuple[World, ...]:
    marked = world.with_host(
        step.host, unfinished="join", kubelet_server="https://x", cluster_ca="sha-of-ca"
    )
    registered = _after(action, step, world).with_host(step.host, unfinished="join")
    return marked, registered


@_after.register
def _(action: DeleteNode, step: Step, world: World) -> World:
    assert world.node(action.node).unschedulable, f"{step.id} with pods on it"
    assert world.desired.host(step.host).is_control_plane
    return world.with_api(nodes=tuple(node for node in world.api.nodes if node.name != action.node))


@_after.register
def _(_action: ResetHost, step: Step, world: World) -> World:
    assert not world.is_node(step.host), f"{step.id}: it is a node"
    return world.with_host(step.host, unfinished=None, kubelet_server=None, cluster_ca=None)


@_halfway.register
def _(_action: ResetHost, step: Step, world: World) -> tuple[World, ...]:
    marked = world.with_host(step.host, unfinished="reset")
    return marked, marked.with_host(step.host, kubelet_server=None, cluster_ca=None)
