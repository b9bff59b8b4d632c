"""What every comparison does: whole processes in turn, round after round, and a table of medians.

Contenders run one after the other within each round, so that whatever else the machine does meets
all of them; one round before the first is not counted. Time is from before a process is started
until it has ended, the start of its interpreter included.
"""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from kubeops.lab import lifecycle
from kubeops.lab.model import Lab

CHECKOUT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kubeops/benchmarks"
USER = "ops"
"""Who logs in on lab nodes, and becomes root with sudo."""
LIMIT = 600.0
"""Seconds after which a contender is taken to hang."""
_PEAK = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status)
"""


@contextmanager
def booted(name: str, control_planes: int, workers: int, *, keep: bool = False) -> Iterator[Lab]:
    """Boot a lab for the block; it is taken down at the end, unless it is to be kept."""
    lab = lifecycle.up(
        name, control_planes, workers, inventory_path=CACHE / f"{name}.yaml", progress=say
    )
    try:
        yield lab
    finally:
        if not keep:
            lifecycle.down(name)


def say(text: str) -> None:
    """Print a line of progress; the result alone goes to stdout."""
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One way to do the work.

    Attributes:
        name: as the table shows it.
        argv: the process that does it.
        environment: is added to ours.
        check: is given what it printed; raises ValueError when it did not do the work.
        afterwards: is called after each run, outside of the time: ends what the run left behind.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    check: Callable[[str], object] = lambda _output: None
    afterwards: Callable[[], object] = lambda: None


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run: seconds of time, and seconds of processor time of the process and its children."""

    seconds: float
    processor: float


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One contender and its runs."""

    name: str
    samples: tuple[Sample, ...]

    @property
    def median(self) -> float:
        """The median of the seconds."""
        return median(sample.seconds for sample in self.samples)

    @property
    def range(self) -> tuple[float, float]:
        """The fastest and the slowest run, in seconds."""
        seconds = [sample.seconds for sample in self.samples]
        return min(seconds), max(seconds)

    @property
    def processor(self) -> float:
        """The median of the processor time, in seconds."""
        return median(sample.processor for sample in self.samples)


def compare(contenders: Sequence[Contender], *, rounds: int) -> tuple[Measured, ...]:
    """Run every contender once per round, `rounds` times after one that does not count.

    Raises:
        ValueError: one ended with another status than 0, or did not do the work.
    """
    samples: dict[str, list[Sample]] = {contender.name: [] for contender in contenders}
    for number in range(rounds + 1):
        for contender in contenders:
            sample = run(contender)
            said = f"{contender.name} {sample.seconds:.2f} s"
            say(f"round {number or '- (not counted)'}: {said}")
            if number:
                samples[contender.name].append(sample)
    return tuple(Measured(name=name, samples=tuple(found)) for name, found in samples.items())


def run(contender: Contender) -> Sample:
    """Run `contender` once.

    Raises:
        ValueError: it ended with another status than 0, or did not do the work.
    """
    environment = {**os.environ, **contender.environment}
    # Compiled modules are kept, as on every operator's machine; the first round writes them.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before = _processor()
    started = time.perf_counter()
    ended = subprocess.run(
        contender.argv,
        cwd=CHECKOUT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    seconds = time.perf_counter() - started
    sample = Sample(seconds=seconds, processor=_processor() - before)
    contender.afterwards()
    if ended.returncode:
        said = f"{ended.stdout}\n{ended.stderr}".strip()[-2000:]
        raise ValueError(f"{contender.name} ended with status {ended.returncode}:\n{said}")
    contender.check(ended.stdout)
    return sample


def peak(contender: Contender) -> tuple[Sample, int]:
    """Run `contender` once; return the sample, and the most memory its process held, in bytes.

    A process inherits the peak of the one that started it, so a small one starts it.

    Raises: as `run`.
    """
    with TemporaryDirectory() as directory:
        file = Path(directory, "peak")
        argv = (sys.executable, "-S", "-c", _PEAK, str(file), *contender.argv)
        return run(replace(contender, argv=argv)), 1024 * int(file.read_text())


def report(title: str, measured: Sequence[Measured], *, goals: Mapping[str, float]) -> None:
    """Print a table; the first of `measured` is kubeops, to which all are compared round by round.

    `goals` are the ratios that are aimed at, by the name of the baseline.
    """
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("", no_wrap=True)
    for column in ("median", "min", "max", "processor here", "ratio", "goal"):
        table.add_column(column, justify="right")
    ours = measured[0].samples
    for one in measured:
        fastest, slowest = one.range
        goal = goals.get(one.name)
        table.add_row(
            one.name,
            *(f"{seconds:.2f} s" for seconds in (one.median, fastest, slowest, one.processor)),
            f"{_ratio(one.samples, ours):.2f}",
            "" if goal is None else f">= {goal:g}",
        )
    show(table)


def report_shares(rounds: Sequence[Mapping[str, float]], *, of: float) -> None:
    """Print where the time went, the largest first: seconds of each round by kind, shares `of`."""
    table = Table(title="where the time went", title_justify="left", title_style="bold")
    for column in ("", "median", "share"):
        table.add_column(column, justify="right" if column else "left")
    kinds = {kind for one in rounds for kind in one}
    medians = {kind: median(one.get(kind, 0.0) for one in rounds) for kind in kinds}
    for kind, seconds in sorted(medians.items(), key=lambda item: -item[1]):
        table.add_row(kind, f"{seconds:.1f} s", f"{seconds / of:.0%}")
    show(table)


def show(table: Table) -> None:
    """Print a table, as wide as it has to be: it is copied into texts."""
    Console(width=110).print(table)


def kubeops(*arguments: str) -> tuple[str, ...]:
    """Return the argv that runs a verb of this checkout with `invoke`."""
    return (sys.executable, "-m", "invoke", *arguments)


def ssh(lab: Lab) -> tuple[str, ...]:
    """Return the argv that logs in on a node of `lab`, but for the node's address."""
    return (
        *("ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"),
        *("-o", f"UserKnownHostsFile={lab.known_hosts}", "-i", str(lab.key), "-l", USER),
    )


def _ratio(theirs: Sequence[Sample], ours: Sequence[Sample]) -> float:
    """Return the median of the rounds' ratios: both of a round met the same machine."""
    return median(their.seconds / our.seconds for their, our in zip(theirs, ours, strict=True))


def _processor() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
