"""Writing a run's journal: one file per run, one line per event, appended and never edited.

`<state>/<cluster>/<run-id>.jsonl` is what the machines cannot say afterwards; beside it,
`<run-id>.log` holds every command's output. Both are readable by their owner alone.
"""

import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Self

from kubeops import __version__
from kubeops.engine.clock import Clock
from kubeops.engine.process import current_process
from kubeops.engine.runs import FORMAT, recall
from kubeops.errors import JournalError
from kubeops.model.event import Event, Kind
from kubeops.plan.model import Plan

# What resuming relies on reaches the disk before anything else happens.
_DURABLE = frozenset(
    {
        Kind.RUN_STARTED,
        Kind.RUN_ENDED,
        Kind.STEP_STARTED,
        Kind.STEP_SKIPPED,
        Kind.STEP_DONE,
        Kind.STEP_FAILED,
        Kind.REMEMBERED,
    }
)


def new_run_id(kind: str, clock: Clock) -> str:
    """Return an id for a run of `kind` that starts now, e.g. `20261121T073000-install-3f2a`."""
    return f"{clock.now():%Y%m%dT%H%M%S}-{kind}-{secrets.token_hex(2)}"


class Journal:
    """The journal and the log of one run, open for appending; safe to use from any thread.

    Attributes:
        run_id: sorts by the time the run started, in UTC.
        path: the journal's file.
        log: the log's file.
    """

    def __init__(self, *, run_id: str, directory: Path, recalled: Mapping[str, object]) -> None:
        self.run_id = run_id
        self.path = directory / f"{run_id}.jsonl"
        self.log = directory / f"{run_id}.log"
        self._remembered = dict(recalled)
        self._turn = Lock()
        self._journal = _open_new(self.path)
        self._log = _open_new(self.log)

    @classmethod
    def create(
        cls,
        state: Path,
        *,
        cluster: str,
        kind: str,
        plan: Plan,
        arguments: Mapping[str, object],
        clock: Clock,
        run_id: str | None = None,
    ) -> "Journal":
        """Start the journal of a new run; its heading is on the disk when this returns.

        Args:
            state: the state directory; see `kubeops.engine.state.state_directory`.
            cluster: the cluster's name.
            kind: the verb.
            plan: what the run will do.
            arguments: what `runs.resume` needs to run the same verb again, as JSON values.
            clock: tells when the run started.
            run_id: the id the cluster's lock was taken under; a new one when it is not given.

        Raises:
            JournalError: it cannot be written, or an earlier one it continues is damaged.
        """
        now = clock.now()
        run_id = run_id or new_run_id(kind, clock)
        directory = state / cluster
        try:
            for folder in (state, directory):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            recalled = recall(state, cluster=cluster, kind=kind)
            journal = cls(run_id=run_id, directory=directory, recalled=recalled)
        except OSError as error:
            raise _unwritable(directory, error) from error
        journal._append(
            {
                "format": FORMAT,
                "at": now.isoformat(),
                "kind": kind,
                "cluster": cluster,
                "version": __version__,
                "process": current_process().to_json(),
                "arguments": dict(arguments),
                "plan": plan.to_json(),
            },
            durable=True,
        )
        _sync_directory(directory)
        return journal

    def record(self, event: Event) -> None:
        """Append `event`; events that resuming relies on are on the disk when this returns.

        Raises:
            JournalError: it could not be written; the journal is as it was before.
        """
        line: dict[str, object] = {"at": event.at.isoformat(), "kind": event.kind.value}
        line |= {
            key: value
            for key, value in (
                ("step", event.step),
                ("host", event.host),
                ("text", event.text),
                ("data", dict(event.data)),
            )
            if value
        }
        self._append(line, durable=event.kind in _DURABLE)
        if event.kind is Kind.REMEMBERED:
            self._remembered[str(event.data["key"])] = event.data["value"]

    def recall(self, key: str) -> object:
        """Return what this run, or the unfinished ones before it, remembered; None for nothing."""
        return self._remembered.get(key)

    def write_log(self, text: str) -> None:
        """Append `text` to the log.

        A log that cannot be written is not worth leaving a machine half done for: the journal,
        on the same disk, stops the run before its next step.
        """
        with self._turn, suppress(OSError):
            if self._log is not None:
                os.write(self._log, text.encode(errors="replace"))

    def close(self) -> None:
        """Close both files; a thread that was given up on writes nowhere from now on."""
        with self._turn:
            for descriptor in (self._journal, self._log):
                if descriptor is not None:
                    os.close(descriptor)
            self._journal = self._log = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def _append(self, line: Mapping[str, object], *, durable: bool) -> None:
        data = json.dumps(line, ensure_ascii=False, separators=(",", ":"), default=str)
        with self._turn:
            if self._journal is None:
                raise JournalError(f"{self.path} is closed: run {self.run_id} has ended")
            try:
                _write_whole(self._journal, data.encode(errors="replace") + b"\n")
                if durable:
                    os.fsync(self._journal)
            except OSError as error:
                raise _unwritable(self.path, error) from error


def _open_new(path: Path) -> int | None:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _write_whole(descriptor: int, data: bytes) -> None:
    """Append `data` in one write, or nothing: half a line in the middle would damage the journal.

    Raises:
        OSError: it was not written.
    """
    size = os.fstat(descriptor).st_size
    written = os.write(descriptor, data)
    if written < len(data):
        os.ftruncate(descriptor, size)
        raise OSError(f"only {written} of {len(data)} bytes fitted: is the disk full?")


def _sync_directory(directory: Path) -> None:
    """Put the new files' names on the disk as well."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> JournalError:
    return JournalError(
        f"the journal cannot be written: {path}: {error.strerror or error}",
        hint="make room or choose another place with KUBEOPS_STATE, then run the command again",
    )
