import pytest

from kubeops.errors import TransportError
from kubeops.model.file import File
from kubeops.transport import files
from kubeops.transport.base import Command, Runner, Transport
from kubeops.transport.fake import FakeRunner, FakeTransport, checking, reading, writing


def run(runner: Runner, *argv: str) -> tuple[int, str, str]:
    result = runner.run(Command(argv=argv))
    return result.status, result.stdout, result.stderr


def test_answers_in_the_order_it_was_told() -> None:
    fake = FakeRunner("cp1")
    fake.on(("systemctl", "is-active"), status=3, times=2)
    fake.on(("systemctl",), stdout="active")
    assert run(fake, "systemctl", "is-active", "kubelet") == (3, "", "")
    assert run(fake, "systemctl", "is-active", "kubelet") == (3, "", "")
    assert run(fake, "systemctl", "is-active", "kubelet") == (0, "active", "")
    assert [command.argv[-1] for command in fake.commands] == ["kubelet"] * 3


def test_fails_on_what_it_was_not_told() -> None:
    fake = FakeRunner("cp1")
    fake.on(("kubeadm", "init"), times=1)
    with pytest.raises(
        AssertionError, match=r"cp1 was not told about `rm -rf /`.*\n.*kubeadm init"
    ):
        run(fake, "rm", "-rf", "/")


def test_raises_what_it_was_told_to() -> None:
    fake = FakeRunner("cp1")
    fake.on(lambda command: command.timeout > 1, error=TransportError("gone", host="cp1"))
    with pytest.raises(TransportError, match="gone"):
        run(fake, "true")


def test_says_what_was_never_asked() -> None:
    transport: FakeTransport = FakeTransport(["cp1", "w1"])
    transport.runner("w1").on(("a",), times=2)
    transport.runner("w1").on(("b",))
    run(transport.runner("w1"), "a")
    with pytest.raises(AssertionError, match=r"w1 was not asked for:\n  a .*left: 1.*\n  b "):
        transport.assert_all_used()
    run(transport.runner("w1"), "a")
    run(transport.runner("w1"), "b")
    transport.assert_all_used()


def test_stands_in_for_files() -> None:
    fake = FakeRunner("cp1")
    fake.on(writing("/etc/a"), stdout="changed\n")
    fake.on(checking("/etc/a"), stdout="same\n")
    fake.on(reading("/etc/a"), stdout=b"\xff\x00")
    fake.on(reading("/etc/none"), status=44)
    file = File(path="/etc/a", content=b"x")
    assert files.put(fake, file) is True
    assert files.check(fake, file) is True
    assert files.read(fake, "/etc/a") == b"\xff\x00"
    assert files.read(fake, "/etc/none") is None
    fake.assert_all_used()


def test_is_a_transport() -> None:
    transport: Transport = FakeTransport(["cp1"])
    transport.close()
