"""A world for plans: what each step of an install makes of the hosts, as values."""

from dataclasses import replace
from functools import singledispatch

from kubeops.model.desired import Cluster, Host
from kubeops.model.observed import ApiFacts, ClusterFacts, EtcdFacts, HostFacts, NodeFacts
from kubeops.plan.actions import (
    Action,
    AddPackageSource,
    AwaitCluster,
    ConfigureBridge,
    ConfigureKernel,
    DescribeNode,
    DisableSwap,
    InitCluster,
    InstallPackages,
    InstallPrerequisites,
    InstallRuntime,
    JoinControlPlane,
    JoinWorker,
    PullImages,
)
from kubeops.plan.hosts import KEYRING
from kubeops.plan.install import CONTROL_PLANE_TAINT
from kubeops.plan.model import Step
from kubeops.plan.network import bridge_files, pod_routes
from tests.unit.plan.values import api_of, files, member, node, prepared


def after(step: Step, desired: Cluster, facts: ClusterFacts) -> ClusterFacts:
    """What is observed when `step` has been done, all else being equal."""
    return _after(step.action, step, desired, facts)


def interrupted(step: Step, desired: Cluster, facts: ClusterFacts) -> ClusterFacts:
    """What is observed when the run was killed in the middle of `step`.

    kubeadm leaves files behind, and the mark that kubeops made before it; other steps leave
    nothing that would look like their end.
    """
    left = {InitCluster: "init", JoinControlPlane: "join", JoinWorker: "join"}
    mark = left.get(type(step.action))
    if mark is None:
        return facts
    half = replace(
        facts.hosts[step.host],
        unfinished=mark,
        kubelet_server=f"https://{desired.endpoint}",
        cluster_ca="sha-of-ca",
    )
    return _with_host(facts, half)


@singledispatch
def _after(action: Action, step: Step, _desired: Cluster, _facts: ClusterFacts) -> ClusterFacts:
    raise AssertionError(f"this world does not know {action} of {step.id}")


def _with_host(facts: ClusterFacts, host: HostFacts) -> ClusterFacts:
    return replace(facts, hosts={**facts.hosts, host.host: host})


def _prepare(step: Step, desired: Cluster, facts: ClusterFacts, *names: str) -> ClusterFacts:
    """Take over attributes of a prepared host."""
    done = prepared(desired.host(step.host), desired)
    changed = {name: getattr(done, name) for name in names}
    return _with_host(facts, replace(facts.hosts[step.host], **changed))


@_after.register
def _(_action: ConfigureKernel, step: Step, desired: Cluster, facts: ClusterFacts) -> ClusterFacts:
    done = prepared(desired.host(step.host), desired)
    mine = {
        path: found for path, found in done.files.items() if "/modules" in path or "/sysctl" in path
    }
    host = facts.hosts[step.host]
    seen = _with_host(facts, replace(host, files={**host.files, **mine}))
    return _prepare(step, desired, seen, "sysctls", "modules")


@_after.register
def _(_action: DisableSwap, step: Step, desired: Cluster, facts: ClusterFacts) -> ClusterFacts:
    return _prepare(step, desired, facts, "swap")


@_after.register(InstallPrerequisites)
@_after.register(InstallPackages)
def _(
    action: InstallPrerequisites | InstallPackages,
    step: Step,
    desired: Cluster,
    facts: ClusterFacts,
) -> ClusterFacts:
    done = prepared(desired.host(step.host), desired).packages
    mine = {
        name: package
        for name, package in done.items()
        if package.held is isinstance(action, InstallPackages)
    }
    host = facts.hosts[step.host]
    return _with_host(facts, replace(host, packages={**host.packages, **mine}))


@_after.register(AddPackageSource)
@_after.register(InstallRuntime)
def _(
    action: AddPackageSource | InstallRuntime, step: Step, desired: Cluster, facts: ClusterFacts
) -> ClusterFacts:
    done = prepared(desired.host(step.host), desired)
    source = isinstance(action, AddPackageSource)
    mine = {
        path: found
        for path, found in done.files.items()
        if ("apt" in path or path == KEYRING) is source and "kubernetes.conf" not in path
    }
    host = facts.hosts[step.host]
    seen = _with_host(facts, replace(host, files={**host.files, **mine}))
    if source:
        return seen
    return _prepare(step, desired, seen, "units", "container_runtime", "sandbox_image")


@_after.register(PullImages)
@_after.register(AwaitCluster)
def _(_action: Action, _step: Step, _desired: Cluster, facts: ClusterFacts) -> ClusterFacts:
    return facts


@_after.register
def _(action: InitCluster, step: Step, desired: Cluster, facts: ClusterFacts) -> ClusterFacts:
    first = desired.host(step.host)
    etcd = EtcdFacts(asked=first.name, members=(member(first),))
    api = replace(api_of(desired, [first.name]), nodes=(_registered(first, 0, action.taints),))
    begun = replace(facts, api=api, etcd=etcd)
    return _with_host(begun, _joined(first, desired, begun))


@_after.register(JoinControlPlane)
@_after.register(JoinWorker)
def _(
    action: JoinControlPlane | JoinWorker, step: Step, desired: Cluster, facts: ClusterFacts
) -> ClusterFacts:
    host = desired.host(step.host)
    api, etcd = facts.api, facts.etcd
    assert api is not None, f"{step.id} before there is a cluster"
    assert etcd is not None
    others = tuple(other for other in api.nodes if other.name != host.name)
    fresh = _registered(host, len(others), action.taints)
    members = etcd.members
    if host.is_control_plane:
        members = (*members, member(host))
    grown = replace(
        facts,
        api=replace(api, nodes=(*others, fresh)),
        etcd=replace(etcd, members=members),
    )
    return _with_host(grown, _joined(host, desired, grown))


def _registered(host: Host, number: int, taints: tuple[str, ...] | None) -> NodeFacts:
    """A new node: no labels, and the taints that kubeadm was told of, or else its own."""
    own = (str(CONTROL_PLANE_TAINT),) if host.is_control_plane else ()
    return replace(node(host, number), labels={}, taints=own if taints is None else taints)


def _joined(host: Host, desired: Cluster, facts: ClusterFacts) -> HostFacts:
    return replace(
        facts.hosts[host.name],
        unfinished=None,
        kubelet_server=f"https://{desired.endpoint}",
        cluster_ca="sha-of-ca",
        etcd_data=host.is_control_plane,
    )


@_after.register
def _(action: ConfigureBridge, step: Step, _desired: Cluster, facts: ClusterFacts) -> ClusterFacts:
    assert facts.api is not None
    subnet, routes = pod_routes(action.node, facts.api.nodes)
    host = facts.hosts[step.host]
    mine = files(*bridge_files(subnet=subnet, routes=routes))
    return _with_host(facts, replace(host, files={**host.files, **mine}))


@_after.register
def _(action: DescribeNode, _step: Step, _desired: Cluster, facts: ClusterFacts) -> ClusterFacts:
    api: ApiFacts | None = facts.api
    assert api is not None
    nodes = tuple(
        replace(
            found,
            labels={**found.labels, **dict(action.labels)},
            taints=tuple(
                taint
                for taint in dict.fromkeys((*found.taints, *action.taints))
                if taint not in action.untaint
            ),
        )
        if found.name == action.node
        else found
        for found in api.nodes
    )
    return replace(facts, api=replace(api, nodes=nodes))
