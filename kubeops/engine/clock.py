"""The only reader of the clock, so that a test can hold it still."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event as Flag


@dataclass(frozen=True)
class Clock:
    """Wall clock, monotonic clock and a pause that an interruption ends."""

    interrupted: Flag = field(default_factory=Flag)

    def now(self) -> datetime:
        """The present moment, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go backwards."""
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        """Wait `seconds`, or until the run is interrupted."""
        self.interrupted.wait(seconds)
