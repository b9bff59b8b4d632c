import json
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Event, Thread
from typing import Any

import pytest

from kubeops.engine import journal
from kubeops.engine.context import Check, State, StepContext
from kubeops.engine.gates import Gate, Reading
from kubeops.engine.runs import list_runs
from kubeops.errors import (
    CommandError,
    GateError,
    InterruptedRunError,
    StepError,
    TransportError,
    UnknownOutcomeError,
)
from kubeops.model.event import Event as Happening
from kubeops.model.event import Kind
from kubeops.model.run import Failure, Outcome, RunState, StepState
from kubeops.plan.actions import ResetHost
from kubeops.plan.model import Lane, Step
from kubeops.transport.base import Command
from tests.unit.engine.support import Apply, Bench, journal_in, lane, plan, wave

FillDisk = Callable[[Callable[[dict[str, Any]], bool]], None]


def failing(error: Exception) -> Apply:
    def apply(_name: str, _context: StepContext) -> None:
        raise error

    return apply


def void(*_values: object) -> None:
    """Let a lambda wait for something and be an `apply`."""


def only_failure(outcome: Outcome) -> Failure:
    (failure,) = outcome.failures
    return failure


def test_runs_waves_lanes_and_steps_in_order(bench: Bench) -> None:
    outcome = bench.run(plan(wave(lane("a", "1", "2"), lane("b", "3")), wave(lane("a", "4"))))

    assert outcome.must() is outcome
    assert (outcome.status, outcome.steps_done, outcome.exit_status) == (RunState.DONE, 4, 0)
    assert bench.machines.applied == ["1", "2", "3", "4"]
    assert [event.kind for event in bench.events.all] == [
        Kind.RUN_STARTED,
        Kind.WAVE_STARTED,
        *[Kind.STEP_STARTED, Kind.STEP_DONE] * 3,
        Kind.WAVE_ENDED,
        Kind.WAVE_STARTED,
        Kind.STEP_STARTED,
        Kind.STEP_DONE,
        Kind.WAVE_ENDED,
        Kind.RUN_ENDED,
    ]


def test_an_empty_plan_is_done(bench: Bench) -> None:
    assert bench.run(plan()).status is RunState.DONE


def test_what_is_done_is_skipped(bench: Bench) -> None:
    bench.machines.done = {"1"}

    outcome = bench.run(plan(wave(lane("a", "1", "2"))))

    assert (outcome.steps_done, outcome.steps_skipped) == (1, 1)
    assert bench.machines.applied == ["2"]
    assert bench.events.of(Kind.STEP_SKIPPED) == ["1"]


@pytest.mark.parametrize("state", [State.BLOCKED, State.UNKNOWN])
def test_a_machine_that_is_blocked_or_unreadable_is_not_touched(bench: Bench, state: State) -> None:
    bench.machines.checks["1"] = Check(state, "kubelet.conf belongs to another cluster")

    outcome = bench.run(plan(wave(lane("a", "1", "2"))))

    assert bench.machines.applied == []
    assert only_failure(outcome).message.endswith("kubelet.conf belongs to another cluster")
    assert only_failure(outcome).message.startswith("a: cannot ")
    assert outcome.exit_status == 5
    assert bench.events.of(Kind.STEP_STARTED) == []


def test_started_is_on_record_before_the_machine_is_touched(bench: Bench) -> None:
    what = plan(wave(lane("a", "1")))
    seen = []

    with journal_in(bench.state, what) as record:
        bench.machines.applies["1"] = lambda _name, _context: seen.append(
            json.loads(record.path.read_text().splitlines()[-1])["kind"]
        )
        bench.run_on(record, what)

    assert seen == [Kind.STEP_STARTED]


def test_a_gate_is_waited_for_with_progress(bench: Bench) -> None:
    readings = iter([Reading(ok=False, text="NotReady"), *[Reading(ok=True, text="Ready")] * 2])
    bench.machines.gates["1"] = Gate(name="node a", look=lambda: next(readings), timeout=60)

    assert bench.run(plan(wave(lane("a", "1")))).status is RunState.DONE
    assert [event.text for event in bench.events.all if event.kind is Kind.STEP_WAITING] == [
        "waiting for node a: NotReady",
        "waiting for node a: Ready",
    ]


def test_a_step_that_is_done_still_waits_for_its_gate(bench: Bench) -> None:
    """A run killed between `apply` and its gate must not let the next one hurry on."""
    bench.machines.done = {"1"}
    bench.machines.gates["1"] = Gate(
        name="etcd", look=lambda: Reading(ok=False, text="2 of 3 members"), timeout=5
    )

    outcome = bench.run(plan(wave(lane("a", "1", "2"))))

    assert bench.machines.applied == []
    assert outcome.exit_status == 6
    assert only_failure(outcome).output == ("2 of 3 members",)
    with pytest.raises(GateError, match="etcd: not within 5 s") as raised:
        outcome.must()
    assert raised.value.last == "2 of 3 members"


