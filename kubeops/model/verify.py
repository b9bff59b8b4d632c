"""What `verify` found: properties of hosts, each held against the inventory."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a property of a host came out."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class Verified:
    """One property of one host, looked at once.

    Attributes:
        host: the host's name in the inventory.
        text: what has to be true, e.g. `kubelet is running`.
        verdict: whether it is. SKIPPED: it cannot be told, because of another failure.
        expected: what the inventory wants; set when FAILED.
        found: what is there instead, or why it was SKIPPED.
        cure: what the operator types or changes next; set when FAILED.
        seconds: how long looking took.
    """

    host: str
    text: str
    verdict: Verdict
    expected: str = ""
    found: str = ""
    cure: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class VerifyReport:
    """All properties that were looked at, host by host in the inventory's order.

    `rehearsal` says that a host runs the lab's stand-ins. `seconds` is the time it all took.
    `left_out` are hosts of the inventory that are not to be nodes now, and why, one line each.
    """

    cluster: str
    hosts: tuple[str, ...]
    properties: tuple[Verified, ...]
    rehearsal: bool = False
    seconds: float = 0.0
    left_out: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[Verified, ...]:
        """The properties that do not hold."""
        return tuple(item for item in self.properties if item.verdict is Verdict.FAILED)

    def count(self, verdict: Verdict, *, host: str | None = None) -> int:
        """How many properties came out as `verdict`, of `host` or of all."""
        return sum(
            item.verdict is verdict and host in {None, item.host} for item in self.properties
        )
