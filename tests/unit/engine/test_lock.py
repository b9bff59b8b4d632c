"""What the script cannot show: hosts that go away. The script itself: tests/component."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from kubeops.engine.lock import Lock, Owner
from kubeops.engine.process import current_process
from kubeops.errors import LockedError, StepError, TransportError
from kubeops.model.event import Kind
from kubeops.transport.base import Command
from kubeops.transport.fake import FakeRunner
from tests.unit.engine.support import START, Events, FakeClock

OWNER = Owner(process=current_process(), run_id="r1", kind="install", digest="7c1f09", since=START)
GONE = replace(OWNER, run_id="r0", process=replace(OWNER.process, pid_started="1"))


def verb(name: str) -> Callable[[Command], bool]:
    def fits(command: Command) -> bool:
        return command.argv[3:5] == ("kubeops-lock", name)

    return fits


@pytest.fixture
def host() -> FakeRunner:
    return FakeRunner("cp1")


def acquire(host: FakeRunner, events: Events) -> Lock:
    return Lock.acquire(host, OWNER, clock=FakeClock(), sink=events)


def test_it_is_one_round_trip_each_way(host: FakeRunner) -> None:
    host.on(verb("take"))
    host.on(verb("drop"))
    with acquire(host, Events()):
        pass

    take, drop = host.commands
    assert take.argv[4:] == ("take", "/var/lib/kubeops/lock", "")
    assert json.loads(take.stdin or b"") == OWNER.to_json()
    assert take.root
    assert drop.argv[4:] == ("drop", "/var/lib/kubeops/lock", '"run_id": "r1"')


def test_a_host_lost_at_release_does_not_hide_the_error(host: FakeRunner) -> None:
    events = Events()
    host.on(verb("take"))
    host.on(verb("drop"), error=TransportError("cp1: no route", host="cp1"))

    with pytest.raises(StepError, match="the real one"), acquire(host, events):
        raise StepError("the real one")

    (note,) = events.all
    assert note.kind is Kind.NOTE
    assert "could not be released: cp1: no route" in note.text
    assert "invoke lock.break --run r1" in note.text


def test_a_host_lost_while_taking_is_told(host: FakeRunner) -> None:
    host.on(verb("take"), error=TransportError("cp1: no route", host="cp1"))

    with pytest.raises(TransportError):
        acquire(host, Events())


def test_taking_again_what_is_ours_is_fine(host: FakeRunner) -> None:
    """The first answer was lost on its way, the lock was made."""
    host.on(verb("take"), status=75, stdout=json.dumps(OWNER.to_json()))

    acquire(host, Events())


def test_whoever_takes_over_first_has_it(host: FakeRunner) -> None:
    winner = replace(OWNER, run_id="r2")
    host.on(verb("take"), status=75, stdout=json.dumps(GONE.to_json()), times=1)
    host.on(verb("take"), status=75, stdout=json.dumps(winner.to_json()), times=1)

    with pytest.raises(LockedError, match="run r2"):
        acquire(host, Events())
    assert host.commands[1].argv[6] == '"run_id": "r0"'


def test_a_run_without_flock_is_told_why(host: FakeRunner) -> None:
    host.on(verb("take"), status=74, stderr="flock is missing")

    with pytest.raises(StepError, match=r"status 74\): flock is missing"):
        acquire(host, Events())
