"""`restore`: find the bundle, observe, plan; and the plan of its undo."""

from collections.abc import Callable
from pathlib import Path

from kubeops.backups import catalog
from kubeops.backups.crypto import Keys
from kubeops.backups.parts import fetch
from kubeops.backups.pki import read_pki
from kubeops.backups.store import Store
from kubeops.backups.stores import open_store
from kubeops.backups.verify import scratch_directory
from kubeops.errors import UntrustedSnapshotError
from kubeops.facts.reach import gather_reach
from kubeops.facts.restore import gather_endpoint, gather_restore
from kubeops.model.bundle import Bundle
from kubeops.model.desired import Cluster
from kubeops.model.observed import ClusterFacts
from kubeops.model.pki import Pki
from kubeops.ops.install import manifests_of
from kubeops.ops.run import observe_idle, refuse_if_running
from kubeops.ops.session import Session
from kubeops.plan.model import Plan
from kubeops.plan.replacing import present
from kubeops.plan.restore import plan_restore, plan_undo
from kubeops.plan.restore_fresh import plan_fresh_restore
from kubeops.plan.restore_targets import is_fresh

Progress = Callable[[str], None]


def plan(session: Session, *, name: str, accepted: tuple[str, ...], progress: Progress) -> Plan:
    """Observe the hosts and plan a restore of the bundle called `name` (or `latest`).

    Its smaller part, PKI and configuration, is read for this: so it is known that the inventory's
    keys open it, and whose it is.

    Raises:
        LockedError: another run is at work on the cluster.
        UsageError: there is no such bundle, or what opens it cannot be read.
        UntrustedSnapshotError: it is damaged.
        StoreError: the store cannot be read.
        FactsError: a host answered something that cannot be understood.
    """
    refuse_if_running(session)
    store = open_store(session.desired.backup)
    bundle = _find(store, session.desired.name, name)
    pki = _pki(store, bundle, session, progress)
    facts = session.observe()
    more = gather_restore(session.desired, facts, session.transport)
    if is_fresh(session.desired, facts, more):
        return _plan_fresh(session, bundle=bundle, pki=pki, accepted=accepted)
    return plan_restore(
        session.desired,
        facts,
        more,
        bundle=bundle,
        authority=pki.authority,
        accepted=accepted,
    )


def _plan_fresh(session: Session, *, bundle: Bundle, pki: Pki, accepted: tuple[str, ...]) -> Plan:
    """Observe what an install asks, too, and plan with that."""
    transport = session.transport
    facts = session.observe(ask_source=True)
    desired = present(session.desired, facts)
    return plan_fresh_restore(
        desired,
        facts,
        gather_restore(desired, facts, transport),
        bundle=bundle,
        pki=pki,
        answer=gather_endpoint(desired, facts, transport),
        reach=gather_reach(desired, transport, hosts=_reached(desired, facts)),
        manifests=manifests_of(desired),
        accepted=accepted,
    )


def _reached(desired: Cluster, facts: ClusterFacts) -> tuple[str, ...]:
    return tuple(host.name for host in desired.hosts if host.name in facts.hosts)


def undo(session: Session, *, accepted: tuple[str, ...]) -> Plan:
    """Observe the hosts and plan the undo of the newest restore, finished or not.

    Raises:
        LockedError: another run is at work on the cluster.
        FactsError: a host answered something that cannot be understood.
    """
    facts = observe_idle(session)
    more = gather_restore(session.desired, facts, session.transport)
    return plan_undo(session.desired, facts, more, accepted=accepted)


def _find(store: Store, cluster: str, name: str) -> Bundle:
    """Find a bundle; one that is unproven, too: the plan's findings say so."""
    for bundle in catalog.read_catalog(store, cluster).unproven:
        if bundle.name == name:
            return bundle
    return catalog.find(store, cluster, name)


def _pki(store: Store, bundle: Bundle, session: Session, progress: Progress) -> Pki:
    """Fetch what `bundle` holds besides the snapshot, and read it; no copy is left."""
    with scratch_directory(session.state / session.desired.name) as directory:
        file = Path(directory) / "pki.tar"
        keys = Keys.of(session.desired.backup)
        fetch(store, bundle, bundle.pki, keys=keys, target=file, progress=progress)
        try:
            return read_pki(file)
        except ValueError as error:
            raise UntrustedSnapshotError(
                f"{bundle.pki.name} of {bundle.name}: {error}",
                hint="Use another backup: invoke backup.list",
            ) from error
