from pathlib import Path

from kubeops.model.run import RunRecord, RunState, StepRecord, StepState
from kubeops.render.runs import run, runs
from tests.conftest import Golden
from tests.unit.render.values import FAILURE, NOON, install, text_of


def record(state: RunState) -> RunRecord:
    states = (StepState.DONE, StepState.SKIPPED, StepState.FAILED, StepState.UNFINISHED)
    planned = tuple(install(workers=1).steps)[:5]
    steps = tuple(
        StepRecord(id=step.id, host=step.host, title=step.title, state=how, seconds=took)
        for step, how, took in zip(
            planned, (*states, StepState.PENDING), (1.0, 0.1, 75.0, None, None), strict=True
        )
    )
    return RunRecord(
        run_id="20261121T120000-install-3f2a",
        kind="install",
        cluster="prod",
        state=state,
        path=Path("/state/prod/20261121T120000-install-3f2a.jsonl"),
        log=Path("/state/prod/20261121T120000-install-3f2a.log"),
        started=NOON,
        seconds=95.2 if state is RunState.FAILED else None,
        who="ada",
        workstation="desk",
        pid=4711,
        version="0.1.0",
        steps=steps,
        failures=(FAILURE,) if state is RunState.FAILED else (),
        problem="the last line, 9, was cut off and was left out"
        if state is RunState.KILLED
        else "",
    )


def test_the_list(golden: Golden) -> None:
    found = (record(RunState.FAILED), record(RunState.KILLED), record(RunState.DONE))
    golden("runs-list-120.txt", text_of(runs(found, state=Path("/state")), width=120))


def test_an_empty_list_says_where_it_looked() -> None:
    assert "no runs on record in /state" in text_of(runs((), state=Path("/state")), width=80)


def test_one_run(golden: Golden) -> None:
    shown = run(record(RunState.FAILED), following=("kubeops runs.resume --run 2026",))
    golden("runs-show-120.txt", text_of(shown, width=120))


def test_a_killed_run_tells_what_is_wrong_with_its_journal() -> None:
    shown = text_of(run(record(RunState.KILLED)), width=120)
    assert "journal        the last line, 9, was cut off" in shown
    assert "killed" in shown
