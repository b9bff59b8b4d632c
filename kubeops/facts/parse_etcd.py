"""Parsers of etcdctl's JSON. Each raises ValueError, LookupError or TypeError on a surprise.

etcdctl writes member ids in decimal there, and wants them in hexadecimal everywhere else.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from kubeops.model.observed import EtcdMember

_ALARMS = {1: "NOSPACE", 2: "CORRUPT"}


@dataclass(frozen=True, kw_only=True)
class _Status:
    version: str
    db_size: int
    leader: bool
    revision: int


def parse_members(members: str, health: str, status: str) -> tuple[EtcdMember, ...]:
    """Read `member list`, `endpoint health --cluster` and `endpoint status --cluster`.

    The latter two say nothing, or little, of members that do not answer: those are not healthy.
    """
    healthy = {entry["endpoint"] for entry in json.loads(health or "null") or () if entry["health"]}
    statuses = _statuses(status)
    return tuple(
        _member(entry, healthy=healthy, status=statuses.get(entry["ID"]))
        for entry in json.loads(members)["members"]
    )


def parse_alarms(text: str) -> tuple[str, ...]:
    """Read `alarm list`: `NOSPACE 5a538f5ddd45df29`, one per raised alarm."""
    return tuple(
        f"{_alarm(entry.get('alarm', 0))} {entry['memberID']:x}"
        for entry in json.loads(text or "{}").get("alarms") or ()
    )


def _alarm(kind: int | str) -> str:
    return _ALARMS.get(kind, str(kind)) if isinstance(kind, int) else kind


def _statuses(text: str) -> Mapping[int, _Status]:
    found = {}
    for entry in json.loads(text or "null") or ():
        status = entry["Status"]
        header = status["header"]
        found[header["member_id"]] = _Status(
            version=status["version"],
            db_size=status["dbSize"],
            leader=status.get("leader") == header["member_id"],
            revision=header.get("revision", 0),
        )
    return found


def _member(
    entry: Mapping[str, object], *, healthy: set[str], status: _Status | None
) -> EtcdMember:
    urls = _texts(entry.get("clientURLs"))
    return EtcdMember(
        id=f"{entry['ID']:x}",
        name=str(entry.get("name", "")),
        peer_urls=_texts(entry["peerURLs"]),
        client_urls=urls,
        learner=entry.get("isLearner") is True,
        healthy=not healthy.isdisjoint(urls),
        version=status.version if status else "",
        db_size=status.db_size if status else 0,
        leader=status.leader if status else False,
        revision=status.revision if status else 0,
    )


def _texts(value: object) -> tuple[str, ...]:
    """Read a list of texts; a member that was added and never started has no client URLs."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list")
    return tuple(str(entry) for entry in value)
