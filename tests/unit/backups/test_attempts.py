"""What is remembered of runs."""

from datetime import timedelta
from pathlib import Path

import pytest

from kubeops.backups.attempts import read, remember
from kubeops.model.backup import Attempt
from tests.bundles import AT

GOOD = Attempt(at=AT, seconds=1.5, exit_status=0, name="20261121T023000Z-abc123")
BAD = Attempt(at=AT + timedelta(days=1), seconds=2.5, exit_status=5, message="the store is full")


def test_nothing_is_remembered_at_first(tmp_path: Path) -> None:
    assert read(tmp_path, "prod") is None


def test_the_last_success_outlives_failures(tmp_path: Path) -> None:
    assert remember(tmp_path, "prod", BAD).last_success is None
    remember(tmp_path, "prod", GOOD)
    known = remember(tmp_path, "prod", BAD)
    assert (known.last, known.last_success) == (BAD, GOOD.at)
    assert read(tmp_path, "prod") == known
    assert [path.name for path in (tmp_path / "prod").iterdir()] == ["last-backup.json"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"last": {"at": 1}, "last_success": null}'])
def test_what_cannot_be_understood_is_forgotten(tmp_path: Path, content: str) -> None:
    remember(tmp_path, "prod", GOOD)
    (tmp_path / "prod/last-backup.json").write_text(content)
    assert read(tmp_path, "prod") is None
    assert remember(tmp_path, "prod", BAD).last == BAD
