"""One run per cluster: a lock on the first control plane that says who holds it.

`/var/lib/kubeops/lock/owner.json` exists exactly while a run holds the cluster. Taking, showing and
releasing are one round trip each: a constant script, serialised on the host by flock(1) on a file
beside the directory, so that looking at the owner and replacing it cannot be torn apart. The kernel
drops that flock when the script dies; the directory stays, as it must, from command to command.

A lock is taken over only from a run that has certainly ended: same workstation, process gone. All
else is the operator's decision (`invoke lock.break`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from kubeops.engine.clock import Clock
from kubeops.engine.process import Process, is_gone, process_from_json
from kubeops.errors import KubeopsError, LockedError, StepError
from kubeops.model.event import Event, Kind, Sink
from kubeops.transport.base import Command, Result, Runner

DIRECTORY = "/var/lib/kubeops/lock"
UNREADABLE = "unreadable"

_HELD = 75
_NONE = 3
_SCRIPT = r"""
set -u
umask 077
verb=$1 dir=$2 mark=$3
owner=$dir/owner.json
is_marked() { [ -n "$mark" ] && grep -qF -e "$mark" "$owner"; }
mkdir -p "${dir%/*}" || exit 74
exec 9>"$dir.guard" || exit 74
command -v flock >/dev/null || { echo "flock is missing: install util-linux" >&2; exit 74; }
flock -w 10 9 || { echo "$dir.guard is held by another command for 10 s" >&2; exit 74; }
case $verb in
take)
    if [ -e "$owner" ] && ! is_marked; then cat "$owner"; exit 75; fi
    if [ -d "$dir" ]; then [ -e "$owner" ] || echo half-made; else mkdir "$dir" || exit 74; fi
    if ! { cat >"$owner.new" && sync "$owner.new" && mv -f "$owner.new" "$owner"; }; then
        rm -f "$owner.new"
        exit 74
    fi ;;
show)
    [ -e "$owner" ] || exit 3
    cat "$owner" ;;
drop)
    [ -e "$owner" ] || exit 3
    if ! is_marked; then cat "$owner"; exit 75; fi
    rm -f "$owner" "$owner.new" && rmdir "$dir" ;;
discard)
    [ -e "$owner" ] || exit 3
    mv -f "$owner" "$dir.unreadable" && rmdir "$dir" ;;
esac
"""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Who holds a cluster's lock.

    Attributes:
        process: the run's process on its workstation.
        run_id: the run.
        kind: the verb it runs.
        digest: its plan's digest.
        since: when it took the lock.
    """

    process: Process
    run_id: str
    kind: str
    digest: str
    since: datetime

    @property
    def shown(self) -> str:
        """Who, from where, since when, which run: one line."""
        return (
            f"{self.process.who} on {self.process.workstation} (pid {self.process.pid}), "
            f"run {self.run_id} ({self.kind}, plan {self.digest}), "
            f"since {self.since.isoformat(timespec='seconds')}"
        )

    def to_json(self) -> dict[str, object]:
        """Return the owner as JSON values."""
        return {
            "run_id": self.run_id,
            "kind": self.kind,
            "digest": self.digest,
            "since": self.since.isoformat(),
            "process": self.process.to_json(),
        }


class Lock:
    """A lock that is held; as a context manager it is released at the end, come what may."""

    def __init__(
        self, *, runner: Runner, owner: Owner, clock: Clock, sink: Sink, directory: str
    ) -> None:
        self.owner = owner
        self._runner = runner
        self._clock = clock
        self._sink = sink
        self._directory = directory

    @classmethod
    def acquire(
        cls, runner: Runner, owner: Owner, *, clock: Clock, sink: Sink, directory: str = DIRECTORY
    ) -> "Lock":
        """Take the lock for `owner`, from a run of this workstation that was killed if need be.

        Args:
            runner: runs commands as root on the first control plane.
            owner: who takes it.
            clock: the time, for notes.
            sink: is told of a takeover, as a NOTE.
            directory: where the lock is.

        Raises:
            LockedError: another run holds it, or its owner file is unreadable.
            StepError: the host cannot keep a lock (disk full, read-only, no flock).
            TransportError: the host was not reached.
        """
        lock = cls(runner=runner, owner=owner, clock=clock, sink=sink, directory=directory)
        result = lock._take(replacing="")
        if result.status == _HELD:
            holder = _owner_or_refuse(result)
            if holder.run_id != owner.run_id:
                if not is_gone(holder.process):
                    raise _locked(runner.host, holder)
                result = lock._take(replacing=_mark(holder.run_id))
                if result.status == _HELD:
                    raise _locked(runner.host, _owner_or_refuse(result))
                lock._note(f"took over the lock of a run that was killed: {holder.shown}")
        if result.stdout.startswith("half-made"):
            lock._note("found a lock that nobody had finished taking; took it")
        return lock

    def release(self) -> None:
        """Give the lock back, unless somebody broke it meanwhile.

        A host that cannot be reached now is noted, not raised: the run's own end matters more,
        and the next run from this workstation takes the lock over.
        """
        try:
            result = _run(self._runner, "drop", self._directory, _mark(self.owner.run_id))
        except KubeopsError as error:
            self._note(
                f"the lock could not be released: {error.message}; the next run from this "
                f"workstation takes it over, any other needs `{_break(self.owner.run_id)}`"
            )
            return
        if result.status == _HELD:
            self._note("the lock was broken meanwhile and is held by another run now")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.release()

    def _take(self, *, replacing: str) -> Result:
        document = json.dumps(self.owner.to_json(), indent=1).encode()
        return _run(self._runner, "take", self._directory, replacing, document)

    def _note(self, text: str) -> None:
        self._sink(Event(at=self._clock.now(), kind=Kind.NOTE, host=self._runner.host, text=text))


