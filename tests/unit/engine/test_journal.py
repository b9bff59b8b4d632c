import json
import os
from pathlib import Path

import pytest

from kubeops import __version__
from kubeops.engine.journal import Journal, new_run_id
from kubeops.engine.process import current_process
from kubeops.errors import JournalError
from kubeops.model.event import Event, Kind
from tests.unit.engine.support import START, FakeClock, journal_in, lane, plan, wave

PLAN = plan(wave(lane("a", "1")))


def lines(journal: Journal) -> list[dict[str, object]]:
    return [json.loads(line) for line in journal.path.read_text().splitlines()]


def note(text: str) -> Event:
    return Event(at=START, kind=Kind.NOTE, text=text)


def test_the_first_line_tells_what_runs_and_who_runs_it(tmp_path: Path) -> None:
    with journal_in(tmp_path / "state", PLAN) as journal:
        (heading,) = lines(journal)

    assert heading == {
        "format": 1,
        "at": "2026-11-21T07:30:00+00:00",
        "kind": "install",
        "cluster": "demo",
        "version": __version__,
        "process": current_process().to_json(),
        "arguments": {"kind": "install", "inventory": "demo.yaml", "options": {}},
        "plan": json.loads(json.dumps(PLAN.to_json())),
    }
    assert journal.path.parent == tmp_path / "state" / "demo"
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "state", journal.path.parent)] == [
        0o700,
        0o700,
    ]


def test_ids_sort_by_time_and_differ() -> None:
    clock = FakeClock()
    first, second = new_run_id("install", clock), new_run_id("install", clock)
    clock.pause(1)

    assert first.startswith("20261121T073000-install-")
    assert first != second
    assert max(first, second) < new_run_id("install", clock)


def test_the_id_of_the_lock_may_be_given(tmp_path: Path) -> None:
    journal = Journal.create(
        tmp_path,
        cluster="demo",
        kind="install",
        plan=PLAN,
        arguments={},
        clock=FakeClock(),
        run_id="r1",
    )
    with journal:
        assert journal.path == tmp_path / "demo" / "r1.jsonl"


def test_each_event_is_one_line(tmp_path: Path) -> None:
    with journal_in(tmp_path, PLAN) as journal:
        journal.record(note("two\nlines: ä"))
        journal.record(
            Event(at=START, kind=Kind.STEP_DONE, step="1", host="a", data={"seconds": 1.5})
        )

        assert lines(journal)[1:] == [
            {"at": START.isoformat(), "kind": "note", "text": "two\nlines: ä"},
            {
                "at": START.isoformat(),
                "kind": "step-done",
                "step": "1",
                "host": "a",
                "data": {"seconds": 1.5},
            },
        ]


@pytest.mark.parametrize(
    ("kind", "synced"), [(Kind.STEP_STARTED, 1), (Kind.REMEMBERED, 1), (Kind.COMMAND, 0)]
)
def test_what_resuming_relies_on_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind, synced: int
) -> None:
    calls: list[int] = []
    with journal_in(tmp_path, PLAN) as journal:
        monkeypatch.setattr(os, "fsync", calls.append)
        journal.record(Event(at=START, kind=kind, step="1", data={"key": "k", "value": 1}))

    assert len(calls) == synced


def test_a_line_that_did_not_fit_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    with journal_in(tmp_path, PLAN) as journal:
        monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:7]))
        with pytest.raises(JournalError, match=r"only 7 of .*disk full") as raised:
            journal.record(note("lost"))
        monkeypatch.undo()
        journal.record(note("kept"))

        assert [line.get("text") for line in lines(journal)] == [None, "kept"]
    assert "KUBEOPS_STATE" in raised.value.hint


def test_after_closing_nothing_is_written(tmp_path: Path) -> None:
    with journal_in(tmp_path, PLAN) as journal:
        pass

    with pytest.raises(JournalError, match="has ended"):
        journal.record(note("late"))
    journal.write_log("late")
    journal.close()
    assert journal.log.read_text() == ""


def test_a_state_directory_that_cannot_be_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(JournalError, match=r"cannot be written.*File exists"):
        journal_in(tmp_path / "file", PLAN)
