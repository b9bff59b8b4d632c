"""What a store is: a place for files by key, written whole or not at all.

A key is a relative path, such as `prod/20261121T023000Z-k3x9ab/manifest.json`.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol


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


def pump(source: Source, sink: Sink) -> None:
    """Write all of `source` to `sink`."""
    while piece := source.read(1 << 16):
        sink.write(piece)