def show(runner: Runner, *, directory: str = DIRECTORY) -> Owner | None:
    """Return who holds the lock, or None when nobody does.

    Raises:
        LockedError: somebody does, but the owner file is unreadable.
        StepError: the host cannot tell.
        TransportError: the host was not reached.
    """
    result = _run(runner, "show", directory, "")
    return None if result.status == _NONE else _owner_or_refuse(result)


def refuse_if_held(runner: Runner, *, directory: str = DIRECTORY) -> None:
    """Refuse when a run that is, or may be, alive holds the lock.

    Raises:
        LockedError: one does, or the owner file is unreadable.
        StepError: the host cannot tell.
        TransportError: the host was not reached.
    """
    holder = show(runner, directory=directory)
    if holder is not None and not is_gone(holder.process):
        raise _locked(runner.host, holder)


def break_(runner: Runner, run_id: str, *, directory: str = DIRECTORY) -> bool:
    """Take the lock away from run `run_id`; say whether there was a lock.

    `UNREADABLE` as `run_id` removes a lock whose owner file is unreadable; that file is kept
    beside it.

    Raises:
        LockedError: another run than `run_id` holds it.
        StepError: the host cannot do it.
        TransportError: the host was not reached.
    """
    if run_id == UNREADABLE:
        result = _run(runner, "show", directory, "")
        if result.status == _NONE:
            return False
        holder = _owner(result.stdout)
        if holder is not None:
            raise _locked(runner.host, holder)
        return _run(runner, "discard", directory, "").status != _NONE
    result = _run(runner, "drop", directory, _mark(run_id))
    if result.status == _HELD:
        raise _locked(runner.host, _owner_or_refuse(result))
    return result.status != _NONE


def _run(
    runner: Runner, verb: str, directory: str, mark: str, document: bytes | None = None
) -> Result:
    command = Command(
        argv=("sh", "-c", _SCRIPT, "kubeops-lock", verb, directory, mark),
        stdin=document,
        timeout=30.0,
    )
    result = runner.run(command)
    if result.status in {0, _HELD, _NONE}:
        return result
    raise StepError(
        f"{runner.host}: the cluster's lock {directory} cannot be used "
        f"(status {result.status}): {result.output.strip() or 'no output'}",
        hint=f"make {directory} writable on {runner.host} (disk full? read-only?), then run again",
    )


def _mark(run_id: str) -> str:
    """Return the text that only the owner file of `run_id` holds, as `json.dumps` writes it."""
    return f'"run_id": {json.dumps(run_id)}'


def _break(run_id: str) -> str:
    return f"invoke lock.break --run {run_id}"


def _locked(host: str, holder: Owner) -> LockedError:
    return LockedError(
        f"{host}: the cluster is locked by {holder.shown}",
        hint="wait for that run (`invoke lock.show`); if it is dead for sure, type "
        f"`{_break(holder.run_id)}`",
    )


def _owner_or_refuse(result: Result) -> Owner:
    owner = _owner(result.stdout)
    if owner is None:
        raise LockedError(
            f"{result.host}: the cluster is locked, but its owner file is unreadable: "
            f"{result.stdout[:200]!r}",
            hint="make sure that no run is under way from any workstation, then type "
            f"`{_break(UNREADABLE)}`",
        )
    return owner


def _owner(text: str) -> Owner | None:
    try:
        document: Mapping[str, Any] = json.loads(text)
        return Owner(
            process=process_from_json(document["process"]),
            run_id=str(document["run_id"]),
            kind=str(document["kind"]),
            digest=str(document["digest"]),
            since=datetime.fromisoformat(document["since"]),
        )
    except (KeyError, TypeError, ValueError):
        return None
