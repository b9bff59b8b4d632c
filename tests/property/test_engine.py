"""Whatever the plan and whatever fails: the engine's order, its record, and its way back."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from kubeops.engine import journal
from kubeops.engine.context import Check, State, StepContext
from kubeops.engine.gates import Gate, Reading
from kubeops.engine.runs import fold, list_runs
from kubeops.errors import StepError
from kubeops.model.event import Event, Kind
from kubeops.model.run import Outcome, RunState, StepState
from kubeops.plan.model import Lane, Plan, Wave
from tests.unit.engine.support import Bench, FakeClock, lane, plan, wave


class Fate(StrEnum):
    """What becomes of a step."""

    FINE = "fine"
    DONE_ALREADY = "done already"
    BLOCKED = "blocked"
    UNREADABLE = "unreadable"
    FAILS = "fails"
    GATE_FAILS = "gate fails"


@dataclass
class Names:
    """Makes step ids that are unique in a plan."""

    count: int = 0

    def next(self) -> str:
        self.count += 1
        return str(self.count)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    names = Names()
    shapes = draw(st.lists(st.lists(st.integers(0, 3), max_size=4), max_size=3))
    return plan(
        *(
            wave(
                *(
                    lane(f"{number}-{index}", *(names.next() for _ in range(steps)))
                    for index, steps in enumerate(lanes)
                ),
                name=str(number),
                at_once=draw(st.integers(1, 3)),
                failure_budget=draw(st.integers(1, 3)),
            )
            for number, lanes in enumerate(shapes)
        )
    )


def fates(what: Plan) -> st.SearchStrategy[dict[str, Fate]]:
    # Mostly fine: a run that fails at once shows little.
    fate = st.sampled_from([Fate.FINE] * 9 + list(Fate))
    return st.fixed_dictionaries({step.id: fate for step in what.steps})


def see_nothing() -> Reading:
    return Reading(ok=False, text="never", failed=True)


def arrange(bench: Bench, wanted: dict[str, Fate]) -> None:
    def fail(name: str, _context: StepContext) -> None:
        raise StepError(f"{name} fails")

    for name, fate in wanted.items():
        if fate is Fate.DONE_ALREADY:
            bench.machines.done.add(name)
        if fate in {Fate.BLOCKED, Fate.UNREADABLE}:
            state = State.BLOCKED if fate is Fate.BLOCKED else State.UNKNOWN
            bench.machines.checks[name] = Check(state, "because")
        if fate is Fate.FAILS:
            bench.machines.applies[name] = fail
        if fate is Fate.GATE_FAILS:
            bench.machines.gates[name] = Gate(name="g", look=see_nothing, timeout=1)


ENDS = {Kind.STEP_DONE, Kind.STEP_SKIPPED, Kind.STEP_FAILED}


@given(st.data(), plans())
@settings(deadline=None, max_examples=150)
def test_order_budget_and_record(data: st.DataObject, what: Plan) -> None:
    wanted = data.draw(fates(what))
    with TemporaryDirectory() as folder:
        bench = Bench(state=Path(folder))
        arrange(bench, wanted)

        outcome = bench.run(what)

        events = bench.events.all
        for one, happened in by_wave(what, events):
            check_wave(one, happened)
        check_end(what, wanted, outcome, events)
        check_record(what, outcome, events, Path(folder))


def by_wave(what: Plan, events: list[Event]) -> Iterator[tuple[Wave, list[Event]]]:
    """Cut the events at the waves' starts; check that waves come one after the other."""
    waves = {one.name: one for one in what.waves}
    order = [str(e.data["wave"]) for e in events if e.kind is Kind.WAVE_STARTED]
    ends = [str(e.data["wave"]) for e in events if e.kind is Kind.WAVE_ENDED]
    assert order == ends == sorted(order)
    current: str | None = None
    cut: dict[str, list[Event]] = {name: [] for name in order}
    for event in events:
        if event.kind is Kind.WAVE_STARTED:
            assert current is None
            current = str(event.data["wave"])
        elif event.kind is Kind.WAVE_ENDED:
            current = None
        elif event.step:
            assert current is not None
            cut[current].append(event)
    for number, name in enumerate(order):
        failed = any(event.kind is Kind.STEP_FAILED for event in cut[name])
        assert not failed or number == len(order) - 1
        yield waves[name], cut[name]


