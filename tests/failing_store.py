"""A store that fails when it is told to."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from kubeops.backups.store import Sink, Source, Store
from kubeops.errors import StoreError


class FailingStore:
    """Passes everything on to `store`, until `room` bytes are written or `broken` methods asked."""

    def __init__(
        self, store: Store, *, room: int | None = None, broken: tuple[str, ...] = ()
    ) -> None:
        self.store = store
        self.room = room
        self.broken = broken

    @property
    def url(self) -> str:
        return self.store.url

    @contextmanager
    def create(self, key: str) -> Iterator[Sink]:
        self._fail("create", key)
        with self.store.create(key) as sink:
            yield _Sink(self, sink)

    @contextmanager
    def open(self, key: str) -> Iterator[Source]:
        self._fail("open", key)
        with self.store.open(key) as source:
            yield source

    def files(self, prefix: str) -> Mapping[str, int]:
        self._fail("files", prefix)
        return self.store.files(prefix)

    def delete(self, key: str) -> None:
        self._fail("delete", key)
        self.store.delete(key)

    def sweep(self, prefix: str, *, before: datetime) -> None:
        self.store.sweep(prefix, before=before)

    def free(self) -> int | None:
        return self.store.free()

    def _fail(self, what: str, key: str) -> None:
        if any(f"{what} {key}".endswith(broken) for broken in self.broken):
            raise StoreError(f"the store {self.url}: told to fail: {what} {key}")


class _Sink:
    def __init__(self, store: FailingStore, sink: Sink) -> None:
        self._store = store
        self._sink = sink

    def write(self, data: bytes, /) -> int:
        if self._store.room is not None:
            self._store.room -= len(data)
            if self._store.room < 0:
                raise StoreError(f"the store {self._store.url}: No space left on device")
        return self._sink.write(data)

    def flush(self) -> None:
        self._sink.flush()
