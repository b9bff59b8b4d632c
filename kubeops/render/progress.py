"""A run so far, as the fold of its events over its plan."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from kubeops.model.event import REHEARSAL, Event, Kind
from kubeops.plan.model import Plan, Step, Wave

_ENDS = frozenset({Kind.STEP_DONE, Kind.STEP_SKIPPED, Kind.STEP_FAILED})


@dataclass(frozen=True, kw_only=True)
class Underway:
    """A step that is running, since when, and what it says it is doing or waiting for."""

    step: Step
    since: datetime
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Span:
    """When a wave's first step started and its latest step ended (or started)."""

    first: datetime
    last: datetime

    @property
    def seconds(self) -> float:
        """How long the wave took, so far."""
        return (self.last - self.first).total_seconds()


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What has happened of `plan`: steps by how they ended, and those under way, oldest first."""

    plan: Plan
    started: datetime | None = None
    underway: tuple[Underway, ...] = ()
    done: frozenset[str] = frozenset()
    skipped: frozenset[str] = frozenset()
    failed: tuple[str, ...] = ()
    spans: Mapping[str, Span] = field(default_factory=dict)
    found_out: frozenset[str] = frozenset()
    """Keys of what steps remembered."""

    @property
    def rehearsal(self) -> bool:
        """Whether the hosts run stand-ins: known before the run, or found out during it."""
        return self.plan.rehearsal or REHEARSAL in self.found_out

    @property
    def total(self) -> int:
        """How many steps the plan has."""
        return sum(1 for _ in self.plan.steps)

    @property
    def ended(self) -> int:
        """How many of them have ended, in whatever way."""
        return len(self.done) + len(self.skipped) + len(self.failed)

    @property
    def wave(self) -> Wave | None:
        """The wave that was entered last."""
        entered = [wave for wave in self.plan.waves if wave.name in self.spans]
        return entered[-1] if entered else None

    def over(self, wave: Wave) -> int:
        """How many steps of `wave` are done, or were found done."""
        return len(self._over & {step.id for lane in wave.lanes for step in lane.steps})

    @property
    def between(self) -> tuple[Step, ...]:
        """The next step of every lane that rests between two of its steps."""
        begun = {*self.failed, *(one.step.id for one in self.underway)}
        found = []
        for lane in (lane for wave in self.plan.waves for lane in wave.lanes):
            left = [step for step in lane.steps if step.id not in self._over]
            if 0 < len(left) < len(lane.steps) and left[0].id not in begun:
                found.append(left[0])
        return tuple(found)

    @property
    def _over(self) -> frozenset[str]:
        return self.done | self.skipped

    def after(self, event: Event) -> "Progress":
        """Return the progress once `event` has happened; unknown steps change nothing."""
        began = self.started or event.at
        if event.kind in {Kind.STEP_STARTED, Kind.STEP_WAITING}:
            return replace(self._stretched(event), started=began, underway=self._told(event))
        if event.kind in _ENDS:
            return self._end(event, began=began)
        if event.kind is Kind.REMEMBERED:
            return replace(self, started=began, found_out=self.found_out | {str(event.data["key"])})
        return replace(self, started=began)

    def remaining(self, durations: Mapping[str, float]) -> float | None:
        """Return the seconds still to go when steps take as long as in `durations`.

        None when one of the steps to come is not in there.
        """
        over = self._over | frozenset(self.failed)
        seconds = 0.0
        for wave in self.plan.waves:
            lanes = [[step.id for step in lane.steps if step.id not in over] for lane in wave.lanes]
            if any(step not in durations for lane in lanes for step in lane):
                return None
            each = [sum(durations[step] for step in lane) for lane in lanes]
            seconds += max(max(each, default=0.0), sum(each) / max(1, wave.at_once))
        return seconds

    def _end(self, event: Event, *, began: datetime) -> "Progress":
        known = {event.step} & {step.id for step in self.plan.steps}
        failed = event.kind is Kind.STEP_FAILED and event.step not in self.failed
        return replace(
            self._stretched(event),
            started=began,
            underway=tuple(one for one in self.underway if one.step.id != event.step),
            done=self.done | known if event.kind is Kind.STEP_DONE else self.done,
            skipped=self.skipped | known if event.kind is Kind.STEP_SKIPPED else self.skipped,
            failed=(*self.failed, *known) if failed else self.failed,
        )

    def _told(self, event: Event) -> tuple[Underway, ...]:
        """Return what is under way; a step that was found done may still wait for its gate."""
        text = event.text if event.kind is Kind.STEP_WAITING else ""
        if any(one.step.id == event.step for one in self.underway):
            return tuple(
                replace(one, text=text) if one.step.id == event.step else one
                for one in self.underway
            )
        found = [step for step in self.plan.steps if step.id == event.step]
        new = (Underway(step=step, since=event.at, text=text) for step in found)
        return (*self.underway, *new)

    def _stretched(self, event: Event) -> "Progress":
        for wave in self.plan.waves:
            if any(step.id == event.step for lane in wave.lanes for step in lane.steps):
                span = self.spans.get(wave.name, Span(first=event.at, last=event.at))
                took = event.data.get("seconds")
                start = event.at - timedelta(seconds=took) if isinstance(took, float) else event.at
                stretched = Span(first=min(span.first, start), last=max(span.last, event.at))
                return replace(self, spans={**self.spans, wave.name: stretched})
        return self
