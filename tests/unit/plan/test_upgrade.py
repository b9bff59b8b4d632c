"""Plans of upgrades as values: what is seen and wished for, and the steps that follow.

A plan is written as in `upgrade_cases`: one line for each wave and for lanes with the same steps,
`WAVE [xAT_ONCE] HOST ...: STEP ...`, then its findings, `SEVERITY CHECK HOST: TEXT`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubeops.model.desired import Cluster, UpgradePolicy
from kubeops.model.version import KubeVersion
from kubeops.plan.model import Plan, Wave
from kubeops.plan.upgrade import Choices, Strategy, plan_upgrade, workers_at_once
from kubeops.plan.upgrade_path import Wish
from tests.unit.plan.upgrade_values import PATCHES, At, Seen, more, seen
from tests.unit.plan.values import cluster

Case = Mapping[str, Any]

CASES: tuple[Case, ...] = tuple(
    case
    for file in sorted((Path(__file__).parent / "upgrade_cases").glob("*.yaml"))
    for case in yaml.safe_load(file.read_text())
)


def planned(case: Case) -> Plan:
    """The plan of a case."""
    now = dict(case["seen"])
    hosts = {name: At(**at) for name, at in now.pop("hosts", {}).items()}
    policy = UpgradePolicy(max_unavailable=case.get("max_unavailable", 1))
    version = KubeVersion.parse(case.get("inventory", now["version"]))
    desired = replace(cluster(*case.get("cluster", (3, 2))), kubernetes=version, upgrade=policy)
    desired = replacing(desired, case.get("replaces", {}), cni=case.get("cni", desired.cni.name))
    return plan_upgrade(
        desired,
        seen(desired, Seen(**now, hosts=hosts)),
        more(desired, case.get("patches", PATCHES)),
        wish=Wish.parse(case["to"]),
        choices=Choices(
            strategy=Strategy(case.get("strategy", "rolling")),
            accepted=tuple(case.get("accept", ())),
            limit=tuple(case.get("limit", ())),
        ),
    )


def replacing(desired: Cluster, who: Mapping[str, str], *, cni: str) -> Cluster:
    """The same inventory, in which hosts replace others by name."""
    hosts = tuple(replace(host, replaces=who.get(host.name, "")) for host in desired.hosts)
    return replace(desired, hosts=hosts, cni=replace(desired.cni, name=cni))


def written(plan: Plan) -> str:
    """The plan as the cases write it."""
    lines = [plan.summary, *(line for wave in plan.waves for line in _wave(wave))]
    lines += [
        " ".join(filter(None, (finding.severity, finding.check, finding.host)))
        + f": {finding.text}"
        for finding in plan.findings
    ]
    return "\n".join((*lines, *(f"done {line}" for line in plan.done), ""))


def _wave(wave: Wave) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for lane in wave.lanes:
        steps = " ".join(step.id.rpartition("/")[2] for step in lane.steps)
        groups.setdefault(steps, []).append(lane.name)
    at_once = f" x{wave.at_once}" if wave.name.endswith(("/workers", "/replace")) else ""
    for steps, names in groups.items():
        yield f"{wave.name}{at_once} {' '.join(names)}: {steps}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_plan(case: Case) -> None:
    assert written(planned(case)) == case["plan"]


@pytest.mark.parametrize(
    ("allowed", "workers", "away"),
    [(1, 5, 1), (3, 2, 3), ("10%", 100, 10), ("10%", 19, 1), ("10%", 5, 1), ("100%", 7, 7)],
)
def test_so_many_workers_may_be_away(allowed: int | str, workers: int, away: int) -> None:
    assert workers_at_once(allowed, workers) == away


def test_cases_have_names_of_their_own() -> None:
    names = [case["name"] for case in CASES]
    assert len(set(names)) == len(names) >= 40
