from pathlib import Path

import pytest

from kubeops.errors import TransportError
from kubeops.model.desired import Host, Role, Ssh
from kubeops.transport.ssh_config import SshConfig, Target
from kubeops.transport.ssh_session import Patience, Session


class Closed:
    """Stands where connections begin, and lets none."""

    def __init__(self) -> None:
        self.tried = 0

    def __enter__(self) -> None:
        self.tried += 1
        raise ConnectionRefusedError(111, "Connection refused")

    def __exit__(self, *_error: object) -> None: ...


def test_the_user_is_known_before_any_login_and_the_target_is_asked_once(tmp_path: Path) -> None:
    asked: list[Target] = []

    def target() -> Target:
        host = Host(name="cp1", address="cp1", role=Role.WORKER, ssh=Ssh(user="ops"))
        asked.append(SshConfig((), tmp_path).target(host))
        return asked[-1]

    def through(_target: Target) -> Session:
        pytest.fail("there is no jump host")

    door = Closed()
    patience = Patience(attempts=1)
    session = Session("cp1", target=target, through=through, connecting=door, patience=patience)
    assert not asked
    assert (session.user, door.tried) == ("ops", 0)
    for attempt in (1, 2):
        with pytest.raises(TransportError, match="Connection refused"):
            session.connection()
        assert (session.user, door.tried) == ("ops", attempt)
    assert len(asked) == 1
