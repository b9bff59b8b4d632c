"""One watch on etcd, shared by everyone who watches the API server.

The newest changes are kept so that a watcher may start a little in the past; one who starts too far
back is told to list again, as a real server's watch cache does.
"""

import json
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

from rehearsal.store import Change, CompactedError, Store, StoreError

Obj = dict[str, Any]

_KEPT = 4096
_RETRY = 0.5


class TooOldError(Exception):
    """The revision asked for is older than everything kept."""


class Event:
    """A change with its objects decoded once, however many watch it."""

    def __init__(self, change: Change) -> None:
        self.key = change.key
        self.revision = change.revision
        self.deleted = change.value is None
        self._change = change
        self._decoded: tuple[Obj | None, Obj | None] | None = None

    def objects(self) -> tuple[Obj | None, Obj | None]:
        """Return `(before, after)`, each with this change's `resourceVersion`."""
        if self._decoded is None:
            self._decoded = (self._decode(self._change.previous), self._decode(self._change.value))
        return self._decoded

    def _decode(self, value: bytes | None) -> Obj | None:
        if value is None:
            return None
        obj: Obj = json.loads(value)
        obj["metadata"]["resourceVersion"] = str(self.revision)
        return obj


class Hub:
    """Follows the store in a thread of its own from `start` on."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed = threading.Condition()
        self._events: deque[Event] = deque(maxlen=_KEPT)
        self._stopped = threading.Event()
        self._revision = 0
        self._oldest = 0
        self._generation = 0

    def start(self) -> None:
        """Begin to follow the store."""
        threading.Thread(target=self._run, name="hub", daemon=True).start()

    def stop(self) -> None:
        """End every watcher at its next turn."""
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()

    @property
    def synced(self) -> bool:
        """Whether the store has been reached once."""
        return self._revision > 0

    def follow(
        self, prefix: str, revision: int, *, beat: float, until: float, clock: Any
    ) -> Iterator[Event | int]:
        """Yield changes below `prefix` after `revision`, until the clock reads `until`.

        Every `beat` seconds it yields the revision it has come to, for a bookmark: whoever watches
        little of a busy cluster hears something, too.

        Raises:
            TooOldError: `revision` is no longer kept, now or after etcd was replaced.
        """
        position, generation = revision, self._generation
        due = clock() + beat
        while not self._stopped.is_set() and clock() < until:
            batch = self._after(position, generation, max(0.0, min(due, until) - clock()))
            for event in batch:
                position = event.revision
                if event.key.startswith(prefix):
                    yield event
            if clock() >= due:
                yield position
                due = clock() + beat

    def _after(self, position: int, generation: int, wait: float) -> list[Event]:
        with self._changed:
            self._check(position, generation)
            if self._revision <= position:
                self._changed.wait(wait)
                self._check(position, generation)
            batch: list[Event] = []
            for event in reversed(self._events):
                if event.revision <= position:
                    break
                batch.append(event)
        return batch[::-1]

    def _check(self, position: int, generation: int) -> None:
        if generation != self._generation or (self.synced and position < self._oldest):
            raise TooOldError(f"too old resource version: {position} ({self._oldest})")

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._connect()
                for change in self._store.watch("/registry/", self._revision + 1):
                    self._take(Event(change))
            except CompactedError:
                self._forget(0)
            except StoreError:
                self._stopped.wait(_RETRY)

    def _connect(self) -> None:
        revision = self._store.revision(timeout=5.0)
        if not self.synced or revision < self._revision:
            self._forget(revision)

    def _forget(self, revision: int) -> None:
        """Start over at `revision`; watchers of an earlier history are turned away."""
        with self._changed:
            if self.synced:
                self._generation += 1
            self._events.clear()
            self._revision = self._oldest = revision
            self._changed.notify_all()

    def _take(self, event: Event) -> None:
        with self._changed:
            if len(self._events) == self._events.maxlen:
                self._oldest = self._events[0].revision
            self._events.append(event)
            self._revision = event.revision
            self._changed.notify_all()
