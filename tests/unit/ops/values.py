"""Sessions on scripted hosts, for tests of the verbs' stories."""

from collections.abc import Callable
from pathlib import Path

from kubeops.model.desired import Cluster
from kubeops.ops.session import Session
from kubeops.transport.base import Command
from kubeops.transport.fake import FakeTransport
from tests.unit.engine.support import FakeClock


def session_of(desired: Cluster, state: Path) -> Session:
    transport = FakeTransport([host.name for host in desired.hosts])
    return Session(desired=desired, transport=transport, clock=FakeClock(), state=state)


def runner_commands(session: Session, host: str) -> list[Command]:
    transport = session.transport
    assert isinstance(transport, FakeTransport)
    return transport.runner(host).commands


def lock(verb: str) -> Callable[[Command], bool]:
    """Fits what the cluster's lock is asked: take, show, drop."""

    def fits(command: Command) -> bool:
        return command.argv[3:5] == ("kubeops-lock", verb)

    fits.__doc__ = f"the lock: {verb}"
    return fits
