"""Tries a stored bundle again: the stored bytes, and (with a place to do so) a restore of them."""

import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from kubeops.backups import catalog, ladder, parts
from kubeops.backups.crypto import Keys
from kubeops.backups.ladder import Expected, Place
from kubeops.backups.store import Store
from kubeops.errors import UntrustedSnapshotError
from kubeops.model.bundle import MANIFEST, Bundle, Proof, Rung, Sealing

Progress = Callable[[str], None]


def verify(
    bundle: Bundle,
    *,
    store: Store,
    keys: Keys,
    place: Place | None,
    scratch: Path,
    now: Callable[[], datetime],
    progress: Progress,
) -> Proof:
    """Try `bundle` again and say how that went. The bundle itself is not changed.

    Without a `place` the parts are read, re-hashed, decrypted and decompressed (the latter two only
    if the inventory names what opens them); with one, the snapshot is also restored into a scratch
    etcd there. A part that is missing, changed or cannot be decrypted is a rung that fails, not an
    error.

    Args:
        bundle: as `catalog.find` returned it.
        store: where it is.
        keys: what opens it.
        place: see `ladder.find_place`.
        scratch: a directory of this machine for scratch files, removed at the end.
        now: the clock.
        progress: takes one line that says what is being done.

    Raises:
        UsageError: with a place: the passphrase or identity file cannot be read or is not given.
        TransportError: the place was lost half-way.
        StoreError: the store cannot be read.
    """
    at = now()
    progress(f"reading {bundle.name} in {store.url}")
    rungs = [_rung("stored", lambda: _stored(store, bundle))]
    if rungs[-1].ok and place is None and _can_open(bundle, keys):
        rungs.append(_rung("decrypted", lambda: _decrypted(store, bundle, keys, snapshot=None)))
    if rungs[-1].ok and place is not None:
        rungs += _restored(bundle, store, keys, place=place, scratch=scratch, progress=progress)
    return Proof(
        at=at,
        where=place.runner.host if place is not None else "localhost",
        full=rungs[-1].name == "identity",
        rungs=tuple(rungs),
    )


def require(bundle: Bundle, proof: Proof) -> None:
    """Raise UntrustedSnapshotError naming the rung when `proof` does not hold."""
    failed = proof.failed
    if failed is not None:
        raise UntrustedSnapshotError(
            f"{bundle.cluster}/{bundle.name}: {failed.name}: {failed.detail}",
            hint="Use another backup: invoke backup.list",
        )


def stored(store: Store, bundle: Bundle) -> Rung:
    """Read back the parts of `bundle` and compare their hashes: the rung `stored`.

    The manifest may be missing still.

    Raises:
        StoreError: the store cannot be read.
    """
    return _rung("stored", lambda: _parts_stored(store, bundle))


def scratch_directory(scratch: Path) -> tempfile.TemporaryDirectory[str]:
    """Make a directory in `scratch` that only we can read and that is removed at the end."""
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    return tempfile.TemporaryDirectory(prefix="kubeops-scratch.", dir=scratch)


def _rung(name: str, climb: Callable[[], str]) -> Rung:
    """Climb one rung: what `climb` returns is the detail, UntrustedSnapshotError its failure."""
    started = time.monotonic()
    try:
        detail, ok = climb(), True
    except UntrustedSnapshotError as error:
        detail, ok = error.message, False
    return Rung(name=name, ok=ok, detail=detail, seconds=round(time.monotonic() - started, 3))


def _stored(store: Store, bundle: Bundle) -> str:
    key = catalog.prefix(bundle) + MANIFEST
    if key not in store.files(key):
        raise UntrustedSnapshotError(f"{MANIFEST} is missing")
    if catalog.read_manifest(store, key) != bundle.to_json():
        raise UntrustedSnapshotError(f"{MANIFEST} has changed")
    return _parts_stored(store, bundle)


def _parts_stored(store: Store, bundle: Bundle) -> str:
    where = catalog.prefix(bundle)
    there = store.files(where)
    for part in bundle.parts:
        if where + part.name not in there:
            raise UntrustedSnapshotError(f"{part.name} is missing")
        parts.check_stored(store, bundle, part)
    return f"{len(bundle.parts)} parts, {bundle.size} bytes, as written"


def _can_open(bundle: Bundle, keys: Keys) -> bool:
    """Whether the inventory names what opens the bundle; who only makes backups need not."""
    match bundle.sealing:
        case Sealing.NONE:
            return True
        case Sealing.PASSPHRASE:
            return keys.passphrase_file is not None
        case Sealing.RECIPIENTS:
            return keys.identity_file is not None


def _decrypted(store: Store, bundle: Bundle, keys: Keys, *, snapshot: Path | None) -> str:
    """Decrypt all parts and compare what they hold; the snapshot goes to its file, if any."""
    opened = parts.open_bundle(store, bundle, keys)
    parts.read_part(store, bundle, bundle.pki, opened=opened, sink=None)
    parts.read_part(store, bundle, bundle.snapshot, opened=opened, sink=snapshot)
    return "the parts hold what was put into them"


def _restored(
    bundle: Bundle, store: Store, keys: Keys, *, place: Place, scratch: Path, progress: Progress
) -> tuple[Rung, ...]:
    size = bundle.snapshot.plain_size
    expected = Expected(
        etcd=bundle.etcd,
        least_revision=bundle.revision,
        uid=bundle.kube_system_uid,
        registry_prefix=bundle.registry_prefix,
    )
    with scratch_directory(scratch) as directory:
        parts.need_space(Path(directory), size + (ladder.space(size) if place.local else 0))
        file = Path(directory) / "snapshot.db"
        decrypted = _rung("decrypted", lambda: _decrypted(store, bundle, keys, snapshot=file))
        if not decrypted.ok:
            return (decrypted,)
        climbed = ladder.climb(
            file, expected, place=place, scratch=Path(directory), progress=progress
        )
    return (decrypted, *climbed.rungs)
