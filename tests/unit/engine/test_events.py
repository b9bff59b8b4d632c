from concurrent.futures import ThreadPoolExecutor

import pytest

from kubeops.engine.events import fan_out
from kubeops.model.event import Event, Kind
from tests.unit.engine.support import START

EVENT = Event(at=START, kind=Kind.NOTE)


def test_every_sink_gets_every_event_in_one_order() -> None:
    first: list[Event] = []
    second: list[Event] = []
    sink = fan_out(first.append, second.append)
    events = [Event(at=START, kind=Kind.NOTE, text=str(number)) for number in range(200)]

    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(sink, events))

    assert first == second
    assert sorted(event.text for event in first) == sorted(event.text for event in events)


def test_a_sink_that_raises_does_not_keep_the_event_from_the_others() -> None:
    got: list[Event] = []

    def broken(_event: Event) -> None:
        raise KeyError("column")

    with pytest.raises(KeyError):
        fan_out(broken, got.append)(EVENT)
    assert got == [EVENT]
