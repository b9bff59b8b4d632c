"""What `invoke status` keeps in memory: the peak of its process at more and more hosts.

    python -m benchmarks.memory [--hosts N ...] [--nodes N] [--rounds N] [--keep]

All connections stay open until the end, so this is what any verb holds per host, and a little more:
`status` keeps all that it read of every host. The hosts are names and addresses of their own; the
machines behind them are fewer lab nodes, each of which answers on several addresses: for each host
there is a login of its own by a real sshd, host key and sudo checked, and everything is read anew.
"""

import argparse
import json
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import linear_regression, median
from tempfile import TemporaryDirectory

import yaml
from rich.table import Table

from benchmarks import harness
from kubeops.lab.model import Lab

GOAL = 300
_MIB = 2**20
_FIRST = 40
"""The first number in the lab's /24 that is given to a host: above those of the nodes."""


def main() -> None:
    """Boot the nodes, measure, print, and take the nodes down."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--hosts", type=int, nargs="+", default=[10, 30, 100, 200])
    parser.add_argument("--nodes", type=int, default=10, help="the machines behind them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="leave the lab as it is")
    parser.add_argument("--lab", default="memory", help="the lab's name")
    given = parser.parse_args()
    with (
        harness.booted(given.lab, 1, given.nodes - 1, keep=given.keep) as lab,
        TemporaryDirectory() as directory,
    ):
        hosts = _answer_on_more(lab, max(given.hosts), known=Path(directory, "known_hosts"))
        measured = {
            count: _peaks(lab, hosts[:count], rounds=given.rounds, directory=Path(directory))
            for count in sorted(given.hosts)
        }
    _report(measured)


def _answer_on_more(lab: Lab, count: int, *, known: Path) -> Sequence[str]:
    """Give the nodes `count` addresses more, in turn; return these, and write their host keys."""
    addresses = [str(lab.subnet.network_address + _FIRST + number) for number in range(count)]
    keys = dict(line.split(" ", 1) for line in lab.known_hosts.read_text().splitlines())
    lines = []
    for number, node in enumerate(lab.nodes):
        own = addresses[number :: len(lab.nodes)]
        lines += [f"{address} {keys[node.address]}\n" for address in own]
        device = "$(ip -o -4 route get 192.0.2.1 | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p')"
        script = "; ".join(f"ip address add {address}/24 dev {device}" for address in own)
        subprocess.run(
            (*harness.ssh(lab), node.address, f"sudo -n sh -ec {shlex.quote(script)}"),
            check=True,
        )
    known.write_text("".join(lines))
    return addresses


def _peaks(lab: Lab, addresses: Sequence[str], *, rounds: int, directory: Path) -> Sequence[int]:
    document = yaml.safe_load(lab.inventory.read_text())
    document["ssh"]["known_hosts"] = str(directory / "known_hosts")
    document["hosts"] = {
        f"h{number}": {"address": address, "role": "worker" if number else "control-plane"}
        for number, address in enumerate(addresses)
    }
    inventory = directory / f"{len(addresses)}.yaml"
    inventory.write_text(yaml.safe_dump(document, sort_keys=False))
    contender = harness.Contender(
        name=f"status of {len(addresses)} hosts",
        argv=harness.kubeops("status", "--inventory", str(inventory), "--json"),
        check=lambda output: _all_read(output, wanted=len(addresses)),
    )
    peaks = []
    for _ in range(rounds):
        _sample, memory = harness.peak(contender)
        peaks.append(memory)
        harness.say(f"{contender.name}: {memory / _MIB:.0f} MiB")
    return peaks


def _all_read(output: str, *, wanted: int) -> None:
    read = len(json.loads(output)["data"]["hosts"])
    if read != wanted:
        raise ValueError(f"kubeops read {read} of {wanted} hosts")


def slope(peaks: Mapping[int, float]) -> float:
    """Return how much each host adds: the slope of the straight line nearest to `peaks` by hosts.

    Raises:
        statistics.StatisticsError: there are fewer than two points.
    """
    return linear_regression(list(peaks), list(peaks.values())).slope


def _report(measured: Mapping[int, Sequence[int]]) -> None:
    title = "memory of `invoke status`, peak of the process"
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in ("hosts", "median", "min", "max"):
        table.add_column(column, justify="right")
    for count, peaks in measured.items():
        table.add_row(str(count), *(f"{what(peaks) / _MIB:.1f} MiB" for what in (median, min, max)))
    harness.show(table)
    medians = {count: median(peaks) for count, peaks in measured.items()}
    if len(medians) > 1:
        print(f"each host adds {slope(medians) / 1024:.0f} KiB")
    most = max(medians)
    print(f"at {most} hosts: {medians[most] / _MIB:.0f} MiB (goal: < {GOAL} MiB)")


if __name__ == "__main__":
    main()