def test_a_failed_command_is_told_in_full(bench: Bench) -> None:
    output = "\n".join(f"line {number}" for number in range(40)) + "\nsecret hunter2hunter2"

    def apply(_name: str, context: StepContext) -> None:
        context.run(Command(argv=("kubeadm", "join"), secrets=("hunter2hunter2",)), hint="look")

    bench.transport.runner("a").on(("kubeadm", "join"), status=1, stdout=output)
    bench.machines.applies["1"] = apply

    outcome = bench.run(plan(wave(lane("a", "1"))))

    failure = only_failure(outcome)
    assert (failure.step, failure.host, failure.title) == ("1", "a", "Do 1")
    assert (failure.command, failure.status, failure.code) == ("kubeadm join", 1, "KO-51")
    assert failure.hint == "look"
    assert len(failure.output) == 15
    assert failure.output[-1] == "secret ***"
    assert "hunter2hunter2" not in outcome.log.read_text()
    with pytest.raises(StepError, match="1: a: `kubeadm join` ended with status 1"):
        outcome.must()


def test_a_host_that_is_not_reached_ends_with_its_own_status(bench: Bench) -> None:
    bench.machines.applies["1"] = failing(TransportError("b: no route", host="b"))

    outcome = bench.run(plan(wave(lane("a", "1"))))

    assert (outcome.exit_status, only_failure(outcome).host) == (3, "b")
    with pytest.raises(TransportError, match="no route"):
        outcome.must()


def test_commands_go_to_the_log_whole_and_to_the_journal_without_output(bench: Bench) -> None:
    what = plan(wave(lane("a", "1")))
    token = "abcdef.0123456789abcdef"  # noqa: S105

    def apply(_name: str, context: StepContext) -> None:
        context.transport.runner("b").run(Command(argv=("kubeadm", "token", "create")))
        context.run(
            Command(argv=("tee", "/etc/s3cr3t"), stdin=b"the stdin", secrets=("s3cr3t",)), 1
        )
        context.transport.close()

    bench.transport.runner("b").on(("kubeadm",), stdout=f"made\n{token}")
    bench.transport.runner("a").on(("tee",), status=1, stderr="disk says no to s3cr3t")
    bench.machines.applies["1"] = apply
    with journal_in(bench.state, what) as record:
        outcome = bench.run_on(record, what)

    log, lines = record.log.read_text(), record.path.read_text()
    assert "$ kubeadm token create" in log
    assert "| made" in log
    assert "$ tee '/etc/***'" in log
    assert "| disk says no to ***" in log
    commands = [json.loads(line) for line in lines.splitlines() if '"command"' in line]
    assert [(one["host"], one["text"], one["data"]["status"]) for one in commands] == [
        ("b", "kubeadm token create", 0),
        ("a", "tee '/etc/***'", 1),
    ]
    for text in (log, lines, bench.events.text(), repr(outcome)):
        assert token not in text
        assert "s3cr3t" not in text
        assert "the stdin" not in text
    assert "disk says" not in lines
    assert not bench.transport.closed
    assert {path.stat().st_mode & 0o777 for path in (record.log, record.path)} == {0o600}
    assert record.path.parent.stat().st_mode & 0o777 == 0o700


def test_a_command_that_was_cut_off_is_logged_too(bench: Bench) -> None:
    bench.transport.runner("a").on(
        ("apt-get",), error=UnknownOutcomeError("a: the connection broke", host="a")
    )
    bench.machines.applies["1"] = lambda _name, context: void(
        context.run(Command(argv=("apt-get", "install")))
    )

    outcome = bench.run(plan(wave(lane("a", "1"))))

    assert only_failure(outcome).code == "KO-52"
    assert "| a: the connection broke" in outcome.log.read_text()
    assert [e.data["status"] for e in bench.events.all if e.kind is Kind.COMMAND] == [None]


def test_streamed_commands_are_recorded(bench: Bench) -> None:
    got = bytearray()
    bench.transport.runner("a").on(("cat",), stdout=b"\x00\x01")
    bench.machines.applies["1"] = lambda _name, context: void(
        context.runner.stream(Command(argv=("cat", "db")), got.extend)
    )

    outcome = bench.run(plan(wave(lane("a", "1"))))

    assert bytes(got) == b"\x00\x01"
    assert "$ cat db" in outcome.log.read_text()


