"""What the store holds of a cluster and how old the newest proven backup is; nothing is changed."""

from datetime import datetime
from pathlib import Path

from kubeops.backups import attempts, catalog
from kubeops.backups.catalog import Damaged
from kubeops.backups.stores import open_store
from kubeops.errors import KubeopsError
from kubeops.model.backup import Entry, Freshness, Listing, Standing
from kubeops.model.bundle import Bundle, taken_at
from kubeops.model.desired import Cluster


def listing(desired: Cluster, *, now: datetime) -> Listing:
    """Return all that the store holds of the cluster.

    Raises:
        StoreError: it cannot be read.
    """
    store = open_store(desired.backup)
    found = catalog.read_catalog(store, desired.name)
    entries = [
        *(_entry(bundle, now) for bundle in (*found.proven, *found.unproven)),
        *(_remains(damaged, now) for damaged in found.damaged),
    ]
    entries.sort(key=lambda entry: entry.name, reverse=True)
    return Listing(cluster=desired.name, store=store.url, at=now, backups=tuple(entries))


def freshness(
    desired: Cluster, *, state: Path, now: datetime, max_age: float | None = None
) -> Freshness:
    """Tell how old the newest proven backup is.

    Args:
        desired: the inventory; its `backup.max_age` is what is allowed, unless `max_age` is given.
        state: where this machine remembers the last run.
        now: the present moment.
        max_age: seconds.

    Raises:
        StoreError: the store cannot be read.
    """
    found = listing(desired, now=now)
    return Freshness(
        cluster=desired.name,
        store=found.store,
        at=now,
        newest=found.newest,
        max_age=desired.backup.max_age if max_age is None else max_age,
        last=attempts.read(state, desired.name),
    )


def glance(desired: Cluster, *, state: Path, now: datetime) -> Freshness | str:
    """Return how old the newest proven backup is, if that costs next to nothing; else why not.

    A store elsewhere is not asked, and one that cannot be read is no error of who only looks by.
    """
    if not desired.backup.store.startswith("file://"):
        return f"in {desired.backup.store}; see them with backup.status"
    try:
        return freshness(desired, state=state, now=now)
    except KubeopsError as error:
        return error.message


def _entry(bundle: Bundle, now: datetime) -> Entry:
    failed = bundle.proof.failed
    reason = f"{failed.name}: {failed.detail}" if failed is not None else "it was never restored"
    return Entry(
        name=bundle.name,
        standing=Standing.PROVEN if bundle.proven else Standing.UNPROVEN,
        taken=bundle.taken,
        age=(now - bundle.taken).total_seconds(),
        bundle=bundle,
        size=bundle.size,
        reason="" if bundle.proven else reason,
    )


def _remains(damaged: Damaged, now: datetime) -> Entry:
    taken = taken_at(damaged.name)
    return Entry(
        name=damaged.name,
        standing=Standing.UNFINISHED if damaged.abandoned else Standing.DAMAGED,
        taken=taken,
        age=(now - taken).total_seconds(),
        reason=damaged.reason,
    )
