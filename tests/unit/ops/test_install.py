"""What install asks of whom before it plans, and what it makes of manifests."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from kubeops.errors import UsageError
from kubeops.model.observed import ClusterFacts, Reach
from kubeops.ops import install
from kubeops.ops.session import Session
from kubeops.plan.actions import ApplyManifest
from kubeops.transport.fake import FakeTransport
from tests.unit.ops.values import lock, session_of
from tests.unit.plan.values import cluster, observed

ALL = ("cp1", "cp2", "cp3", "w1", "w2")


@pytest.fixture
def session(tmp_path: Path) -> Session:
    made = session_of(cluster(), tmp_path)
    assert isinstance(made.transport, FakeTransport)
    made.transport.runner("cp1").on(lock("show"), status=3)
    return made


@pytest.fixture
def knocked(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """Who was told to knock at whose ports."""
    asked: list[Sequence[str]] = []

    def gather(_desired: object, _transport: object, *, hosts: Sequence[str]) -> tuple[Reach, ...]:
        asked.append(hosts)
        return (Reach(source="cp1", target="cp2", port=2380, reached=False),)

    monkeypatch.setattr(install, "gather_reach", gather)
    return asked


def seeing(monkeypatch: pytest.MonkeyPatch, facts: ClusterFacts) -> list[dict[str, object]]:
    asked: list[dict[str, object]] = []

    def observe(_session: Session, **options: object) -> ClusterFacts:
        asked.append(options)
        return facts

    monkeypatch.setattr(Session, "observe", observe)
    return asked


def test_bare_hosts_are_asked_for_the_source_and_for_each_other(
    session: Session, knocked: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = seeing(monkeypatch, observed(session.desired))
    plan = install.plan(session, accepted=(), limit=())
    assert asked == [{"ask_source": True}]
    assert knocked == [ALL]
    assert [finding.check for finding in plan.refusals] == ["reachability"]
    assert not plan.is_empty


def test_a_host_that_waits_to_replace_another_is_left_alone(
    session: Session, knocked: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = (*session.desired.hosts[:4], replace(session.desired.hosts[4], replaces="w1"))
    session = replace(session, desired=replace(session.desired, hosts=hosts))
    facts = observed(session.desired, members=ALL[:4])
    seeing(monkeypatch, facts)
    plan = install.plan(session, accepted=(), limit=())
    assert (plan.is_empty, knocked, plan.findings) == (True, [], ())
    assert [line for line in plan.done if line.startswith("w2")] == [
        "w2: waits to replace w1; what joins it: invoke upgrade --to VERSION --strategy replace"
    ]


def test_a_finished_cluster_is_not_made_to_knock(
    session: Session, knocked: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seeing(monkeypatch, observed(session.desired, members=ALL))
    plan = install.plan(session, accepted=(), limit=())
    assert knocked == []
    assert plan.is_empty


def test_ports_between_hosts_that_are_not_meant_do_not_matter(
    session: Session, knocked: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seeing(monkeypatch, observed(session.desired, members=ALL[:4]))
    plan = install.plan(session, accepted=(), limit=("w2",))
    assert knocked
    assert plan.refusals == ()


def test_what_is_accepted_and_limited_is_the_plans(
    session: Session, knocked: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seeing(monkeypatch, observed(session.desired))
    plan = install.plan(session, accepted=("disk",), limit=("cp1",))
    assert knocked
    assert plan.accepted == ("disk",)
    assert {step.host for step in plan.steps} == {"cp1"}


def manifests(session: Session, addons: tuple[str, ...]) -> list[ApplyManifest]:
    session = replace(session, desired=replace(session.desired, addons=addons))
    plan = install.plan(session, accepted=(), limit=())
    return [step.action for step in plan.steps if isinstance(step.action, ApplyManifest)]


def test_a_file_is_known_by_its_content_and_a_url_by_itself(
    session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seeing(monkeypatch, observed(session.desired, members=ALL))
    path = tmp_path / "addon.yaml"
    path.write_bytes(b"kind: List\n")
    url = "https://example.org/other.yaml"
    assert manifests(session, (str(path), url)) == [
        ApplyManifest(
            name="addon.yaml",
            source=str(path),
            digest=hashlib.sha256(b"kind: List\n").hexdigest(),
        ),
        ApplyManifest(
            name="other.yaml", source=url, digest=hashlib.sha256(url.encode()).hexdigest()
        ),
    ]


def test_a_file_that_is_gone_is_the_inventorys_mistake(
    session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seeing(monkeypatch, observed(session.desired, members=ALL))
    with pytest.raises(UsageError, match=r"addon.yaml cannot be read: .*: No such file") as raised:
        manifests(session, (str(tmp_path / "addon.yaml"),))
    assert raised.value.hint
