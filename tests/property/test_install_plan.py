"""Invariants of every install's plan, and: any interrupted prefix continues to the same end."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from kubeops.model.desired import Cluster, Taint
from kubeops.model.observed import ClusterFacts
from kubeops.plan.actions import (
    InitCluster,
    InstallPackages,
    JoinControlPlane,
    JoinWorker,
    PullImages,
)
from kubeops.plan.install import CONTROL_PLANE_TAINT, plan_install
from kubeops.plan.model import Plan, Step
from tests.property.world import after, interrupted
from tests.unit.plan.values import cluster, observed


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """Inventories of every shape, some hosts with labels and taints."""
    desired = cluster(draw(st.integers(1, 5)), draw(st.integers(0, 6)))
    taint = Taint(key="gpu", value="true", effect="NoSchedule")
    lists = st.sampled_from((None, (), (taint,), (taint, CONTROL_PLANE_TAINT)))
    hosts = tuple(
        replace(
            host,
            labels={"disk": "ssd"} if draw(st.booleans()) else {},
            taints=draw(lists),
        )
        for host in desired.hosts
    )
    return replace(desired, hosts=hosts)


@st.composite
def beginnings(draw: st.DrawFn) -> tuple[Cluster, ClusterFacts]:
    """A cluster and any state it may be found in: some hosts joined, some prepared, some bare."""
    desired = draw(clusters())
    names = [host.name for host in desired.hosts]
    planes = [host.name for host in desired.control_planes]
    members = draw(st.sets(st.sampled_from(names)))
    if not members & set(planes):
        members = set()
    ordered = [name for name in names if name in members]
    ready = draw(st.sets(st.sampled_from(names)))
    facts = observed(desired, members=ordered, ready=ready)
    facts = _with_kubeadms_taint(facts, draw(st.sets(st.sampled_from(planes))))
    return desired, _without_nodes(facts, draw(st.sets(st.sampled_from(names))) & members)


def _with_kubeadms_taint(facts: ClusterFacts, tainted: set[str]) -> ClusterFacts:
    """Some control planes have kubeadm's taint, whatever the inventory says by now."""
    if facts.api is None:
        return facts
    nodes = tuple(
        replace(node, taints=tuple({*node.taints, str(CONTROL_PLANE_TAINT)}))
        if node.name in tainted
        else node
        for node in facts.api.nodes
    )
    return replace(facts, api=replace(facts.api, nodes=nodes))


def _without_nodes(facts: ClusterFacts, deleted: set[str]) -> ClusterFacts:
    """Some joined workers' Nodes were deleted by hand: those hosts belong to nobody now."""
    if facts.api is None:
        return facts
    kept = tuple(node for node in facts.api.nodes if node.control_plane or node.name not in deleted)
    return replace(facts, api=replace(facts.api, nodes=kept))


def carried_out(plan: Plan, desired: Cluster, facts: ClusterFacts) -> ClusterFacts:
    for step in plan.steps:
        facts = after(step, desired, facts)
    return facts


def end_of(desired: Cluster, facts: ClusterFacts) -> ClusterFacts:
    """Plan and carry out; the result needs nothing more."""
    end = carried_out(plan_install(desired, facts), desired, facts)
    left = [step.id for step in plan_install(desired, end).steps]
    assert left == []
    return end


@given(beginnings())
def test_a_plan_carried_out_leaves_nothing_to_do(begin: tuple[Cluster, ClusterFacts]) -> None:
    desired, facts = begin
    end = end_of(desired, facts)
    assert end.api is not None
    assert {node.name for node in end.api.nodes} == {host.name for host in desired.hosts}
    assert end.etcd is not None
    assert {member.name for member in end.etcd.members} == {
        host.name for host in desired.control_planes
    }


@given(beginnings())
def test_a_list_of_taints_is_what_the_node_has(begin: tuple[Cluster, ClusterFacts]) -> None:
    desired, facts = begin
    end = end_of(desired, facts)
    assert end.api is not None
    for node in end.api.nodes:
        wanted = desired.host(node.name).taints
        if wanted is not None:
            assert set(node.taints) == {str(taint) for taint in wanted}