def test_lanes_run_side_by_side_and_a_new_one_starts_when_one_ends(bench: Bench) -> None:
    together = Barrier(2, timeout=30)
    third_began = Event()
    bench.machines.applies |= {
        # Neither returns before both are under way; the second one not before the third began.
        "1": lambda _name, _context: void(together.wait()),
        "2": lambda _name, _context: void(together.wait(), third_began.wait(30)),
        "3": lambda _name, _context: third_began.set(),
    }

    outcome = bench.run(plan(wave(lane("a", "1"), lane("b", "2"), lane("c", "3"), at_once=2)))

    assert outcome.status is RunState.DONE
    assert third_began.is_set()


def test_when_the_budget_is_used_up_lanes_under_way_finish_and_none_begins(bench: Bench) -> None:
    failed = Event()
    bench.machines.applies |= {
        "1": failing(StepError("a: broken")),
        "2": lambda _name, _context: void(failed.wait(30)),
    }

    bench.events.on[Kind.STEP_FAILED] = failed.set

    outcome = bench.run(
        plan(
            wave(lane("b", "2", "3"), lane("a", "1", "1b"), lane("c", "4"), at_once=2),
            wave(lane("d", "5")),
        )
    )

    assert outcome.status is RunState.FAILED
    assert [failure.step for failure in outcome.failures] == ["1"]
    assert sorted(bench.machines.applied) == ["1", "2", "3"]


def test_below_the_budget_the_wave_goes_on_but_no_other_follows(bench: Bench) -> None:
    bench.machines.applies["1"] = failing(StepError("a: broken"))

    outcome = bench.run(
        plan(
            wave(lane("a", "1"), lane("b", "2"), lane("c", "3"), failure_budget=2),
            wave(lane("d", "4")),
        )
    )

    assert outcome.status is RunState.FAILED
    assert bench.machines.applied == ["1", "2", "3"]


def test_a_defect_is_raised_once_the_lanes_ended(bench: Bench) -> None:
    together = Barrier(2, timeout=30)

    def broken(_name: str, _context: StepContext) -> None:
        together.wait()
        raise ZeroDivisionError("a planner's percent")

    bench.machines.applies |= {"1": broken, "2": lambda _name, _context: void(together.wait())}

    with pytest.raises(ZeroDivisionError):
        bench.run(plan(wave(lane("a", "1"), lane("b", "2", "3"), at_once=2, failure_budget=9)))

    (record,) = list_runs(bench.state)
    assert {"2", "3"} <= bench.machines.done
    assert record.state is RunState.FAILED
    assert "Traceback" in record.log.read_text()
    assert record.failures[0].is_defect
    assert "report it" in record.failures[0].hint


def run_with_sink(bench: Bench, error: Exception) -> Outcome:
    def sink(_event: Happening) -> None:
        raise error

    bench.sink = sink
    return bench.run(plan(wave(lane("a", "1", "2"))))


def test_a_terminal_that_goes_away_does_not_stop_the_run(bench: Bench) -> None:
    assert run_with_sink(bench, BrokenPipeError()).status is RunState.DONE


def test_a_defect_of_the_display_is_raised_when_the_run_has_ended(bench: Bench) -> None:
    with pytest.raises(KeyError):
        run_with_sink(bench, KeyError("column"))

    assert bench.machines.applied == ["1", "2"]
    assert list_runs(bench.state)[0].state is RunState.DONE


def test_plans_that_cannot_be_run_are_refused_before_anything(bench: Bench) -> None:
    with pytest.raises(ValueError, match="same id: 1"):
        bench.run(plan(wave(lane("a", "1", "1"))))
    reset = Step(id="1", host="a", title="Reset", action=ResetHost())
    with pytest.raises(ValueError, match="without a handler: ResetHost"):
        bench.run(plan(wave(Lane(name="a", steps=(reset,)))))
    assert bench.events.all == []


def test_what_is_remembered_is_recalled_by_this_and_the_next_run(bench: Bench) -> None:
    recalled = []

    def first(_name: str, context: StepContext) -> None:
        context.remember("cordoned", ["w1"])
        recalled.append(context.recall("cordoned"))
        raise CommandError(host="a", shown="drain", status=1, output="")

    bench.machines.applies["1"] = first
    bench.run(plan(wave(lane("a", "1"))))
    bench.clock.pause(1)
    bench.machines.applies["1"] = lambda _name, context: recalled.append(context.recall("cordoned"))
    bench.run(plan(wave(lane("a", "1"))))
    bench.clock.pause(1)
    bench.machines.done.clear()
    bench.run(plan(wave(lane("a", "1"))))

    assert recalled == [["w1"], ["w1"], None]


