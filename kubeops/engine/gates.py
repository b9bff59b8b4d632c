"""Waiting for something to come true on machines: asked again and again, never slept for."""

from collections.abc import Callable
from dataclasses import dataclass

from tenacity import RetryCallState, Retrying, retry_if_result

from kubeops.engine.clock import Clock
from kubeops.errors import GateError, InterruptedRunError, StepError, TransportError

_DOUBLINGS = 3
"""How often the first pause of a gate doubles before it is the gate's interval."""


@dataclass(frozen=True)
class Reading:
    """One look at what a gate waits for.

    `text` says what was seen, for people; `failed` says that waiting longer is pointless.
    """

    ok: bool
    text: str
    failed: bool = False


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What must come true: `look` is asked again and again, for at most `timeout` seconds.

    The pauses in between grow to `interval` seconds, for most things are there at once or soon; a
    good reading is confirmed soon. It is passed after `successes` good readings in a row. A `look`
    that raises TransportError or StepError counts as a bad reading: while control planes restart
    that is what one sees.
    """

    name: str
    look: Callable[[], Reading]
    timeout: float
    successes: int = 2
    interval: float = 0.25


def wait_until(gate: Gate, *, clock: Clock, progress: Callable[[str], None]) -> None:
    """Wait until `gate` is passed; `progress` gets each new reading's text once.

    Raises:
        GateError: the deadline passed or a reading said that waiting is pointless.
        InterruptedRunError: the run was interrupted meanwhile.
    """
    good = bad = 0
    last = Reading(ok=False, text="nothing read yet")

    def attempt() -> bool:
        nonlocal good, bad, last
        if clock.interrupted.is_set():
            raise InterruptedRunError(f"interrupted while waiting for {gate.name}")
        reading = _read(gate)
        if reading.text != last.text:
            progress(f"waiting for {gate.name}: {reading.text}")
        last = reading
        good, bad = (good + 1, bad) if reading.ok else (0, bad + 1)
        return reading.failed or good >= gate.successes

    deadline = clock.monotonic() + gate.timeout

    def is_late(_state: RetryCallState) -> bool:
        return clock.monotonic() >= deadline

    def pause(_state: RetryCallState) -> float:
        doublings = 0 if last.ok else bad - 1
        return gate.interval * 0.5 ** max(0, _DOUBLINGS - doublings)

    def gave_up(_state: RetryCallState) -> bool:
        return False

    passed = Retrying(
        retry=retry_if_result(lambda over: not over),
        stop=is_late,
        wait=pause,
        sleep=clock.pause,
        retry_error_callback=gave_up,
    )(attempt)
    if passed and not last.failed:
        return
    why = "it cannot come true" if last.failed else f"not within {gate.timeout:g} s"
    raise GateError(f"{gate.name}: {why}; last seen: {last.text}", last=last.text)


def _read(gate: Gate) -> Reading:
    try:
        return gate.look()
    except (TransportError, StepError) as error:
        return Reading(ok=False, text=error.message)
