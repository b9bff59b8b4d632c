import io
from datetime import timedelta

import pytest

from kubeops.model.run import Outcome, RunState
from kubeops.render.progress import Progress
from kubeops.render.run import RunView, ending, line, picture
from kubeops.render.screen import console
from tests.conftest import Golden
from tests.unit.render.values import NOON, Terminal, events, failed, install, text_of


def progressed(count: int | None = None, *, rehearsal: bool = False) -> Progress:
    progress = Progress(plan=install(rehearsal=rehearsal))
    for event in events()[:count]:
        progress = progress.after(event)
    return progress


def test_a_pipe_gets_one_line_per_event(golden: Golden) -> None:
    stream = io.StringIO()
    with RunView(install(), console=console(stream, width=80), now=lambda: NOON) as view:
        for event in events():
            view(event)
    golden("run-pipe.txt", stream.getvalue())


def test_commands_are_printed_on_request() -> None:
    stream = io.StringIO()
    view = RunView(install(), console=console(stream, width=80), now=lambda: NOON, verbose=True)
    with view:
        for event in events():
            view(event)
    assert "swapoff --all" in stream.getvalue()


def test_a_terminal_keeps_failures_and_notes_and_clears_the_rest_away() -> None:
    stream = Terminal()
    with RunView(install(), console=console(stream, width=80), now=lambda: NOON) as view:
        for event in events():
            view(event)
    shown = stream.getvalue()
    assert "FAILED" in shown
    assert "no further lane starts" in shown
    assert "start " not in shown
    assert view.progress.failed == ("/control-planes/cp2/join",)


@pytest.mark.parametrize("width", [80, 120])
def test_the_live_view_shows_wave_lanes_and_waiting(golden: Golden, width: int) -> None:
    shown = picture(progressed(15), now=NOON + timedelta(seconds=83), durations={})
    golden(f"live-{width}.txt", text_of(shown, width=width))


def test_the_live_view_estimates_from_earlier_durations() -> None:
    durations = {step.id: 10.0 for step in install().steps}
    shown = text_of(picture(progressed(15), now=NOON, durations=durations), width=120)
    # 2 x 10 for hosts in parallel, two control planes in turn, 5 workers two at a time, the end.
    assert "about 1 min 15 s left" in shown


def test_without_every_duration_there_is_no_estimate() -> None:
    assert progressed(15).remaining({"/init": 10.0}) is None


@pytest.mark.parametrize("width", [80, 120])
def test_the_end_of_a_failed_run_tells_everything(golden: Golden, width: int) -> None:
    following = ("kubeops install --inventory prod   (continues from what the hosts say)",)
    shown = ending(failed(), progress=progressed(rehearsal=True), following=following)
    golden(f"ending-{width}.txt", text_of(shown, width=width))


def test_a_lane_that_rests_between_two_steps_is_named() -> None:
    progress = progressed(6)
    assert [step.id for step in progress.between] == ["/hosts/cp1/packages"]
    shown = text_of(ending(failed(), progress=progress), width=120)
    assert "stopped before /hosts/cp1/packages  " in shown
    assert "prepare the hosts" in shown
    assert "1 of 14 steps" in shown


def test_the_end_of_a_good_run_is_short() -> None:
    done = Outcome(status=RunState.DONE, seconds=61.0, run_id="r", log=failed().log, steps_done=12)
    shown = text_of(ending(done, progress=progressed()), width=120)
    assert "install prod   done after 1 min 01 s   12 steps done" in shown
    assert "failed" not in shown


def test_a_line_is_one_line() -> None:
    assert "\n" not in line(events()[15]).plain


def test_a_gate_of_a_skipped_step_is_shown() -> None:
    progress = Progress(plan=install()).after(events()[14])
    assert [one.text for one in progress.underway] == ["waiting for etcd: 1 of 2 members"]


def test_a_step_nobody_planned_changes_nothing() -> None:
    stranger = events()[2].__class__(at=NOON, kind=events()[2].kind, step="/stranger")
    assert progressed().after(stranger).underway == progressed().underway


def test_ended_steps_are_counted_once() -> None:
    progress = progressed()
    for event in events():
        progress = progress.after(event)
    assert (progress.ended, progress.total) == (6, 23)
