"""A large file is brought to a host in pieces."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from kubeops.backups import upload as module
from kubeops.backups.upload import upload
from kubeops.errors import CommandError
from kubeops.transport.base import Command, Result
from kubeops.transport.local import LocalRunner


def test_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE", 1000)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(bytes(range(256)) * 10)
    upload(LocalRunner(), source, str(target), progress=lambda _line: None)
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "target.part").exists()


@dataclass
class Lossy(LocalRunner):
    """Loses the first byte of whatever is sent."""

    host: str = "cp1"

    def run(self, command: Command) -> Result:
        stdin = command.stdin[1:] if command.stdin else None
        return super().run(Command(argv=command.argv, stdin=stdin))


def test_what_arrives_is_compared(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"abc")
    with pytest.raises(CommandError) as caught:
        upload(Lossy(), source, f"{tmp_path}/target", progress=lambda _line: None)
    assert "what arrived is not what was sent" in caught.value.output
    assert not (tmp_path / "target").exists()


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"abc")
    with pytest.raises(CommandError, match="kubeops-upload /nowhere/x"):
        upload(LocalRunner(), source, "/nowhere/x", progress=lambda _line: None)