def check_wave(one: Wave, happened: list[Event]) -> None:
    home = {step.id: each for each in one.lanes for step in each.steps}
    assert {event.step for event in happened} <= home.keys()
    per_lane: dict[str, list[Event]] = {each.name: [] for each in one.lanes}
    for event in happened:
        per_lane[home[event.step].name].append(event)
    for each in one.lanes:
        check_lane(each, per_lane[each.name])
    first = {name: happened.index(events[0]) for name, events in per_lane.items() if events}
    last = {name: happened.index(events[-1]) for name, events in per_lane.items() if events}
    for index in range(len(happened)):
        assert sum(first[name] <= index <= last[name] for name in first) <= one.at_once
    failures = [i for i, event in enumerate(happened) if event.kind is Kind.STEP_FAILED]
    if len(failures) >= one.failure_budget:
        used_up = failures[one.failure_budget - 1]
        for events in per_lane.values():
            starts = [e for e in events if e.kind is Kind.STEP_STARTED]
            assert not starts or happened.index(starts[0]) < used_up


def check_lane(each: Lane, events: list[Event]) -> None:
    ended = [event for event in events if event.kind in ENDS]
    assert [event.step for event in ended] == [step.id for step in each.steps][: len(ended)]
    assert all(event.kind is not Kind.STEP_FAILED for event in ended[:-1])
    for event in events:
        assert events.index(event) <= next(
            i for i, end in enumerate(events) if end.kind in ENDS and end.step == event.step
        )


def check_end(what: Plan, wanted: dict[str, Fate], outcome: Outcome, events: list[Event]) -> None:
    bad = {Fate.BLOCKED, Fate.UNREADABLE, Fate.FAILS, Fate.GATE_FAILS}
    failed = [event.step for event in events if event.kind is Kind.STEP_FAILED]
    assert [failure.step for failure in outcome.failures] == failed
    assert all(wanted[step] in bad for step in failed)
    assert outcome.unfinished == ()
    if not bad & set(wanted.values()):
        assert outcome.status is RunState.DONE
        assert outcome.steps_done + outcome.steps_skipped == len(list(what.steps))
    else:
        assert (outcome.status is RunState.FAILED) == bool(failed)
    for one in what.waves[:1]:  # the first wave always begins, so its budget is told exactly
        hopeless = sum(any(wanted[step.id] in bad for step in each.steps) for each in one.lanes)
        here = sum(step.id in failed for each in one.lanes for step in each.steps)
        assert min(hopeless, one.failure_budget) <= here <= hopeless
        assert here < one.failure_budget + one.at_once


def check_record(what: Plan, outcome: Outcome, events: list[Event], state: Path) -> None:
    (record,) = list_runs(state)
    expected = {step.id: StepState.PENDING for step in what.steps}
    for event in events:
        if event.kind in ENDS:
            expected[event.step] = StepState(event.kind.value.removeprefix("step-"))
    assert {step.id: step.state for step in record.steps} == expected
    assert record.state is outcome.status
    assert record.failures == outcome.failures
    assert record.plan == json.loads(json.dumps(what.to_json()))
    assert record.problem == ""


class How(StrEnum):
    """How a run is stopped."""

    KILL = "kill -9"
    TORN = "kill -9 in the middle of a line"
    FULL = "the disk is full from here on"
    INTERRUPT = "Ctrl-C"


