import json
from pathlib import Path

import pytest

from kubeops.engine.journal import Journal
from kubeops.engine.process import Process
from kubeops.engine.runs import find_run, fold, list_runs, recall
from kubeops.errors import JournalError
from kubeops.model.event import Event, Kind
from kubeops.model.run import RunState, StepState
from tests.unit.engine.support import START, FakeClock, journal_in, lane, plan, wave

PLAN = plan(wave(lane("a", "1", "2")))


def event(kind: Kind, step: str = "", **data: object) -> Event:
    return Event(at=START, kind=kind, step=step, data=data)


def written(
    state: Path, *events: Event, at: float = 0, kind: str = "install", cluster: str = "demo"
) -> Path:
    with Journal.create(
        state, cluster=cluster, kind=kind, plan=PLAN, arguments={}, clock=FakeClock(paused=[at])
    ) as journal:
        for one in events:
            journal.record(one)
        return journal.path


def ended(status: RunState) -> Event:
    return event(Kind.RUN_ENDED, status=status.value, seconds=2.5)


def remembered(key: str, value: object) -> Event:
    return event(Kind.REMEMBERED, key=key, value=value)


def gone(_process: Process) -> bool:
    return True


def test_a_run_under_way(tmp_path: Path) -> None:
    path = written(tmp_path, event(Kind.STEP_DONE, "1", seconds=1.5), event(Kind.STEP_STARTED, "2"))

    record = fold(path)

    assert (record.run_id, record.kind, record.cluster) == (path.stem, "install", "demo")
    assert (record.state, record.started, record.problem) == (RunState.RUNNING, START, "")
    assert [(one.id, one.state, one.seconds) for one in record.steps] == [
        ("1", StepState.DONE, 1.5),
        ("2", StepState.RUNNING, None),
    ]


def test_without_its_process_it_was_killed(tmp_path: Path) -> None:
    record = fold(written(tmp_path, event(Kind.STEP_STARTED, "1")), gone=gone)

    assert record.state is RunState.KILLED
    assert record.steps[0].state is StepState.UNFINISHED


def test_an_ended_run_needs_no_process(tmp_path: Path) -> None:
    record = fold(written(tmp_path, ended(RunState.FAILED)), gone=gone)

    assert (record.state, record.seconds) == (RunState.FAILED, 2.5)


def test_a_last_line_cut_off_is_reported_and_left_out(tmp_path: Path) -> None:
    path = written(tmp_path, event(Kind.STEP_STARTED, "1"), event(Kind.STEP_DONE, "1"))
    path.write_bytes(path.read_bytes()[:-9])

    record = fold(path, gone=gone)

    assert record.problem == "the last line, 3, was cut off and was left out"
    assert record.steps[0].state is StepState.UNFINISHED


def test_a_last_line_of_zeros_is_reported_too(tmp_path: Path) -> None:
    """A file system may give back zeros for what was not synced when the power went."""
    path = written(tmp_path)
    path.write_bytes(path.read_bytes() + b"\0" * 40 + b"\n")

    assert fold(path).problem == "the last line, 2, is damaged and was left out"


@pytest.mark.parametrize("kept", [0, 10])
def test_a_run_killed_before_its_first_line_was_whole(tmp_path: Path, kept: int) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:kept])

    record = fold(path)

    assert (record.state, record.kind, record.steps) == (RunState.KILLED, "install", ())
    assert record.problem


def test_a_damaged_line_in_the_middle_is_refused_by_number(tmp_path: Path) -> None:
    path = written(tmp_path, event(Kind.STEP_STARTED, "1"), event(Kind.STEP_DONE, "1"))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"{half\n" + lines[2])

    with pytest.raises(JournalError, match="line 2 is damaged") as raised:
        fold(path)
    assert f"mv {path}" in raised.value.hint
    assert list_runs(tmp_path)[0].state is RunState.UNREADABLE
    assert "line 2" in list_runs(tmp_path)[0].problem


@pytest.mark.parametrize("change", [{"format": 2}, {"process": {"pid": "x"}}, {"plan": {}}])
def test_what_this_kubeops_cannot_read_is_refused(
    tmp_path: Path, change: dict[str, object]
) -> None:
    path = written(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}) + "\n")

    with pytest.raises(JournalError, match="no journal of kubeops"):
        fold(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="No such file"):
        fold(tmp_path / "none.jsonl")


def test_runs_are_listed_newest_first(tmp_path: Path) -> None:
    old = written(tmp_path, at=0)
    new = written(tmp_path, at=60)
    other = written(tmp_path, at=30, cluster="stage")

    assert [run.path for run in list_runs(tmp_path)] == [new, other, old]
    assert [run.path for run in list_runs(tmp_path, "demo")] == [new, old]
    assert list_runs(tmp_path / "nowhere") == ()
    found = find_run(tmp_path, other.stem)
    assert found is not None
    assert found.cluster == "stage"
    assert find_run(tmp_path, "none") is None


def test_unfinished_runs_are_recalled_up_to_the_last_finished_one(tmp_path: Path) -> None:
    written(tmp_path, remembered("a", "before"), remembered("b", 1), at=0)
    written(tmp_path, ended(RunState.DONE), at=1)
    written(tmp_path, remembered("a", "first"), remembered("c", [1]), at=2)
    written(tmp_path, ended(RunState.DONE), at=3, kind="upgrade")
    written(tmp_path, remembered("a", "last"), ended(RunState.FAILED), at=4)
    written(tmp_path, remembered("d", 1), at=5, cluster="stage")

    assert recall(tmp_path, cluster="demo", kind="install") == {"a": "last", "c": [1]}
    with journal_in(tmp_path, PLAN, FakeClock(paused=[6])) as journal:
        assert (journal.recall("a"), journal.recall("b")) == ("last", None)


def test_a_damaged_journal_is_not_forgotten_silently(tmp_path: Path) -> None:
    written(tmp_path, at=0).write_text("x\ny\n")
    with pytest.raises(JournalError, match=r"cannot tell what run .* had remembered"):
        recall(tmp_path, cluster="demo", kind="install")
    with pytest.raises(JournalError):
        journal_in(tmp_path, PLAN)

    assert recall(tmp_path, cluster="demo", kind="upgrade") == {}
