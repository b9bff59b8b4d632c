import pytest

from kubeops.errors import UnknownOutcomeError
from kubeops.transport.base import Command
from kubeops.transport.local import LocalRunner


def test_feeds_and_reads_more_than_the_pipes_hold() -> None:
    text = b"0123456789abcdef" * 65536
    result = LocalRunner().run(Command(argv=("sh", "-c", "tee /dev/stderr"), stdin=text))
    assert result.ok
    assert result.stdout.encode() == result.stderr.encode() == text


def test_a_program_may_leave_its_input_unread() -> None:
    result = LocalRunner().run(Command(argv=("true",), stdin=b"x" * 1_000_000))
    assert result.ok


@pytest.mark.parametrize(
    ("argv", "status"),
    [
        (("sh", "-c", "exit 3"), 3),
        (("sh", "-c", "kill -9 $$"), 137),
        (("no-such-program-here",), 127),
    ],
    ids=["status", "signal", "missing"],
)
def test_the_status_is_a_value(argv: tuple[str, ...], status: int) -> None:
    assert LocalRunner().run(Command(argv=argv)).status == status


def test_output_that_is_no_text() -> None:
    command = Command(argv=("printf", r"\377\000a"))
    pieces: list[bytes] = []
    result = LocalRunner().stream(command, pieces.append)
    assert b"".join(pieces) == b"\xff\x00a"
    assert result.stdout == ""
    assert LocalRunner().run(command).stdout == "\ufffd\x00a"


def test_the_limit_ends_the_program() -> None:
    with pytest.raises(UnknownOutcomeError, match=r"`sleep 600` was ended after 0\.1 s"):
        LocalRunner().run(Command(argv=("sleep", "600"), timeout=0.1))


def test_what_the_reader_raises_is_passed_on() -> None:
    def full(_piece: bytes) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        LocalRunner().stream(Command(argv=("sh", "-c", "echo x; exec sleep 600")), full)
