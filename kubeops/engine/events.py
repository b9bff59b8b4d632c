"""Sinks: where the events of a run go."""

from threading import Lock

from kubeops.model.event import Event, Sink


def fan_out(*sinks: Sink) -> Sink:
    """Return a sink that gives every event to each of `sinks`, in that order.

    It may be called from any thread: one event reaches all sinks before the next one reaches any.
    A sink that raises does not keep the event from the others; the first exception is raised once
    all were served.
    """
    turn = Lock()

    def sink(event: Event) -> None:
        raised: Exception | None = None
        with turn:
            for one in sinks:
                try:
                    one(event)
                except Exception as error:  # noqa: BLE001  raised again below
                    raised = raised or error
        if raised is not None:
            raise raised

    return sink
