"""What an upgrade took: every step, what it waited for, and how long the API was away."""

from dataclasses import dataclass
from datetime import datetime

from kubeops.model.run import Outcome


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Something a step said it was doing or waiting for, and for how long that was so."""

    text: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """One step: how it ended (`done`, `skipped`, `failed` or `unfinished`) and what it took."""

    step: str
    host: str
    title: str
    state: str
    seconds: float
    waits: tuple[Wait, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outage:
    """A time in which the cluster's endpoint did not say that it was ready."""

    began: datetime
    seconds: float
    said: str


@dataclass(frozen=True, kw_only=True)
class Availability:
    """What was seen of the endpoint, asked every second or so from the control plane `asked`.

    `looks` says how often; 0 when nobody could ask.
    """

    asked: str = ""
    looks: int = 0
    outages: tuple[Outage, ...] = ()

    @property
    def seconds_away(self) -> float:
        """How long the endpoint was away in all."""
        return round(sum(outage.seconds for outage in self.outages), 1)


@dataclass(frozen=True, kw_only=True)
class UpgradeReport:
    """How an upgrade went; `notices` is what it leaves to the operator, one line each."""

    outcome: Outcome
    steps: tuple[StepTime, ...]
    availability: Availability
    notices: tuple[str, ...] = ()
