from datetime import timedelta
from pathlib import Path

import pytest

from kubeops.engine.clock import Clock
from kubeops.errors import TransportError
from kubeops.model.event import Event, Kind
from kubeops.model.report import Wait
from kubeops.ops import watch
from kubeops.ops.session import Session
from kubeops.ops.stopwatch import Stopwatch
from kubeops.ops.watch import EndpointWatch
from kubeops.plan.actions import CordonNode, DrainNode
from kubeops.plan.model import Lane, Plan, Step, Wave
from kubeops.transport.fake import FakeTransport
from tests.unit.plan.values import NOON, cluster

CORDON = Step(
    id="/1.36/workers/w1/cordon", host="cp1", title="cordon w1", action=CordonNode(node="w1")
)
DRAIN = Step(
    id="/1.36/workers/w1/drain",
    host="cp1",
    title="drain w1",
    action=DrainNode(node="w1", timeout=10, grace=5),
)
PLAN = Plan(
    kind="upgrade",
    cluster="prod",
    summary="v1.35.4 -> v1.36.1",
    waves=(Wave(name="w", title="w", lanes=(Lane(name="w1", steps=(CORDON, DRAIN)),)),),
)


def event(kind: Kind, step: Step | None, second: float, text: str = "") -> Event:
    return Event(
        at=NOON + timedelta(seconds=second), kind=kind, step=step.id if step else "", text=text
    )


def test_steps_are_measured_with_what_they_waited_for() -> None:
    stopwatch = Stopwatch(PLAN)
    for one in (
        event(Kind.RUN_STARTED, None, 0),
        event(Kind.STEP_STARTED, CORDON, 1),
        event(Kind.STEP_DONE, CORDON, 3),
        event(Kind.STEP_STARTED, DRAIN, 3),
        event(Kind.STEP_WAITING, DRAIN, 4, "shop/redis is held"),
        event(Kind.STEP_WAITING, DRAIN, 9, "shop/redis is ending"),
        event(Kind.STEP_WAITING, DRAIN, 10, "shop/redis is held"),
        event(Kind.STEP_FAILED, DRAIN, 12),
    ):
        stopwatch(one)
    cordon, drain = stopwatch.times()
    assert (cordon.state, cordon.seconds, cordon.waits) == ("done", 2.0, ())
    assert (drain.state, drain.seconds) == ("failed", 9.0)
    assert drain.waits == (
        Wait(text="shop/redis is held", seconds=7.0),
        Wait(text="shop/redis is ending", seconds=1.0),
    )


def test_a_step_that_did_not_end_is_unfinished_and_one_that_did_not_begin_is_left_out() -> None:
    stopwatch = Stopwatch(PLAN)
    stopwatch(event(Kind.STEP_STARTED, CORDON, 1))
    (only,) = stopwatch.times()
    assert (only.step, only.state, only.seconds) == (CORDON.id, "unfinished", 0.0)


def session(tmp_path: Path, transport: FakeTransport) -> Session:
    return Session(desired=cluster(1, 0), transport=transport, clock=Clock(), state=tmp_path)


@pytest.mark.parametrize(
    ("stdout", "stderr", "said"),
    [
        ("200", "", ""),
        ("500", "", "HTTP status 500"),
        ("000", "curl: (7) Failed to connect", "curl: (7) Failed to connect"),
    ],
)
def test_the_endpoint_is_ready_when_it_says_so(
    tmp_path: Path, stdout: str, stderr: str, said: str
) -> None:
    transport = FakeTransport(["cp1"])
    transport.runner("cp1").on(("curl",), stdout=stdout, stderr=stderr)
    assert EndpointWatch(session(tmp_path, transport))._ask() == said
    (command,) = transport.runner("cp1").commands
    assert command.argv[-1] == "https://10.0.0.10:6443/readyz"
    assert not command.root


def test_a_question_that_does_not_get_out_says_nothing(tmp_path: Path) -> None:
    transport = FakeTransport(["cp1"])
    transport.runner("cp1").on(("curl",), error=TransportError("no route", host="cp1"))
    assert EndpointWatch(session(tmp_path, transport))._ask() is None


def test_a_gap_lasts_from_the_first_bad_look_to_the_next_good_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "INTERVAL", 0)
    transport = FakeTransport(["cp1"])
    host = transport.runner("cp1")
    host.on(("curl",), stdout="200", times=1)
    host.on(("curl",), stdout="000", stderr="curl: (28) timed out", times=1)
    host.on(("curl",), stdout="500", times=1)
    host.on(("curl",), stdout="200")
    seen = EndpointWatch(session(tmp_path, transport))
    with seen:
        while len(host.commands) < 5:
            pass
    assert [gap.said for gap in seen.seen.outages] == ["curl: (28) timed out"]
    assert seen.seen.looks >= 4
    assert seen.seen.asked == "cp1"
