"""The same work on many hosts at once, never on more than so many."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Outcome(Generic[T, R]):
    """What became of one item: the future holds a value or the exception that was raised."""

    item: T
    future: "Future[R]"

    @property
    def error(self) -> BaseException | None:
        """What the function raised for this item; None when it returned."""
        return self.future.exception()

    @property
    def ok(self) -> bool:
        """Whether the function returned."""
        return self.error is None

    @property
    def value(self) -> R:
        """What the function returned for this item; raises what it raised."""
        return self.future.result()


def each(items: Iterable[T], function: Callable[[T], R], *, at_once: int) -> "list[Outcome[T, R]]":
    """Call `function` with each of `items`, at most `at_once` at a time; wait for all of them.

    An exception ends its own item only, and is a value of the answer, which has the order of
    `items`. When the wait is interrupted (Ctrl-C), nothing more is started, what is under way is
    waited for, because a command on a host cannot be taken back, and the interruption goes on; a
    second one no longer waits.
    """
    with ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="kubeops") as pool:
        outcomes = [Outcome(item=item, future=pool.submit(function, item)) for item in items]
        try:
            wait(outcome.future for outcome in outcomes)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return outcomes
