"""What an upgrade takes per node beyond kubeadm, apt, the drain and readiness themselves.

    python -m benchmarks.upgrade_overhead [--control-planes N] [--workers N] [--rounds N] [--keep]

Each round boots a lab and installs Kubernetes one minor release behind, which is not counted, gives
every worker pods to drain, runs `invoke upgrade --yes` as one process, and reads the run's own
journal (benchmarks/journal.py says what counts as work). The first table is the overhead of each
node: its lane less the work in it. The second is the whole run, snapshot, prefetch and start of the
process included: wall time less the critical path of kubeadm, apt, drain and readiness, per node.
The third shows where the time went in the lanes that were upgraded.
"""

import argparse
import subprocess
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from rich.table import Table

from benchmarks import harness, journal
from kubeops.handlers.tools import ADMIN
from kubeops.lab.model import Lab

GOAL = 10.0
_UPGRADING = ("first-control-plane", "control-planes", "workers")
_WORKLOAD = (
    f"kubectl --kubeconfig {ADMIN} create deployment bench "
    "--image=registry.k8s.io/pause:3.10.1 --replicas={pods}"
)


@dataclass(frozen=True, kw_only=True)
class Round:
    """One upgrade.

    Attributes:
        wall: seconds of the whole process.
        path: seconds of the work on the critical path.
        lanes: of each node the lane that upgraded it.
    """

    wall: float
    path: float
    lanes: tuple[journal.Lane, ...]

    @property
    def overheads(self) -> dict[str, float]:
        """Seconds of each node's lane that are no work."""
        return {lane.name: lane.seconds - lane.of(journal.WORK) for lane in self.lanes}

    @property
    def shares(self) -> Mapping[str, float]:
        """Seconds of all lanes, by what they went into."""
        shares: dict[str, float] = defaultdict(float)
        for lane in self.lanes:
            for kind, seconds in lane.shares.items():
                shares[kind] += seconds
        return shares


def main() -> None:
    """Upgrade as often as asked, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--control-planes", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--to", default="1.36", help="one minor release above the lab's")
    parser.add_argument("--keep", action="store_true", help="leave the last lab as it is")
    parser.add_argument("--lab", default="upgradetime", help="the lab's name")
    given = parser.parse_args()
    rounds = []
    for number in range(1, given.rounds + 1):
        keep = given.keep and number == given.rounds
        with harness.booted(given.lab, given.control_planes, given.workers, keep=keep) as lab:
            rounds.append(_round(lab, to=given.to))
        found = rounds[-1].overheads.values()
        text = f"{rounds[-1].wall:.1f} s, per node {median(found):.1f} s, at most {max(found):.1f}"
        harness.say(f"round {number}: {text}")
    _report(rounds, title=f"upgrading {given.control_planes}+{given.workers} lab nodes")


def _round(lab: Lab, *, to: str) -> Round:
    with TemporaryDirectory() as state:
        environment = {"XDG_STATE_HOME": state}
        inventory = ("--inventory", str(lab.inventory), "--yes")
        harness.run(
            harness.Contender(
                name="kubeops install",
                argv=harness.kubeops("install", *inventory),
                environment=environment,
            )
        )
        _give_work(lab)
        sample = harness.run(
            harness.Contender(
                name="kubeops upgrade",
                argv=harness.kubeops("upgrade", *inventory, "--to", to),
                environment=environment,
            )
        )
        (file,) = Path(state).glob(f"kubeops/{lab.name}/*-upgrade-*.jsonl")
        waves = journal.read(file)
    return Round(
        wall=sample.seconds,
        path=sum(wave.at_least(journal.WORK) for wave in waves),
        lanes=tuple(
            lane
            for wave in waves
            if wave.name.rpartition("/")[2] in _UPGRADING
            for lane in wave.lanes
        ),
    )


def _give_work(lab: Lab) -> None:
    """Have pods on every worker: a node without any is drained by asking once."""
    command = _WORKLOAD.format(pods=3 * len(lab.workers))
    subprocess.run(
        (*harness.ssh(lab), lab.control_planes[0].address, f"sudo -n {command}"),
        capture_output=True,
        check=True,
    )


def _report(rounds: Sequence[Round], *, title: str) -> None:
    nodes = [lane.name for lane in rounds[0].lanes]
    table = Table(title=f"{title}, {len(rounds)} rounds", title_justify="left", title_style="bold")
    table.add_column("overhead of", no_wrap=True)
    for column in ("median", "min", "max", "goal", "its lane took"):
        table.add_column(column, justify="right")
    for name in nodes:
        found = [one.overheads[name] for one in rounds]
        took = median(lane.seconds for one in rounds for lane in one.lanes if lane.name == name)
        values = (median(found), min(found), max(found))
        table.add_row(
            name, *(f"{value:.1f} s" for value in values), f"< {GOAL:g} s", f"{took:.1f} s"
        )
    harness.show(table)
    every = [seconds for one in rounds for seconds in one.overheads.values()]
    print(f"per node: median {median(every):.1f} s, max {max(every):.1f} s (goal: < {GOAL:g} s)\n")
    wall, path = median(one.wall for one in rounds), median(one.path for one in rounds)
    whole = median((one.wall - one.path) / len(nodes) for one in rounds)
    print(
        f"the whole run: {wall:.1f} s, of which {path:.1f} s are work on the critical path; "
        f"the rest is {whole:.1f} s per node\n"
    )
    took = median(sum(lane.seconds for lane in one.lanes) for one in rounds)
    harness.report_shares([one.shares for one in rounds], of=took)


if __name__ == "__main__":
    main()
