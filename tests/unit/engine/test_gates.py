from collections.abc import Callable

import pytest

from kubeops.engine.gates import Gate, Reading, wait_until
from kubeops.errors import CommandError, GateError, InterruptedRunError, TransportError
from tests.unit.engine.support import FakeClock

GOOD, BAD = Reading(ok=True, text="ready"), Reading(ok=False, text="not yet")


def readings(*given: Reading | Exception) -> Callable[[], Reading]:
    """Give one reading after the other; asking for more fails."""
    left = iter(given)

    def look() -> Reading:
        reading = next(left)
        if isinstance(reading, Exception):
            raise reading
        return reading

    return look


def wait(look: Callable[[], Reading], clock: FakeClock | None = None, **more: float) -> list[str]:
    said: list[str] = []
    gate = Gate(name="the API", look=look, timeout=more.get("timeout", 60), interval=0.5)
    wait_until(gate, clock=clock or FakeClock(), progress=said.append)
    return said


def test_it_is_passed_after_good_readings_in_a_row() -> None:
    clock = FakeClock()

    said = wait(readings(GOOD, BAD, GOOD, GOOD), clock)

    assert said == [f"waiting for the API: {text}" for text in ("ready", "not yet", "ready")]
    assert clock.paused == [0.0625, 0.0625, 0.0625]


def test_what_takes_its_time_is_asked_every_interval_and_confirmed_soon() -> None:
    clock = FakeClock()
    wait(readings(*[BAD] * 6, GOOD, GOOD), clock)
    assert clock.paused == [0.0625, 0.125, 0.25, 0.5, 0.5, 0.5, 0.0625]


def test_what_comes_and_goes_is_not_asked_all_the_time() -> None:
    clock = FakeClock()
    wait(readings(*[BAD, GOOD] * 4, GOOD), clock)
    assert clock.paused[::2] == [0.0625, 0.125, 0.25, 0.5]


def test_a_host_that_does_not_answer_is_a_bad_reading() -> None:
    wait(
        readings(
            TransportError("cp1: no route", host="cp1"),
            CommandError(host="cp1", shown="kubectl", status=1, output=""),
            GOOD,
            GOOD,
        )
    )


def test_the_deadline_is_the_clocks_and_the_error_says_what_was_seen() -> None:
    clock = FakeClock()

    with pytest.raises(GateError, match="the API: not within 5 s; last seen: not yet") as raised:
        wait(lambda: BAD, clock, timeout=5)

    assert raised.value.last == "not yet"
    assert 5 <= sum(clock.paused) < 5.5


def test_a_reading_that_says_never_ends_it() -> None:
    with pytest.raises(GateError, match="it cannot come true; last seen: removed"):
        wait(readings(BAD, Reading(ok=False, text="removed", failed=True)))


def test_an_interruption_ends_it() -> None:
    clock = FakeClock()

    def look() -> Reading:
        clock.interrupted.set()
        return BAD

    with pytest.raises(InterruptedRunError, match="while waiting for the API"):
        wait(look, clock)


def test_a_defect_of_the_look_is_raised() -> None:
    with pytest.raises(KeyError):
        wait(readings(KeyError("conditions")))
