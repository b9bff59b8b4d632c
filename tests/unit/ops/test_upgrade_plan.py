"""What an upgrade asks of whom before it plans, and what it leaves to the operator."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import pytest

from kubeops.model.desired import Cluster
from kubeops.model.observed import (
    ClusterFacts,
    Reach,
)
from kubeops.model.report import Availability
from kubeops.model.run import Outcome, RunState
from kubeops.model.upgrading import UpgradeFacts
from kubeops.ops import upgrade
from kubeops.ops.session import Session
from kubeops.plan.model import Plan
from kubeops.plan.upgrade import Choices, Strategy
from kubeops.plan.upgrade_path import Wish
from kubeops.transport.fake import FakeTransport
from tests.unit.ops.values import lock, session_of
from tests.unit.plan.upgrade_values import At, Seen, more, seen
from tests.unit.plan.values import cluster

REPLACE = Choices(strategy=Strategy.REPLACE)
BLOCKED = Reach(source="w2", target="cp1", port=6443, reached=False)


def desired() -> Cluster:
    made = cluster(1, 3)
    w1, w2, w3 = made.workers
    return replace(made, hosts=(made.hosts[0], w1, replace(w2, replaces="w1"), w3))


def planned(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    hosts: Mapping[str, At],
    choices: Choices = REPLACE,
) -> tuple[Plan, list[Sequence[str]]]:
    """The plan, and who was told to knock at each other's ports."""
    session = session_of(desired(), tmp_path)
    assert isinstance(session.transport, FakeTransport)
    session.transport.runner("cp1").on(lock("show"), status=3)
    facts = seen(desired(), Seen(version="1.35.4", hosts=hosts))
    knocked: list[Sequence[str]] = []

    def gather(*_given: object, **_named: object) -> tuple[ClusterFacts, UpgradeFacts]:
        return facts, more(desired())

    def reach(_desired: object, _transport: object, *, hosts: Sequence[str]) -> tuple[Reach, ...]:
        knocked.append(hosts)
        return (BLOCKED,)

    monkeypatch.setattr(Session, "observe", lambda _session, **_options: facts)
    monkeypatch.setattr(upgrade, "gather_upgrade", gather)
    monkeypatch.setattr(upgrade, "gather_reach", reach)
    return upgrade.plan(session, wish=Wish.parse("1.36"), choices=choices), knocked


def test_new_hosts_and_the_others_knock_at_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = {"w2": At(place="bare"), "w3": At(place="lost")}
    plan, knocked = planned(tmp_path, monkeypatch, hosts=bare)
    assert knocked == [("cp1", "w1", "w2")]
    assert "reachability" in [one.check for one in plan.refusals]


@pytest.mark.parametrize(
    ("hosts", "choices"),
    [({"w2": At(place="bare")}, Choices()), ({"w1": At(place="bare")}, REPLACE), ({}, REPLACE)],
    ids=["not to replace", "replaced", "joined"],
)
def test_nobody_knocks_where_nobody_joins(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    hosts: Mapping[str, At],
    choices: Choices,
) -> None:
    assert planned(tmp_path, monkeypatch, hosts=hosts, choices=choices)[1] == []


class Watch:
    """Sees nothing."""

    seen = Availability()

    def __init__(self, _session: object) -> None: ...
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_given: object) -> None: ...


@pytest.mark.parametrize(
    ("hosts", "status", "notices"),
    [
        ({"w2": At(place="bare")}, RunState.DONE, True),
        ({"w1": At(place="left")}, RunState.DONE, True),
        ({"w2": At(place="bare")}, RunState.FAILED, False),
        ({"w1": At(place="bare")}, RunState.DONE, False),
    ],
    ids=["all of it", "the rest of it", "failed", "done before"],
)
def test_the_report_says_which_lines_to_take_out(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    hosts: Mapping[str, At],
    status: RunState,
    *,
    notices: bool,
) -> None:
    plan, _ = planned(tmp_path, monkeypatch, hosts=hosts)
    outcome = Outcome(status=status, seconds=1.0, run_id="r", log=tmp_path / "r.log")
    monkeypatch.setattr(upgrade, "carry_out", lambda *_given, **_named: outcome)
    monkeypatch.setattr(upgrade, "EndpointWatch", Watch)
    session = session_of(desired(), tmp_path)
    report = upgrade.run(plan, session, arguments={}, sink=lambda _event: None)
    told = ("w1 was replaced by w2: take w1, and the replaces: of w2, out of inventory.yaml",)
    assert report.notices == (told if notices else ())
