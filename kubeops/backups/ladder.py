"""The proof: a snapshot is restored into a scratch etcd and looked at, rung by rung.

The same script climbs on the workstation and on a control plane, whichever has etcd and etcdutl.
The scratch etcd listens on Unix sockets in a directory of its own: no port, no network. Never asked
is `etcdutl hashkv`: it changes the file it is given (etcd 3.6.6).
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from kubeops.backups.identity import uid_of
from kubeops.backups.scripts import NO_SPACE, SCRATCH, Answer, answers, remark, script
from kubeops.backups.upload import upload
from kubeops.errors import PreflightError, StoreError, TransportError, UnknownOutcomeError
from kubeops.model.bundle import Rung
from kubeops.model.version import KubeVersion
from kubeops.transport.base import Command, Runner, Transport
from kubeops.transport.local import LocalRunner

Progress = Callable[[str], None]

RUNGS = (
    *("received", "trailer", "sha256", "status", "restore", "start", "keys", "identity"),
    *("stored", "decrypted"),
)
"""The names of the rungs. docs/backup-format.md explains each."""

WAL = 192_000_000
"""Bytes that a data directory takes besides the database: etcd makes its log in pieces of 64 MB."""

_TRAILER = hashlib.sha256().digest_size
_PAGE = 512
_PIECE = 1 << 20
_VERSION = re.compile(r"etcd Version: (\S+)")
_PROBE_TIMEOUT = 30.0
_CLIMB_TIMEOUT = 3600.0


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a proof is made: `runner` runs its programs; `local` says that it is this machine."""

    runner: Runner
    local: bool

    @property
    def kind(self) -> str:
        """What the scripts are told: only on a host are programs taken out of containers."""
        return "here" if self.local else "host"


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a snapshot must hold; `uid` is empty when nobody can tell the cluster's identity."""

    etcd: str
    least_revision: int
    uid: str
    registry_prefix: str = "/registry"


@dataclass(frozen=True, kw_only=True)
class Climb:
    """How far a snapshot got; what was read of it is 0 or empty when it did not get that far."""

    rungs: tuple[Rung, ...]
    revision: int = 0
    keys: int = 0
    uid: str = ""


def space(size: int) -> int:
    """Return the bytes that a scratch restore of a snapshot of `size` bytes takes."""
    return size + WAL


def find_place(transport: Transport | None, hosts: tuple[str, ...], *, etcd: str) -> Place:
    """Return where a snapshot of etcd `etcd` can be proven: here, else on the first of `hosts`.

    A place needs etcd, etcdctl and etcdutl, of the same minor release as `etcd` or the next one. On
    a control plane those in the running etcd container count.

    Raises:
        PreflightError: there is no such place; the message says what each lacks.
    """
    places = [Place(runner=LocalRunner(), local=True)]
    if transport is not None:
        places += [Place(runner=transport.runner(host), local=False) for host in hosts]
    lacking = []
    for place in places:
        trouble = _trouble(place, etcd)
        if not trouble:
            return place
        lacking.append(f"{'this machine' if place.local else place.runner.host}: {trouble}")
    raise PreflightError(
        f"a snapshot of etcd {etcd} can be proven nowhere: {'; '.join(lacking)}",
        hint=f"Install etcd, etcdctl and etcdutl {etcd} on this machine, and type the same again.",
    )


