"""Reads where the time of a run went from its own journal.

What nobody could do without is work: kubeadm, apt and dpkg, evictions and waiting for pods to go,
waiting for readiness. The rest of a lane is ours. `kubeadm version` and `dpkg-query` only look, and
are ours.

Waiting begins when the first look has ended and something was missing; it ends when a look has
found nothing missing. So of each gate the time of one look is ours, all of a gate that finds
everything well at once, and the looks that confirm what the first good one saw.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

KUBEADM = "kubeadm"
PACKAGES = "apt and dpkg"
DRAIN = "drain: evictions, waiting for pods to go"
READINESS = "waiting for readiness"
IDLE = "no command: between looks, writing"
COMMANDS = frozenset({KUBEADM, PACKAGES})
WORK = COMMANDS | {DRAIN, READINESS}
_KINDS = (
    (KUBEADM, re.compile(r"^kubeadm (?!version)")),
    (PACKAGES, re.compile(r"^(env DEBIAN_FRONTEND=\S+ )?(apt-get|apt-mark|dpkg) ")),
    (DRAIN, re.compile(r'"kind": "Eviction"|^kubectl .* delete pod ')),
    ("reading hosts", re.compile(r"^(sh -s|kubeadm version|dpkg-query)")),
    ("kubectl, etcdctl", re.compile(r"^(kubectl|etcdctl)")),
    ("images", re.compile(r"\bcrictl\b")),
    ("services", re.compile(r"\bsystemctl\b")),
)
_OTHER = "other commands"
_WAITING = "waiting for "


@dataclass(frozen=True, kw_only=True)
class Span:
    """What a lane did from one time to another, in seconds of any clock.

    Attributes:
        kind: what the time went into.
        text: the command, or the gate's name.
        begin: when it began.
        end: when it ended.
    """

    kind: str
    text: str
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.begin


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One lane that was run; the spans of `commands` do not overlap, nor do those of `waits`."""

    name: str
    begin: float
    end: float
    commands: tuple[Span, ...] = ()
    waits: tuple[Span, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.begin

    @property
    def shares(self) -> dict[str, float]:
        """Seconds by what they went into; they add up to `seconds`."""
        shares: dict[str, float] = defaultdict(float)
        for span in (*self.waits, *self.commands):
            hidden = self.waits if span not in self.waits else ()
            shares[span.kind] += span.seconds - sum(_common(span, wait) for wait in hidden)
        shares[IDLE] = self.seconds - sum(shares.values())
        return dict(shares)

    def of(self, kinds: Iterable[str]) -> float:
        """Return the seconds that went into `kinds`."""
        shares = self.shares
        return sum(shares.get(kind, 0.0) for kind in kinds)


@dataclass(frozen=True, kw_only=True)
class Wave:
    """One wave that was run to its end."""

    name: str
    at_once: int
    begin: float
    end: float
    lanes: tuple[Lane, ...]

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.begin

    @property
    def deciding(self) -> tuple[Lane, ...]:
        """The lanes that made it take so long: all where they take turns, else the last to end."""
        if self.at_once == 1:
            return self.lanes
        return (max(self.lanes, key=lambda lane: lane.end),)

    def at_least(self, kinds: Iterable[str]) -> float:
        """Return the seconds it would take if lanes did nothing but `kinds`."""
        wanted = tuple(kinds)
        return lower_bound([lane.of(wanted) for lane in self.lanes], slots=self.at_once)


def deciding_shares(waves: Iterable[Wave]) -> dict[str, float]:
    """Return what the time of `waves` went into in their deciding lanes; it adds up to their time.

    What a wave took longer than those lanes went into no command.
    """
    shares: dict[str, float] = defaultdict(float)
    for wave in waves:
        for lane in wave.deciding:
            for kind, seconds in lane.shares.items():
                shares[kind] += seconds
        shares[IDLE] += wave.seconds - sum(lane.seconds for lane in wave.deciding)
    return dict(shares)


def lower_bound(durations: Sequence[float], *, slots: int) -> float:
    """Return the seconds no order can beat: the longest, or all spread evenly on `slots`."""
    return max(*durations, sum(durations) / slots)


def in_turn(durations: Iterable[float], *, slots: int) -> float:
    """Return the seconds when each starts, in the order given, as soon as a slot is free."""
    free = [0.0] * slots
    for seconds in durations:
        free.sort()
        free[0] += seconds
    return max(free)


def read(path: Path) -> tuple[Wave, ...]:
    """Read the journal of a run that ended well.

    Raises:
        ValueError: a step of the plan, or a wave, has not ended.
    """
    header, *events = map(json.loads, path.read_text().splitlines())
    by_step: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for event in events:
        by_step[event.get("step", "")].append(event)
    begins, ends = (
        [_at(event) for event in events if event["kind"] == kind]
        for kind in ("wave-started", "wave-ended")
    )
    return tuple(
        Wave(
            name=wave["name"],
            at_once=int(wave["at_once"]),
            begin=begin,
            end=end,
            lanes=tuple(_lane(lane, by_step) for lane in wave["lanes"]),
        )
        for wave, begin, end in zip(header["plan"]["waves"], begins, ends, strict=True)
    )


def _lane(lane: Mapping[str, Any], by_step: Mapping[str, Sequence[Mapping[str, Any]]]) -> Lane:
    commands: list[Span] = []
    waits: list[Span] = []
    begin, end = float("inf"), float("-inf")
    for step in lane["steps"]:
        events = by_step[step["id"]]
        last = next((e for e in events if e["kind"] in {"step-done", "step-skipped"}), None)
        if last is None:
            raise ValueError(f"{step['id']} has not ended")
        begin = min(begin, _at(last) - last["data"]["seconds"])
        end = max(end, _at(last))
        commands += [_command(event) for event in events if event["kind"] == "command"]
        waits += _waits(events, DRAIN if step["action"] == "DrainNode" else READINESS)
    return Lane(
        name=lane["name"], begin=begin, end=end, commands=tuple(commands), waits=tuple(waits)
    )


def _command(event: Mapping[str, Any]) -> Span:
    end, text = _at(event), event["text"]
    return Span(kind=_kind(text), text=text, begin=end - event["data"]["seconds"], end=end)


def _waits(events: Iterable[Mapping[str, Any]], kind: str) -> list[Span]:
    """Return one span per gate, from its first reading to its last new one."""
    waits: dict[str, Span] = {}
    for event in events:
        text = event.get("text", "")
        if event["kind"] != "step-waiting" or not text.startswith(_WAITING):
            continue
        gate, at = text.removeprefix(_WAITING).partition(": ")[0], _at(event)
        first = waits.get(gate, Span(kind=kind, text=gate, begin=at, end=at))
        waits[gate] = replace(first, end=at)
    return list(waits.values())


def _kind(text: str) -> str:
    return next((kind for kind, pattern in _KINDS if pattern.search(text)), _OTHER)


def _common(one: Span, other: Span) -> float:
    return max(0.0, min(one.end, other.end) - max(one.begin, other.begin))


def _at(event: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(event["at"]).timestamp()
