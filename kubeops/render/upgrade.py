"""How an upgrade went: the time of each host, step by step, what was waited for, API gaps."""

from collections.abc import Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kubeops.model.report import Availability, StepTime, UpgradeReport
from kubeops.render.errors import whole
from kubeops.render.units import duration

_LONG = 1.0
"""Seconds from which on a wait is worth a line."""


def upgrade(report: UpgradeReport) -> RenderableType:
    """Return the report: a table of hosts and steps, then what was waited for, then the API."""
    return Group(
        Text(),
        _steps(report.steps),
        *_waits(report.steps),
        _availability(report.availability),
    )


def _steps(steps: Sequence[StepTime]) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("HOST", no_wrap=True)
    table.add_column("TOOK", justify="right", no_wrap=True)
    table.add_column("STEPS", overflow="fold")
    of_host = sorted(steps, key=lambda step: [one.host for one in steps].index(step.host))
    for host, group in groupby(of_host, key=lambda step: step.host):
        mine = list(group)
        told = ", ".join(f"{_name(step)} {duration(step.seconds)}{_ended(step)}" for step in mine)
        table.add_row(host, duration(sum(step.seconds for step in mine)), told)
    return table


def _name(step: StepTime) -> str:
    """The end of the step's id, which says what is done: `/1.36/workers/w1/drain` is w1/drain."""
    parts = step.step.strip("/").split("/")
    return "/".join(parts[-2:]) if step.host not in parts else parts[-1]


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
