"""What a command, its result and a runner are: all that touches a machine is built of these."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from kubeops.errors import CommandError

MASK = "***"
ELIDED = "..."


@dataclass(frozen=True, kw_only=True)
class Command:
    """One program to run on one host.

    Attributes:
        argv: program and arguments; quoted once, in the transport. Never holds a secret.
        stdin: what the program reads; the place for secrets and contents. `None` is empty.
        root: run as root (through sudo when the login user is another one).
        timeout: seconds after which the program is ended on the host.
        secrets: texts that are masked wherever the command or its output is shown.
        shows: what people are shown in place of argv: the program that a script is there to run.
        expendable: when nobody waits for its end any more it is ended on the host; for what loses
            nothing by that, because it is begun anew when it is needed again.
    """

    argv: tuple[str, ...]
    stdin: bytes | None = field(default=None, repr=False)
    root: bool = True
    timeout: float = 60.0
    secrets: tuple[str, ...] = field(default=(), repr=False)
    shows: tuple[str, ...] = ()
    expendable: bool = False

    @property
    def shown(self) -> str:
        """The command as it may be printed and logged: one line, secrets masked.

        It can be pasted, except where it has a script of several lines, which is left out.
        """
        words = (ELIDED if "\n" in word else word for word in self.shows or self.argv)
        return shlex.join(self.mask(word) for word in words)

    def mask(self, text: str) -> str:
        """Return `text` with every secret of this command replaced."""
        # The longest first: one may begin another, whose end would be left.
        for secret in sorted(filter(None, self.secrets), key=len, reverse=True):
            text = text.replace(secret, MASK)
        return text


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a command ended: exit status, whole output, and how long it took in seconds."""

    command: Command
    host: str
    status: int
    stdout: str = field(repr=False)
    stderr: str = field(repr=False)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the exit status is 0."""
        return self.status == 0

    @property
    def output(self) -> str:
        """Both streams, stdout first, secrets masked: what a person should see."""
        return self.command.mask("\n".join(part for part in (self.stdout, self.stderr) if part))

    def must(self, *statuses: int, hint: str = "") -> "Result":
        """Return this result when its status is 0 or one of `statuses`.

        Raises:
            CommandError: for any other status.
        """
        if self.status in {0, *statuses}:
            return self
        raise CommandError(
            host=self.host,
            shown=self.command.shown,
            status=self.status,
            output=self.output,
            hint=hint,
        )


class Runner(Protocol):
    """Runs commands on one host. `host` is the name it has in the inventory.

    `run` raises TransportError when the host was not reached (the command was not started), and
    UnknownOutcomeError when it was started and nobody knows how it ended. A non-zero status is
    a Result, not an error: see `Result.must`.
    """

    @property
    def host(self) -> str:
        """The host's name in the inventory."""
        ...

    def run(self, command: Command) -> Result:
        """Run `command` to its end."""
        ...

    def stream(self, command: Command, write: Callable[[bytes], object]) -> Result:
        """Run `command` to its end; its output goes to `write`, piece by piece, as it comes.

        For output that is large or is not text. The result's `stdout` is empty. What `write`
        raises ends the reading and is passed on.
        """
        ...


class Transport(Protocol):
    """Hands out the runner of each host and closes them all."""

    def runner(self, host: str) -> Runner:
        """Return the runner of host `host`; it connects on first use, then stays connected."""
        ...

    def close(self) -> None:
        """Close every connection; expendable commands that still run are ended on their hosts."""
        ...