@given(beginnings())
def test_there_is_one_cluster(begin: tuple[Cluster, ClusterFacts]) -> None:
    """Init exactly when no control plane belongs to a cluster, and before every join."""
    desired, facts = begin
    steps = list(plan_install(desired, facts).steps)
    inits = [index for index, step in enumerate(steps) if isinstance(step.action, InitCluster)]
    assert len(inits) == (0 if facts.api is not None else 1)
    joins = [index for index, step in enumerate(steps) if _joins(step)]
    assert all(init < join for init in inits for join in joins)
    newcomers = [steps[index].host for index in (*inits, *joins)]
    assert len(newcomers) == len(set(newcomers))


@given(beginnings())
def test_control_planes_change_one_at_a_time(begin: tuple[Cluster, ClusterFacts]) -> None:
    desired, facts = begin
    planes = {host.name for host in desired.control_planes}
    for wave in plan_install(desired, facts).waves:
        members = [
            step
            for lane in wave.lanes
            for step in lane.steps
            if isinstance(step.action, InitCluster | JoinControlPlane)
        ]
        assert wave.at_once == 1 or not members
        assert {step.host for step in members} <= planes


@given(beginnings())
def test_a_host_is_ready_before_kubeadm_touches_it(begin: tuple[Cluster, ClusterFacts]) -> None:
    desired, facts = begin
    seen: dict[str, int] = {}
    for index, step in enumerate(plan_install(desired, facts).steps):
        if isinstance(step.action, InstallPackages | PullImages):
            seen[step.host] = index
        elif _joins(step) or isinstance(step.action, InitCluster):
            assert seen.get(step.host, -1) < index
            assert step.host in seen or facts.hosts[step.host].packages


@given(beginnings())
def test_joined_hosts_are_not_joined_again(begin: tuple[Cluster, ClusterFacts]) -> None:
    desired, facts = begin
    members = {node.name for node in facts.api.nodes} if facts.api is not None else set()
    touched = {step.host for step in plan_install(desired, facts).steps if _joins(step)}
    assert not touched & members


@given(beginnings())
def test_plans_are_made_the_same_way_twice(begin: tuple[Cluster, ClusterFacts]) -> None:
    desired, facts = begin
    assert plan_install(desired, facts) == plan_install(desired, facts)


@settings(max_examples=300)
@given(beginnings(), st.data())
def test_any_interrupted_prefix_continues_to_the_same_end(
    begin: tuple[Cluster, ClusterFacts], data: st.DataObject
) -> None:
    """Stop after any step, or in the middle of the next one: a new plan finishes the work."""
    desired, facts = begin
    steps = list(plan_install(desired, facts).steps)
    kubeadm = [
        index
        for index, step in enumerate(steps)
        if _joins(step) or isinstance(step.action, InitCluster)
    ]
    anywhere = st.integers(0, len(steps))
    stop = data.draw(st.sampled_from(kubeadm) | anywhere if kubeadm else anywhere)
    broken = facts
    for step in steps[:stop]:
        broken = after(step, desired, broken)
    if stop < len(steps) and data.draw(st.booleans()):
        broken = interrupted(steps[stop], desired, broken)
    assert _same(end_of(desired, broken), end_of(desired, facts))


@given(beginnings(), st.data())
def test_any_order_of_lanes_comes_to_the_same_end(
    begin: tuple[Cluster, ClusterFacts], data: st.DataObject
) -> None:
    desired, facts = begin
    plan = plan_install(desired, facts)
    end = facts
    for wave in plan.waves:
        for lane in data.draw(st.permutations(wave.lanes)):
            for step in lane.steps:
                end = after(step, desired, end)
    left = {step.id for step in plan_install(desired, end).steps}
    assert left == set()


def _joins(step: Step) -> bool:
    return isinstance(step.action, JoinControlPlane | JoinWorker)


def _same(left: ClusterFacts, right: ClusterFacts) -> bool:
    """Equal but for the order in which nodes got their pod subnets."""
    assert left.api is not None
    assert right.api is not None
    return {node.name for node in left.api.nodes} == {node.name for node in right.api.nodes} and {
        name: (host.kubelet_server, host.unfinished, host.packages, host.sysctls)
        for name, host in left.hosts.items()
    } == {
        name: (host.kubelet_server, host.unfinished, host.packages, host.sysctls)
        for name, host in right.hosts.items()
    }
