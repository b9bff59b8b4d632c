"""A bundle's parts on their way into a store and out of it: compressed, encrypted, hashed."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO, BinaryIO, cast

import zstandard

from kubeops.backups import catalog
from kubeops.backups.crypto import Keys, Opener, Sealer, opener
from kubeops.backups.store import Sink, Source, Store, pump
from kubeops.errors import StoreError, UntrustedSnapshotError
from kubeops.model.bundle import Bundle, Part

LEVEL = 3


class Hashed:
    """Passes pieces on, from a source or to a sink; knows their number and their SHA-256."""

    def __init__(
        self, *, source: Source | None = None, sink: Sink | None = None, limit: int | None = None
    ) -> None:
        self._source = source or BytesIO()
        self._sink = sink
        self._limit = limit
        self._digest = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of what has passed."""
        return self._digest.hexdigest()

    def read(self, size: int = -1, /) -> bytes:
        """Return the source's next piece."""
        piece = self._source.read(size)
        self._count(piece)
        return piece

    def write(self, data: bytes, /) -> int:
        """Pass `data` on; UntrustedSnapshotError when it is more than the limit in all."""
        self._count(data)
        if self._limit is not None and self.size > self._limit:
            raise UntrustedSnapshotError(f"it holds more than the {self._limit} bytes it should")
        if self._sink is not None:
            self._sink.write(data)
        return len(data)

    def flush(self) -> None:
        """Nothing has to happen."""

    def _count(self, piece: bytes) -> None:
        self._digest.update(piece)
        self.size += len(piece)


def store_file(store: Store, where: str, name: str, file: Path, *, sealer: Sealer) -> Part:
    """Write `file` into the store, compressed and encrypted, as a part below `where`.

    Raises:
        StoreError: the store failed; nothing of the part is there.
    """
    part = f"{name}.zst{sealer.suffix}"
    with file.open("rb") as plain, store.create(where + part) as sink:
        source = Hashed(source=plain)
        stored = Hashed(sink=sink)
        compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
        with compressor.stream_reader(cast("IO[bytes]", source), closefd=False) as compressed:
            sealer.seal(compressed, stored)
    return Part(
        name=part,
        size=stored.size,
        sha256=stored.sha256,
        plain_size=source.size,
        plain_sha256=source.sha256,
    )


def store_key(store: Store, where: str, key: bytes) -> Part:
    """Write key.age into the store; it is a part that holds itself."""
    digest = hashlib.sha256(key).hexdigest()
    with store.create(where + "key.age") as sink:
        sink.write(key)
    return Part(
        name="key.age", size=len(key), sha256=digest, plain_size=len(key), plain_sha256=digest
    )


def check_stored(store: Store, bundle: Bundle, part: Part) -> None:
    """Read the stored bytes of `part` and compare their hash.

    Raises:
        UntrustedSnapshotError: they are not those that were written.
        StoreError: they cannot be read.
    """
    stored = Hashed()
    with store.open(catalog.prefix(bundle) + part.name) as source:
        pump(source, stored)
    _compare(stored, size=part.size, sha256=part.sha256, what=f"{part.name} as it is stored")


def open_bundle(store: Store, bundle: Bundle, keys: Keys) -> Opener:
    """Return what decrypts the parts of `bundle`. Errors as for `crypto.opener`."""
    return opener(keys, bundle.sealing, key=partial(_key, store, bundle))


def read_part(
    store: Store, bundle: Bundle, part: Part, *, opened: Opener, sink: Path | None
) -> None:
    """Write what `part` holds to the new file `sink`, mode 0600, if any; compare both hashes.

    Raises:
        UntrustedSnapshotError: bytes are missing or changed, or no key fits. What is in `sink` is
            worth nothing then.
        StoreError: the store cannot be read, or `sink` not be written.
    """
    with nullcontext() if sink is None else new_file(sink) as file:
        plain = Hashed(sink=file, limit=part.plain_size)
        try:
            with store.open(catalog.prefix(bundle) + part.name) as source:
                stored = Hashed(source=source)
                decompressor = zstandard.ZstdDecompressor().stream_writer(
                    cast("IO[bytes]", plain), closefd=False
                )
                opened.open(stored, decompressor)
        except zstandard.ZstdError as error:
            raise UntrustedSnapshotError(f"{part.name} cannot be decompressed: {error}") from error
        except UntrustedSnapshotError as error:
            message = f"{part.name}: {error.message}"
            raise UntrustedSnapshotError(message, hint=error.hint) from error
    _compare(stored, size=part.size, sha256=part.sha256, what=f"{part.name} as it is stored")
    _compare(plain, size=part.plain_size, sha256=part.plain_sha256, what=f"what {part.name} holds")


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
    progress(f"fetching {part.name} of {bundle.name} ({part.size >> 20} MiB)")
    opened = open_bundle(store, bundle, keys)
    need_space(target.parent, part.plain_size)
    draft = target.with_name(f"{target.name}.part")
    try:
        read_part(store, bundle, part, opened=opened, sink=draft)
        draft.rename(target)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Open `path` for writing, mode 0600; what goes wrong with it is a StoreError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            yield file
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror or error}",
            hint=f"See its disk: df -h {path.parent}",
        ) from error


def need_space(directory: Path, size: int) -> None:
    """Raise StoreError unless `size` bytes fit into `directory`."""
    free = shutil.disk_usage(directory).free
    if free < size:
        raise StoreError(
            f"{directory} has room for {free >> 20} MiB, and {size >> 20} MiB are needed",
            hint=f"Make room there: df -h {directory}",
        )


def _key(store: Store, bundle: Bundle) -> bytes:
    if bundle.key is None:
        return b""
    content = BytesIO()
    with store.open(catalog.prefix(bundle) + bundle.key.name) as source:
        passed = Hashed(source=source)
        pump(passed, content)
    _compare(passed, size=bundle.key.size, sha256=bundle.key.sha256, what=bundle.key.name)
    return content.getvalue()


def _compare(passed: Hashed, *, size: int, sha256: str, what: str) -> None:
    if passed.size != size:
        raise UntrustedSnapshotError(f"{what} has {passed.size} bytes and should have {size}")
    if passed.sha256 != sha256:
        raise UntrustedSnapshotError(f"{what} has another SHA-256 than it should")
