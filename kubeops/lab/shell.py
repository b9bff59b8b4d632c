"""Running programs of this machine: the lab's shorthand for the local runner."""

from pathlib import Path

from kubeops.transport.base import Command, Result
from kubeops.transport.local import LocalRunner, spawn


def run(*argv: str, stdin: bytes | None = None, timeout: float = 60.0) -> Result:
    """Run `argv` to its end.

    Raises:
        CommandError: it ended with another status than 0.
        UnknownOutcomeError: it took longer than `timeout` seconds.
    """
    return attempt(*argv, stdin=stdin, timeout=timeout).must()


def attempt(*argv: str, stdin: bytes | None = None, timeout: float = 60.0) -> Result:
    """Run `argv` to its end, whatever its status."""
    return LocalRunner().run(Command(argv=argv, stdin=stdin, timeout=timeout))


def daemon(*argv: str, log: Path) -> None:
    """Start `argv` as a process that belongs to nobody; its output goes to `log`.

    The program has to join its lab's cgroup first thing: that is how it is found and ended.
    """
    spawn(("setsid", "--fork", *argv), log=log).wait()
