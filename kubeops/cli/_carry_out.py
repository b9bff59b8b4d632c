"""From an approved plan to its report: the same for every verb that changes a cluster."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from kubeops.cli._app import Invocation, Report, typed
from kubeops.cli._hints import completed
from kubeops.cli.approval import approve
from kubeops.engine.clock import Clock
from kubeops.engine.runs import list_runs
from kubeops.engine.state import state_directory
from kubeops.model.event import Event, Sink
from kubeops.model.run import Outcome, RunState, StepState
from kubeops.plan.model import Plan


def carry_out(
    plan: Plan,
    call: Invocation,
    *,
    run: Callable[[Sink], Outcome],
    otherwise: tuple[str, ...] = (),
) -> Report | None:
    """Show `plan`, have it approved, run it under a progress view, and report how it ended.

    Args:
        plan: what is shown and what `run` runs: the same object.
        call: how it is approved and where it is shown.
        run: runs the plan, giving every event to the sink it gets.
        otherwise: what else can be typed when the run did not get to its end, one line each.

    Returns:
        The report; None when nothing was to be run.

    Raises:
        PreflightError, PlanChangedError, UsageError: see `approve`.
    """
    from kubeops.render.run import RunView, ending

    if not approve(plan, call):
        return None
    view = RunView(
        plan,
        console=call.screen.err,
        now=Clock().now,
        durations=_durations(state_directory(), plan),
        verbose=call.screen.verbose,
    )

    def show(event: Event) -> None:
        view(replace(event, text=completed(event.text, call.options.inventory)))

    with view:
        outcome = run(show)
    following = _following(outcome, call, otherwise)
    return Report(
        data=outcome,
        text=ending(outcome, progress=view.progress, following=following),
        error=outcome.error,
    )


def _following(outcome: Outcome, call: Invocation, otherwise: tuple[str, ...]) -> tuple[str, ...]:
    if outcome.status is RunState.DONE:
        return ()
    inventory = ("--inventory", call.options.inventory) if call.options.inventory else ()
    return (
        f"{call.command_line()}   (continues from what the hosts say)",
        *otherwise,
        f"{typed('status', *inventory)}   (what is and what is not)",
        f"{typed('runs.show', '--run', outcome.run_id)}   (this report again)",
    )


def _durations(state: Path, plan: Plan) -> dict[str, float]:
    """Return how long each step took when it was last done, for an estimate of the time to go."""
    wanted = {step.id for step in plan.steps}
    known: dict[str, float] = {}
    for run in list_runs(state, plan.cluster):
        for step in run.steps:
            if step.id in wanted and step.state is StepState.DONE and step.seconds:
                known.setdefault(step.id, step.seconds)
    return known
