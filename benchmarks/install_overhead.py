"""What an install takes beyond the kubeadm and apt commands it cannot do without.

    python -m benchmarks.install_overhead [--control-planes N] [--workers N] [--rounds N] [--keep]

Each round boots a lab, which is not counted, runs `invoke install --yes` as one process, and reads
the run's own journal. The baseline is the critical path: for each wave the lane whose kubeadm and
apt commands take longest, or all its lanes where they go one at a time (benchmarks/journal.py says
what counts). What the nodes' own logs say of the same kubeadm commands is printed
beside it. The table shows where the time of the lanes that ended their wave went.
"""

import argparse
import json
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from rich.table import Table

from benchmarks import harness, journal
from kubeops.lab.model import Lab

GOAL = 1.3
COUNTED = "kubeadm and apt"
_LOGGED = ("init", "join")
_CALLS = "/var/log/kubeops-rehearsal/calls.jsonl"


@dataclass(frozen=True, kw_only=True)
class Round:
    """One install.

    Attributes:
        wall: seconds of the whole process.
        path: seconds of the kubeadm and apt commands on the critical path.
        shares: seconds of the lanes that ended their wave, by what they went into.
        journal: seconds of all `kubeadm init` and `join`, as kubeops saw them.
        nodes: seconds of the same, as the nodes logged them.
    """

    wall: float
    path: float
    shares: Mapping[str, float]
    journal: float
    nodes: float


def main() -> None:
    """Install as often as asked, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--control-planes", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="leave the last lab as it is")
    parser.add_argument("--lab", default="installtime", help="the lab's name")
    given = parser.parse_args()
    rounds = []
    for number in range(1, given.rounds + 1):
        keep = given.keep and number == given.rounds
        with harness.booted(given.lab, given.control_planes, given.workers, keep=keep) as lab:
            rounds.append(_round(lab))
        ratio = rounds[-1].wall / rounds[-1].path
        harness.say(f"round {number}: {rounds[-1].wall:.1f} s, ratio {ratio:.2f}")
    _report(rounds, title=f"installing {given.control_planes}+{given.workers} lab nodes")


def _round(lab: Lab) -> Round:
    with TemporaryDirectory() as state:
        sample = harness.run(
            harness.Contender(
                name="kubeops install",
                argv=harness.kubeops("install", "--inventory", str(lab.inventory), "--yes"),
                environment={"XDG_STATE_HOME": state},
            )
        )
        (file,) = Path(state).glob(f"kubeops/{lab.name}/*.jsonl")
        waves = journal.read(file)
    shares = dict(journal.deciding_shares(waves))
    shares["before the first step, after the last"] = sample.seconds - sum(shares.values())
    return Round(
        wall=sample.seconds,
        path=sum(wave.at_least(journal.COMMANDS) for wave in waves),
        shares=shares,
        journal=sum(
            command.seconds
            for wave in waves
            for lane in wave.lanes
            for command in lane.commands
            if re.search(r"^kubeadm (init|join)\b", command.text)
        ),
        nodes=sum(_logged(lab)),
    )


def _logged(lab: Lab) -> Iterable[float]:
    """Give the seconds of every `kubeadm init` and `join` in the nodes' own logs."""
    for node in lab.nodes:
        ended = subprocess.run(
            (*harness.ssh(lab), node.address, f"sudo -n cat {_CALLS}"),
            capture_output=True,
            text=True,
            check=True,
        )
        for call in map(json.loads, ended.stdout.splitlines()):
            if call["command"] == "kubeadm" and call["argv"] and call["argv"][0] in _LOGGED:
                yield call["end"] - call["start"]


def _report(rounds: Sequence[Round], *, title: str) -> None:
    wall, path = median(one.wall for one in rounds), median(one.path for one in rounds)
    ratios = [one.wall / one.path for one in rounds]
    table = Table(title=f"{title}, {len(rounds)} rounds", title_justify="left", title_style="bold")
    table.add_column("", no_wrap=True)
    for column in ("median", "min", "max"):
        table.add_column(column, justify="right")
    rows = {
        "kubeops install": [one.wall for one in rounds],
        f"{COUNTED}, critical path": [one.path for one in rounds],
        "kubeadm init and join, by the journal": [one.journal for one in rounds],
        "kubeadm init and join, by the nodes' logs": [one.nodes for one in rounds],
    }
    for name, found in rows.items():
        table.add_row(name, *(f"{what(found):.1f} s" for what in (median, min, max)))
    harness.show(table)
    print(f"ratio: {median(ratios):.2f} (goal: <= {GOAL}); of the medians: {wall / path:.2f}\n")
    harness.report_shares([one.shares for one in rounds], of=wall)


if __name__ == "__main__":
    main()
