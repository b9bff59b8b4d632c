"""A restore and its undo, killed anywhere, any number of times, end with one consistent cluster.

The world is what the scripts of kubeops/handlers/restore*.py make of directories and manifests, as
values. It refuses what would destroy: exchanging data under a running etcd, starting a member while
another one still has other data.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from kubeops.model.desired import Cluster
from kubeops.model.observed import ClusterFacts
from kubeops.model.restoring import Mark, Phase, RestoreFacts
from kubeops.plan.model import Plan, Step
from kubeops.plan.restore import plan_restore, plan_undo
from kubeops.plan.restore_actions import (
    AwaitMembers,
    CloseAttempt,
    RestoreData,
    StageSnapshot,
    StartStaticPods,
    StopControlPlane,
    SwapData,
    SwapDataBack,
)
from tests.unit.plan.restore_values import BUNDLE, plane, restore_host, whole
from tests.unit.plan.values import cluster

PODS = frozenset({"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"})
OLD, NEW = "old", "new"


@dataclass(frozen=True, kw_only=True)
class Plane:
    """One control plane: whose data lies where, which manifests are in, its marks."""

    live: str = OLD
    beside: str = ""
    kept: str = ""
    undone: str = ""
    pods: frozenset[str] = PODS
    marks: tuple[Mark, ...] = ()

    def marked(self, attempt: str, phase: Phase, *, revision: int = 0) -> "Plane":
        others = tuple(mark for mark in self.marks if mark.id != attempt)
        mine = next((mark for mark in self.marks if mark.id == attempt), None)
        known = mine or Mark(
            id=attempt, phase=phase, began="20261121T120000Z", revision=revision, data="/d"
        )
        return replace(self, marks=(*others, replace(known, phase=phase)))

    def phase(self, attempt: str) -> Phase | None:
        return next((mark.phase for mark in self.marks if mark.id == attempt), None)


@dataclass
class World:
    desired: Cluster
    planes: dict[str, Plane] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.planes = {host.name: Plane() for host in self.desired.control_planes}

    def facts(self) -> ClusterFacts:
        changed = {
            name: plane(self.desired, name, etcd="etcd" in one.pods)
            for name, one in self.planes.items()
        }
        facts = whole(self.desired, **changed)
        if all(one.pods == PODS for one in self.planes.values()):
            return facts
        return replace(facts, api=None, etcd=None, api_error="down", etcd_error="down")

    def more(self) -> RestoreFacts:
        return RestoreFacts(
            hosts={name: restore_host(name, *one.marks) for name, one in self.planes.items()}
        )

    def restore(self) -> Plan:
        return plan_restore(self.desired, self.facts(), self.more(), bundle=BUNDLE, authority="")

    def undo(self) -> Plan:
        return plan_undo(self.desired, self.facts(), self.more())

    def do(self, step: Step, *, half: bool = False) -> None:
        """Do a step as its handler does, its check included; `half` of it when it is killed."""
        one = self.planes.get(step.host)
        if one is None or self.is_done(step, one):
            return
        self.planes[step.host] = self.after(step, one, half=half)

    def is_done(self, step: Step, one: Plane) -> bool:
        action = step.action
        match action:
            case StopControlPlane():
                phase = one.phase(action.attempt)
                assert phase is not None
                beyond = phase.rank > action.phase.rank
                return beyond or (phase is action.phase and not one.pods)
            case SwapData():
                return self.has_reached(one, action.attempt, Phase.SWAPPED)
            case SwapDataBack():
                return self.has_reached(one, action.attempt, Phase.UNDO_SWAPPED)
            case StartStaticPods() | CloseAttempt():
                return self.has_reached(one, action.attempt, action.phase)
            case _:
                return False

    def has_reached(self, one: Plane, attempt: str, wanted: Phase) -> bool:
        phase = one.phase(attempt)
        assert phase is not None
        assert wanted.undoing or not phase.undoing, "a restore goes on although it is being undone"
        return phase.rank >= wanted.rank

    def after(self, step: Step, one: Plane, *, half: bool) -> Plane:  # noqa: PLR0911 - one per action
        action = step.action
        match action:
            case StageSnapshot():
                revision = action.begins
                return one if half else one.marked(action.attempt, Phase.STAGED, revision=revision)
            case RestoreData():
                beside = replace(one, beside=NEW)
                return beside if half else beside.marked(action.attempt, Phase.RESTORED)
            case StopControlPlane():
                left = frozenset({"kube-scheduler"}) & one.pods if half else frozenset[str]()
                return replace(one.marked(action.attempt, action.phase), pods=left)
            case SwapData():
                return self.swapped(one, action.attempt, half=half)
            case SwapDataBack():
                return self.swapped_back(one, action.attempt, half=half)
            case StartStaticPods():
                return self.started(one, action, half=half)
            case CloseAttempt():
                return one if half else replace(one, beside="").marked(action.attempt, action.phase)
            case AwaitMembers():
                self.agree()
                return one
            case _:
                return one

    def swapped(self, one: Plane, attempt: str, *, half: bool) -> Plane:
        assert not any(other.pods for other in self.planes.values()), "data under a running member"
        if one.beside:
            kept = one if one.kept else replace(one, kept=one.live, live="")
            if half:
                return kept
            assert kept.live == "", "data would be destroyed"
            one = replace(kept, live=kept.beside, beside="")
        return one.marked(attempt, Phase.SWAPPED)

    def swapped_back(self, one: Plane, attempt: str, *, half: bool) -> Plane:
        assert not any(other.pods for other in self.planes.values()), "data under a running member"
        if one.kept:
            if one.live:
                assert not one.undone, "data would be destroyed"
                one = replace(one, undone=one.live, live="")
            if half:
                return one
            one = replace(one, live=one.kept, kept="")
        return one.marked(attempt, Phase.UNDO_SWAPPED)

    def started(self, one: Plane, action: StartStaticPods, *, half: bool) -> Plane:
        assert "etcd" not in action.pods or len(self.lives()) == 1, "members of two clusters"
        pods = action.pods[:1] if half else action.pods
        more = replace(one, pods=one.pods | frozenset(pods))
        return more if half else more.marked(action.attempt, action.phase)

    def lives(self) -> set[str]:
        return {one.live for one in self.planes.values()}

    def agree(self) -> None:
        assert len(self.lives()) == 1
        assert all("etcd" in one.pods for one in self.planes.values())

    def run(self, plan: Plan) -> None:
        assert not plan.refusals
        for wave in plan.waves:
            for lane in wave.lanes:
                for step in lane.steps:
                    self.do(step)

    def killed(self, plan: Plan, *, reached: float, halves: Iterable[bool]) -> None:
        """Run `plan` up to a place; there, lanes side by side were each done, half done or not."""
        assert not plan.refusals
        if plan.is_empty:
            return
        last = min(int(reached * len(plan.waves)), len(plan.waves) - 1)
        for wave in plan.waves[:last]:
            for lane in wave.lanes:
                for step in lane.steps:
                    self.do(step)
        for lane, half in zip(plan.waves[last].lanes, halves, strict=False):
            for step in lane.steps[: None if half else 1]:
                self.do(step, half=half)


@st.composite
def kills(draw: st.DrawFn) -> tuple[float, list[bool]]:
    return draw(st.floats(0, 1)), draw(st.lists(st.booleans(), max_size=5))


SHAPES = st.sampled_from([1, 3, 5])
KILLS = st.lists(kills(), max_size=4)


def is_over(plan: Plan) -> bool:
    return [finding.check for finding in plan.refusals] == ["restored-already"]


def is_whole(world: World, data: str) -> None:
    assert world.lives() == {data}
    assert all(one.pods == PODS for one in world.planes.values())
    assert all(not mark.phase.open for one in world.planes.values() for mark in one.marks)


@settings(deadline=None, max_examples=200)
@given(SHAPES, KILLS)
def test_a_killed_restore_is_continued_by_the_same_command(
    shape: int, ends: list[tuple[float, list[bool]]]
) -> None:
    world = World(cluster(shape, 1))
    for reached, halves in ends:
        plan = world.restore()
        if not is_over(plan):
            world.killed(plan, reached=reached, halves=halves)
    plan = world.restore()
    if not is_over(plan):
        world.run(plan)
    is_whole(world, NEW)
    assert {one.kept for one in world.planes.values()} == {OLD}


@settings(deadline=None, max_examples=200)
@given(SHAPES, KILLS, KILLS)
def test_whatever_was_begun_can_be_undone(
    shape: int, ends: list[tuple[float, list[bool]]], more: list[tuple[float, list[bool]]]
) -> None:
    world = World(cluster(shape, 1))
    for reached, halves in ends:
        plan = world.restore()
        if not is_over(plan):
            world.killed(plan, reached=reached, halves=halves)
    for reached, halves in more:
        plan = world.undo()
        if not plan.refusals:
            world.killed(plan, reached=reached, halves=halves)
    plan = world.undo()
    if {finding.check for finding in plan.refusals} != {"nothing-to-undo"}:
        world.run(plan)
    assert world.lives() == {OLD}
    assert all(one.pods == PODS for one in world.planes.values())
    assert all(not mark.phase.open for one in world.planes.values() for mark in one.marks)


@settings(deadline=None, max_examples=100)
@given(SHAPES)
def test_a_finished_restore_is_undone_and_its_data_is_kept(shape: int) -> None:
    world = World(cluster(shape, 0))
    world.run(world.restore())
    is_whole(world, NEW)
    world.run(world.undo())
    is_whole(world, OLD)
    assert {one.undone for one in world.planes.values()} == {NEW}
