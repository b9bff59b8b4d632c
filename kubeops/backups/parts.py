"""A bundle's parts on their way into a store and out of it: compressed, encrypted, hashed."""

from collections.abc import Callable
from pathlib import Path

from kubeops.backups.crypto import Keys
from kubeops.backups.store import Store
from kubeops.model.bundle import Bundle, Part


def fetch(
    store: Store,
    bundle: Bundle,
    part: Part,
    *,
    keys: Keys,
    target: Path,
    progress: Callable[[str], None],
) -> None:
    """Write what `part` (`bundle.snapshot` or `bundle.pki`) holds to the file `target`, mode 0600.

    Both hashes of the manifest are checked: of the stored bytes and of the plain ones. `target`
    is there only when all fits; free space is checked first.

    Raises:
        UntrustedSnapshotError: bytes are missing or changed, or no key fits.
        UsageError: the passphrase or identity file cannot be read or is not given.
        StoreError: the store cannot be read, or the disk of `target` is full.
    """
    raise NotImplementedError
