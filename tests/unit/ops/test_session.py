from pathlib import Path

import pytest

from kubeops.ops import session as module
from kubeops.ops.session import open_session
from kubeops.transport.fake import FakeTransport
from tests.unit.ops.values import session_of
from tests.unit.plan.values import cluster, observed


def test_connections_are_closed_come_what_may(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[FakeTransport] = []

    def transport(hosts: object) -> FakeTransport:
        assert hosts == cluster().hosts
        made.append(FakeTransport([]))
        return made[-1]

    monkeypatch.setattr(module, "SshTransport", transport)
    with pytest.raises(KeyError), open_session(cluster()):
        raise KeyError
    assert made[0].closed


@pytest.mark.parametrize("asked", [True, False])
def test_it_observes_its_own_cluster(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, asked: bool
) -> None:
    session = session_of(cluster(), tmp_path)
    facts = observed(session.desired)

    def gather(desired: object, transport: object, **options: object) -> object:
        assert (desired, transport) == (session.desired, session.transport)
        assert options == {"now": session.clock.now, "ask_source": asked}
        return facts

    monkeypatch.setattr(module, "gather_cluster", gather)
    assert session.observe(ask_source=asked) is facts
