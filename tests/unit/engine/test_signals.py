"""Ctrl-C as the operator knows it: real signals to a real process."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import IO

import pytest

from kubeops.engine.runs import list_runs
from kubeops.engine.signals import interruptions
from kubeops.model.run import RunState, StepState

ROOT = Path(__file__).parents[3]
Run = subprocess.Popen[str]
Start = Callable[..., Run]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start the run of interrupted_run.py; it is under way when this returns."""
    runs: list[Run] = []

    def start_run(before: tuple[str, ...] = ()) -> Run:
        run = subprocess.Popen(
            [*before, sys.executable, "-m", "tests.unit.engine.interrupted_run", str(tmp_path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        runs.append(run)
        assert said(run) == "applying"
        return run

    yield start_run
    for run in runs:
        run.kill()
        run.wait()
        for pipe in (run.stdin, run.stdout):
            if pipe is not None:
                pipe.close()


def stream(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


def said(run: Run) -> str:
    return stream(run.stdout).readline().rstrip("\n")


def end_step(run: Run) -> None:
    stream(run.stdin).write("\n")
    stream(run.stdin).flush()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_the_first_signal_lets_the_step_end(start: Start, tmp_path: Path, name: str) -> None:
    run = start()
    run.send_signal(signal.Signals[name])

    assert said(run) == (
        f"{name}: no further step starts; waiting for the end of 1 on a. "
        "Press Ctrl-C again to stop waiting."
    )
    end_step(run)
    assert said(run) == "interrupted done=1 unfinished="
    assert run.wait() == 130
    (record,) = list_runs(tmp_path)
    assert record.state is RunState.INTERRUPTED
    assert [step.state for step in record.steps] == [StepState.DONE, StepState.PENDING]


def test_the_second_signal_stops_waiting(start: Start, tmp_path: Path) -> None:
    run = start()
    run.send_signal(signal.SIGINT)
    assert said(run).startswith("SIGINT: no further step starts")
    run.send_signal(signal.SIGINT)

    assert said(run) == "SIGINT again: no longer waiting for 1 on a"
    assert said(run) == "interrupted done=0 unfinished=1 on a"
    assert run.wait() == 130
    (record,) = list_runs(tmp_path)
    assert record.steps[0].state is StepState.UNFINISHED


def test_a_run_that_was_killed_is_known_as_killed(start: Start, tmp_path: Path) -> None:
    run = start()
    assert list_runs(tmp_path)[0].state is RunState.RUNNING

    run.send_signal(signal.SIGKILL)
    run.wait()

    (record,) = list_runs(tmp_path)
    assert record.state is RunState.KILLED
    assert record.steps[0].state is StepState.UNFINISHED


def test_under_nohup_a_closed_terminal_means_nothing(start: Start) -> None:
    run = start(("nohup",))
    run.send_signal(signal.SIGHUP)
    end_step(run)

    assert said(run) == "applying"
    end_step(run)
    assert said(run) == "done done=2 unfinished="
    assert run.wait() == 0


def test_the_handlers_of_before_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    names: list[str] = []

    with interruptions(names.append):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)

    assert names == ["SIGINT", "SIGTERM"]
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def enter() -> None:
        with interruptions(lambda _name: None):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = Thread(target=enter)
    thread.start()
    thread.join()

    assert seen == [before]
