"""What happens during a run, one value per happening: the journal's lines and the screen's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """The kinds of happenings."""

    RUN_STARTED = "run-started"
    RUN_ENDED = "run-ended"
    WAVE_STARTED = "wave-started"
    WAVE_ENDED = "wave-ended"
    STEP_STARTED = "step-started"
    STEP_SKIPPED = "step-skipped"
    STEP_WAITING = "step-waiting"
    STEP_DONE = "step-done"
    STEP_FAILED = "step-failed"
    COMMAND = "command"
    REMEMBERED = "remembered"
    NOTE = "note"


REHEARSAL = "rehearsal"
"""Key under which a step remembers that its host runs the lab's stand-ins, not Kubernetes."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """One happening: `text` is for people, `data` (JSON values) for programs."""

    at: datetime
    kind: Kind
    step: str = ""
    host: str = ""
    text: str = ""
    data: Mapping[str, object] = field(default_factory=dict)


Sink = Callable[[Event], None]
"""Takes every event of a run, from any thread, in order."""
