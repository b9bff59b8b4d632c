import threading
from types import SimpleNamespace

import paramiko
import pytest

from kubeops.errors import TransportError, UnknownOutcomeError
from kubeops.transport.base import Command
from kubeops.transport.ssh_channel import Exchange


class HungChannel:
    """A machine that hangs: its kernel keeps the connection up, nothing answers."""

    def __init__(self) -> None:
        self.transport = SimpleNamespace(is_active=lambda: True)
        self._closed = threading.Event()

    def exec_command(self, _line: str) -> None:
        assert self._closed.wait(30), "nobody closed the channel"
        raise EOFError

    def close(self) -> None:
        self._closed.set()


class RefusingChannel(HungChannel):
    def exec_command(self, _line: str) -> None:
        raise EOFError


def exchange() -> Exchange:
    command = Command(argv=("true",), timeout=0.05)
    return Exchange(host="cp1", command=command, line="true", stdin=b"", write=lambda _piece: None)


def test_a_machine_that_hangs_when_a_command_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubeops.transport.ssh_channel._GRACE", 0)
    with pytest.raises(UnknownOutcomeError, match="did not answer when it was to be started"):
        exchange().over(HungChannel())


def test_a_machine_that_refuses_to_start_commands() -> None:
    with pytest.raises(TransportError, match="refuses to start commands"):
        exchange().over(RefusingChannel())


class BreakingChannel(HungChannel):
    """The connection fails when what was read is acknowledged."""

    closed = False
    eof_received = False
    out_window_size = 0

    def exec_command(self, _line: str) -> None:
        return None

    def shutdown_write(self) -> None:
        return None

    def fileno(self) -> int:
        return 0

    def exit_status_ready(self) -> bool:
        return False

    def recv_ready(self) -> bool:
        return True

    def recv(self, _size: int) -> bytes:
        raise paramiko.SSHException("Key-exchange timed out")


def test_a_connection_that_fails_while_output_is_read() -> None:
    with pytest.raises(UnknownOutcomeError, match="failed while it ran: Key-exchange timed out"):
        exchange().over(BreakingChannel())
