"""What verbs say of backups: values to be shown and to be printed as JSON."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from kubeops.model.bundle import Bundle, Proof


class Standing(StrEnum):
    """What a backup in a store is worth. Only proven ones count for anything."""

    PROVEN = "proven"
    UNPROVEN = "unproven"
    DAMAGED = "damaged"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One backup of a store, or what is left of one.

    Attributes:
        name: the bundle's name.
        standing: what it is worth.
        taken: when, as its name says.
        age: seconds since then.
        bundle: its manifest; None when there is none that can be read.
        size: bytes in the store; None when nobody knows.
        reason: why it is not a proven one; empty for those that are.
    """

    name: str
    standing: Standing
    taken: datetime
    age: float
    bundle: Bundle | None = None
    size: int | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """All that a store holds of one cluster, newest first, at one moment."""

    cluster: str
    store: str
    at: datetime
    backups: tuple[Entry, ...]

    def count(self, standing: Standing) -> int:
        """How many backups stand like this."""
        return sum(entry.standing is standing for entry in self.backups)

    @property
    def newest(self) -> Entry | None:
        """The newest proven backup; None without one."""
        return next((one for one in self.backups if one.standing is Standing.PROVEN), None)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """How one run of `backup` ended.

    Attributes:
        at: when it ended.
        seconds: how long it took.
        exit_status: as the command's.
        name: the backup it took; empty when it took none.
        message: what went wrong; empty when nothing did.
    """

    at: datetime
    seconds: float
    exit_status: int
    name: str = ""
    message: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing went wrong."""
        return self.exit_status == 0


@dataclass(frozen=True, kw_only=True)
class Attempts:
    """The last run of `backup` on this machine, and when one last went well."""

    last: Attempt
    last_success: datetime | None


@dataclass(frozen=True, kw_only=True)
class Verified:
    """One stored backup that was tried again."""

    name: str
    proof: Proof


@dataclass(frozen=True, kw_only=True)
class Freshness:
    """Whether there is a proven backup, and how old it is; ages in seconds."""

    cluster: str
    store: str
    at: datetime
    newest: Entry | None
    max_age: float
    last: Attempts | None = None

    @property
    def too_old(self) -> bool:
        """Whether the newest proven backup is missing or older than allowed."""
        return self.newest is None or self.newest.age > self.max_age
