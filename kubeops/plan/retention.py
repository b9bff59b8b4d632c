"""Which backups are kept, and why: pure, in UTC, over proven bundles only."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from kubeops.model.bundle import Bundle, taken_at

ASIDE_KEPT = timedelta(days=14)

_PERIODS: Mapping[str, Callable[[datetime], str]] = MappingProxyType(
    {
        "daily": lambda at: f"{at:%Y-%m-%d}",
        "weekly": lambda at: f"{at:%G}-W{at:%V}",
        "monthly": lambda at: f"{at:%Y-%m}",
    }
)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What becomes of one bundle, or of what is left of one, and why; `reason` is for people."""

    name: str
    keep: bool
    reason: str


def retain(
    proven: Sequence[Bundle],
    *,
    aside: Sequence[str] = (),
    keep: Mapping[str, int],
    now: datetime,
) -> tuple[Verdict, ...]:
    """Decide about every bundle, newest first; of one time by name.

    `last` keeps the newest ones; `daily`, `weekly` (ISO) and `monthly` the newest bundle of as
    many days, weeks and months that have one, in UTC. Days without a backup do not count: a cluster
    that was not backed up for a month loses nothing by it.

    Args:
        proven: the proven bundles, in any order.
        aside: names of what counts for nothing: unproven bundles, and saves that were cut off. They
            are pruned after 14 days.
        keep: how many `last`, `daily`, `weekly` and `monthly` ones; what is left out counts 0.
        now: the present moment.

    The newest proven bundle is always kept, and so is what claims to be of the future: a clock was
    wrong, and it is not for retention to say which.
    """
    newest_first = sorted(proven, key=lambda one: (one.taken, one.name), reverse=True)
    reasons: dict[str, list[str]] = {bundle.name: [] for bundle in newest_first}
    if newest_first:
        reasons[newest_first[0].name].append("the newest proven one")
    for bundle in newest_first:
        if bundle.taken > now:
            reasons[bundle.name].append("taken in the future, says its clock")
    for bundle in newest_first[: keep.get("last", 0)]:
        reasons[bundle.name].append(f"one of the last {keep['last']}")
    for period, label in _PERIODS.items():
        for name, text in _newest_of(newest_first, label, count=keep.get(period, 0)).items():
            reasons[name].append(f"{period}: the newest of {text}")
    verdicts = [
        Verdict(
            name=name,
            keep=bool(why),
            reason="; ".join(why) or f"none of those to keep ({_spelled(keep)})",
        )
        for name, why in reasons.items()
    ]
    return tuple(
        sorted((*verdicts, *_aside(aside, now)), key=lambda verdict: verdict.name, reverse=True)
    )


def _newest_of(
    newest_first: Sequence[Bundle], label: Callable[[datetime], str], *, count: int
) -> Mapping[str, str]:
    """Return the newest bundle of each of the `count` latest periods, by name, with its label."""
    found: dict[str, str] = {}
    for bundle in newest_first:
        text = label(bundle.taken.astimezone(UTC))
        if len(found) < count and text not in found.values():
            found[bundle.name] = text
    return found


def _aside(names: Sequence[str], now: datetime) -> list[Verdict]:
    verdicts = []
    for name in names:
        age = now - taken_at(name)
        old = age > ASIDE_KEPT
        reason = f"not proven, {age.days} days old; kept for {ASIDE_KEPT.days} days to be looked at"
        verdicts.append(Verdict(name=name, keep=not old, reason=reason))
    return verdicts


def _spelled(keep: Mapping[str, int]) -> str:
    return ", ".join(f"{period} {count}" for period, count in keep.items() if count) or "nothing"
