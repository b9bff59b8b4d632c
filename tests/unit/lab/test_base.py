from pathlib import Path

import pytest

from kubeops.errors import UsageError
from kubeops.lab import base, baseroot

SOURCE = "deb [signed-by=/k.gpg] http://mirror.example/debian stable main"


def test_the_build_ends_with_its_caller() -> None:
    command = base.build_command(Path("/cache/.base"), source=SOURCE)
    assert command[:4] == ("setpriv", "--pdeathsig", "KILL", "--")
    assert "--kill-child" in command
    assert command[-3:] == ("stable", "/cache/.base", SOURCE)


def test_everything_that_makes_the_base_is_in_its_fingerprint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = base.fingerprint()
    assert base.fingerprint() == before
    with monkeypatch.context() as patch:
        patch.setattr(base, "PACKAGES", (*base.PACKAGES, "vim"))
        assert base.fingerprint() != before
    with monkeypatch.context() as patch:
        patch.setattr(baseroot, "FILES", baseroot.FILES | {"etc/motd": "hello\n"})
        assert base.fingerprint() != before


def test_a_base_that_is_there_is_not_built(tmp_path: Path) -> None:
    (tmp_path / f"base-{base.fingerprint()}").mkdir()
    said: list[str] = []
    assert base.ensure(said.append, cache=tmp_path) == tmp_path / f"base-{base.fingerprint()}"
    assert said == []


def test_a_tree_is_removed_unless_something_is_mounted_in_it(tmp_path: Path) -> None:
    (tmp_path / "tree/below").mkdir(parents=True)
    base.remove_tree(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()
    with pytest.raises(UsageError, match="/proc is mounted there"):
        base.remove_tree(Path("/proc"))
