"""Takes a backup: a snapshot of one etcd member, PKI and configuration, proven, then stored."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from kubeops.backups.store import Store
from kubeops.model.bundle import Bundle
from kubeops.model.desired import Cluster
from kubeops.model.observed import ClusterFacts
from kubeops.transport.base import Transport


def take(
    desired: Cluster,
    facts: ClusterFacts,
    *,
    transport: Transport,
    store: Store,
    state: Path,
    now: Callable[[], datetime],
    progress: Callable[[str], None],
) -> Bundle:
    """Take one proven backup of the cluster into `store` and return it.

    Args:
        desired: the inventory; its `backup` says how to encrypt.
        facts: the cluster as observed a moment ago (`facts.gather.gather_cluster`).
        transport: the way to the hosts.
        store: where the bundle goes; see `store.open_store`.
        state: the directory for the lock and for scratch files (`engine.runs.state_directory()`).
        now: the clock.
        progress: takes one line that says what is being done.

    Raises:
        LockedError: another backup of the cluster is being taken on this machine.
        PreflightError: no healthy etcd member, no place for the proof, not enough disk; nothing
            was touched.
        UntrustedSnapshotError: a rung of the proof failed; the message names it. What was saved is
            kept under `unproven/` and counts for nothing.
        CommandError, TransportError, UnknownOutcomeError: the host failed half-way.
        StoreError: the store failed half-way. In all cases nothing half-written is listed.
    """
    raise NotImplementedError