def check_file(snapshot: Path, *, received: str = "", seconds: float = 0.0) -> tuple[Rung, ...]:
    """Try the rungs that need no etcd: is it whole, and does its own SHA-256 fit.

    Args:
        snapshot: the file.
        received: the SHA-256 that the host told of what it sent; empty when it was not just sent.
        seconds: how long it was on its way here.
    """
    size = snapshot.stat().st_size
    whole, body, trailer = _digests(snapshot, size)
    rungs = []
    if received:
        fits = whole == received
        detail = f"{size} bytes, as sent" if fits else "what arrived is not what the host sent"
        rungs.append(Rung(name="received", ok=fits, detail=detail, seconds=round(seconds, 3)))
    sound = size > _TRAILER and size % _PAGE == _TRAILER
    detail = "is there" if sound else f"{size} bytes are no snapshot with a SHA-256 at its end"
    rungs.append(Rung(name="trailer", ok=sound, detail=detail))
    fits = body == trailer
    detail = "fits" if fits else "the SHA-256 at the end is not that of the snapshot: it is damaged"
    rungs.append(Rung(name="sha256", ok=fits, detail=detail))
    return until_failed(rungs)


def climb(
    snapshot: Path, expected: Expected, *, place: Place, scratch: Path, progress: Progress
) -> Climb:
    """Prove the file `snapshot` of this machine; stops at the first rung that fails.

    Args:
        snapshot: the file; it is only read.
        expected: what it must hold.
        place: where; on a host the snapshot is brought there first.
        scratch: a directory of this machine where a data directory can be made, if it is here.
        progress: takes one line that says what is being done.

    Raises:
        TransportError, UnknownOutcomeError, CommandError: the place failed half-way. That says
            nothing about the snapshot.
        StoreError: there is no space for the scratch copy.
    """
    rungs = check_file(snapshot)
    if not rungs[-1].ok:
        return Climb(rungs=rungs)
    size = snapshot.stat().st_size
    progress(f"restoring into a scratch etcd on {place.runner.host}")
    if place.local:
        found = _run(place, str(snapshot), expected, size=size, directory=str(scratch))
    else:
        found = _climb_there(snapshot, expected, place=place, size=size, progress=progress)
    return judged(rungs, found, expected)


def judged(before: tuple[Rung, ...], found: Mapping[str, Answer], expected: Expected) -> Climb:
    """Judge what prove.sh found; `before` are the rungs that were climbed already."""
    rungs = list(before)
    revision, keys, uid = 0, 0, ""
    for name, judge in _JUDGES.items():
        if not rungs[-1].ok:
            break
        finding = _find(found.get(name), judge, expected)
        revision, keys = revision or finding.revision, keys or finding.keys
        uid = uid or finding.uid
        seconds = found[name].seconds if name in found else 0.0
        rungs.append(Rung(name=name, ok=finding.ok, detail=finding.detail, seconds=seconds))
    return Climb(rungs=tuple(rungs), revision=revision, keys=keys, uid=uid)


def until_failed(rungs: Iterable[Rung]) -> tuple[Rung, ...]:
    """Return `rungs` up to the first that failed."""
    climbed = []
    for rung in rungs:
        climbed.append(rung)
        if not rung.ok:
            break
    return tuple(climbed)


@dataclass(frozen=True, kw_only=True)
class _Finding:
    ok: bool
    detail: str
    revision: int = 0
    keys: int = 0
    uid: str = ""


def _find(
    answer: Answer | None, judge: Callable[[str, Expected], _Finding], expected: Expected
) -> _Finding:
    if answer is None:
        return _Finding(ok=False, detail="it was not tried: the script was cut off")
    if answer.status:
        said = answer.text.strip().rpartition("\n")[2][-400:] or "it said nothing"
        return _Finding(ok=False, detail=f"ended with status {answer.status}: {said}")
    try:
        return judge(answer.text, expected)
    except (ValueError, LookupError, TypeError) as error:
        return _Finding(ok=False, detail=f"etcd answered {answer.text[:200]!r}: {error}")


def _status(text: str, expected: Expected) -> _Finding:
    told = json.loads(text)
    revision, keys = int(told["revision"]), int(told["totalKey"])
    if revision < expected.least_revision:
        detail = f"revision {revision}, older than {expected.least_revision} before the save"
        return _Finding(ok=False, detail=detail)
    if not keys:
        return _Finding(ok=False, detail="it holds no keys")
    return _Finding(ok=True, detail=f"revision {revision}, {keys} keys", revision=revision)


