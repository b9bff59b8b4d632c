"""Past runs: the list of them, and one in full."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kubeops.model.run import RunRecord, RunState, StepState
from kubeops.render.errors import whole
from kubeops.render.run import failures
from kubeops.render.units import duration

_STYLES = {
    RunState.DONE: "green",
    RunState.RUNNING: "cyan",
    RunState.INTERRUPTED: "yellow",
    RunState.KILLED: "yellow",
    RunState.FAILED: "bold red",
    RunState.UNREADABLE: "bold red",
}
_STEP_STYLES = {
    StepState.DONE: "green",
    StepState.RUNNING: "cyan",
    StepState.UNFINISHED: "yellow",
    StepState.FAILED: "bold red",
}


def runs(found: Sequence[RunRecord], *, state: Path) -> RenderableType:
    """Return the runs as a table, in the order given; `state` is where they were looked for."""
    if not found:
        return Group(whole(f"no runs on record in {state}"))
    table = _table("RUN", "CLUSTER", "STATE", "STEPS", "TOOK", "BY")
    for run in found:
        table.add_row(
            run.run_id,
            run.cluster,
            Text(run.state.value, style=_STYLES[run.state]),
            _counts(run),
            duration(run.seconds) if run.seconds is not None else "-",
            run.who or "-",
        )
    return table


def run(shown: RunRecord, *, following: Sequence[str] = ()) -> RenderableType:
    """Return one run: who, when, every step and how it ended, failures in full, what to type."""
    began = f"{shown.started:%Y-%m-%d %H:%M:%S}Z" if shown.started else "unknown"
    took = f" after {duration(shown.seconds)}" if shown.seconds is not None else ""
    parts: list[RenderableType] = [
        Text.assemble(
            (f"{shown.kind} {shown.cluster}   ", "bold"),
            (shown.state.value, _STYLES[shown.state]),
            f"{took}   {_counts(shown)} steps",
        ),
        whole(f"{'run':<15}", shown.run_id),
        whole(f"{'started':<15}", began),
    ]
    if shown.who:
        parts.append(whole(f"{'by':<15}", f"{shown.who}@{shown.workstation}, pid {shown.pid}"))
    if shown.version:
        parts.append(whole(f"{'kubeops':<15}", shown.version))
    if shown.problem:
        parts.append(Text.assemble((f"{'journal':<15}", "bold yellow"), shown.problem))
    parts += [Text(), _steps(shown), Text(), *failures(shown.failures)]
    parts.append(whole(f"{'log':<15}", str(shown.log)))
    parts += [
        whole(f"{'next' if not index else '':<15}", text) for index, text in enumerate(following)
    ]
    return Group(*parts)


def _steps(shown: RunRecord) -> RenderableType:
    table = _table("STEP", "HOST", "STATE", "TOOK", "WHAT")
    for step in shown.steps:
        table.add_row(
            step.id,
            step.host,
            Text(step.state.value, style=_STEP_STYLES.get(step.state, "dim")),
            duration(step.seconds) if step.seconds is not None else "-",
            step.title,
        )
    return table


def _counts(shown: RunRecord) -> str:
    states = Counter(step.state for step in shown.steps)
    return f"{states[StepState.DONE] + states[StepState.SKIPPED]}/{len(shown.steps)}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
