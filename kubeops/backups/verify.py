"""Tries a stored bundle again: the stored bytes, and (with a place to do so) a restore of them."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from kubeops.backups.crypto import Keys
from kubeops.backups.ladder import Place
from kubeops.backups.store import Store
from kubeops.errors import UntrustedSnapshotError
from kubeops.model.bundle import Bundle, Proof


def verify(
    bundle: Bundle,
    *,
    store: Store,
    keys: Keys,
    place: Place | None,
    scratch: Path,
    now: Callable[[], datetime],
    progress: Callable[[str], None],
) -> Proof:
    """Try `bundle` again and say how that went. The bundle itself is not changed.

    Without a `place` the parts are read, re-hashed, decrypted and decompressed; with one, the
    snapshot is also restored into a scratch etcd there. A part that is missing, changed or cannot
    be decrypted is a rung that fails, not an error.

    Raises:
        UsageError: the passphrase or identity file cannot be read or is not given.
        TransportError: the place was lost half-way.
        StoreError: the store cannot be read.
    """
    raise NotImplementedError


def require(bundle: Bundle, proof: Proof) -> None:
    """Raise UntrustedSnapshotError naming the rung when `proof` does not hold."""
    if proof.failed is not None:
        rung = proof.failed
        raise UntrustedSnapshotError(
            f"{bundle.cluster}/{bundle.name}: {rung.name}: {rung.detail}",
            hint="Use another backup: invoke backup.list",
        )
