"""Work on many hosts at once, never on more than so many; and two questions at the same time."""

import threading
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

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
        _wait(pool, [outcome.future for outcome in outcomes])
    return outcomes


def both(one: Callable[[], T], other: Callable[[], R]) -> tuple[T, R]:
    """Call both at the same time, wait for both, and return what they returned.

    Raises what `one` raised, else what `other` raised. Interruptions are as in `each`.
    """
    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="kubeops") as pool:
        first, second = pool.submit(one), pool.submit(other)
        _wait(pool, [first, second])
    return first.result(), second.result()


def _wait(pool: ThreadPoolExecutor, futures: "Iterable[Future[Any]]") -> None:
    try:
        wait(futures)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise


class Shared:
    """Questions that many ask at the same time, each of which is put only once at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[Hashable, Future[Any]] = {}

    def ask(self, key: Hashable, question: Callable[[], R]) -> R:
        """Return the answer of `question`, or of the one with this `key` that is under way.

        So an answer may be as old as when that one was put. Raises what it raised.
        """
        with self._lock:
            future = self._under_way.get(key)
            asked = future is not None
            if future is None:
                future = self._under_way[key] = Future()
        if not asked:
            try:
                future.set_result(question())
            except BaseException as error:
                future.set_exception(error)
                raise
            finally:
                with self._lock:
                    del self._under_way[key]
        answer: R = future.result()
        return answer
