"""What a store is: a place for files by key, written whole or not at all.

A key is a relative path, such as `prod/20261121T023000Z-k3x9ab/manifest.json`.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from importlib import import_module
from typing import Protocol

from kubeops.errors import UsageError
from kubeops.model.desired import BackupPolicy


class Source(Protocol):
    """Something that is read piece by piece."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none at the end."""
        ...


class Sink(Protocol):
    """Something that is written piece by piece."""

    def write(self, data: bytes, /) -> int:
        """Take all of `data`; return its length."""
        ...

    def flush(self) -> None:
        """Nothing has to happen: what counts is the end of the `with` block."""
        ...


class Store(Protocol):
    """Files by key. Every method raises StoreError when the store does not do what it is asked."""

    @property
    def url(self) -> str:
        """Where it is, as the inventory says it."""
        ...

    def create(self, key: str) -> AbstractContextManager[Sink]:
        """Write the file `key`, piece by piece.

        It is there, whole and durable, when the block ends without an exception; with one, it was
        never there, and nothing of it is left.
        """
        ...

    def open(self, key: str) -> AbstractContextManager[Source]:
        """Read the file `key`, piece by piece; StoreError when there is none."""
        ...

    def files(self, prefix: str) -> Mapping[str, int]:
        """Return the keys that begin with `prefix`, in order, and the sizes of their files."""
        ...

    def delete(self, key: str) -> None:
        """Remove the file `key`; it may be gone already."""
        ...

    def sweep(self, prefix: str, *, before: datetime) -> None:
        """Remove what writers of keys that begin with `prefix` left who were killed before then."""
        ...

    def free(self) -> int | None:
        """Return how many bytes fit in; None when the store has no such limit."""
        ...


def open_store(policy: BackupPolicy) -> Store:
    """Return the store that `policy` names.

    Raises:
        UsageError: it is an s3:// store and boto3 is not installed.
    """
    # Both implement what this module defines; boto3 is an extra and slow to load, besides.
    if not policy.store.startswith("s3://"):
        local: Store = import_module("kubeops.backups.local").open_local(policy)
        return local
    try:
        s3 = import_module("kubeops.backups.s3")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{policy.store} needs {error.name}, which is not installed",
            hint="pip install 'kubeops[s3]'",
        ) from error
    store: Store = s3.open_s3(policy)
    return store
