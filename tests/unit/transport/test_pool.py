import threading

import pytest

from kubeops.transport.pool import Shared, both, each


def test_keeps_the_order_and_the_exceptions() -> None:
    def invert(number: int) -> float:
        return 1 / number

    outcomes = each([1, 0, 2], invert, at_once=3)
    assert [outcome.item for outcome in outcomes] == [1, 0, 2]
    assert [outcome.ok for outcome in outcomes] == [True, False, True]
    assert isinstance(outcomes[1].error, ZeroDivisionError)
    assert outcomes[2].value == 0.5
    with pytest.raises(ZeroDivisionError):
        _ = outcomes[1].value


def test_runs_as_many_as_allowed_and_no_more() -> None:
    together = threading.Barrier(3)
    running = 0
    most = 0
    lock = threading.Lock()

    def work(_item: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(30)  # passes only when three are here at once
        with lock:
            running -= 1

    assert all(outcome.ok for outcome in each(range(9), work, at_once=3))
    assert most == 3


def test_nothing_to_do() -> None:
    assert each([], str, at_once=1) == []


def test_an_interruption_starts_nothing_more_and_waits_for_what_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[int] = []
    finished: list[int] = []
    running = threading.Event()
    interrupted = threading.Event()

    def work(item: int) -> None:
        started.append(item)
        running.set()
        interrupted.wait(30)
        finished.append(item)

    def press_ctrl_c(_futures: object) -> None:
        running.wait(30)
        # The pool is told to stop before the work that runs goes on.
        threading.Timer(0.2, interrupted.set).start()
        raise KeyboardInterrupt

    monkeypatch.setattr("kubeops.transport.pool.wait", press_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        each(range(5), work, at_once=1)
    assert started == finished == [0]


def test_both_at_the_same_time() -> None:
    met = threading.Barrier(2)

    def meet(answer: object) -> object:
        met.wait(30)
        return answer

    assert both(lambda: meet(1), lambda: meet("two")) == (1, "two")


def test_both_are_waited_for_and_the_first_one_counts() -> None:
    failed = threading.Event()
    finished = []

    def fail(text: str) -> None:
        failed.set()
        raise ValueError(text)

    def fail_later() -> None:
        failed.wait(30)
        finished.append("other")
        fail("other")

    with pytest.raises(ValueError, match="one"):
        both(lambda: fail("one"), fail_later)
    assert finished == ["other"]
    with pytest.raises(ValueError, match="other"):
        both(lambda: 1, lambda: fail("other"))


class Key:
    """Tells when it is looked for."""

    def __init__(self) -> None:
        self.looked = threading.Semaphore(0)

    def __hash__(self) -> int:
        self.looked.release()
        return 7


class TestShared:
    def test_a_question_that_is_under_way_is_not_put_again(self) -> None:
        shared, key = Shared(), Key()
        asked, release = threading.Event(), threading.Event()
        answers = []

        def slow() -> int:
            asked.set()
            release.wait(30)
            return 7

        first = threading.Thread(target=lambda: answers.append(shared.ask(key, slow)))
        first.start()
        assert asked.wait(30)
        while key.looked.acquire(blocking=False):
            pass
        others = [
            threading.Thread(target=lambda: answers.append(shared.ask(key, lambda: 8)))
            for _ in range(4)
        ]
        for thread in others:
            thread.start()
        assert shared.ask("another", lambda: 9) == 9
        for _ in others:
            assert key.looked.acquire(timeout=30)
        release.set()
        for thread in (first, *others):
            thread.join(30)
        assert answers == [7] * 5

    def test_one_that_was_answered_is_put_anew(self) -> None:
        shared = Shared()
        answers = iter((1, 2))
        assert [shared.ask("k", lambda: next(answers)) for _ in range(2)] == [1, 2]

    def test_what_it_raises_is_raised(self) -> None:
        shared = Shared()
        with pytest.raises(ZeroDivisionError):
            shared.ask("k", lambda: 1 / 0)
        assert shared.ask("k", lambda: 2) == 2