def _restored(_text: str, _expected: Expected) -> _Finding:
    return _Finding(ok=True, detail="restored into a scratch directory")


def _started(_text: str, _expected: Expected) -> _Finding:
    return _Finding(ok=True, detail="a scratch etcd serves it")


def _keys(text: str, expected: Expected) -> _Finding:
    count = int(json.loads(text).get("count", 0))
    detail = f"{count} keys below {expected.registry_prefix}/"
    return _Finding(ok=count > 0, detail=detail, keys=count)


def _identity(text: str, expected: Expected) -> _Finding:
    found = json.loads(text).get("kvs") or ()
    if not found:
        return _Finding(ok=False, detail="there is no namespace kube-system in it")
    uid = uid_of(base64.b64decode(found[0]["value"]))
    if uid is None:
        detail = "kube-system is there, encrypted by the API server: its UID cannot be read"
        return _Finding(ok=True, detail=detail)
    if expected.uid and uid != expected.uid:
        return _Finding(ok=False, detail=f"it is of cluster {uid}, not of {expected.uid}")
    return _Finding(ok=True, detail=f"kube-system is {uid}", uid=uid)


_JUDGES: Mapping[str, Callable[[str, Expected], _Finding]] = MappingProxyType(
    {
        "status": _status,
        "restore": _restored,
        "start": _started,
        "keys": _keys,
        "identity": _identity,
    }
)
"""The rungs of prove.sh, in its order."""


def _climb_there(
    snapshot: Path, expected: Expected, *, place: Place, size: int, progress: Progress
) -> Mapping[str, Answer]:
    runner = place.runner
    make = script("scratch", arguments=(str(size + space(size)), *SCRATCH), timeout=_PROBE_TIMEOUT)
    result = runner.run(make)
    if result.status == NO_SPACE:
        raise StoreError(f"{runner.host}: {remark(result.stderr)}")
    directory = result.must().stdout.strip()
    try:
        there = f"{directory}/snapshot.db"
        upload(runner, snapshot, there, progress=progress)
        return _run(place, there, expected, size=size, directory=directory)
    finally:
        runner.run(Command(argv=("rm", "-rf", "--", directory))).must()


def _run(
    place: Place, file: str, expected: Expected, *, size: int, directory: str
) -> Mapping[str, Answer]:
    """Run the script at `place`, where the snapshot is called `file`."""
    arguments = (place.kind, file, expected.registry_prefix, str(space(size)), directory)
    result = place.runner.run(script("prove", "climb", arguments=arguments, timeout=_CLIMB_TIMEOUT))
    if result.status == NO_SPACE:
        raise StoreError(f"{place.runner.host}: {remark(result.stderr)}")
    return answers(result.must().stdout)


def _trouble(place: Place, etcd: str) -> str:
    """Say why nothing can be proven there; empty when it can."""
    try:
        result = place.runner.run(script("probe", arguments=(place.kind,), timeout=_PROBE_TIMEOUT))
    except (TransportError, UnknownOutcomeError) as error:
        return error.message
    found = _VERSION.search(result.stdout)
    if not result.ok or found is None:
        return remark(result.stderr)
    there, wanted = KubeVersion.parse(found[1]).minor, KubeVersion.parse(etcd).minor
    if there not in {wanted, wanted.next}:
        return f"its etcd is {found[1]}"
    return ""


def _digests(snapshot: Path, size: int) -> tuple[str, str, str]:
    """Return the SHA-256 of the file and of the file without its last 32 bytes, and those bytes."""
    whole, left = hashlib.sha256(), max(0, size - _TRAILER)
    with snapshot.open("rb") as file:
        while left and (piece := file.read(min(_PIECE, left))):
            whole.update(piece)
            left -= len(piece)
        body = whole.copy()
        trailer = file.read()
    whole.update(trailer)
    return whole.hexdigest(), body.hexdigest(), trailer.hex()
