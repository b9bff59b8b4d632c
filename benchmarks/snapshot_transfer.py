"""The snapshot of a large etcd on its way to this machine: `invoke backup` against `ssh host cat`.

    python -m benchmarks.snapshot_transfer [--size-mib N] [--rounds N] [--content KIND] [--keep]

A lab with one control plane is booted and installed, which is not counted, and its etcd filled by
etcdctl, below a prefix that is none of Kubernetes'. Each round then has etcd save a snapshot and
reads that by `ssh host sudo cat`, once into /dev/null and once into a file of this machine's disk,
and takes three backups: plain, encrypted to a public key, and encrypted with a passphrase.

The speed of a backup is the size of the snapshot by the time from its first byte to its last, as
the backup's own proof records it (rung `received`); of `ssh`, by the time of the process, less that
of an `ssh host true` next to it. All of it runs on this machine's processors, and all the time the
node asks its API for an object, over and over.

The memory is the largest a process had at once, as the kernel says at its end. It cannot be less
than that of this program when it started it.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles

import pyrage
from rich.table import Table

from benchmarks import harness
from benchmarks.large_etcd import PHASES, RECEIVING, SAVING, Answers, Backup, Bench

GOAL, GOAL_MEMORY = 0.8, 150
CAT, CAT_FILE = "ssh cat >/dev/null", "ssh cat >FILE"
PLAIN, PUBLIC_KEY, PASSPHRASE = "plain", "to a public key", "with a passphrase"


def main() -> None:
    """Boot, fill, measure, print, and take the lab down."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--size-mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--content",
        choices=("random", "objects"),
        default="random",
        help="random does not compress at all; objects do as those of Kubernetes do",
    )
    parser.add_argument("--keep", action="store_true", help="leave the lab as it is")
    parser.add_argument("--lab", default="snapshottransfer", help="the lab's name")
    given = parser.parse_args()
    with (
        harness.booted(given.lab, 1, 0, keep=given.keep) as lab,
        # On a disk, as the store and the scratch files of a workstation are; /tmp may be memory.
        tempfile.TemporaryDirectory(dir=harness.CACHE) as directory,
    ):
        bench = Bench(lab=lab, directory=Path(directory))
        harness.say("installing")
        bench.install()
        harness.say(f"filling etcd with {given.size_mib} MiB")
        harness.say(bench.fill(given.size_mib, given.content))
        cats, backups, idle = _measure(bench, rounds=given.rounds)
    _report(cats, backups, idle, title=f"{given.size_mib} MiB, {given.content}")


def _measure(
    bench: Bench, *, rounds: int
) -> tuple[Mapping[str, Sequence[float]], Mapping[str, Sequence[Backup]], Answers]:
    """Return seconds of `cat`, and backups, by name and round; and answers while nothing is done.

    The first round, which warms caches, is not counted.
    """
    passphrase = bench.directory / "passphrase"
    passphrase.write_text("correct horse battery staple\n")
    public = str(pyrage.x25519.Identity.generate().to_public())
    encryption: Mapping[str, Mapping[str, object]] = {
        PLAIN: {},
        PUBLIC_KEY: {"recipients": [public]},
        PASSPHRASE: {"passphrase_file": str(passphrase)},
    }
    targets = {CAT: Path(os.devnull), CAT_FILE: bench.directory / "db"}
    cats: dict[str, list[float]] = {name: [] for name in targets}
    backups: dict[str, list[Backup]] = {name: [] for name in encryption}
    for number in range(rounds + 1):
        for name, target in targets.items():
            cats[name].append(bench.cat(target))
            harness.say(f"round {number}: {name} {cats[name][-1]:.2f} s")
        (bench.directory / "db").unlink()
        for name, encrypt in encryption.items():
            backups[name].append(bench.backup(encrypt))
            one = backups[name][-1]
            harness.say(
                f"round {number}: backup {name} {one.wall:.2f} s, transfer {one.transfer:.2f} s"
            )
    with bench.polling() as answers:
        bench.on_host("sleep 5")
    return (
        {name: tuple(found[1:]) for name, found in cats.items()},
        {name: tuple(found[1:]) for name, found in backups.items()},
        answers[0],
    )


def _report(
    cats: Mapping[str, Sequence[float]],
    backups: Mapping[str, Sequence[Backup]],
    idle: Answers,
    *,
    title: str,
) -> None:
    size = backups[PLAIN][0].size / (1 << 20)
    table = _table(f"the snapshot on its way: {title}", "median", "MiB/s", "of null", "of FILE")
    for name, seconds in cats.items():
        table.add_row(name, f"{median(seconds):.2f} s", f"{size / median(seconds):.0f}")
    for name, found in backups.items():
        took = [one.transfer for one in found]
        table.add_row(
            f"backup {name}",
            f"{median(took):.2f} s",
            f"{size / median(took):.0f}",
            *(f"{_ratio(cats[cat], took):.2f}" for cat in (CAT, CAT_FILE)),
        )
    harness.show(table)
    print(f"goal: >= {GOAL} of what ssh cat reaches\n")
    table = _table("whole backups", *(f"backup {name}" for name in backups))
    first, *others = (phase for phase, _words in PHASES)
    for phase in (first, SAVING, RECEIVING, *others):
        row = (median(one.phases[phase] for one in found) for found in backups.values())
        table.add_row(phase, *(f"{seconds:.2f} s" for seconds in row))
    rows = {
        "in all": [f"{median(one.wall for one in found):.2f} s" for found in backups.values()],
        "processor here": [
            f"{median(one.processor for one in found):.2f} s" for found in backups.values()
        ],
        "stored": [f"{found[0].stored >> 20} MiB" for found in backups.values()],
        f"memory (goal: < {GOAL_MEMORY} MB)": [
            f"{max(one.memory for one in found) * (1 << 20) / 1e6:.0f} MB"
            for found in backups.values()
        ],
    }
    for name, cells in rows.items():
        table.add_row(name, *cells)
    harness.show(table)
    table = _table("the API meanwhile", "answers", "failed", "p50", "p95", "p99", "longest gap")
    table.add_row("nothing is done", *_answered([idle]))
    for name, found in backups.items():
        table.add_row(f"backup {name}", *_answered([one.answers for one in found]))
    harness.show(table)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _answered(rounds: Sequence[Answers]) -> Iterator[str]:
    took = [seconds for one in rounds for seconds in one.took]
    cuts = quantiles(took, n=100)
    yield str(len(took))
    yield str(sum(one.failed for one in rounds))
    for cut in (50, 95, 99):
        yield f"{cuts[cut - 1] * 1000:.0f} ms"
    yield f"{max(one.gap for one in rounds) * 1000:.0f} ms"


def _ratio(theirs: Sequence[float], ours: Sequence[float]) -> float:
    return median(their / our for their, our in zip(theirs, ours, strict=True))


if __name__ == "__main__":
    main()
