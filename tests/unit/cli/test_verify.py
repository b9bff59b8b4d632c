from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kubeops.engine.clock import Clock
from kubeops.model.desired import Cluster
from kubeops.model.verify import Verdict, Verified, VerifyReport
from kubeops.ops.session import Session
from kubeops.transport.fake import FakeTransport
from tests.unit.cli.support import document, kubeops

INVENTORY = """
cluster: {name: prod, kubernetes: "1.35.4"}
hosts:
  cp1: {address: 10.0.0.11, role: control-plane}
  w1: {address: 10.0.0.12, role: worker}
"""
PASSED = Verified(host="cp1", text="swap is off", verdict=Verdict.PASSED)
FAILED = Verified(
    host="w1",
    text="kubelet is held",
    verdict=Verdict.FAILED,
    expected="held",
    found="not held",
    cure="apt-mark hold kubelet",
)


class Suite:
    """Stands for the suite: notes what it was asked, and finds what it was told."""

    def __init__(self, *found: Verified) -> None:
        self.found = found
        self.asked: dict[str, Any] = {}

    def __call__(self, cluster: Cluster, _transport: object, **asked: Any) -> VerifyReport:
        self.asked = asked
        for item in self.found:
            asked["progress"](item.host, (item,))
        hosts = tuple(item.host for item in self.found)
        return VerifyReport(cluster=cluster.name, hosts=hosts, properties=self.found)


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = tmp_path / "prod.yaml"
    path.write_text(INVENTORY)

    @contextmanager
    def session(desired: Cluster) -> Iterator[Session]:
        yield Session(
            desired=desired, transport=FakeTransport(()), clock=Clock(), state=tmp_path / "state"
        )

    monkeypatch.setattr("kubeops.ops.session.open_session", session)
    return str(path)


def given(monkeypatch: pytest.MonkeyPatch, *found: Verified) -> Suite:
    suite = Suite(*found)
    monkeypatch.setattr("kubeops.verify.run.verify", suite)
    return suite


def test_all_holds(
    inventory: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = given(monkeypatch, PASSED)
    assert kubeops("verify", "-i", inventory) == 0
    shown = capsys.readouterr()
    assert "every property holds" in shown.out
    assert shown.err == "cp1       1 passed\n"
    assert (suite.asked["limit"], suite.asked["only"]) == ((), "")


def test_something_does_not_hold(
    inventory: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = given(monkeypatch, PASSED, FAILED)
    asked = ("--limit", "w1", "--only", "kubelet and held")
    assert kubeops("verify", "-i", inventory, "--json", *asked) == 11
    shown = document(capsys.readouterr().out)
    assert shown["error"]["code"] == "KO-93"
    assert shown["error"]["hint"].endswith("--only 'kubelet and held'")
    assert shown["data"]["properties"][1]["cure"] == "apt-mark hold kubelet"
    assert (suite.asked["limit"], suite.asked["only"]) == (("w1",), "kubelet and held")


def test_a_host_that_is_not_there(inventory: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert kubeops("verify", "-i", inventory, "--limit", "w2") == 2
    assert "its hosts are cp1, w1" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["pytest", "testinfra"])
def test_without_the_extra_it_says_what_to_install(
    missing: str,
    inventory: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def find(name: str) -> object:
        return None if name == missing else object()

    monkeypatch.setattr("kubeops.cli.verify.find_spec", find)
    assert kubeops("verify", "-i", inventory) == 2
    shown = capsys.readouterr().err
    assert "pip install 'kubeops[verify]'" in shown
    assert f"{missing} is not installed" in shown
