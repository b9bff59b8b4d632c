"""The machine kubeops itself runs on; the only module that starts processes."""

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from kubeops.errors import UnknownOutcomeError
from kubeops.transport.base import Command, Result


class LocalRunner:
    """A Runner for this machine. `root` is not acted on: the caller already is who it is."""

    host = "localhost"

    def run(self, command: Command) -> Result:
        """Run `command` to its end.

        Raises:
            UnknownOutcomeError: it was still running after `command.timeout` seconds; killed.
        """
        started = time.monotonic()
        try:
            done = subprocess.run(
                command.argv,
                input=command.stdin if command.stdin is not None else b"",
                capture_output=True,
                timeout=command.timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise UnknownOutcomeError(
                f"`{command.shown}` was ended after {command.timeout:g} s", host=self.host
            ) from error
        except FileNotFoundError:
            return Result(
                command=command,
                host=self.host,
                status=127,
                stdout="",
                stderr=f"{command.argv[0]}: command not found",
            )
        return Result(
            command=command,
            host=self.host,
            status=done.returncode,
            stdout=done.stdout.decode(errors="replace"),
            stderr=done.stderr.decode(errors="replace"),
            seconds=time.monotonic() - started,
        )


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
