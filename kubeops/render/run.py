"""A run while it happens: a live view on a terminal, one line per event on a pipe; then its end."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from threading import Lock
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kubeops.model.event import Event, Kind
from kubeops.model.run import Failure, Outcome, RunState
from kubeops.plan.model import Plan
from kubeops.render.errors import whole
from kubeops.render.plan import REHEARSAL
from kubeops.render.progress import Progress, Underway
from kubeops.render.units import clock, duration

_LANES_SHOWN = 16
_ABOVE = frozenset({Kind.STEP_FAILED, Kind.NOTE})
"""Kinds of events that stay on the terminal above the live view."""
_WORDS = {
    Kind.STEP_STARTED: "start",
    Kind.STEP_SKIPPED: "skip",
    Kind.STEP_WAITING: "wait",
    Kind.STEP_DONE: "done",
    Kind.STEP_FAILED: "FAILED",
    Kind.WAVE_STARTED: "wave",
    Kind.WAVE_ENDED: "ended",
    Kind.RUN_STARTED: "run",
    Kind.RUN_ENDED: "ended",
    Kind.NOTE: "note",
    Kind.COMMAND: "ran",
}
"""Kinds of events that get a line on a pipe; commands only when asked for."""


class RunView:
    """Shows a run while it happens. It is a Sink, for any thread, within its `with` block."""

    def __init__(
        self,
        plan: Plan,
        *,
        console: Console,
        now: Callable[[], datetime],
        durations: Mapping[str, float] | None = None,
        verbose: bool = False,
    ) -> None:
        """Prepare a view.

        Args:
            plan: what is run.
            console: where it is shown.
            now: the clock that elapsed times are told by.
            durations: seconds each step took before, by id, for an estimate of the time to go.
            verbose: on a pipe, print the commands as well.
        """
        self._console = console
        self._now = now
        self._durations = durations or {}
        self._verbose = verbose
        self._turn = Lock()
        self._progress = Progress(plan=plan)
        self._live = (
            Live(
                console=console,
                get_renderable=self._picture,
                refresh_per_second=4,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            if console.is_terminal
            else None
        )

    @property
    def progress(self) -> Progress:
        """What has happened so far."""
        return self._progress

    def __enter__(self) -> Self:
        """Start showing."""
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Clear the live view away; the run's end is told by `ending`."""
        if self._live:
            self._live.stop()

    def __call__(self, event: Event) -> None:
        """Take one event."""
        with self._turn:
            self._progress = self._progress.after(event)
        if event.kind is Kind.COMMAND and not self._verbose:
            return
        if event.kind in _ABOVE or (self._live is None and event.kind in _WORDS):
            self._console.print(line(event), crop=False, soft_wrap=True)

    def _picture(self) -> RenderableType:
        return picture(self._progress, now=self._now(), durations=self._durations)


def line(event: Event) -> Text:
    """Return an event as one line: time in UTC, host, what happened, step, text."""
    text = "; ".join(part.strip() for part in event.text.splitlines() if part.strip())
    style = {Kind.STEP_FAILED: "bold red", Kind.STEP_DONE: "green"}.get(event.kind, "")
    took = event.data.get("seconds")
    if event.kind in {Kind.STEP_DONE, Kind.COMMAND} and isinstance(took, (int, float)):
        text = f"{text} ({duration(took)})" if text else f"({duration(took)})"
    return Text.assemble(
        (f"{event.at:%H:%M:%S}Z", "dim"),
        f"  {event.host or '-':<8}",
        (f"  {_WORDS[event.kind]:<6}", style),
        f"  {event.step}" if event.step else "",
        f"  {text}" if text else "",
    )


def picture(progress: Progress, *, now: datetime, durations: Mapping[str, float]) -> RenderableType:
    """Return the live view: the wave, how far it all is, and every lane that is running."""
    lanes = Table.grid(padding=(0, 2, 0, 0), expand=True)
    lanes.add_column(no_wrap=True, style="cyan")
    lanes.add_column(no_wrap=True, overflow="ellipsis", ratio=2)
    lanes.add_column(no_wrap=True, justify="right")
    lanes.add_column(no_wrap=True, overflow="ellipsis", ratio=3, style="dim")
    for one in progress.underway[:_LANES_SHOWN]:
        lanes.add_row(*_lane(one, now=now))
    parts: list[RenderableType] = [_counters(progress, now=now, durations=durations), lanes]
    if hidden := len(progress.underway) - _LANES_SHOWN:
        parts += [Text(f"and {hidden} more", style="dim")] if hidden > 0 else []
    return Group(*parts)


