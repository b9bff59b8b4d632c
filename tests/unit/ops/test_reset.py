from pathlib import Path

import pytest

from kubeops.ops import reset
from kubeops.ops.session import Session
from kubeops.transport.fake import FakeTransport
from tests.unit.ops.values import lock, session_of
from tests.unit.plan.values import cluster, observed

ALL = ("cp1", "cp2", "cp3", "w1", "w2")


@pytest.mark.parametrize(
    ("limit", "summary", "hosts"),
    [
        ((), "the whole cluster", set(ALL)),
        (("w1",), "w1", {"cp1", "w1"}),
    ],
)
def test_the_plan_is_of_the_hosts_that_were_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    limit: tuple[str, ...],
    summary: str,
    hosts: set[str],
) -> None:
    session = session_of(cluster(), tmp_path)
    assert isinstance(session.transport, FakeTransport)
    session.transport.runner("cp1").on(lock("show"), status=3)
    facts = observed(session.desired, members=ALL)
    monkeypatch.setattr(Session, "observe", lambda _session, **_options: facts)

    plan = reset.plan(session, accepted=("api",), limit=limit)

    assert (plan.kind, plan.summary, plan.accepted) == ("reset", summary, ("api",))
    assert {step.host for step in plan.steps} == hosts
