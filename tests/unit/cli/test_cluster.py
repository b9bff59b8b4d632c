"""Verbs that end clusters ask for the name; the kubeconfig goes where kubectl looks."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from kubeops.cli import cluster as verbs
from kubeops.cli._app import Invocation
from kubeops.engine.clock import Clock
from kubeops.errors import UsageError
from kubeops.model.desired import Cluster
from kubeops.model.observed import ClusterFacts, Unreachable
from kubeops.ops.session import Session
from kubeops.transport.fake import FakeTransport
from tests.unit.cli.support import Call, document, kubeops
from tests.unit.plan.values import cluster
from tests.unit.render import values

EVERYTHING = ("cp1", "w1", "w2")


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What a reset went on to plan."""
    seen: list[object] = []
    desired = cluster(1, 2)
    monkeypatch.setattr(Invocation, "cluster", lambda _call: desired)
    monkeypatch.setattr(verbs, "_change", lambda call, _cluster, _plan: seen.append(call))
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    return seen


def reset(call: Call, *, confirm: str | None) -> None:
    inspect.unwrap(verbs.reset.body)(call.invocation, confirm=confirm)


@pytest.mark.parametrize("limit", [(), EVERYTHING, EVERYTHING[::-1]])
@pytest.mark.parametrize("confirm", [None, "", "staging"])
def test_the_whole_cluster_goes_only_by_its_name(
    planned: list[object], limit: tuple[str, ...], confirm: str | None
) -> None:
    with pytest.raises(UsageError, match="needs its name, prod; nothing was done"):
        reset(Call(verb="reset", limit=limit, yes=True), confirm=confirm)
    assert planned == []


@pytest.mark.parametrize(
    ("limit", "plan", "confirm"),
    [((), False, "prod"), (("w1",), False, None), (EVERYTHING[:2], False, None), ((), True, None)],
    ids=["named", "one host", "some hosts", "only planned"],
)
def test_everything_else_goes_on(
    planned: list[object], limit: tuple[str, ...], confirm: str | None, *, plan: bool
) -> None:
    reset(Call(verb="reset", limit=limit, plan=plan), confirm=confirm)
    assert len(planned) == 1


@pytest.mark.parametrize(
    ("output", "listed", "expected"),
    [
        ("/tmp/out", "/a:/b", "/tmp/out"),  # noqa: S108 - never written
        (None, "/a:/b", "/a"),
        (None, ":/b", "/b"),
        (None, "", "~/.kube/config"),
    ],
)
def test_the_kubeconfig_goes_where_kubectl_looks_first(
    monkeypatch: pytest.MonkeyPatch, output: str | None, listed: str, expected: str
) -> None:
    written: list[Path] = []
    monkeypatch.setenv("KUBECONFIG", listed)
    monkeypatch.setattr(Invocation, "cluster", lambda _call: cluster())
    monkeypatch.setattr("kubeops.ops.kubeconfig.fetch", lambda _session: {})
    monkeypatch.setattr("kubeops.ops.kubeconfig.write", lambda _fetched, path: written.append(path))
    inspect.unwrap(verbs.kubeconfig.body)(Call(verb="kubeconfig").invocation, output=output)
    assert written == [Path(expected).expanduser()]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[ClusterFacts]:
    """What a status is told; the test puts it there."""
    told: list[ClusterFacts] = []

    @contextmanager
    def session(desired: Cluster) -> Iterator[Session]:
        yield Session(desired=desired, transport=FakeTransport(()), clock=Clock(), state=tmp_path)

    monkeypatch.setattr(Invocation, "cluster", lambda _call: values.cluster())
    monkeypatch.setattr(Session, "observe", lambda _session: told.pop())
    monkeypatch.setattr("kubeops.ops.session.open_session", session)
    return told


@pytest.mark.parametrize("json", [(), ("--json",)], ids=["text", "json"])
def test_a_status_that_reached_some_hosts_is_one(
    found: list[ClusterFacts], json: tuple[str, ...]
) -> None:
    found.append(values.facts())
    assert found[0].unreachable
    assert kubeops("status", *json) == 0


def test_a_status_that_reached_nobody_shows_all_and_ends_so(
    found: list[ClusterFacts], capsys: pytest.CaptureFixture[str]
) -> None:
    away = {name: Unreachable(host=name, reason="timed out") for name in ("cp1", "w1")}
    found += [replace(values.silent(), hosts={}, unreachable=away)] * 2
    assert kubeops("status") == 3
    shown = capsys.readouterr().out
    assert "cp1: timed out" in shown
    assert "no host of prod was reached: cp1, w1" in shown
    assert "code:  KO-30 (exit status 3)" in shown
    assert kubeops("status", "--json") == 3
    envelope = document(capsys.readouterr().out)
    assert (envelope["ok"], envelope["error"]["code"]) == (False, "KO-30")
    assert set(envelope["data"]["unreachable"]) == {"cp1", "w1"}


def test_status_offers_no_limit_that_it_would_ignore(capsys: pytest.CaptureFixture[str]) -> None:
    assert kubeops("status", "--limit", "w1") == 2
    assert "status has no option --limit" in capsys.readouterr().err
