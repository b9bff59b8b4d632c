"""Retention, by example."""

from datetime import UTC, datetime, timedelta, timezone

from kubeops.model.bundle import Bundle, taken_at
from kubeops.plan.retention import Verdict, retain
from tests.bundles import bundle

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def daily(days: int) -> list[Bundle]:
    return [bundle(NOW - timedelta(days=n)) for n in range(days)]


def ages(verdicts: tuple[Verdict, ...]) -> list[int]:
    """How many days old is what is kept."""
    dates = [taken_at(one.name) for one in verdicts if one.keep]
    return [(NOW - date).days for date in dates]


def test_reasons() -> None:
    keep = {"last": 1, "daily": 2, "weekly": 1, "monthly": 1}
    assert retain(daily(3), aside=["20261101T000000Z-aaaaaa"], keep=keep, now=NOW) == (
        Verdict(
            name="20261121T120000Z-abc123",
            keep=True,
            reason="the newest proven one; one of the last 1; daily: the newest of 2026-11-21; "
            "weekly: the newest of 2026-W47; monthly: the newest of 2026-11",
        ),
        Verdict(
            name="20261120T120000Z-abc123", keep=True, reason="daily: the newest of 2026-11-20"
        ),
        Verdict(
            name="20261119T120000Z-abc123",
            keep=False,
            reason="none of those to keep (last 1, daily 2, weekly 1, monthly 1)",
        ),
        Verdict(
            name="20261101T000000Z-aaaaaa",
            keep=False,
            reason="not proven, 20 days old; kept for 14 days to be looked at",
        ),
    )


def test_half_a_year_of_days() -> None:
    keep = {"last": 3, "daily": 7, "weekly": 4, "monthly": 6}
    # Seven days; Sundays (15, 8 and 1 November) close ISO weeks; months close on their last day.
    assert ages(retain(daily(180), keep=keep, now=NOW)) == [
        *(0, 1, 2, 3, 4, 5, 6),
        *(13, 20),
        *(21, 52, 82, 113, 144),
    ]


def test_a_day_is_a_day_of_utc() -> None:
    tokyo = timezone(timedelta(hours=9))
    late, early = (
        bundle(datetime(2026, 11, 20, 23, 30, tzinfo=UTC), chance="aaaaaa"),
        bundle(datetime(2026, 11, 21, 8, 0, tzinfo=tokyo), chance="bbbbbb"),
    )
    verdicts = retain([early, late], keep={"daily": 2}, now=NOW)
    assert [(one.name[-6:], one.keep) for one in verdicts] == [("aaaaaa", True), ("bbbbbb", False)]


def test_gaps_do_not_count_as_days() -> None:
    old = [bundle(NOW - timedelta(days=n)) for n in (100, 200, 300)]
    assert ages(retain(old, keep={"daily": 2}, now=NOW)) == [100, 200]


def test_nothing_to_keep_keeps_the_newest() -> None:
    assert ages(retain(daily(4), keep={}, now=NOW)) == [0]


def test_nothing_at_all() -> None:
    assert retain([], keep={"last": 3}, now=NOW) == ()


def test_young_ones_aside_stay() -> None:
    (verdict,) = retain([], aside=["20261115T000000Z-aaaaaa"], keep={}, now=NOW)
    assert verdict.keep
