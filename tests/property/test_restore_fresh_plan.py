"""Restores onto fresh hosts end the same wherever they are killed, and however often."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from kubeops.model.bundle import ControlPlane
from kubeops.model.desired import Cluster, Host
from kubeops.model.observed import ClusterFacts, HostFacts
from kubeops.model.restoring import Mark, Phase, RestoreFacts
from kubeops.plan.actions import JoinControlPlane, JoinWorker
from kubeops.plan.model import Plan, Step
from kubeops.plan.restore_actions import (
    AwaitMembers,
    CloseAttempt,
    FetchBundle,
    ForgetBundle,
    ForgetNodes,
    ForgetTokens,
    PlaceRestored,
    RestoreData,
    ReviveCluster,
    SetAside,
    StagePki,
    StageSnapshot,
)
from kubeops.plan.restore_fresh import plan_fresh_restore
from kubeops.plan.restore_targets import is_fresh
from tests.bundles import UID
from tests.unit.plan.restore_values import BUNDLE, restore_host
from tests.unit.plan.test_restore_fresh import PKI
from tests.unit.plan.values import bare, cluster, joined, observed


@dataclass
class World:
    """`cp1` is revived; `live` says what etcd's data directory holds there."""

    desired: Cluster
    fetched: bool = False
    pki: bool = False
    mark: Mark | None = None
    beside: bool = False
    live: bool = False
    unfinished: bool = False
    members: set[str] = field(default_factory=set)
    nodes: set[str] = field(default_factory=set)
    old_tokens: bool = True
    aside: int = 0

    def __post_init__(self) -> None:
        self.nodes = {host.name for host in self.desired.hosts} | {"cp9"}
        self.members = {"w1"}
        planes = ("cp1", "cp2", "cp3", "cp9")
        self.bundle = replace(
            BUNDLE,
            control_planes=tuple(ControlPlane(name=name, address="10.0.0.9") for name in planes),
        )

    @property
    def up(self) -> bool:
        return "cp1" in self.members

    def facts(self) -> ClusterFacts:
        known = self.members if self.up else ()
        seen = observed(self.desired, members=[host.name for host in self.standing(known)])
        hosts = {host.name: self.host(host.name, seen) for host in self.desired.hosts}
        if seen.api is not None:
            seen = replace(seen, api=replace(seen.api, uid=UID))
        return replace(seen, hosts=hosts)

    def standing(self, names: Iterable[str]) -> list[Host]:
        return [host for host in self.desired.hosts if host.name in names]

    def host(self, name: str, seen: ClusterFacts) -> HostFacts:
        wanted = self.desired.host(name)
        if name in self.members:
            made = joined(wanted, self.desired, seen.api)
            return replace(made, cluster_ca=PKI.authority)
        if name == "cp1":
            unfinished = "restore" if self.unfinished else None
            return replace(bare(wanted), unfinished=unfinished, etcd_data=self.live)
        return bare(wanted)

    def more(self) -> RestoreFacts:
        return RestoreFacts(
            hosts={
                host.name: restore_host(
                    host.name, *([self.mark] if self.mark and host.name == "cp1" else [])
                )
                for host in self.desired.control_planes
            }
        )

    def plan(self) -> Plan:
        facts, more = self.facts(), self.more()
        assert self.is_over or is_fresh(self.desired, facts, more)
        return plan_fresh_restore(self.desired, facts, more, bundle=self.bundle, pki=PKI)

    @property
    def is_over(self) -> bool:
        return self.mark is not None and self.mark.phase is Phase.DONE

    def advance(self, phase: Phase) -> None:
        assert self.mark is not None
        self.mark = replace(self.mark, phase=phase)

    def has_reached(self, phase: Phase) -> bool:
        return self.mark is not None and self.mark.phase.rank >= phase.rank

    def do(self, step: Step, *, half: bool = False) -> None:  # noqa: C901, PLR0912 - one per action
        """Do a step as its handler does, its check included; `half` of it when it is killed."""
        match step.action:
            case FetchBundle():
                self.fetched = not half
            case ForgetBundle():
                self.fetched = half and self.fetched
            case StagePki() if not self.pki:
                assert self.fetched
                self.pki = not half
            case StageSnapshot() if not self.has_reached(Phase.STAGED) and not half:
                assert self.fetched
                assert self.pki
                attempt, begins = step.action.attempt, step.action.begins
                self.mark = Mark(
                    id=attempt,
                    phase=Phase.STAGED,
                    began="20261121T120000Z",
                    revision=begins,
                    data="/var/lib/etcd",
                    fresh=step.action.fresh,
                )
            case SetAside() if not self.up:
                self.set_aside(half=half)
            case RestoreData() if not self.has_reached(Phase.SWAPPED):
                assert self.has_reached(Phase.STAGED)
                self.beside = True
                if not half:
                    self.advance(Phase.RESTORED)
            case PlaceRestored() if not self.has_reached(Phase.SWAPPED):
                self.place(half=half)
            case ReviveCluster() if not self.up:
                assert self.live, "an empty cluster would begin"
                assert self.pki
                self.unfinished = half
                if not half:
                    self.members.add("cp1")
            case AwaitMembers():
                planes = {name for name in self.members if name.startswith("cp")}
                assert planes == set(step.action.control_planes)
            case ForgetNodes():
                assert not set(step.action.nodes) & self.members, "a node in use was deleted"
                self.nodes -= set(step.action.nodes[: 1 if half else None])
            case ForgetTokens() if not half and not self.has_reached(Phase.CONTROLLERS):
                self.old_tokens = False
                self.advance(Phase.CONTROLLERS)
            case JoinControlPlane() | JoinWorker():
                self.join(step.host, half=half)
            case CloseAttempt() if not half:
                self.pki = self.beside = False
                self.advance(Phase.DONE)
            case _:
                pass

    def set_aside(self, *, half: bool) -> None:
        if self.mark is not None:
            self.advance(Phase.STAGED)
        if not half:
            self.aside += self.live
            self.live = self.unfinished = False

    def place(self, *, half: bool) -> None:
        self.unfinished = True
        if half:
            return
        assert self.beside
        assert not self.live, "data would be replaced"
        self.beside, self.live = False, True
        self.advance(Phase.SWAPPED)

    def join(self, name: str, *, half: bool) -> None:
        assert self.up
        assert not self.old_tokens
        if name not in self.members and not half:
            assert name not in self.nodes, "kubeadm refuses the name of a Node that is Ready"
            self.members.add(name)
            self.nodes.add(name)

    def killed(self, plan: Plan, *, reached: float, half: bool) -> None:
        """Run `plan` up to a step, which is done, or only half done."""
        assert not plan.refusals
        steps = list(plan.steps)
        last = min(int(reached * len(steps)), len(steps) - 1)
        for step in steps[:last]:
            self.do(step)
        self.do(steps[last], half=half)


KILLS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=6)


@settings(deadline=None, max_examples=150)
@given(st.sampled_from([1, 3]), KILLS)
def test_it_ends_the_same_wherever_it_is_killed(
    shape: int, kills: list[tuple[float, bool]]
) -> None:
    world = World(cluster(shape, 2))
    for reached, half in kills:
        if not world.is_over:
            world.killed(world.plan(), reached=reached, half=half)
    if not world.is_over:
        plan = world.plan()
        assert not plan.refusals
        for step in plan.steps:
            world.do(step)
    everyone = {host.name for host in world.desired.hosts}
    assert world.is_over
    assert world.members == everyone
    assert world.nodes == everyone
    assert world.live
    assert not world.unfinished
    assert not world.old_tokens
    assert not world.fetched, "keys are left on the workstation"
    assert not world.pki
