"""How an upgrade went: the time of each host, step by step, what was waited for, API gaps."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kubeops.model.report import Availability, StepTime, UpgradeReport
from kubeops.render.errors import whole
from kubeops.render.units import duration

_LONG = 1.0
"""Seconds from which on a wait is worth a line."""


def upgrade(report: UpgradeReport) -> RenderableType:
    """Return the report: hosts and steps, what was waited for, the API, what is left to do."""
    return Group(
        Text(),
        _steps(report.steps),
        *_waits(report.steps),
        _availability(report.availability),
        *(
            whole(f"{'left to you' if not number else '':<15}", notice)
            for number, notice in enumerate(report.notices)
        ),
    )


def _steps(steps: Sequence[StepTime]) -> RenderableType:
    """Return a row for each hop and whom its steps are about, in the order they came up."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("HOP", no_wrap=True)
    table.add_column("HOST", no_wrap=True)
    table.add_column("TOOK", justify="right", no_wrap=True)
    table.add_column("STEPS", overflow="fold")
    rows: dict[tuple[str, str], list[StepTime]] = {}
    for step in steps:
        hop, subject, _ = _parts(step)
        rows.setdefault((hop, subject), []).append(step)
    for (hop, subject), mine in rows.items():
        told = ", ".join(
            f"{_parts(step)[2]} {duration(step.seconds)}{_ended(step)}" for step in mine
        )
        table.add_row(hop, subject, duration(sum(step.seconds for step in mine)), told)
    return table


def _parts(step: StepTime) -> tuple[str, str, str]:
    """Return hop, host and what was done: `/1.36/workers/w1/drain` is 1.36, w1, drain.

    A step on a Node is about that node, wherever kubectl ran.
    """
    match step.step.strip("/").split("/"):
        case [hop, _group, subject, done]:
            return hop, subject, done
        case [hop, done]:
            return hop, step.host, done
        case [_group, subject, done]:
            return "", subject, done
        case other:
            return "", step.host, "/".join(other)


def _ended(step: StepTime) -> str:
    return {"done": "", "skipped": " (was done)"}.get(step.state, f" ({step.state})")


def _waits(steps: Sequence[StepTime]) -> list[RenderableType]:
    waits = sorted(
        ((wait.seconds, step.step, wait.text) for step in steps for wait in step.waits),
        reverse=True,
    )
    rows = [
        whole(f"  {duration(seconds):>7}  {step}  {text}")
        for seconds, step, text in waits
        if seconds >= _LONG and text.startswith("waiting for")
    ]
    return [Text(), Text("waited", style="dim"), *rows] if rows else []


def _availability(seen: Availability) -> RenderableType:
    if not seen.looks:
        return whole(f"{'API':<15}", "nobody could be asked whether the endpoint was there")
    asked = f"{seen.looks} looks from {seen.asked}"
    if not seen.outages:
        return whole(f"{'API':<15}", f"ready at every one of {asked}")
    longest = max(outage.seconds for outage in seen.outages)
    gaps = "; ".join(
        f"{outage.began:%H:%M:%S}Z for {duration(outage.seconds)} ({outage.said})"
        for outage in seen.outages
    )
    return whole(
        f"{'API':<15}",
        f"away for {duration(seen.seconds_away)} in all, {duration(longest)} at most, "
        f"by {asked}: {gaps}",
    )
