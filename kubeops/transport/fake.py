"""A host that answers what it was told to, for tests of everything above the transport.

    fake = FakeRunner("cp1")
    fake.on(("kubeadm", "version"), stdout="v1.36.1")
    fake.on(("systemctl", "restart", "kubelet"), status=1, stderr="no such unit", times=1)
    fake.on(writing("/etc/hosts"), stdout="changed")

A command that nobody told it about fails the test.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from threading import Lock

from kubeops.transport import files
from kubeops.transport.base import Command, Result

Matcher = tuple[str, ...] | Callable[[Command], bool]


@dataclass(kw_only=True)
class _Answer:
    wanted: Matcher
    stdout: bytes
    stderr: str
    status: int
    error: Exception | None
    left: int | None
    used: int = 0

    def fits(self, command: Command) -> bool:
        if self.left == 0:
            return False
        if callable(self.wanted):
            return self.wanted(command)
        return command.argv[: len(self.wanted)] == self.wanted

    def __str__(self) -> str:
        wanted = self.wanted.__doc__ if callable(self.wanted) else " ".join(self.wanted)
        return (
            f"{wanted} (used {self.used} times, left: {'any' if self.left is None else self.left})"
        )


@dataclass
class FakeRunner:
    """A Runner with scripted answers; `commands` holds what it was asked, in order."""

    host: str
    commands: list[Command] = field(default_factory=list)
    _answers: list[_Answer] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def on(
        self,
        wanted: Matcher,
        *,
        stdout: str | bytes = "",
        stderr: str = "",
        status: int = 0,
        error: Exception | None = None,
        times: int | None = None,
    ) -> None:
        """Script one answer.

        Args:
            wanted: the first words of the command, or a predicate of it.
            stdout: what it prints.
            stderr: what it prints there.
            status: its exit status.
            error: is raised instead.
            times: how often this answer serves; afterwards the next one that fits does.
        """
        output = stdout.encode() if isinstance(stdout, str) else stdout
        self._answers.append(
            _Answer(
                wanted=wanted, stdout=output, stderr=stderr, status=status, error=error, left=times
            )
        )

    def run(self, command: Command) -> Result:
        """Answer with the first answer that fits and is not used up. See `Runner.run`."""
        output = bytearray()
        result = self.stream(command, output.extend)
        return replace(result, stdout=output.decode(errors="replace"))

    def stream(self, command: Command, write: Callable[[bytes], object]) -> Result:
        """Answer as `run` does. See `Runner.stream`."""
        answer = self._take(command)
        if answer.error is not None:
            raise answer.error
        if answer.stdout:
            write(answer.stdout)
        return Result(
            command=command, host=self.host, status=answer.status, stdout="", stderr=answer.stderr
        )

    def assert_all_used(self) -> None:
        """Fail when an answer was never asked for, or not as often as `times` said."""
        unused = [str(a) for a in self._answers if a.left or not a.used]
        if unused:
            raise AssertionError(f"{self.host} was not asked for:\n  " + "\n  ".join(unused))

    def _take(self, command: Command) -> _Answer:
        with self._lock:
            self.commands.append(command)
            for answer in self._answers:
                if answer.fits(command):
                    answer.used += 1
                    if answer.left is not None:
                        answer.left -= 1
                    return answer
        scripted = "\n  ".join(str(answer) for answer in self._answers) or "nothing"
        raise AssertionError(
            f"{self.host} was not told about `{command.shown}`. Scripted:\n  {scripted}"
        )


class FakeTransport:
    """A Transport of FakeRunners, one per host name."""

    def __init__(self, hosts: Iterable[str]) -> None:
        self.runners = {host: FakeRunner(host) for host in hosts}
        self.closed = False

    def runner(self, host: str) -> FakeRunner:
        """Return the runner of `host`; KeyError for a host it was not told about."""
        return self.runners[host]

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True

    def assert_all_used(self) -> None:
        """Fail when any host was not asked for all it was told about."""
        for runner in self.runners.values():
            runner.assert_all_used()


def writing(*paths: str) -> Callable[[Command], bool]:
    """Fits `files.put` of the files at `paths`. Scripted stdout: `changed` or `same`."""
    return _script(files.PUT, *paths)


def checking(path: str) -> Callable[[Command], bool]:
    """Fits `files.check` of `path`. Scripted stdout: `same` or `differs`."""
    return _script(files.CHECK, path)


def reading(path: str) -> Callable[[Command], bool]:
    """Fits `files.read` of `path`. Scripted stdout: the content; status 44: there is none."""
    return _script(files.READ, path)


def _script(name: str, *paths: str) -> Callable[[Command], bool]:
    def fits(command: Command) -> bool:
        argv = command.argv
        return argv[:2] == ("sh", "-c") and argv[3] == name and files.paths(argv) == paths

    fits.__doc__ = f"{name} {' '.join(paths)}"
    return fits
