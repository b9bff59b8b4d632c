"""Measures a run from its events: what each step took, and what it waited for meanwhile."""

from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from threading import Lock

from kubeops.model.event import Event, Kind
from kubeops.model.report import StepTime, Wait
from kubeops.plan.model import Plan

_ENDS = {Kind.STEP_DONE: "done", Kind.STEP_SKIPPED: "skipped", Kind.STEP_FAILED: "failed"}


@dataclass(kw_only=True)
class _Running:
    first: datetime
    last: datetime
    state: str = "unfinished"
    told: list[tuple[datetime, str]] = field(default_factory=list)

    def waits(self) -> tuple[Wait, ...]:
        """Each thing the step said lasted until it said the next, or ended."""
        seconds: dict[str, float] = {}
        for (at, text), (end, _) in pairwise((*self.told, (self.last, ""))):
            seconds[text] = seconds.get(text, 0.0) + (end - at).total_seconds()
        return tuple(Wait(text=text, seconds=round(took, 1)) for text, took in seconds.items())


class Stopwatch:
    """A sink; `times` says what it has measured."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._turn = Lock()
        self._steps: dict[str, _Running] = {}

    def __call__(self, event: Event) -> None:
        """Take one event."""
        if not event.step:
            return
        with self._turn:
            step = self._steps.setdefault(event.step, _Running(first=event.at, last=event.at))
            step.last = event.at
            if event.kind is Kind.STEP_WAITING:
                step.told.append((event.at, event.text))
            step.state = _ENDS.get(event.kind, step.state)

    def times(self) -> tuple[StepTime, ...]:
        """Return what each step took that was begun, in the order of the plan."""
        with self._turn:
            return tuple(
                StepTime(
                    step=step.id,
                    host=step.host,
                    title=step.title,
                    state=found.state,
                    seconds=round((found.last - found.first).total_seconds(), 1),
                    waits=found.waits(),
                )
                for step in self._plan.steps
                if (found := self._steps.get(step.id)) is not None
            )