def _lane(one: Underway, *, now: datetime) -> tuple[str, str, str, str]:
    elapsed = clock((now - one.since).total_seconds())
    return f"  {one.step.host}", one.step.title, elapsed, one.text


def _counters(progress: Progress, *, now: datetime, durations: Mapping[str, float]) -> Text:
    plan = progress.plan
    waves = len(plan.waves)
    wave = progress.wave
    number = plan.waves.index(wave) + 1 if wave else 0
    parts: list[str | tuple[str, str]] = [(f"{plan.kind} {plan.cluster}", "bold")]
    parts.append(f"   wave {number}/{waves} {wave.title}" if wave else "")
    parts.append((f"   {progress.ended}/{progress.total} steps", "bold"))
    if progress.failed:
        parts.append((f"   {len(progress.failed)} failed", "bold red"))
    if progress.started:
        parts.append(f"   {clock((now - progress.started).total_seconds())}")
    left = progress.remaining(durations)
    if left:
        parts.append((f"   about {duration(left)} left", "dim"))
    if progress.rehearsal:
        parts.append(("   rehearsal", "yellow"))
    text = Text.assemble(*parts)
    text.no_wrap = True
    text.overflow = "ellipsis"
    return text


def ending(
    outcome: Outcome, *, progress: Progress, following: Sequence[str] = ()
) -> RenderableType:
    """Return how a run ended: counts, time per wave, every failure in full, what to type next."""
    plan = progress.plan
    style = {RunState.DONE: "bold green", RunState.INTERRUPTED: "bold yellow"}
    skipped = f", {outcome.steps_skipped} found done" if outcome.steps_skipped else ""
    parts: list[RenderableType] = [
        Text.assemble(
            (f"{plan.kind} {plan.cluster}   ", "bold"),
            (outcome.status.value, style.get(outcome.status, "bold red")),
            f" after {duration(outcome.seconds)}   {outcome.steps_done} steps done{skipped}",
        )
    ]
    if progress.rehearsal:
        parts.append(Text(REHEARSAL, style="bold yellow"))
    parts.append(_waves(progress))
    parts += failures(outcome.failures)
    parts += [Text(f"unfinished     {name}", style="yellow") for name in outcome.unfinished]
    if outcome.status is not RunState.DONE:
        parts += [
            whole(f"{'stopped before':<15}", f"{step.id}  {step.title}")
            for step in progress.between
        ]
    parts.append(whole(f"{'log':<15}", str(outcome.log)))
    parts += [
        whole(f"{'next' if not index else '':<15}", text) for index, text in enumerate(following)
    ]
    return Group(*parts)


def failures(failed: Iterable[Failure]) -> list[RenderableType]:
    """Return each failure with host, step, command, status, last lines, cure and code."""
    parts: list[RenderableType] = []
    for failure in failed:
        parts.append(
            Text.assemble(
                (f"{'failed':<15}", "bold red"), failure.step or "the run", f"  {failure.title}"
            )
        )
        rows = [("host", failure.host), ("why", failure.message)]
        if failure.command:
            ended = "" if failure.status is None else f"   (status {failure.status})"
            rows.append(("command", failure.command + ended))
        parts += [whole(f"  {name:<13}", text) for name, text in rows if text]
        parts += [whole(f"  | {text}") for text in failure.output]
        if failure.hint:
            parts.append(whole(f"  {'cure':<13}", failure.hint))
        parts.append(Text(f"  {'code':<13}{failure.code}", style="dim"))
    return parts


def _waves(progress: Progress) -> RenderableType:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True, style="yellow")
    for number, wave in enumerate(progress.plan.waves, start=1):
        span = progress.spans.get(wave.name)
        took = duration(span.seconds) if span else "not started"
        over, steps = progress.over(wave), sum(len(lane.steps) for lane in wave.lanes)
        table.add_row(
            f"{number:>2}",
            wave.title,
            took,
            f"{over} of {steps} steps" if span and over < steps else "",
        )
    return table
