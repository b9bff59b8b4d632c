import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kubeops.errors import CommandError
from kubeops.model.file import File
from kubeops.transport import files
from kubeops.transport.base import Command, Result
from kubeops.transport.local import LocalRunner

ME = f"{os.getuid()}:{os.getgid()}"


class Around:
    """The local machine, with other words before each command."""

    host = "around"

    def __init__(self, *words: str, spoil: bytes = b"") -> None:
        self._words = words
        self._spoil = spoil

    def run(self, command: Command) -> Result:
        return LocalRunner().run(self._changed(command))

    def stream(self, command: Command, write: Callable[[bytes], object]) -> Result:
        return LocalRunner().stream(self._changed(command), write)

    def _changed(self, command: Command) -> Command:
        stdin = (command.stdin or b"") + self._spoil
        return replace(command, argv=(*self._words, *command.argv), stdin=stdin)


def file(path: Path, content: bytes = b"new\n", mode: int = 0o640) -> File:
    return File(path=str(path), content=content, mode=mode, owner=ME)


def names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def state(path: Path) -> tuple[bytes, int]:
    return path.read_bytes(), path.stat().st_mode & 0o7777


def test_writes_once(tmp_path: Path) -> None:
    wanted = file(tmp_path / "a b'c", b"\x00\xffnew\n" * 100_000)
    runner = LocalRunner()
    assert not files.check(runner, wanted)
    assert files.put(runner, wanted)
    assert state(Path(wanted.path)) == (wanted.content, 0o640)
    assert not files.put(runner, wanted)
    assert files.check(runner, wanted)
    assert names(tmp_path) == ["a b'c"]


def test_writes_several_at_once(tmp_path: Path) -> None:
    contents = (b"one\n", b"", b"\x00three" * 100_000, b"four")
    wanted = [file(tmp_path / str(number), content) for number, content in enumerate(contents)]
    Path(wanted[2].path).write_bytes(b"old")
    assert files.put(LocalRunner(), *wanted)
    assert [Path(one.path).read_bytes() for one in wanted] == list(contents)
    assert not files.put(LocalRunner(), *wanted)
    Path(wanted[1].path).unlink()
    assert files.put(LocalRunner(), *wanted)
    assert [Path(one.path).read_bytes() for one in wanted] == list(contents)


def test_what_comes_after_a_failure_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    wanted = [file(tmp_path / name) for name in "abc"]
    with pytest.raises(CommandError, match=r"kubeops-put .*/a .*/b .*/c") as caught:
        files.put(LocalRunner(), *wanted)
    assert caught.value.output == f"changed\n\n{tmp_path}/b is a directory\n"
    assert sorted(names(tmp_path)) == ["a", "b"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"old"),
        lambda path: path.chmod(0o644),
        lambda path: path.unlink(),
    ],
    ids=["content", "mode", "missing"],
)
def test_mends_what_was_changed(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    wanted = file(tmp_path / "f")
    files.put(LocalRunner(), wanted)
    spoil(tmp_path / "f")
    assert not files.check(LocalRunner(), wanted)
    assert files.put(LocalRunner(), wanted)
    assert state(tmp_path / "f") == (b"new\n", 0o640)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file away")
def test_mends_the_owner_given_by_names(tmp_path: Path) -> None:
    wanted = replace(file(tmp_path / "f"), owner="root:root")
    files.put(LocalRunner(), wanted)
    assert files.check(LocalRunner(), wanted)
    os.chown(tmp_path / "f", 1, 1)
    assert files.put(LocalRunner(), wanted)
    assert (tmp_path / "f").stat().st_uid == 0


def test_makes_the_directories_that_are_missing(tmp_path: Path) -> None:
    assert files.put(LocalRunner(), file(tmp_path / "a/b/f"))
    assert [(tmp_path / d).stat().st_mode & 0o777 for d in ("a", "a/b")] == [0o755, 0o755]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    wanted = file(tmp_path / "link")
    assert files.put(LocalRunner(), wanted)
    assert (tmp_path / "link").is_symlink()
    assert state(tmp_path / "real") == (b"new\n", 0o640)
    assert files.check(LocalRunner(), wanted)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=f"`kubeops-put {tmp_path}`") as caught:
        files.put(LocalRunner(), file(tmp_path))
    assert caught.value.output == f"{tmp_path} is a directory\n"
    assert names(tmp_path) == []


def test_what_arrives_damaged_is_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"old")
    with pytest.raises(CommandError) as caught:
        files.put(Around("env", spoil=b"more"), file(tmp_path / "f"))
    assert "is not what was sent" in caught.value.output
    assert (tmp_path / "f").read_bytes() == b"old"
    assert names(tmp_path) == ["f"]


def test_an_unknown_owner_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"old")
    with pytest.raises(CommandError) as caught:
        files.put(LocalRunner(), replace(file(tmp_path / "f"), owner="nobody-here:root"))
    assert "invalid user" in caught.value.output
    assert (tmp_path / "f").read_bytes() == b"old"
    assert names(tmp_path) == ["f"]


FULL_DISK = """
mount -t tmpfs -o size=64k none "$0" || exit 99
echo old >"$0/f"
"$@"
status=$?
ls -A "$0" >"$0.after"
cat "$0/f" >>"$0.after"
exit $status
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts, in a namespace of its own")
def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    runner = Around("unshare", "-m", "sh", "-c", FULL_DISK, str(small))
    with pytest.raises(CommandError) as caught:
        files.put(runner, file(small / "f", b"x" * 200_000))
    assert "No space left on device" in caught.value.output
    assert (tmp_path / "small.after").read_text() == "f\nold\n"


def test_reads_bytes(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"\xff\x00\n\n")
    assert files.read(LocalRunner(), str(tmp_path / "f")) == b"\xff\x00\n\n"
    assert files.read(LocalRunner(), str(tmp_path / "none")) is None
    with pytest.raises(CommandError, match="kubeops-read"):
        files.read(LocalRunner(), str(tmp_path))


def test_a_secret_is_its_owners() -> None:
    with pytest.raises(ValueError, match="/k is secret, but its mode is 0644"):
        File(path="/k", content=b"", secret=True)
    assert b"s3cret" not in repr(File(path="/k", content=b"s3cret", mode=0o600)).encode()
