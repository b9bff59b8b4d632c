"""One command on one SSH channel: bytes in, bytes out, and how it ended."""

import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import paramiko

from kubeops.errors import TransportError, UnknownOutcomeError
from kubeops.transport.base import Command
from kubeops.transport.wire import KILL_AFTER

_PIECE = 1 << 20
_ALL = 1 << 30
"""More than the window lets a host send: Paramiko moves up what a smaller read would leave."""
_GRACE = 2 * KILL_AFTER
"""Seconds beyond a command's own limit, in which the host should have ended it."""
_LINGER = 5.0
"""Seconds of silence after the end of a program whose descendants keep its output open."""


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """Runs one command line on one channel.

    Attributes:
        host: how messages call the host.
        command: what is run, for its limit and for messages.
        line: what the login shell of the host is given.
        stdin: what the program reads.
        write: takes its output, piece by piece.
    """

    host: str
    command: Command
    line: str
    stdin: bytes
    write: Callable[[bytes], object]

    def over(self, channel: "paramiko.Channel") -> tuple[int, bytes]:
        """Run it to its end; return its exit status and what it wrote to stderr.

        Raises:
            TransportError: the host refuses to start commands.
            UnknownOutcomeError: its end was not seen.
        """
        deadline = time.monotonic() + self.command.timeout + _GRACE
        try:
            self._start(channel, deadline)
            with self._feeding(channel):
                errors = self._listen(channel, deadline)
        except (paramiko.SSHException, EOFError) as error:
            # To read is also to write: the host is told what was read.
            raise self._unknown(f"the connection failed while it ran: {error}") from error
        finally:
            channel.close()
        if channel.exit_status >= 0:
            return int(channel.exit_status), errors
        raise self._lost(channel, deadline)

    def _start(self, channel: "paramiko.Channel", deadline: float) -> None:
        # Paramiko waits for the answer without a limit, and a machine can hang while its kernel
        # keeps the connection up.
        watch = threading.Timer(deadline - time.monotonic(), channel.close)
        watch.daemon = True
        watch.start()
        try:
            channel.exec_command(self.line)
        except (paramiko.SSHException, EOFError, OSError) as error:
            if time.monotonic() >= deadline:
                raise self._unknown("the host did not answer when it was to be started") from error
            if channel.transport.is_active():
                raise TransportError(
                    f"{self.host}: it refuses to start commands",
                    host=self.host,
                    hint="is there a ForceCommand, or a `command=` before the key in "
                    "authorized_keys?",
                ) from error
            raise self._unknown("the connection ended while it was being started") from error
        finally:
            watch.cancel()

    @contextmanager
    def _feeding(self, channel: "paramiko.Channel") -> Iterator[None]:
        if len(self.stdin) <= channel.out_window_size:
            self._feed(channel)  # fits into what the host has room for: cannot block
            yield
            return
        feeder = threading.Thread(target=self._feed, args=(channel,), daemon=True)
        feeder.start()
        try:
            yield
        finally:
            # A program may end without reading all; closing the channel ends the thread.
            channel.close()
            feeder.join()

    def _feed(self, channel: "paramiko.Channel") -> None:
        with suppress(OSError, EOFError, paramiko.SSHException):
            rest = memoryview(self.stdin)
            while rest:
                rest = rest[channel.send(rest[:_PIECE]) :]
            channel.shutdown_write()

    def _listen(self, channel: "paramiko.Channel", deadline: float) -> bytes:
        """Read both streams until the program has ended, or `deadline`; return stderr."""
        errors = bytearray()
        poll = select.poll()
        poll.register(channel.fileno(), select.POLLIN)
        heard = time.monotonic()
        while True:
            ended = channel.closed or (channel.eof_received and channel.exit_status_ready())
            if self._drain(channel, errors):
                heard = time.monotonic()
            now = time.monotonic()
            silent = channel.exit_status_ready() and now - heard >= _LINGER
            if ended or silent or now >= deadline:
                return bytes(errors)
            wait = min(deadline - now, _LINGER)
            if channel.eof_received:
                # From here on the descriptor is always readable.
                channel.status_event.wait(wait)
            else:
                poll.poll(wait * 1000)

    def _drain(self, channel: "paramiko.Channel", errors: bytearray) -> bool:
        got = False
        while channel.recv_ready() or channel.recv_stderr_ready():
            got = True
            if channel.recv_ready():
                self.write(channel.recv(_ALL))
            if channel.recv_stderr_ready():
                errors += channel.recv_stderr(_ALL)
        return got

    def _lost(self, channel: "paramiko.Channel", deadline: float) -> UnknownOutcomeError:
        if not channel.transport.is_active():
            return self._unknown("the connection ended while it ran")
        if time.monotonic() >= deadline:
            return self._unknown(
                f"it was to end within {self.command.timeout:g} s, and {_GRACE} s later the host "
                "has not said that it did"
            )
        return self._unknown("the host closed its channel without an exit status")

    def _unknown(self, why: str) -> UnknownOutcomeError:
        return UnknownOutcomeError(
            f"{self.host}: nobody knows how `{self.command.shown}` ended: {why}",
            host=self.host,
            hint="type the same command again: it asks the host first what is done already",
        )
