"""The makespan of a wave of workers against its lower bound, and the memory of the process.

    python -m benchmarks.makespan [--workers N] [--max-unavailable N%] [--rounds N]

The hosts are simulated (benchmarks/simulated.py). The plan, the executor with its threads, the
lock, the journal on the disk, the handlers and the view on a terminal are the real ones, in a
process of their own. Simulated time passes while all lanes wait, at once; to it all the processor
time of the wave is added, as if kubeops had done nothing while hosts did their work.

The lower bound is of the drawn durations alone, without a single question by kubeops: the longest
worker, or all of them spread evenly on the slots. Nobody who does not know the durations can reach
it: the last workers do not end together. So the makespan of the same durations, each worker started
as soon as a slot is free, is printed as well; what lies above that is kubeops' own.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from benchmarks import harness, simulated
from benchmarks.journal import in_turn, lower_bound
from kubeops.model.desired import Cluster, UpgradePolicy
from kubeops.model.run import RunState
from kubeops.ops.run import run
from kubeops.ops.session import Session
from kubeops.plan.model import Plan
from kubeops.plan.upgrade import plan_upgrade, workers_at_once
from kubeops.plan.upgrade_path import Wish
from kubeops.render.run import RunView
from tests.unit.plan.upgrade_values import At, Seen, more, seen
from tests.unit.plan.values import cluster

GOAL = 1.1
MEMORY_GOAL = 300
_OLD, _NEW = "1.35.4", "1.36.1"
_MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Round:
    """One wave; times in simulated seconds unless said.

    Attributes:
        makespan: of the whole run, by the engine, and `processor`.
        processor: real seconds of processor time of the run; the simulation's own are in it.
        bound: see `lower_bound`.
        in_turn: see `in_turn`.
        slots: how many workers may be away at once.
        most_away: how many were, at most.
        memory: peak of the process, in bytes.
    """

    makespan: float
    processor: float
    bound: float
    in_turn: float
    slots: int
    most_away: int
    memory: int = 0


def main() -> None:
    """Run waves as often as asked, each in a process of its own, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--max-unavailable", default="10%")
    parser.add_argument("--rounds", type=int, default=25, help="with other durations each")
    parser.add_argument(
        "--seed", type=int, help="run one wave in this process and print it as JSON"
    )
    given = parser.parse_args()
    if given.seed is not None:
        print(json.dumps(vars(_wave(given.workers, given.max_unavailable, given.seed))))
        return
    rounds = []
    for number in range(1, given.rounds + 1):
        rounds.append(_measured(given, seed=number))
        text = f"ratio {rounds[-1].makespan / rounds[-1].bound:.3f}"
        harness.say(f"round {number}: {text}")
    _report(rounds, title=f"{given.workers} workers, {rounds[0].slots} at once")


def _measured(given: argparse.Namespace, *, seed: int) -> Round:
    """Run one wave in a process of its own."""
    found: list[Round] = []
    argv = (sys.executable, "-m", "benchmarks.makespan", "--seed", str(seed))
    _sample, memory = harness.peak(
        harness.Contender(
            name="a simulated wave",
            argv=(
                *argv,
                *("--workers", str(given.workers), "--max-unavailable", given.max_unavailable),
            ),
            check=lambda output: found.append(Round(**json.loads(output))),
        )
    )
    return replace(found[0], memory=memory)


def _wave(workers: int, allowed: str, seed: int) -> Round:
    desired = replace(cluster(3, workers), upgrade=UpgradePolicy(max_unavailable=allowed))
    plan = _plan(desired)
    takes = simulated.draw(seed, workers)
    slots = workers_at_once(allowed, workers)
    world = simulated.Cluster(
        workers={
            host.name: simulated.Worker(name=host.name, takes=one, version=_OLD)
            for host, one in zip(desired.workers, takes, strict=True)
        },
        slots=slots,
    )
    before = time.process_time()
    simulation = _run(plan, desired, world)
    processor = time.process_time() - before
    durations = [one.total for one in takes]
    return Round(
        makespan=simulation + processor,
        processor=processor,
        bound=lower_bound(durations, slots=slots),
        in_turn=in_turn(durations, slots=slots),
        slots=slots,
        most_away=world.most_away,
    )


def _plan(desired: Cluster) -> Plan:
    """Plan an upgrade whose control planes are through; leave all but the workers' wave out."""
    planes = {host.name: At(control_plane=_NEW, kubelet=_NEW) for host in desired.control_planes}
    facts = seen(desired, Seen(version=_OLD, hosts=planes, configured=_NEW))
    plan = plan_upgrade(desired, facts, more(desired), wish=Wish.parse(_NEW))
    (wave,) = (wave for wave in plan.waves if wave.name.endswith("/workers"))
    return replace(plan, waves=(wave,))


def _run(plan: Plan, desired: Cluster, world: simulated.Cluster) -> float:
    """Run `plan` as the verb does, its view shown on a terminal that nobody looks at.

    Raises:
        ValueError: it did not end well.
    """
    with TemporaryDirectory() as state, Path(os.devnull).open("w") as nowhere:
        session = Session(desired=desired, transport=world, clock=world.clock, state=Path(state))
        console = Console(file=nowhere, force_terminal=True, width=120, height=50)
        with RunView(plan, console=console, now=world.clock.now) as view:
            outcome = run(plan, session, arguments={}, sink=view)
    if outcome.status is not RunState.DONE:
        raise ValueError(f"the wave ended as {outcome.status.value}: {outcome.failures}")
    return outcome.seconds


def _report(rounds: Sequence[Round], *, title: str) -> None:
    table = Table(title=f"{title}, {len(rounds)} rounds", title_justify="left", title_style="bold")
    table.add_column("", no_wrap=True)
    for column in ("median", "min", "max", "goal"):
        table.add_column(column, justify="right")
    rows = (
        ("makespan", "{:.0f} s", [one.makespan for one in rounds], ""),
        ("makespan / lower bound", "{:.3f}", [one.makespan / one.bound for one in rounds], GOAL),
        ("in turn / lower bound", "{:.3f}", [one.in_turn / one.bound for one in rounds], ""),
        ("makespan / in turn", "{:.3f}", [one.makespan / one.in_turn for one in rounds], ""),
        ("away at once", "{:.0f}", [one.most_away for one in rounds], rounds[0].slots),
        ("processor time", "{:.1f} s", [one.processor for one in rounds], ""),
        ("memory of the process", "{:.0f} MiB", [one.memory / _MIB for one in rounds], MEMORY_GOAL),
    )
    for name, form, found, goal in rows:
        values = (form.format(what(found)) for what in (median, min, max))
        table.add_row(name, *values, f"<= {goal}" if goal else "")
    harness.show(table)


if __name__ == "__main__":
    main()
