"""Verbs that end clusters ask for the name; the kubeconfig goes where kubectl looks."""

import inspect
from pathlib import Path
from types import SimpleNamespace

import pytest

from kubeops.cli import cluster as verbs
from kubeops.cli._app import Invocation
from kubeops.errors import UsageError
from tests.unit.cli.support import Call
from tests.unit.plan.values import cluster

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
