"""`backup` and what looks after backups: list, verify, prune, status.

A backup is not a run of a plan and does not take the cluster's lock: on the hosts it makes nothing
but scratch files of its own, and it has to be possible at any time. It holds a lock of this machine
against a second one (`kubeops.backups.lock`); each has a name of its own in the store.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from kubeops.backups import attempts, catalog, ladder, lock, metrics, save
from kubeops.backups import verify as proofs
from kubeops.backups.catalog import Catalog, Damaged
from kubeops.backups.crypto import Keys
from kubeops.backups.ladder import Place
from kubeops.backups.store import Store
from kubeops.backups.stores import open_store
from kubeops.errors import (
    KubeopsError,
    LockedError,
    StepError,
    StoreError,
    UnknownOutcomeError,
)
from kubeops.model.backup import Attempt, Listing, Verified
from kubeops.model.bundle import Bundle, Proof, Rung
from kubeops.model.desired import Cluster
from kubeops.ops.freshness import listing
from kubeops.ops.session import Session
from kubeops.plan.retention import Verdict, retain
from kubeops.transport.base import Command
from kubeops.transport.local import LocalRunner

Progress = Callable[[str], None]

_ALARM_TIMEOUT = 120.0


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A backup that was taken, and what was done after it.

    `problem` is what went wrong afterwards: the backup is there and proven all the same.
    """

    cluster: str
    store: str
    backup: Bundle
    seconds: float
    removed: tuple[Verdict, ...]
    problem: KubeopsError | None = None


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """What retention would take out of a store, or has; decided at one moment."""

    cluster: str
    store: str
    verdicts: tuple[Verdict, ...]

    @property
    def goes(self) -> tuple[Verdict, ...]:
        """The verdicts of what is not kept."""
        return tuple(verdict for verdict in self.verdicts if not verdict.keep)


def take(session: Session, *, progress: Progress) -> Taken:
    """Take one proven backup, then let retention go over the store.

    However it ends, it is remembered on this machine, and in the metrics if the inventory names a
    place for them.

    Raises:
        LockedError: another backup is being taken here; that one is remembered, not this call.
        KubeopsError: see `kubeops.backups.save.take`.
    """
    began = session.clock.monotonic()

    def attempt(*, name: str = "", error: BaseException | None = None) -> Attempt:
        return Attempt(
            at=session.clock.now(),
            seconds=round(session.clock.monotonic() - began, 3),
            exit_status=0 if error is None else getattr(error, "exit_status", 1),
            name=name,
            message="" if error is None else getattr(error, "message", str(error)),
        )

    try:
        store = open_store(session.desired.backup)
        progress("asking the hosts what there is")
        bundle = save.take(
            session.desired,
            session.observe(),
            transport=session.transport,
            store=store,
            state=session.state,
            now=session.clock.now,
            progress=progress,
        )
    except LockedError:
        raise
    except BaseException as error:
        trouble = _remember(session, attempt(error=error))
        if trouble is not None:
            progress(f"warning: {trouble.message}")
        raise
    removed, problem = _tidy(session, store, progress=progress)
    trouble = _remember(session, attempt(name=bundle.name, error=problem))
    return Taken(
        cluster=session.desired.name,
        store=store.url,
        backup=bundle,
        seconds=round(session.clock.monotonic() - began, 3),
        removed=removed,
        problem=problem or trouble,
    )


def alarm(argv: tuple[str, ...], document: bytes) -> str:
    """Run the inventory's `on_failure` with `document` on its stdin; say what went wrong with it.

    Nothing is said when it ends with status 0. Its own failure must not hide that of the backup.
    """
    try:
        ended = LocalRunner().run(Command(argv=argv, stdin=document, timeout=_ALARM_TIMEOUT))
    except (UnknownOutcomeError, OSError) as error:
        return f"on_failure: {error}"
    if ended.ok:
        return ""
    return f"on_failure: `{ended.command.shown}` ended with {ended.status}: {ended.output.strip()}"


