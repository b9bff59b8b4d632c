"""What has to be typed for a restore, and what is said when it was not."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kubeops.engine.clock import Clock
from kubeops.model.desired import Cluster
from kubeops.model.observed import ClusterFacts
from kubeops.ops.session import Session
from kubeops.plan.model import Plan
from kubeops.plan.restore import plan_restore, plan_undo
from kubeops.transport.fake import FakeTransport
from tests.unit.cli.support import kubeops
from tests.unit.plan.restore_values import BUNDLE, more, whole
from tests.unit.plan.values import cluster

ONE = cluster(1, 0)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What the verb asks of its operation."""
    found: dict[str, Any] = {}
    facts: ClusterFacts = whole(ONE)

    @contextmanager
    def session(desired: Cluster) -> Iterator[Session]:
        yield Session(desired=desired, transport=FakeTransport(()), clock=Clock(), state=tmp_path)

    def plan(_session: Session, **given: Any) -> Plan:
        found.update(given)
        return plan_restore(ONE, facts, more(ONE), bundle=BUNDLE, authority="")

    def undo(_session: Session, **given: Any) -> Plan:
        found.update(given, undo=True)
        return plan_undo(ONE, facts, more(ONE))

    monkeypatch.setattr("kubeops.ops.session.open_session", session)
    monkeypatch.setattr("kubeops.ops.restore.plan", plan)
    monkeypatch.setattr("kubeops.ops.restore.undo", undo)
    return found


@pytest.fixture
def inventory(tmp_path: Path) -> str:
    path = tmp_path / "prod.yaml"
    path.write_text(
        'cluster: {name: prod, kubernetes: "1.35.4"}\n'
        "hosts:\n  cp1: {address: 10.0.0.11, role: control-plane}\n"
    )
    return str(path)


def test_a_plan_needs_no_confirmation(
    asked: dict[str, Any], inventory: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--from", BUNDLE.name, "--plan", "--accept", "other-version")
    assert kubeops("restore", "-i", inventory, *arguments) == 0
    assert (asked["name"], asked["accepted"]) == (BUNDLE.name, ("other-version",))
    shown = capsys.readouterr().out
    assert "stop the control plane everywhere" in shown
    assert f"restore --from {BUNDLE.name}" in " ".join(shown.split())


@pytest.mark.parametrize("given", [(), ("--confirm", "staging")])
def test_anything_else_needs_the_name(
    asked: dict[str, Any],
    inventory: str,
    capsys: pytest.CaptureFixture[str],
    given: tuple[str, ...],
) -> None:
    assert kubeops("restore", "-i", inventory, "--from", "latest", "--yes", *given) == 2
    assert asked == {}
    said = " ".join(capsys.readouterr().err.split())
    assert "needs its name, prod" in said
    assert "--confirm prod" in said


@pytest.mark.parametrize("given", [(), ("--from", "latest", "--undo")])
def test_either_forth_or_back(
    asked: dict[str, Any],
    inventory: str,
    capsys: pytest.CaptureFixture[str],
    given: tuple[str, ...],
) -> None:
    assert kubeops("restore", "-i", inventory, "--confirm", "prod", *given) == 2
    assert asked == {}
    assert "either --from NAME or --undo" in capsys.readouterr().err


def test_an_undo_without_a_restore_is_refused(
    asked: dict[str, Any], inventory: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kubeops("restore", "-i", inventory, "--undo", "--yes", "--confirm", "prod") == 4
    assert asked["undo"]
    assert "nothing-to-undo" in capsys.readouterr().err


def test_single_hosts_cannot_be_restored(
    asked: dict[str, Any], inventory: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kubeops("restore", "-i", inventory, "--from", "latest", "--limit", "cp1") == 2
    assert asked == {}
    capsys.readouterr()