def test_an_interruption_lets_steps_under_way_end_and_starts_no_other(bench: Bench) -> None:
    bench.machines.applies["1"] = lambda _name, _context: bench.clock.interrupted.set()

    outcome = bench.run(plan(wave(lane("a", "1", "2"), lane("b", "3")), wave(lane("c", "4"))))

    assert bench.machines.applied == ["1"]
    assert (outcome.status, outcome.steps_done) == (RunState.INTERRUPTED, 1)
    assert outcome.exit_status == 130
    with pytest.raises(InterruptedRunError, match="interrupted after 1 steps") as raised:
        outcome.must()
    assert "invoke runs.resume" in raised.value.hint


def test_an_interruption_that_comes_with_the_last_step_changes_nothing(bench: Bench) -> None:
    bench.machines.applies["1"] = lambda _name, _context: bench.clock.interrupted.set()

    assert bench.run(plan(wave(lane("a", "1")))).status is RunState.DONE


def test_an_interrupted_gate_leaves_its_step_unfinished(bench: Bench) -> None:
    def look() -> Reading:
        bench.clock.interrupted.set()
        return Reading(ok=False, text="NotReady")

    bench.machines.gates["1"] = Gate(name="node a", look=look, timeout=60)

    outcome = bench.run(plan(wave(lane("a", "1"))))

    assert outcome.status is RunState.INTERRUPTED
    assert outcome.unfinished == ("1 on a",)
    (record,) = list_runs(bench.state)
    assert record.state is RunState.INTERRUPTED
    assert record.steps[0].state is StepState.UNFINISHED


def test_outside_the_main_thread_a_run_works_as_well(bench: Bench) -> None:
    outcomes: list[Outcome] = []
    thread = Thread(target=lambda: outcomes.append(bench.run(plan(wave(lane("a", "1"))))))
    thread.start()
    thread.join()

    assert [outcome.status for outcome in outcomes] == [RunState.DONE]


@pytest.fixture
def fill_disk(monkeypatch: pytest.MonkeyPatch) -> FillDisk:
    """Let the journal's disk be full for the lines that `is_refused` says so of."""

    def fill(is_refused: Callable[[dict[str, Any]], bool]) -> None:
        real = journal._write_whole

        def write(descriptor: int, data: bytes) -> None:
            if is_refused(json.loads(data)):
                raise OSError(28, "No space left on device")
            real(descriptor, data)

        monkeypatch.setattr(journal, "_write_whole", write)

    return fill


def test_nothing_is_applied_that_could_not_be_journalled(bench: Bench, fill_disk: FillDisk) -> None:
    fill_disk(lambda line: line["kind"] == Kind.STEP_STARTED and line["step"] == "2")

    outcome = bench.run(plan(wave(lane("a", "1", "2", "3"))))

    assert bench.machines.applied == ["1"]
    failure = only_failure(outcome)
    assert (failure.step, failure.code, outcome.exit_status) == ("2", "KO-53", 5)
    assert "No space left on device" in failure.message
    assert "KUBEOPS_STATE" in failure.hint


def test_a_disk_that_fills_up_during_a_step_lets_it_end_and_begins_no_other(
    bench: Bench, fill_disk: FillDisk
) -> None:
    bench.transport.runner("a").on(("true",))
    bench.machines.applies["1"] = lambda _name, context: void(context.run(Command(argv=("true",))))
    fill_disk(lambda line: line["kind"] == Kind.COMMAND)

    outcome = bench.run(plan(wave(lane("a", "1", "2"), lane("b", "3"), failure_budget=2)))

    assert bench.machines.done == {"1"}
    assert only_failure(outcome).title == "write the journal"
    assert outcome.status is RunState.FAILED


def test_what_cannot_be_remembered_is_not_acted_on(bench: Bench, fill_disk: FillDisk) -> None:
    acted = []

    def apply(_name: str, context: StepContext) -> None:
        context.remember("cordoned", ["w1"])
        acted.append(True)

    bench.machines.applies["1"] = apply
    fill_disk(lambda line: line["kind"] == Kind.REMEMBERED)

    assert bench.run(plan(wave(lane("a", "1")))).failures[0].code == "KO-53"
    assert acted == []


def test_the_journal_of_a_run_folds_into_what_happened(bench: Bench, tmp_path: Path) -> None:
    bench.machines.done = {"1"}
    bench.machines.applies["3"] = failing(StepError("a: broken", hint="mend it"))

    outcome = bench.run(plan(wave(lane("a", "1", "2", "3", "4"))))

    (record,) = list_runs(tmp_path / "state", "demo")
    assert (record.run_id, record.log) == (outcome.run_id, outcome.log)
    assert record.failures == outcome.failures
    assert [one.state for one in record.steps] == [
        StepState.SKIPPED,
        StepState.DONE,
        StepState.FAILED,
        StepState.PENDING,
    ]