@dataclass
class Disk:
    """A machine whose state outlives the process: one file per step, and a history of applies."""

    folder: Path
    moment: Callable[[], None] = field(default=lambda: None)

    def is_done(self, name: str) -> bool:
        return (self.folder / f"done-{name}").exists()

    def apply(self, name: str, _context: StepContext) -> None:
        self._write(f"begin {name}")
        self.moment()
        (self.folder / f"done-{name}").touch()
        self.moment()
        self._write(f"end {name}")

    def history(self) -> Counter[str]:
        path = self.folder / "history"
        return Counter(path.read_text().splitlines()) if path.exists() else Counter()

    def _write(self, line: str) -> None:
        with (self.folder / "history").open("a") as history:
            history.write(line + "\n")


class OnDisk(Bench):
    """A bench whose machines are on a disk."""

    def on(self, disk: Disk, what: Plan) -> "OnDisk":
        for step in what.steps:
            self.machines.applies[step.id] = disk.apply
            if disk.is_done(step.id):
                self.machines.done.add(step.id)
        return self


@contextmanager
def stopped(how: How, after: int, bench: OnDisk, disk: Disk) -> Iterator[None]:
    """Stop the run at the moment number `after`: a journal line, or a point inside an apply."""
    left = [after]
    real = journal._write_whole

    def moment(line: bytes = b"") -> None:
        left[0] -= 1
        if left[0] > 0:
            return
        if how is How.INTERRUPT:
            bench.clock.interrupted.set()
        elif how is How.TORN and line:
            os.write(descriptor[0], line[: len(line) // 2])
            os._exit(9)
        elif how in {How.KILL, How.TORN}:
            os._exit(9)
        elif line:
            raise OSError(28, "No space left on device")

    descriptor = [-1]

    def write(file: int, line: bytes) -> None:
        descriptor[0] = file
        moment(line)
        real(file, line)

    disk.moment = moment
    with mock.patch.object(journal, "_write_whole", write):
        yield
    disk.moment = lambda: None


def run_stopped(how: How, after: int, bench: OnDisk, disk: Disk, what: Plan) -> None:
    with stopped(how, after, bench, disk):
        bench.run(what)


def run_in_child(run: Callable[[], None]) -> NoReturn:
    """Run and leave without a trace of pytest: status 0, or 1 after an exception."""
    try:
        run()
        os._exit(0)
    finally:
        os._exit(1)


@given(plans(), st.sampled_from(How), st.integers(2, 40))
@settings(deadline=None, max_examples=150)
def test_any_interrupted_prefix_is_continued_to_the_same_end(
    what: Plan, how: How, after: int
) -> None:
    with TemporaryDirectory() as folder:
        state, machine = Path(folder, "state"), Path(folder, "machine")
        machine.mkdir()
        disk = Disk(machine)
        bench = OnDisk(state=state).on(disk, what)

        child = os.fork()
        if child == 0:  # a process of its own, so that it can be killed for real
            run_in_child(lambda: run_stopped(how, after, bench, disk, what))
        _pid, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) in {0, 9}
        killed = os.waitstatus_to_exitcode(status) == 9
        check_stopped(state, disk, killed=killed)

        again = OnDisk(state=state, clock=FakeClock(paused=[60.0])).on(disk, what)
        outcome = again.run(what)

        assert outcome.status is RunState.DONE
        assert all(disk.is_done(step.id) for step in what.steps)
        history = disk.history()
        for step in what.steps:
            begun, ended = history[f"begin {step.id}"], history[f"end {step.id}"]
            assert ended <= 1
            assert begun <= (1 if ended == 1 and not killed else 2)


def check_stopped(state: Path, disk: Disk, *, killed: bool) -> None:
    """Check the journal of a stopped run against its machine."""
    (path,) = state.glob("*/*.jsonl")
    record = fold(path)
    assert not killed or record.state is RunState.KILLED
    history = disk.history()
    for step in record.steps:
        if step.state is StepState.DONE:
            assert disk.is_done(step.id)
        if history[f"begin {step.id}"]:
            assert step.state is not StepState.PENDING
