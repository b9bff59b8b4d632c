from pathlib import Path

import pytest

from kubeops.errors import LockedError
from kubeops.lab import locks


def test_a_directory_has_one_holder(tmp_path: Path) -> None:
    with locks.held_directory(tmp_path, what="lab one"):  # noqa: SIM117 - the order is the point
        with pytest.raises(LockedError, match="at work on lab one"):
            with locks.held_directory(tmp_path, what="lab one"):
                pytest.fail("two holders")
    with locks.held_directory(tmp_path, what="lab one"):
        pass


def test_a_directory_that_was_removed_meanwhile_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "lab"
    directory.mkdir()
    take = locks._take

    def removed_before(descriptor: int) -> bool:
        directory.rmdir()
        return take(descriptor)

    monkeypatch.setattr(locks, "_take", removed_before)
    with pytest.raises(LockedError), locks.held_directory(directory, what="lab one"):
        pytest.fail("held what is gone")


def test_a_lock_is_free_again_afterwards(tmp_path: Path) -> None:
    waited: list[str] = []
    for _ in range(2):
        with locks.held(tmp_path / "lock", waiting=lambda: waited.append("waited")):
            pass
    assert waited == []