def verify(
    session: Session, *, name: str, every: bool, full: bool, progress: Progress
) -> tuple[Verified, ...]:
    """Try stored backups again, newest first; with `full` each is restored into a scratch etcd.

    What cannot be listed as a backup and should be is a proof that fails, with `every`. Unproven
    ones are not tried: they count for nothing.

    Args:
        session: the cluster; its hosts are asked only when a restore is wanted and this machine has
            no etcd.
        name: which one, or `latest`; with `every` all of them.
        every: try all proven ones.
        full: climb the whole ladder.
        progress: takes one line that says what is being done.

    Raises:
        UsageError: there is no such backup, or the file with the key cannot be read.
        UntrustedSnapshotError: the one that was named is no proven backup.
        PreflightError: with `full`: there is no etcd to restore into.
        StoreError: the store cannot be read.
    """
    desired = session.desired
    store = open_store(desired.backup)

    def tried(bundle: Bundle) -> Verified:
        proof = proofs.verify(
            bundle,
            store=store,
            keys=Keys.of(desired.backup),
            place=_place(session, bundle) if full else None,
            scratch=session.state / desired.name / "verifying",
            now=session.clock.now,
            progress=progress,
        )
        return Verified(name=bundle.name, proof=proof)

    if not every:
        return (tried(catalog.find(store, desired.name, name)),)
    found = catalog.read_catalog(store, desired.name)
    at = session.clock.now()
    broken = [_broken(damaged, at) for damaged in found.damaged if not damaged.abandoned]
    verified = [*(tried(bundle) for bundle in found.proven), *broken]
    return tuple(sorted(verified, key=lambda one: one.name, reverse=True))


def plan_pruning(desired: Cluster, *, now: datetime) -> Pruning:
    """Decide what retention takes out of the store; nothing is changed.

    Raises:
        StoreError: the store cannot be read.
    """
    store = open_store(desired.backup)
    return _pruning(desired, store, catalog.read_catalog(store, desired.name), now=now)


def prune(session: Session, planned: Pruning, *, progress: Progress) -> tuple[Verdict, ...]:
    """Remove what `planned` says goes, if it still would; return what was removed.

    Raises:
        LockedError: a backup is being taken on this machine.
        StoreError: the store fails half-way; what was removed until then is gone.
    """
    agreed = {verdict.name for verdict in planned.goes}
    with lock.held(session.state, session.desired.name):
        return _prune(session, open_store(session.desired.backup), agreed, progress=progress)


def _tidy(
    session: Session, store: Store, *, progress: Progress
) -> tuple[tuple[Verdict, ...], KubeopsError | None]:
    """Apply retention after a backup, if the inventory asks for it; return what was removed."""
    if not session.desired.backup.prunes:
        return (), None
    try:
        with lock.held(session.state, session.desired.name):
            return _prune(session, store, None, progress=progress), None
    except LockedError:
        # The next backup has begun already; it tidies up when it is done.
        return (), None
    except StoreError as error:
        message = f"the backup is taken; old ones cannot be removed: {error.message}"
        return (), StoreError(message, hint=error.hint)


def _prune(
    session: Session, store: Store, agreed: set[str] | None, *, progress: Progress
) -> tuple[Verdict, ...]:
    found = catalog.read_catalog(store, session.desired.name)
    decided = _pruning(session.desired, store, found, now=session.clock.now())
    there: dict[str, Bundle | Damaged] = {
        **{bundle.name: bundle for bundle in (*found.proven, *found.unproven)},
        **{damaged.name: damaged for damaged in found.damaged},
    }
    goes = [verdict for verdict in decided.goes if agreed is None or verdict.name in agreed]
    for verdict in goes:
        progress(f"removing {verdict.name}: {verdict.reason}")
        catalog.remove(store, there[verdict.name])
    return tuple(goes)


def _pruning(desired: Cluster, store: Store, found: Catalog, *, now: datetime) -> Pruning:
    # What has a manifest that cannot be read is not retention's: it may be worth a rescue.
    aside = (
        *(bundle.name for bundle in found.unproven),
        *(damaged.name for damaged in found.damaged if damaged.abandoned),
    )
    verdicts = retain(found.proven, aside=aside, keep=desired.backup.keep, now=now)
    return Pruning(cluster=desired.name, store=store.url, verdicts=verdicts)


def _remember(session: Session, last: Attempt) -> KubeopsError | None:
    """Note how a run ended, here and in the metrics; return what went wrong with that."""
    desired = session.desired
    try:
        known = attempts.remember(session.state, desired.name, last)
    except OSError as error:
        return StepError(f"the run cannot be remembered: {error.filename}: {error.strerror}")
    directory = desired.backup.metrics_directory
    if directory is None:
        return None
    try:
        found: Listing | None = listing(desired, now=last.at)
    except KubeopsError:
        found = None
    try:
        metrics.write(directory, desired.name, metrics.exposition(desired.name, known, found))
    except StepError as error:
        return error
    return None


def _place(session: Session, bundle: Bundle) -> Place:
    hosts = tuple(host.name for host in session.desired.control_planes)
    return ladder.find_place(session.transport, hosts, etcd=bundle.etcd)


def _broken(damaged: Damaged, at: datetime) -> Verified:
    rung = Rung(name="stored", ok=False, detail=damaged.reason)
    proof = Proof(at=at, where="localhost", full=False, rungs=(rung,))
    return Verified(name=damaged.name, proof=proof)
