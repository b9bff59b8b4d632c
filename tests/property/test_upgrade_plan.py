"""Invariants of every upgrade's plan, and: from wherever it was interrupted, the same end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kubeops.model.desired import Cluster, Cni, Role, UpgradePolicy
from kubeops.model.version import KubeVersion
from kubeops.plan.actions import (
    CordonNode,
    SaveSnapshot,
    UpgradeApply,
    UpgradeKubelet,
    UpgradeNode,
)
from kubeops.plan.model import Plan, Severity, Step, Wave
from kubeops.plan.replacing import present
from kubeops.plan.reset import has_traces
from kubeops.plan.skew import Components, violations
from kubeops.plan.standing import Cordon, cordon
from kubeops.plan.upgrade import HARMLESS, Choices, Strategy, plan_upgrade, workers_at_once
from kubeops.plan.upgrade_path import Wish
from tests.property.upgrade_world import World, after, interruptions
from tests.unit.plan.upgrade_values import At, Seen, more, seen
from tests.unit.plan.values import cluster
from tests.unit.plan.values import host as a_host

VERSIONS = ("1.33.9", "1.34.7", "1.35.4", "1.35.6", "1.36.0", "1.36.1")
WISHES = ("1.34", "1.35", "1.35.6", "1.36", "1.36.0", "1.37")
ACCEPTED = Choices(accepted=("bare-pods",))


STRATEGIES = st.sampled_from((Strategy.ROLLING, Strategy.REPLACE))
ORDERS = st.integers(0, 2**32).map(Random)
"""A number decides about every order of lanes: few draws, so that hypothesis can be quick."""


def planned(world: World, wish: str, *, limit: Sequence[str] = ()) -> Plan:
    return plan_upgrade(
        world.desired,
        world.facts,
        more(world.desired),
        wish=Wish.parse(wish),
        choices=replace(ACCEPTED, limit=limit, strategy=world.strategy),
    )


@st.composite
def finished(draw: st.DrawFn) -> World:
    """Clusters of every shape at one version, some nodes cordoned by the operator."""
    version = draw(st.sampled_from(VERSIONS))
    allowed = draw(st.sampled_from((1, 2, 3)) | st.sampled_from(("10%", "50%", "100%")))
    desired = replace(
        cluster(draw(st.sampled_from((1, 2, 3, 5))), draw(st.integers(0, 5))),
        kubernetes=KubeVersion.parse(version),
        upgrade=UpgradePolicy(max_unavailable=allowed),
    )
    names = [host.name for host in desired.hosts]
    cordoned = draw(st.sets(st.sampled_from(names), max_size=2))
    hosts = {name: At(cordon="operator") for name in cordoned}
    workers = [one.name for one in desired.workers]
    olds = draw(st.sets(st.sampled_from(workers), max_size=2)) if workers else set()
    desired = _replacing(desired, sorted(olds))
    waiting = {one.name: At(place="bare") for one in desired.hosts if one.replaces}
    strategy = draw(STRATEGIES) if waiting else Strategy.ROLLING
    return World(
        desired=replace(desired, cni=Cni(name=draw(st.sampled_from(("flannel", "bridge"))))),
        facts=seen(desired, Seen(version=version, hosts={**hosts, **waiting})),
        strategy=strategy,
    )


def _replacing(desired: Cluster, olds: Sequence[str]) -> Cluster:
    """The same inventory with a new host for each of `olds`."""
    new = (
        replace(a_host(f"n{number}", 50 + number, Role.WORKER), replaces=name)
        for number, name in enumerate(olds)
    )
    return replace(desired, hosts=(*desired.hosts, *new))


@st.composite
def handmade(draw: st.DrawFn) -> World:
    """Clusters in which some hosts are elsewhere than the others, by hand or by another tool."""
    world = draw(finished())
    for host in world.desired.hosts:
        if host.replaces or not draw(st.booleans()):
            continue
        older = [v for v in VERSIONS if KubeVersion.parse(v) <= world.desired.kubernetes][-3:]
        if not host.is_control_plane:
            back = draw(st.sampled_from(older))
            world = world.with_packages(
                host.name, "kubelet", "kubectl", version=back, held=True
            ).with_node(host.name, kubelet=KubeVersion.parse(back))
        if draw(st.booleans()):
            kubeadm = draw(st.sampled_from((*VERSIONS, "1.37.0")))
            world = world.with_packages(
                host.name, "kubeadm", version=kubeadm, held=draw(st.booleans())
            )
    return world


@st.composite
def begun(draw: st.DrawFn) -> tuple[World, str]:
    """A world on its way, perhaps stopped on another way before, and a wish it can go on to."""
    world = draw(finished() | handmade())
    former = draw(st.none() | st.sampled_from(WISHES))
    if former is not None and not _refused(planned(world, former)):
        world = Run(order=draw(ORDERS)).until(
            planned(world, former), world, draw(st.integers(0, 60))
        )
        if any(host.replaces for host in world.desired.hosts):
            world = replace(world, strategy=draw(STRATEGIES))
    wish = draw(st.sampled_from(WISHES))
    assume(not _refused(planned(world, wish)))
    return world, wish


def _refused(plan: Plan) -> bool:
    return any(finding.severity is Severity.BLOCKING for finding in plan.findings)


@dataclass(frozen=True)
class Run:
    """Carries plans out as the executor does: lanes side by side, in an order that is drawn."""

    order: Random
    look: Callable[[World], None] = lambda _world: None

    def until(self, plan: Plan, world: World, stop: int) -> World:
        """Do `stop` steps; then kill the run in the middle of whatever is under way."""
        for wave in plan.waves:
            world, stop, stopped = self._wave(wave, world, stop)
            if stopped:
                break
        return world

    def _wave(self, wave: Wave, world: World, stop: int) -> tuple[World, int, bool]:
        waiting = [list(lane.steps) for lane in wave.lanes]
        active: list[list[Step]] = []
        while waiting or active:
            while waiting and len(active) < wave.at_once:
                active.append(waiting.pop(0))
            if stop == 0:
                return self._killed(active, world), 0, True
            lane = self.order.choice(active)
            world = after(lane.pop(0), world)
            self.look(world)
            stop -= 1
            active = [lane for lane in active if lane]
        return world, stop, False

    def _killed(self, active: Sequence[Sequence[Step]], world: World) -> World:
        for lane in active:
            world = self.order.choice(interruptions(lane[0], world))
        return world

    def whole(self, plan: Plan, world: World) -> World:
        return self.until(plan, world, -1)


def end_of(world: World, wish: str) -> World:
    """Plan and carry out; the result needs nothing more."""
    end = Run(order=Random(0)).whole(planned(world, wish), world)  # noqa: S311 - no secret
    assert [step.id for step in planned(end, wish).steps] == []
    return end


@given(begun())
def test_a_plan_carried_out_leaves_nothing_to_do(begin: tuple[World, str]) -> None:
    world, wish = begin
    end = end_of(world, wish)
    reached = end.desired.kubernetes
    assert reached.minor == Wish.parse(wish).minor
    assert {*end.apiservers(), end.api.kubernetes} == {reached}
    assert all(node.kubelet == reached for node in end.api.nodes)
    assert all(p.held for f in end.facts.hosts.values() for p in f.packages.values() if p.held)


@settings(max_examples=300)
@given(begun(), ORDERS)
def test_any_interrupted_prefix_continues_to_the_same_end(
    begin: tuple[World, str], order: Random
) -> None:
    """Stop after any step, or in the middle of those that run: a new plan finishes the work."""
    world, wish = begin
    plan = planned(world, wish)
    stop = order.randint(0, len(list(plan.steps)))
    broken = Run(order=order).until(plan, world, stop)
    assert not _refused(planned(broken, wish))
    assert end_of(broken, wish).decided == end_of(world, wish).decided


@given(begun(), ORDERS)
def test_it_may_be_interrupted_again_and_again(begin: tuple[World, str], order: Random) -> None:
    world, wish = begin
    broken = world
    for _ in range(4):
        broken = Run(order=order).until(planned(broken, wish), broken, order.randint(0, 20))
    assert end_of(broken, wish).decided == end_of(world, wish).decided


@given(begun(), ORDERS)
def test_the_skew_policy_holds_after_every_step(begin: tuple[World, str], order: Random) -> None:
    world, wish = begin

    def look(now: World) -> None:
        assert violations(Components.of(now.desired, now.facts)) == ()

    assume(violations(Components.of(world.desired, world.facts)) == ())
    Run(order=order, look=look).whole(planned(world, wish), world)


@given(begun(), ORDERS)
def test_no_more_workers_are_away_than_allowed(begin: tuple[World, str], order: Random) -> None:
    world, wish = begin
    allowed = max(
        workers_at_once(world.desired.upgrade.max_unavailable, len(world.desired.workers)),
        len(_ours(world)),
    )

    def look(now: World) -> None:
        assert len(_ours(now)) <= allowed

    Run(order=order, look=look).whole(planned(world, wish), world)


def _ours(world: World) -> list[str]:
    """The workers we keep pods off, and that no Ready one has replaced yet."""
    ready = {node.name for node in world.api.nodes if node.ready}
    replaced = {host.replaces for host in world.desired.hosts if host.name in ready}
    return [
        node.name
        for node in world.api.nodes
        if cordon(node) is Cordon.OURS and not node.control_plane and node.name not in replaced
    ]


@given(begun(), ORDERS)
def test_there_is_room_for_pods_all_the_while(begin: tuple[World, str], order: Random) -> None:
    """No fewer workers take pods than before, less those that may be away."""
    world, wish = begin
    workers = len(present(world.desired, world.facts).workers)
    allowed = workers_at_once(world.desired.upgrade.max_unavailable, workers)
    least = len(_taking_pods(world)) - allowed

    def look(now: World) -> None:
        assert len(_taking_pods(now)) >= least

    Run(order=order, look=look).whole(planned(world, wish), world)


def _taking_pods(world: World) -> list[str]:
    return [
        node.name
        for node in world.api.nodes
        if node.ready and not node.unschedulable and not node.control_plane
    ]


@given(begun(), ORDERS)
def test_who_replaces_stays_and_who_was_replaced_is_gone(
    begin: tuple[World, str], order: Random
) -> None:
    world, wish = begin
    end = Run(order=order).whole(planned(world, wish), world)
    for one in world.desired.hosts:
        if one.replaces and world.strategy is Strategy.REPLACE:
            assert (end.is_node(one.name), end.is_node(one.replaces)) == (True, False)
            assert not has_traces(end.host(one.replaces))
        elif one.replaces:
            assert end.is_node(one.name) is world.is_node(one.name)
            assert end.is_node(one.replaces) is world.is_node(one.replaces)


@given(begun(), ORDERS)
def test_the_operators_cordons_stay_and_ours_go(begin: tuple[World, str], order: Random) -> None:
    world, wish = begin
    before = {node.name for node in world.api.nodes if cordon(node) is Cordon.OPERATORS}

    def still(now: World) -> set[str]:
        return {name for name in before if now.is_node(name)}

    def look(now: World) -> None:
        assert still(now) == {n.name for n in now.api.nodes if cordon(n) is Cordon.OPERATORS}

    end = Run(order=order, look=look).whole(planned(world, wish), world)
    assert {node.name for node in end.api.nodes if node.unschedulable} == still(end)


@given(begun())
def test_every_plan_is_safe_as_it_stands(begin: tuple[World, str]) -> None:
    """A backup before the first change, one control plane at a time, the same plan each time."""
    world, wish = begin
    plan = planned(world, wish)
    assert planned(world, wish) == plan
    steps = list(plan.steps)
    changing = [s for s in steps if s.host in world.facts.hosts and not _is_harmless(s)]
    assert not changing or isinstance(steps[0].action, SaveSnapshot)
    assert sum(isinstance(step.action, SaveSnapshot) for step in steps) == bool(changing)
    planes = {host.name for host in world.desired.control_planes}
    for wave in plan.waves:
        changed = {lane.name for lane in wave.lanes if any(map(_disturbs, lane.steps))}
        assert wave.at_once == 1 or not changed & planes
        assert not changed & planes or changed <= planes


def _is_harmless(step: Step) -> bool:
    return isinstance(step.action, HARMLESS)


def _disturbs(step: Step) -> bool:
    return isinstance(step.action, UpgradeApply | UpgradeNode | UpgradeKubelet | CordonNode)


@given(begun(), ORDERS)
def test_a_limit_that_is_not_refused_does_no_harm(begin: tuple[World, str], order: Random) -> None:
    """What is left out can be upgraded afterwards, and the skew policy holds in between."""
    world, wish = begin
    names = [host.name for host in world.desired.hosts]
    limit = order.sample(names, order.randint(1, len(names)))
    plan = planned(world, wish, limit=limit)
    assume(not _refused(plan))
    waves = [wave for wave in plan.waves if not wave.name.endswith(("/network", "/routes"))]
    assert {lane.name for wave in waves for lane in wave.lanes} <= {
        *limit,
        "backup",
        "cluster",
        "inventory",
    }
    between = Run(order=order).whole(plan, world)
    if not violations(Components.of(world.desired, world.facts)):
        assert violations(Components.of(between.desired, between.facts)) == ()
    assert end_of(between, wish).decided == end_of(world, wish).decided
