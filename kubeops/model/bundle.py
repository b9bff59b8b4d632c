"""What a backup is: its manifest as a value, and that value as JSON, format 1.

docs/backup-format.md explains the format to people. A manifest is read strictly: a bundle that
cannot be understood wholly is not one to restore a cluster from.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from kubeops.errors import UntrustedSnapshotError
from kubeops.model import strict
from kubeops.model.observed import EtcdMember

FORMAT = 1
MANIFEST = "manifest.json"
NAME = re.compile(r"(\d{8}T\d{6}Z)-[0-9a-z]{6}")
_STAMP = "%Y%m%dT%H%M%SZ"

T = TypeVar("T")


class Sealing(StrEnum):
    """How the parts are encrypted: not at all, to public keys, or to a key behind a passphrase."""

    NONE = "none"
    RECIPIENTS = "recipients"
    PASSPHRASE = "passphrase"  # noqa: S105 - a word of the format


@dataclass(frozen=True, kw_only=True)
class Part:
    """One stored file of a bundle.

    Attributes:
        name: its name in the bundle, such as `snapshot.db.zst.age`.
        size, sha256: of the file as it is stored.
        plain_size, plain_sha256: of what it holds, decrypted and decompressed.
    """

    name: str
    size: int
    sha256: str
    plain_size: int
    plain_sha256: str


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One step of the proof: its name (see docs/backup-format.md), its outcome, and what it saw."""

    name: str
    ok: bool
    detail: str
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Proof:
    """How a snapshot was tried: when, where (`localhost` or a host's name), rung by rung.

    `full` is whether the ladder was climbed to its end, a restore into a scratch etcd included; a
    proof that is not full says that the stored bytes are the proven ones, and nothing more.
    """

    at: datetime
    where: str
    full: bool
    rungs: tuple[Rung, ...]

    @property
    def failed(self) -> Rung | None:
        """The rung that did not hold; None when all did. No rung is tried after it."""
        return next((rung for rung in self.rungs if not rung.ok), None)

    @property
    def holds(self) -> bool:
        """Whether anything was tried and nothing failed."""
        return bool(self.rungs) and self.failed is None


@dataclass(frozen=True, kw_only=True)
class Member:
    """A member of the etcd cluster at the time; `id` is hexadecimal."""

    id: str
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]

    @classmethod
    def of(cls, member: EtcdMember) -> "Member":
        """Return what a manifest says of `member`."""
        return cls(
            id=member.id,
            name=member.name,
            peer_urls=member.peer_urls,
            client_urls=member.client_urls,
        )


@dataclass(frozen=True, kw_only=True)
class ControlPlane:
    """A control plane of the inventory at the time."""

    name: str
    address: str


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """One backup, as its manifest.json says.

    Attributes:
        name: `20261121T023000Z-k3x9ab`: UTC time and chance; sorts by time.
        cluster: the cluster's name in the inventory.
        taken: when the snapshot was asked for.
        taken_from: the host whose etcd member it is of.
        kube_system_uid: the cluster's identity.
        kubernetes, etcd: versions, without `v`; `etcd` is the member's.
        revision, keys: of the snapshot, as etcdutl counts them.
        registry_prefix: where the API server keeps its objects in etcd (`/registry`).
        members: etcd's members at the time.
        control_planes: those of the inventory at the time.
        sealing: how `snapshot` and `pki` are encrypted.
        recipients: the public keys they are encrypted to; with a passphrase, the bundle's own one.
        snapshot: etcd's database; what it holds is what `etcdctl snapshot save` wrote.
        pki: a tar archive of PKI and configuration, see docs/backup-format.md.
        key: with a passphrase, the file `key.age` that holds the bundle's own identity.
        proof: how the snapshot was proven before the bundle was called one.
        tool: version of kubeops.
        rehearsal: whether it is of a lab's stand-in instead of Kubernetes itself.
    """

    name: str
    cluster: str
    taken: datetime
    taken_from: str
    kube_system_uid: str
    kubernetes: str
    etcd: str
    revision: int
    keys: int
    registry_prefix: str
    members: tuple[Member, ...]
    control_planes: tuple[ControlPlane, ...]
    sealing: Sealing
    recipients: tuple[str, ...]
    snapshot: Part
    pki: Part
    key: Part | None
    proof: Proof
    tool: str
    rehearsal: bool = False

    @property
    def proven(self) -> bool:
        """Whether it was restored into a scratch etcd and nothing was wrong with it."""
        return self.proof.full and self.proof.holds

    @property
    def parts(self) -> tuple[Part, ...]:
        """The stored files besides the manifest."""
        return (
            (self.snapshot, self.pki) if self.key is None else (self.snapshot, self.pki, self.key)
        )

    @property
    def size(self) -> int:
        """Bytes that the parts take in the store."""
        return sum(part.size for part in self.parts)

    def with_proof(self, proof: Proof) -> "Bundle":
        """Return the same bundle with another proof."""
        return replace(self, proof=proof)

    def to_json(self) -> bytes:
        """Return the manifest: UTF-8 JSON, indented for people, its own SHA-256 at the end."""
        document = {"format": FORMAT, **asdict(self)}
        checksum = hashlib.sha256(_spell(document)).hexdigest()
        return _spell(document | {"checksum": checksum})


