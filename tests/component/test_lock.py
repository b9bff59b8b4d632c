"""The lock's script against a real shell and file system, in a folder of its own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kubeops.engine.lock import UNREADABLE, Lock, Owner, break_, refuse_if_held, show
from kubeops.engine.process import current_process
from kubeops.errors import LockedError, StepError
from kubeops.model.event import Kind
from kubeops.transport.local import LocalRunner
from tests.unit.engine.support import START, Events, FakeClock

RUN = "20261121T073000-install-3f2a"
OTHER = "20261121T073100-upgrade-77aa"
Acquire = Callable[[Owner], Lock]


def owner(run_id: str = RUN, **process: Any) -> Owner:
    return Owner(
        process=replace(current_process(), **process),
        run_id=run_id,
        kind=run_id.split("-")[1],
        digest="7c1f097c1f09",
        since=START,
    )


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "var" / "lock"


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def acquire(directory: Path, events: Events) -> Acquire:
    def take(who: Owner) -> Lock:
        return Lock.acquire(
            LocalRunner(), who, clock=FakeClock(), sink=events, directory=str(directory)
        )

    return take


def holder(directory: Path) -> Owner | None:
    return show(LocalRunner(), directory=str(directory))


def test_it_is_held_shown_and_released(acquire: Acquire, directory: Path, events: Events) -> None:
    assert holder(directory) is None

    with acquire(owner()) as lock:
        assert holder(directory) == lock.owner == owner()
        assert (directory / "owner.json").stat().st_mode & 0o777 == 0o600

    assert holder(directory) is None
    assert not directory.exists()
    assert events.all == []


def test_another_run_is_told_who_holds_it(acquire: Acquire, directory: Path) -> None:
    elsewhere = owner(who="ada", workstation="laptop", machine_id="other", pid=7)
    with acquire(elsewhere):
        with pytest.raises(LockedError) as raised:
            acquire(owner(OTHER))
        assert holder(directory) == elsewhere

    assert raised.value.message == (
        f"localhost: the cluster is locked by ada on laptop (pid 7), run {RUN} "
        "(install, plan 7c1f097c1f09), since 2026-11-21T07:30:00+00:00"
    )
    assert "invoke lock.show" in raised.value.hint
    assert f"invoke lock.break --run {RUN}" in raised.value.hint


def test_a_living_run_of_the_same_workstation_keeps_it(acquire: Acquire) -> None:
    with acquire(owner()), pytest.raises(LockedError):
        acquire(owner(OTHER))


@pytest.mark.parametrize(
    "gone",
    [
        {"pid_started": "1"},
        {"boot_id": "the boot before", "pid": 1},
        {"pid": 2**22 + 1},
    ],
    ids=["another process has its pid", "the machine was rebooted", "its pid is gone"],
)
def test_the_lock_of_a_killed_run_is_taken_over_and_said_so(
    acquire: Acquire, directory: Path, events: Events, gone: dict[str, Any]
) -> None:
    acquire(owner(**gone))

    with acquire(owner(OTHER)):
        assert holder(directory) == owner(OTHER)

    (note,) = events.all
    assert (note.kind, note.host) == (Kind.NOTE, "localhost")
    assert note.text.startswith("took over the lock of a run that was killed: ")
    assert RUN in note.text


def test_a_run_in_another_container_of_this_machine_is_not_taken_for_dead(acquire: Acquire) -> None:
    acquire(owner(pid_namespace="pid:[4026532999]", pid=2**22 + 1))

    with pytest.raises(LockedError):
        acquire(owner(OTHER))


def test_of_many_at_once_one_gets_it(acquire: Acquire, events: Events) -> None:
    acquire(owner(pid_started="1"))  # a killed one, so that all want to take over

    def attempt(number: int) -> str:
        try:
            return acquire(owner(f"20261121T07300{number}-install-aaaa")).owner.run_id
        except LockedError:
            return ""

    with ThreadPoolExecutor(max_workers=4) as pool:
        winners = list(filter(None, pool.map(attempt, range(8))))

    assert len(winners) == 1
    assert len(events.all) == 1


def test_a_lock_that_nobody_finished_taking_is_taken(
    acquire: Acquire, directory: Path, events: Events
) -> None:
    directory.mkdir(parents=True)
    (directory / "owner.json.new").write_text("{")

    with acquire(owner()):
        assert holder(directory) == owner()

    assert events.of(Kind.NOTE) == ["found a lock that nobody had finished taking; took it"]
    assert not directory.exists()


def test_an_unreadable_owner_is_explained_and_can_be_broken(
    acquire: Acquire, directory: Path
) -> None:
    directory.mkdir(parents=True)
    (directory / "owner.json").write_bytes(b"\0\0\0")

    with pytest.raises(LockedError, match="owner file is unreadable") as raised:
        acquire(owner())
    assert "invoke lock.break --run unreadable" in raised.value.hint
    with pytest.raises(LockedError):
        holder(directory)

    assert break_(LocalRunner(), UNREADABLE, directory=str(directory))
    assert (directory.parent / "lock.unreadable").read_bytes() == b"\0\0\0"
    assert holder(directory) is None


def test_breaking_names_the_run(acquire: Acquire, directory: Path, events: Events) -> None:
    lock = acquire(owner())
    for wrong in (OTHER, UNREADABLE):
        with pytest.raises(LockedError):
            break_(LocalRunner(), wrong, directory=str(directory))

    assert break_(LocalRunner(), RUN, directory=str(directory))
    for run in (RUN, UNREADABLE):
        assert not break_(LocalRunner(), run, directory=str(directory))

    with acquire(owner(OTHER)):
        lock.release()
        assert holder(directory) == owner(OTHER)
    assert "held by another run now" in events.all[0].text


def test_a_host_that_cannot_keep_a_lock_says_why(acquire: Acquire, directory: Path) -> None:
    directory.parent.write_text("a file where the folder should be")

    with pytest.raises(StepError, match="cannot be used") as raised:
        acquire(owner())

    assert "File exists" in raised.value.message or "Not a directory" in raised.value.message
    assert "disk full?" in raised.value.hint


def test_asking_early_refuses_only_for_a_run_that_may_be_alive(
    acquire: Acquire, directory: Path
) -> None:
    refuse_if_held(LocalRunner(), directory=str(directory))
    with acquire(owner()), pytest.raises(LockedError, match=RUN):
        refuse_if_held(LocalRunner(), directory=str(directory))

    acquire(owner(pid_started="1"))
    refuse_if_held(LocalRunner(), directory=str(directory))
