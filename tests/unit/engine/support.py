"""A clock that stands still, machines that remember, and plans of steps on them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from threading import Lock
from typing import Any

from kubeops.engine.clock import Clock
from kubeops.engine.context import DONE, NEEDED, Check, Handler, StepContext
from kubeops.engine.executor import execute
from kubeops.engine.gates import Gate
from kubeops.engine.journal import Journal
from kubeops.model.desired import Cluster, Networks
from kubeops.model.event import Event, Sink
from kubeops.model.run import Outcome
from kubeops.model.version import KubeVersion
from kubeops.plan.actions import DeleteNode
from kubeops.plan.model import Lane, Plan, Step, Wave
from kubeops.transport.fake import FakeTransport

START = datetime(2026, 11, 21, 7, 30, tzinfo=UTC)

Apply = Callable[[str, StepContext], None]


@dataclass(frozen=True)
class FakeClock(Clock):
    """Time passes when somebody pauses, and only then."""

    paused: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return sum(self.paused)

    def pause(self, seconds: float) -> None:
        self.paused.append(seconds)


@dataclass
class Events:
    """A sink that keeps what it gets."""

    all: list[Event] = field(default_factory=list)
    on: dict[str, Callable[[], object]] = field(default_factory=dict)

    def __call__(self, event: Event) -> None:
        self.all.append(event)
        self.on.get(event.kind, int)()

    def of(self, *kinds: str) -> list[str]:
        return [event.step or event.text for event in self.all if event.kind in kinds]

    def text(self) -> str:
        return "\n".join(map(repr, self.all))


@dataclass
class Machines:
    """What is done on the machines, and how often each step was applied."""

    done: set[str] = field(default_factory=set)
    applied: list[str] = field(default_factory=list)
    checks: dict[str, Check] = field(default_factory=dict)
    applies: dict[str, Apply] = field(default_factory=dict)
    gates: dict[str, Gate] = field(default_factory=dict)
    turn: Lock = field(default_factory=Lock)

    @property
    def handlers(self) -> Mapping[type, Handler[Any]]:
        return {DeleteNode: Handler(check=self._check, apply=self._apply, gate=self._gate)}

    def _check(self, action: DeleteNode, _context: StepContext) -> Check:
        with self.turn:
            return self.checks.get(action.node, DONE if action.node in self.done else NEEDED)

    def _apply(self, action: DeleteNode, context: StepContext) -> None:
        with self.turn:
            self.applied.append(action.node)
        if action.node in self.applies:
            self.applies[action.node](action.node, context)
        with self.turn:
            self.done.add(action.node)

    def _gate(self, action: DeleteNode, _context: StepContext) -> Gate | None:
        return self.gates.get(action.node)


def step(name: str, host: str = "cp1") -> Step:
    return Step(id=name, host=host, title=f"Do {name}", action=DeleteNode(node=name))


def lane(name: str, *steps: str) -> Lane:
    return Lane(name=name, steps=tuple(step(one, host=name) for one in steps))


def wave(*lanes: Lane, name: str = "wave", at_once: int = 1, failure_budget: int = 1) -> Wave:
    return Wave(
        name=name,
        title=f"The {name}",
        lanes=lanes,
        at_once=at_once,
        failure_budget=failure_budget,
    )


def plan(*waves: Wave) -> Plan:
    return Plan(kind="install", cluster="demo", summary="v1.36.1", waves=waves)


def cluster() -> Cluster:
    return Cluster(
        name="demo",
        kubernetes=KubeVersion(1, 36, 1),
        endpoint="10.0.0.10:6443",
        networks=Networks(pods=ip_network("10.244.0.0/16"), services=ip_network("10.96.0.0/12")),
        hosts=(),
    )


def journal_in(state: Path, what: Plan, clock: Clock | None = None) -> Journal:
    return Journal.create(
        state,
        cluster="demo",
        kind="install",
        plan=what,
        arguments={"kind": "install", "inventory": "demo.yaml", "options": {}},
        clock=clock or FakeClock(),
    )


@dataclass
class Bench:
    """Everything one execution needs; `run` may be called again, as a new run."""

    state: Path
    clock: FakeClock = field(default_factory=FakeClock)
    machines: Machines = field(default_factory=Machines)
    events: Events = field(default_factory=Events)
    sink: Sink | None = None
    transport: FakeTransport = field(
        default_factory=lambda: FakeTransport(["cp1", "a", "b", "c", "d"])
    )

    def run(self, what: Plan) -> Outcome:
        with journal_in(self.state, what, self.clock) as journal:
            return self.run_on(journal, what)

    def run_on(self, journal: Journal, what: Plan) -> Outcome:
        return execute(
            what,
            desired=cluster(),
            transport=self.transport,
            handlers=self.machines.handlers,
            journal=journal,
            clock=self.clock,
            sink=self.sink or self.events,
        )