def bundle_name(at: datetime, chance: str) -> str:
    """Return the name of a bundle taken at `at`; `chance` is six lower case letters or digits.

    Raises:
        ValueError: `chance` is something else.
    """
    name = f"{at.astimezone(UTC):{_STAMP}}-{chance}"
    if NAME.fullmatch(name) is None:
        raise ValueError(f"{chance!r} is not six lower case letters or digits")
    return name


def taken_at(name: str) -> datetime:
    """Return the time in a bundle's name.

    Raises:
        ValueError: it is no bundle's name.
    """
    match = NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is not the name of a backup")
    return datetime.strptime(match[1], _STAMP).replace(tzinfo=UTC)


def parse_bundle(manifest: bytes, *, where: str) -> Bundle:
    """Read what `Bundle.to_json` wrote. `where` names the manifest in messages.

    Raises:
        UntrustedSnapshotError: it is of a newer format, or is not a manifest, wholly.
    """
    try:
        bundle = _read(json.loads(manifest), where=where)
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise _damaged(where, str(error)) from error
    if bundle.to_json() != manifest:
        raise _damaged(where, "its checksum does not fit")
    return bundle


def _read(document: object, *, where: str) -> Bundle:
    written = strict.mapping(document).pop("format", None)
    if isinstance(written, int) and written > FORMAT:
        raise UntrustedSnapshotError(
            f"{where} was written by a newer kubeops: format {written}, this one reads {FORMAT}",
            hint="Use the kubeops that wrote it, or a later one. This is: kubeops --version",
        )
    if written != FORMAT:
        raise ValueError(f"format is {written!r}, not {FORMAT}")
    return _bundle(document)


def _damaged(where: str, why: str) -> UntrustedSnapshotError:
    return UntrustedSnapshotError(
        f"{where} is not the manifest of a backup: {why}",
        hint="The backup is damaged; use another one: invoke backup.list",
    )


def _spell(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, indent=2, default=_spelled).encode() + b"\n"


def _spelled(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON spelling")


def _bundle(document: object) -> Bundle:
    read = strict.Object(document, "the manifest")
    bundle = Bundle(
        name=read.text("name"),
        cluster=read.text("cluster"),
        taken=read.moment("taken"),
        taken_from=read.text("taken_from"),
        kube_system_uid=read.text("kube_system_uid"),
        kubernetes=read.text("kubernetes"),
        etcd=read.text("etcd"),
        revision=read.count("revision"),
        keys=read.count("keys"),
        registry_prefix=read.text("registry_prefix"),
        members=read.each("members", _member),
        control_planes=read.each("control_planes", _control_plane),
        sealing=Sealing(read.text("sealing")),
        recipients=read.texts("recipients"),
        snapshot=_part(read.take("snapshot")),
        pki=_part(read.take("pki")),
        key=_optional(read.take("key"), _part),
        proof=_proof(read.take("proof")),
        tool=read.text("tool"),
        rehearsal=read.flag("rehearsal"),
    )
    read.sha256("checksum")
    read.end()
    taken_at(bundle.name)
    if (bundle.key is None) == (bundle.sealing is Sealing.PASSPHRASE):
        raise ValueError(f"sealed by {bundle.sealing}, and key is {bundle.key}")
    return bundle


def _optional(value: object, read: Callable[[object], T]) -> T | None:
    return None if value is None else read(value)


def _part(document: object) -> Part:
    read = strict.Object(document, "a part")
    part = Part(
        name=read.text("name"),
        size=read.count("size"),
        sha256=read.sha256("sha256"),
        plain_size=read.count("plain_size"),
        plain_sha256=read.sha256("plain_sha256"),
    )
    read.end()
    if "/" in part.name or part.name in {MANIFEST, ".", "..", ""}:
        raise ValueError(f"{part.name!r} is not the name of a part")
    return part


def _proof(document: object) -> Proof:
    read = strict.Object(document, "the proof")
    proof = Proof(
        at=read.moment("at"),
        where=read.text("where"),
        full=read.flag("full"),
        rungs=read.each("rungs", _rung),
    )
    read.end()
    return proof


def _rung(document: object) -> Rung:
    read = strict.Object(document, "a rung")
    rung = Rung(
        name=read.text("name"),
        ok=read.flag("ok"),
        detail=read.text("detail"),
        seconds=read.seconds("seconds"),
    )
    read.end()
    return rung


def _member(document: object) -> Member:
    read = strict.Object(document, "a member")
    member = Member(
        id=read.text("id"),
        name=read.text("name"),
        peer_urls=read.texts("peer_urls"),
        client_urls=read.texts("client_urls"),
    )
    read.end()
    return member


def _control_plane(document: object) -> ControlPlane:
    read = strict.Object(document, "a control plane")
    plane = ControlPlane(name=read.text("name"), address=read.text("address"))
    read.end()
    return plane
