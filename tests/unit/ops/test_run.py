"""Lock, journal, executor, in that order; and nothing when the lock is somebody else's."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kubeops.engine.lock import Owner
from kubeops.engine.process import current_process
from kubeops.engine.runs import list_runs
from kubeops.errors import JournalError, LockedError, TransportError
from kubeops.model.run import RunState
from kubeops.ops import install, reset
from kubeops.ops.run import lock_keeper, refuse_if_running, run
from kubeops.ops.session import Session
from kubeops.plan.actions import DeleteNode
from kubeops.plan.model import Lane, Plan, Step, Wave
from kubeops.transport.fake import FakeRunner, FakeTransport
from tests.unit.engine.support import START, Events
from tests.unit.handlers.test_network import nodes
from tests.unit.ops.values import lock, session_of
from tests.unit.plan.values import cluster

STEP = Step(id="/a", host="cp2", title="Delete node w9", action=DeleteNode(node="w9"))
PLAN = Plan(
    kind="reset",
    cluster="prod",
    summary="w9",
    waves=(Wave(name="w", title="W", lanes=(Lane(name="cp2", steps=(STEP,)),)),),
)
SOMEBODY = Owner(
    process=replace(current_process(), workstation="elsewhere", who="ada", pid=7),
    run_id="r9",
    kind="upgrade",
    digest="7c1f09",
    since=START,
)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return session_of(cluster(), tmp_path)


@pytest.fixture
def keeper(session: Session) -> FakeRunner:
    found = lock_keeper(session)
    assert isinstance(found, FakeRunner)
    return found


def held(keeper: FakeRunner, by: Owner = SOMEBODY) -> None:
    for verb, status in (("show", 0), ("take", 75)):
        keeper.on(lock(verb), stdout=json.dumps(by.to_json()), status=status)


def go(session: Session) -> RunState:
    arguments = {"verb": "reset", "options": {}}
    return run(PLAN, session, arguments=arguments, sink=Events()).status


def test_the_first_control_plane_keeps_the_lock(session: Session) -> None:
    assert lock_keeper(session).host == "cp1"


def test_a_plan_runs_under_the_lock_and_leaves_a_record(
    session: Session, keeper: FakeRunner
) -> None:
    keeper.on(lock("take"))
    keeper.on(lock("drop"))
    assert isinstance(session.transport, FakeTransport)
    other = session.transport.runner("cp2")
    other.on(("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "delete"))
    other.on(("kubectl",), stdout=nodes(w9=""))

    assert go(session) is RunState.DONE

    (record,) = list_runs(session.state)
    (owner,) = (json.loads(command.stdin or b"") for command in keeper.commands[:1])
    assert (owner["run_id"], owner["kind"], owner["digest"]) == (
        record.run_id,
        "reset",
        PLAN.digest,
    )
    assert [step.id for step in record.steps] == ["/a"]
    assert [command.argv[4] for command in keeper.commands] == ["take", "drop"]
    assert len(other.commands) == 2


def test_a_keeper_that_is_lost_is_named_with_the_way_out(
    session: Session, keeper: FakeRunner
) -> None:
    keeper.on(lock("take"), error=TransportError("cp1: no route", host="cp1"))
    with pytest.raises(TransportError, match="cp1 keeps the cluster's lock") as raised:
        go(session)
    assert "make another control plane the first one" in raised.value.hint


def test_a_held_lock_leaves_everything_alone(session: Session, keeper: FakeRunner) -> None:
    held(keeper)
    with pytest.raises(LockedError, match="ada on elsewhere"):
        go(session)
    assert list_runs(session.state) == ()
    assert isinstance(session.transport, FakeTransport)
    assert session.transport.runner("cp2").commands == []


def test_without_a_journal_nothing_is_touched_and_the_lock_is_given_back(
    session: Session, keeper: FakeRunner, tmp_path: Path
) -> None:
    keeper.on(lock("take"))
    keeper.on(lock("drop"))
    blocked = tmp_path / "state"
    blocked.write_text("a file where the directory belongs")
    with pytest.raises(JournalError):
        go(replace(session, state=blocked))
    assert [command.argv[4] for command in keeper.commands] == ["take", "drop"]
    assert isinstance(session.transport, FakeTransport)
    assert session.transport.runner("cp2").commands == []


def test_a_failed_step_gives_the_lock_back(session: Session, keeper: FakeRunner) -> None:
    keeper.on(lock("take"))
    keeper.on(lock("drop"))
    assert isinstance(session.transport, FakeTransport)
    session.transport.runner("cp2").on(("kubectl",), status=1, stderr="refused")
    assert go(session) is RunState.FAILED
    assert keeper.commands[-1].argv[4] == "drop"


class TestBeforeObserving:
    def test_a_free_lock_lets_pass(self, session: Session, keeper: FakeRunner) -> None:
        keeper.on(lock("show"), status=3)
        refuse_if_running(session)

    def test_so_does_one_whose_run_is_dead(self, session: Session, keeper: FakeRunner) -> None:
        held(keeper, replace(SOMEBODY, process=replace(current_process(), pid_started="1")))
        refuse_if_running(session)

    def test_a_keeper_that_is_not_reached_is_left_to_the_observation(
        self, session: Session, keeper: FakeRunner
    ) -> None:
        keeper.on(lock("show"), error=TransportError("cp1: no route", host="cp1"))
        refuse_if_running(session)

    @pytest.mark.parametrize("verb", [install, reset], ids=["install", "reset"])
    def test_what_was_seen_of_anothers_run_is_not_planned_with(
        self, session: Session, keeper: FakeRunner, verb: object
    ) -> None:
        held(keeper)
        assert isinstance(session.transport, FakeTransport)
        for runner in session.transport.runners.values():
            runner.on(("sh", "-s"), stdout="nobody can understand this")
        with pytest.raises(LockedError, match=r"r9 \(upgrade"):
            verb.plan(session, accepted=(), limit=())  # type: ignore[attr-defined]  # either module
