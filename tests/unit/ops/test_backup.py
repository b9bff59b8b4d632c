"""The verbs about backups, without a cluster: what they decide, remember and tell."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kubeops.backups import attempts, catalog, lock
from kubeops.backups.local import LocalStore
from kubeops.errors import (
    LockedError,
    PreflightError,
    StepError,
    StoreError,
    UntrustedSnapshotError,
)
from kubeops.model.backup import Freshness, Standing
from kubeops.model.bundle import MANIFEST, Bundle
from kubeops.model.desired import BackupPolicy
from kubeops.ops import backup, freshness
from kubeops.ops.session import Session
from tests.bundles import bundle
from tests.failing_store import FailingStore
from tests.unit.engine.support import START
from tests.unit.ops.values import session_of
from tests.unit.plan import values


@dataclass
class World:
    """A store of one cluster, and a session that observes nothing."""

    session: Session
    store: LocalStore
    lines: list[str] = field(default_factory=list)

    def put(self, *ages: float, failed: str = "") -> list[str]:
        """Store bundles of so many days, without parts worth the name; return their names."""
        made = []
        for number, days in enumerate(ages):
            taken = START - timedelta(days=days)
            one = bundle(taken, chance=f"{'f' if failed else 'a'}bc{number:03}", failed=failed)
            one = replace(one, cluster=self.session.desired.name)
            for part in one.parts:
                with self.store.create(catalog.prefix(one) + part.name) as sink:
                    sink.write(b"x" * part.size)
            catalog.commit(self.store, one)
            made.append(one.name)
        return made

    def names(self) -> list[str]:
        found = freshness.listing(self.session.desired, now=START)
        return [entry.name for entry in found.backups]

    def take(self) -> backup.Taken:
        return backup.take(self.session, progress=self.lines.append)

    def metrics(self) -> str:
        directory = self.session.desired.backup.metrics_directory
        assert directory is not None
        return (directory / f"kubeops-backup-{self.session.desired.name}.prom").read_text()


Make = Callable[..., World]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setattr(Session, "observe", lambda _self, **_options: None)
    (tmp_path / "metrics").mkdir()

    def make(**policy: Any) -> World:
        told = {"store": f"file://{tmp_path}/store", "metrics_directory": tmp_path / "metrics"}
        desired = values.cluster(1, 0, backup=BackupPolicy(**{**told, **policy}))
        session = session_of(desired, tmp_path / "state")
        return World(session=session, store=LocalStore(tmp_path / "store"))

    return make


def saves(
    monkeypatch: pytest.MonkeyPatch, world: World, error: BaseException | None = None
) -> None:
    """Have a save take ten seconds, and then store a bundle or raise."""

    def take(*_arguments: object, **_options: object) -> Bundle:
        world.session.clock.pause(10)
        if error is not None:
            raise error
        return catalog.find(world.store, world.session.desired.name, world.put(0)[0])

    monkeypatch.setattr("kubeops.backups.save.take", take)


def test_a_backup_is_remembered_and_measured(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    one = world(keep={"last": 1})
    saves(monkeypatch, one)
    old = one.put(400)
    taken = one.take()
    assert (taken.seconds, taken.removed, taken.problem) == (10, (), None)
    assert one.names() == [taken.backup.name, *old], "without `keep` in the inventory all stay"
    known = attempts.read(one.session.state, one.session.desired.name)
    assert known is not None
    assert (known.last.name, known.last.seconds, known.last.ok) == (taken.backup.name, 10, True)
    assert known.last_success == START + timedelta(seconds=10)
    assert "last_run_duration_seconds" in one.metrics()
    assert 'standing="proven"} 2' in one.metrics()


def test_old_ones_go_when_the_inventory_says_what_to_keep(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = world(prunes=True, keep={"last": 2})
    saves(monkeypatch, one)
    old = one.put(1, 2, 3)
    taken = one.take()
    assert one.names() == [taken.backup.name, old[0]]
    assert [verdict.name for verdict in taken.removed] == old[1:]
    assert 'standing="proven"} 2' in one.metrics(), "they tell what is there afterwards"


@pytest.mark.parametrize(
    ("error", "status"),
    [(UntrustedSnapshotError("trailer: is missing"), 8), (KeyboardInterrupt(), 1), (OSError(5), 1)],
    ids=["unproven", "interrupted", "defect"],
)
def test_a_failure_is_remembered_and_raised(
    world: Make, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int
) -> None:
    one = world()
    saves(monkeypatch, one)
    one.take()
    saves(monkeypatch, one, error)
    with pytest.raises(type(error)):
        one.take()
    known = attempts.read(one.session.state, one.session.desired.name)
    assert known is not None
    assert known.last.exit_status == status
    assert known.last_success == START + timedelta(seconds=10)
    assert "last_run_success" in one.metrics()
    assert f'last_run_exit_status{{cluster="{one.session.desired.name}"}} {status}' in one.metrics()


def test_hosts_that_cannot_be_asked_are_a_failure_like_any(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def observe(_self: Session) -> None:
        raise PreflightError("nobody answers")

    one = world()
    monkeypatch.setattr(Session, "observe", observe)
    with pytest.raises(PreflightError):
        one.take()
    assert "} 4" in one.metrics()


def test_one_that_was_refused_is_not_remembered(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = world()
    saves(monkeypatch, one, LockedError("another one"))
    with pytest.raises(LockedError):
        one.take()
    assert attempts.read(one.session.state, one.session.desired.name) is None


def test_metrics_that_cannot_be_written_do_not_hide_the_failure(
    world: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = world(metrics_directory=tmp_path / "missing")
    saves(monkeypatch, one, StoreError("the store is full"))
    with pytest.raises(StoreError, match="full"):
        one.take()
    assert "warning: the metrics cannot be written" in one.lines[-1]
    saves(monkeypatch, one)
    problem = one.take().problem
    assert isinstance(problem, StepError)


def test_retention_that_fails_leaves_a_backup_and_a_complaint(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = world(prunes=True, keep={"last": 1})
    one.put(3)
    saves(monkeypatch, one)
    failing = FailingStore(one.store, broken=(f"/{MANIFEST}",))
    failing.broken = ("delete " + next(key for key in one.store.files("") if MANIFEST in key),)
    monkeypatch.setattr(backup, "open_store", lambda _policy: failing)
    taken = one.take()
    assert taken.problem is not None
    assert "old ones cannot be removed" in taken.problem.message
    known = attempts.read(one.session.state, one.session.desired.name)
    assert known is not None
    assert (known.last.exit_status, known.last.name) == (5, taken.backup.name)
    assert taken.backup.name in one.names()


def test_retention_waits_for_no_other_backup(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    one = world(prunes=True, keep={"last": 1})
    old = one.put(3)
    saves(monkeypatch, one)
    with lock.held(one.session.state, one.session.desired.name):
        taken = one.take()
    assert (taken.removed, taken.problem) == ((), None)
    assert one.names() == [taken.backup.name, *old]


def test_everything_in_the_store_is_listed(world: Make) -> None:
    one = world()
    proven, unproven = one.put(2)[0], one.put(1, failed="identity")[0]
    damaged, cut = one.put(3, 4)
    name = one.session.desired.name
    part = one.store.files(f"{name}/{damaged}/")
    one.store.delete(next(key for key in part if "snapshot" in key))
    one.store.delete(f"{name}/{cut}/{MANIFEST}")
    found = freshness.listing(one.session.desired, now=START)
    assert {entry.name: entry.standing for entry in found.backups} == {
        unproven: Standing.UNPROVEN,
        proven: Standing.PROVEN,
        damaged: Standing.DAMAGED,
        cut: Standing.UNFINISHED,
    }
    assert found.newest is not None
    assert (found.newest.name, found.newest.age) == (proven, timedelta(days=2).total_seconds())
    reasons = {entry.name: entry.reason for entry in found.backups}
    assert reasons[unproven] == "identity: seen"
    assert "snapshot" in reasons[damaged]
    assert reasons[proven] == ""


def test_what_is_pruned_is_what_was_agreed_to(world: Make) -> None:
    """One that has come meanwhile is not removed unseen, and one that is gone is no trouble."""
    one = world(keep={"last": 1})
    newest, old, older = one.put(1, 2, 3)
    planned = backup.plan_pruning(one.session.desired, now=START)
    assert [verdict.name for verdict in planned.goes] == [old, older]
    catalog.remove(one.store, catalog.find(one.store, one.session.desired.name, older))
    unseen = one.put(30, failed="identity")
    removed = backup.prune(one.session, planned, progress=one.lines.append)
    assert [verdict.name for verdict in removed] == [old]
    assert one.names() == [newest, *unseen]


def test_nothing_is_pruned_while_a_backup_is_taken(world: Make) -> None:
    one = world(keep={"last": 1})
    before = one.put(1, 2)
    planned = backup.plan_pruning(one.session.desired, now=START)
    with lock.held(one.session.state, one.session.desired.name), pytest.raises(LockedError):
        backup.prune(one.session, planned, progress=one.lines.append)
    assert one.names() == before


def test_a_manifest_that_cannot_be_read_is_never_pruned(world: Make) -> None:
    one = world(keep={"last": 1})
    newest, strange = one.put(1, 200)
    with one.store.create(f"{one.session.desired.name}/{strange}/{MANIFEST}") as sink:
        sink.write(json.dumps({"format": 99}).encode())
    planned = backup.plan_pruning(one.session.desired, now=START)
    assert [verdict.name for verdict in planned.verdicts] == [newest]


@pytest.mark.parametrize(("days", "too_old"), [(1, False), (1.1, True), (None, True)])
def test_freshness(world: Make, days: float | None, *, too_old: bool) -> None:
    one = world(max_age=86400.0)
    one.put(0, failed="identity")
    if days is not None:
        one.put(days)
    found = freshness.freshness(one.session.desired, state=one.session.state, now=START)
    assert found.too_old is too_old


def test_freshness_by_another_measure(world: Make) -> None:
    one = world()
    one.put(1)
    state = one.session.state
    found = freshness.freshness(one.session.desired, state=state, now=START, max_age=60.0)
    assert found.too_old


def test_a_glance_asks_no_store_elsewhere(world: Make) -> None:
    one = world(store="s3://bucket/prefix")
    found = freshness.glance(one.session.desired, state=one.session.state, now=START)
    assert found == "in s3://bucket/prefix; see them with backup.status"


def test_a_glance_at_a_broken_store_is_no_error(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object) -> None:
        raise StoreError("it is gone")

    one = world()
    one.put(1)
    found = freshness.glance(one.session.desired, state=one.session.state, now=START)
    assert isinstance(found, Freshness)
    monkeypatch.setattr(LocalStore, "open", broken)
    told = freshness.glance(one.session.desired, state=one.session.state, now=START)
    assert told == "it is gone"


def test_damaged_ones_are_failures_of_all(world: Make) -> None:
    one = world()
    damaged, cut = one.put(1, 2)
    name = one.session.desired.name
    one.store.delete(next(key for key in one.store.files(f"{name}/{damaged}/") if "pki" in key))
    one.store.delete(f"{name}/{cut}/{MANIFEST}")
    found = backup.verify(
        one.session, name="latest", every=True, full=False, progress=one.lines.append
    )
    assert [(item.name, item.proof.holds) for item in found] == [(damaged, False)]


def test_an_alarm_gets_the_document(tmp_path: Path) -> None:
    said = backup.alarm(("sh", "-c", 'cat >"$0"', str(tmp_path / "got")), b'{"ok": false}')
    assert said == ""
    assert (tmp_path / "got").read_bytes() == b'{"ok": false}'


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("sh", "-c", "echo no >&2; exit 3"), "ended with 3: no"),
        (("/no/such",), "command not found"),
    ],
)
def test_an_alarm_that_fails_is_said(argv: tuple[str, ...], said: str) -> None:
    assert said in backup.alarm(argv, b"")
