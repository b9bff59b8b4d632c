"""How far a restore is, as control planes say it: the mark each of them keeps of every attempt.

A mark is the directory /var/lib/kubeops/restore/ID/ on a control plane. It is written before
anything is touched and moved on by each step, on the host itself.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

MARKS = "/var/lib/kubeops/restore"
"""Where the marks are on every control plane."""

_ID = re.compile(r"(\d{3,})-(\S+)")


class Phase(StrEnum):
    """How far a control plane is. In this order: a restore, then what an undo of it makes of it.

    STAGED: the snapshot is there and verified. RESTORED: a data directory was made of it, beside
    the present one. STOPPING: the control plane is being stopped; nothing was touched until then.
    SWAPPED: the data directories have changed places. ETCD, API, CONTROLLERS: their manifests are
    back. DONE: all was verified. UNDO_STARTED: all four manifests are back.

    On a fresh host SWAPPED says that data and PKI are in place, and CONTROLLERS that the control
    plane is up and the lost ones are forgotten; what is between is not used.
    """

    STAGED = "staged"
    RESTORED = "restored"
    STOPPING = "stopping"
    SWAPPED = "swapped"
    ETCD = "etcd"
    API = "api"
    CONTROLLERS = "controllers"
    DONE = "done"
    UNDO_STOPPING = "undo-stopping"
    UNDO_SWAPPED = "undo-swapped"
    UNDO_STARTED = "undo-started"
    UNDONE = "undone"

    @property
    def rank(self) -> int:
        """The place in the order."""
        return list(Phase).index(self)

    @property
    def touched(self) -> bool:
        """Whether something of the cluster is not as it was before."""
        return self.rank >= Phase.STOPPING.rank and self is not Phase.UNDONE

    @property
    def undoing(self) -> bool:
        """Whether an undo has begun, or is done."""
        return self.rank >= Phase.UNDO_STOPPING.rank

    @property
    def open(self) -> bool:
        """Whether a restore or an undo is under way."""
        return self not in {Phase.DONE, Phase.UNDONE}


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What one control plane says of one attempt.

    Attributes:
        id: `NUMBER-BUNDLE`, the same on all control planes.
        phase: how far it is.
        began: UTC, `20261121T023000Z`, by the host's clock; names what is kept there.
        revision: where the restored etcd begins.
        data: etcd's data directory.
        fresh: whether it restores onto a host that was no control plane before; there is no way
            back from that.
    """

    id: str
    phase: Phase
    began: str
    revision: int
    data: str
    fresh: bool = False

    @property
    def bundle(self) -> str:
        """The name of the bundle that is restored."""
        return self.id.partition("-")[2]

    @property
    def number(self) -> int:
        """The attempts of a cluster are counted from 1."""
        return int(self.id.partition("-")[0])


def attempt_id(number: int, bundle: str) -> str:
    """Return the id of an attempt to restore `bundle`."""
    return f"{number:03d}-{bundle}"


def is_attempt_id(text: str) -> bool:
    """Whether `text` is the id of an attempt."""
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True, kw_only=True)
class Disk:
    """A file system: its device, and how many bytes are free there."""

    device: str
    free: int


@dataclass(frozen=True, kw_only=True)
class RestoreHost:
    """What only a restore asks of a control plane.

    Attributes:
        host: its name.
        marks: of all attempts, in the order of their numbers.
        etcdutl: the version of etcdutl that can be run there; empty when there is none.
        database: bytes of etcd's present database; 0 when there is none.
        state, data: the disks of /var/lib/kubeops and of etcd's data directory.
        serving: whether something listens on etcd's client port.
    """

    host: str
    marks: tuple[Mark, ...] = ()
    etcdutl: str = ""
    database: int = 0
    state: Disk
    data: Disk
    serving: bool = False

    @property
    def newest(self) -> Mark | None:
        """The mark of the newest attempt."""
        return self.marks[-1] if self.marks else None


@dataclass(frozen=True, kw_only=True)
class RestoreFacts:
    """What only a restore asks, besides what `ClusterFacts` holds: the control planes by name."""

    hosts: Mapping[str, RestoreHost] = field(default_factory=dict)

    def mark(self, host: str, attempt: str) -> Mark | None:
        """Return what `host` says of `attempt`."""
        found = self.hosts.get(host)
        return next((mark for mark in found.marks if mark.id == attempt), None) if found else None

    @property
    def newest(self) -> str:
        """The id of the newest attempt on any host; empty when there was none."""
        marks = [mark for host in self.hosts.values() for mark in host.marks]
        return max(marks, key=lambda mark: (mark.number, mark.id)).id if marks else ""
