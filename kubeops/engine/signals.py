"""Ctrl-C and its relatives, turned into a call."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# SIGHUP: the terminal was closed, or the connection to the workstation broke.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptions(notify: Callable[[str], None]) -> Iterator[None]:
    """Call `notify` with the signal's name instead of dying of it, while the context lasts.

    `notify` runs in the main thread between any two of its instructions, so it must be reentrant
    and take no lock (`queue.SimpleQueue.put` is and does not). Signals that were ignored before,
    as SIGHUP under nohup, stay ignored. Outside the main thread signals cannot be caught and
    nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, _frame: FrameType | None) -> None:
        notify(signal.Signals(number).name)

    before = {
        number: signal.signal(number, handle)
        for number in _SIGNALS
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
