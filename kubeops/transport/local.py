"""The machine kubeops itself runs on; the only module that starts processes."""

import os
import select
import selectors
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from kubeops.errors import UnknownOutcomeError
from kubeops.transport.base import Command, Result

_PIECE = 1 << 16


class LocalRunner:
    """A Runner for this machine. `root` is not acted on: the caller already is who it is."""

    host = "localhost"

    def run(self, command: Command) -> Result:
        """Run `command` to its end.

        Raises:
            UnknownOutcomeError: it was still running after `command.timeout` seconds; killed.
        """
        output = bytearray()
        result = self.stream(command, output.extend)
        return replace(result, stdout=output.decode(errors="replace"))

    def stream(self, command: Command, write: Callable[[bytes], object]) -> Result:
        """Run `command` to its end; its output goes to `write`. See `Runner.stream`.

        Raises:
            UnknownOutcomeError: it was still running after `command.timeout` seconds; killed.
        """
        started = time.monotonic()
        errors = bytearray()
        try:
            with subprocess.Popen(
                command.argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            ) as process:
                try:
                    _exchange(process, command, write, errors.extend, started + command.timeout)
                    process.wait(max(0.0, started + command.timeout - time.monotonic()))
                except BaseException:
                    process.kill()
                    raise
        except (TimeoutError, subprocess.TimeoutExpired) as error:
            raise UnknownOutcomeError(
                f"`{command.shown}` was ended after {command.timeout:g} s", host=self.host
            ) from error
        except FileNotFoundError:
            errors.extend(f"{command.argv[0]}: command not found".encode())
            status = 127
        else:
            # As a shell says it, and so as it comes from hosts: 128 + the signal.
            status = process.returncode if process.returncode >= 0 else 128 - process.returncode
        return Result(
            command=command,
            host=self.host,
            status=status,
            stdout="",
            stderr=errors.decode(errors="replace"),
            seconds=time.monotonic() - started,
        )


def _exchange(
    process: "subprocess.Popen[bytes]",
    command: Command,
    write: Callable[[bytes], object],
    write_error: Callable[[bytes], object],
    deadline: float,
) -> None:
    """Feed the process and read both its streams until they end; TimeoutError at `deadline`."""
    assert process.stdin is not None  # noqa: S101 - the three pipes were asked for
    assert process.stdout is not None  # noqa: S101
    assert process.stderr is not None  # noqa: S101
    rest = memoryview(command.stdin or b"")
    with selectors.DefaultSelector() as pipes:
        pipes.register(process.stdout, selectors.EVENT_READ, write)
        pipes.register(process.stderr, selectors.EVENT_READ, write_error)
        if rest:
            pipes.register(process.stdin, selectors.EVENT_WRITE)
        else:
            process.stdin.close()
        while pipes.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            for key, _ in pipes.select(left):
                if key.fileobj is not process.stdin:
                    piece = os.read(key.fd, _PIECE)
                    if piece:
                        key.data(piece)
                    else:
                        pipes.unregister(key.fileobj)
                    continue
                try:
                    # More than this may block, and then nobody reads what the process writes.
                    rest = rest[os.write(key.fd, rest[: select.PIPE_BUF]) :]
                except BrokenPipeError:
                    rest = memoryview(b"")
                if not rest:
                    pipes.unregister(key.fileobj)
                    process.stdin.close()


def spawn(
    argv: tuple[str, ...], *, log: Path, env: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    """Start `argv` in a session of its own, its output appended to `log`; return its process.

    The process outlives kubeops; whoever starts it keeps its pid and ends it.
    """
    with log.open("ab") as sink:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=dict(env) if env is not None else None,
        )
