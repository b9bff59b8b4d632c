"""A journal on a disk that really is full."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeops.engine.journal import Journal
from kubeops.engine.runs import fold
from kubeops.errors import JournalError
from kubeops.model.event import Event, Kind
from tests.unit.engine.support import START, journal_in, lane, plan, wave

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "none", tmp_path], check=True)
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def fill(journal: Journal) -> None:
    event = Event(at=START, kind=Kind.STEP_STARTED, step="1", text="x" * 300)
    while True:
        journal.record(event)


def test_a_full_disk_is_told_and_leaves_a_sound_journal(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"0" * 4096)

    with journal_in(small_disk, plan(wave(lane("a", "1")))) as journal:
        with pytest.raises(JournalError, match="cannot be written"):
            fill(journal)
        full = fold(journal.path)
        journal.write_log("y" * 100_000)

        ballast.unlink()
        journal.record(Event(at=START, kind=Kind.STEP_DONE, step="1", data={"seconds": 1.0}))

    assert full.problem == ""
    assert fold(journal.path).steps[0].seconds == 1.0
