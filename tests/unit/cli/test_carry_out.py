import pytest

from kubeops.cli._carry_out import carry_out
from kubeops.errors import StepError
from kubeops.model.event import Event, Kind, Sink
from kubeops.model.run import Outcome
from tests.unit.cli.support import Call
from tests.unit.render.values import NOON, events, failed, install, text_of


def run(sink: Sink) -> Outcome:
    for event in events():
        sink(event)
    return failed()


def test_a_run_is_shown_while_it_happens_and_reported_at_its_end() -> None:
    call = Call(yes=True, inventory="prod", given=("--inventory", "prod"))
    report = carry_out(install(), call.invocation, run=run)
    assert report is not None
    assert "12:01:35Z  cp2       FAILED" in call.err.getvalue()
    assert isinstance(report.error, StepError)
    assert report.data == failed()
    shown = text_of(report.text, width=120)
    for command in (
        "kubeops install --inventory prod ",
        "kubeops status --inventory prod ",
        "kubeops runs.show --run 20261121T120000-install-3f2a ",
    ):
        assert command in shown


def test_what_a_run_notes_can_be_typed_as_it_stands() -> None:
    def noting(sink: Sink) -> Outcome:
        text = "the lock stays; type `invoke lock.break --run r1`"
        sink(Event(at=NOON, kind=Kind.NOTE, text=text))
        return run(sink)

    call = Call(yes=True, inventory="prod")
    carry_out(install(), call.invocation, run=noting)
    assert "type `kubeops lock.break --inventory prod --run r1`" in call.err.getvalue()


def test_a_plan_that_is_not_approved_is_not_run() -> None:
    def never(_sink: Sink) -> Outcome:
        pytest.fail("it was run")

    assert carry_out(install(), Call(plan=True).invocation, run=never) is None
