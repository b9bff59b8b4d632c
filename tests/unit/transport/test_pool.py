import threading

import pytest

from kubeops.transport.pool import each


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
