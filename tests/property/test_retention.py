"""Retention, whatever is in the store."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from kubeops.model.bundle import Bundle, bundle_name
from kubeops.plan.retention import retain
from tests.bundles import bundle

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)

moments = st.datetimes(
    min_value=datetime(2025, 1, 1),  # noqa: DTZ001 - hypothesis wants bounds without a zone
    max_value=datetime(2026, 11, 25),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=14)), timezone(-timedelta(hours=9))]),
)
bundles = st.lists(moments, max_size=60).map(
    lambda found: [bundle(at, chance=f"{n:06d}") for n, at in enumerate(found)]
)
names = st.lists(moments, max_size=8).map(
    lambda found: [bundle_name(at, f"x{n:05d}") for n, at in enumerate(found)]
)
keeps = st.fixed_dictionaries(
    {},
    optional={name: st.integers(0, 12) for name in ("last", "daily", "weekly", "monthly")},
)


@given(proven=bundles, aside=names, keep=keeps)
def test_everything_gets_one_verdict_with_a_reason(
    proven: list[Bundle], aside: list[str], keep: dict[str, int]
) -> None:
    verdicts = retain(proven, aside=aside, keep=keep, now=NOW)
    assert sorted(one.name for one in verdicts) == sorted([*(b.name for b in proven), *aside])
    assert all(one.reason for one in verdicts)
    assert [one.name for one in verdicts] == sorted((one.name for one in verdicts), reverse=True)


@given(proven=bundles, keep=keeps)
def test_the_newest_proven_one_stays(proven: list[Bundle], keep: dict[str, int]) -> None:
    kept = {one.name for one in retain(proven, keep=keep, now=NOW) if one.keep}
    if proven:
        newest = max(proven, key=lambda one: (one.taken, one.name))
        assert newest.name in kept


@given(proven=bundles, aside=names, keep=keeps)
def test_unproven_ones_change_nothing(
    proven: list[Bundle], aside: list[str], keep: dict[str, int]
) -> None:
    alone = retain(proven, keep=keep, now=NOW)
    mixed = retain(proven, aside=aside, keep=keep, now=NOW)
    assert [one for one in mixed if one.name not in aside] == list(alone)


@given(proven=bundles, keep=keeps)
def test_at_least_what_was_asked_for_is_kept(proven: list[Bundle], keep: dict[str, int]) -> None:
    kept = [one for one in retain(proven, keep=keep, now=NOW) if one.keep]
    assert len(kept) >= min(len(proven), keep.get("last", 0))
    utc = [one.taken.astimezone(UTC) for one in proven if one.name in {k.name for k in kept}]
    days = {at.date() for at in (one.taken.astimezone(UTC) for one in proven)}
    assert len({at.date() for at in utc}) >= min(len(days), keep.get("daily", 0))


@given(proven=bundles, keep=keeps)
def test_pruning_twice_prunes_once(proven: list[Bundle], keep: dict[str, int]) -> None:
    kept = {one.name for one in retain(proven, keep=keep, now=NOW) if one.keep}
    left = [one for one in proven if one.name in kept]
    assert {one.name for one in retain(left, keep=keep, now=NOW) if one.keep} == kept


@given(proven=bundles, keep=keeps, name=st.sampled_from(["last", "daily", "weekly", "monthly"]))
def test_keeping_more_never_deletes_more(
    proven: list[Bundle], keep: dict[str, int], name: str
) -> None:
    more = keep | {name: keep.get(name, 0) + 1}
    kept = {one.name for one in retain(proven, keep=keep, now=NOW) if one.keep}
    assert kept <= {one.name for one in retain(proven, keep=more, now=NOW) if one.keep}


@given(proven=bundles, keep=keeps)
def test_the_future_is_not_judged(proven: list[Bundle], keep: dict[str, int]) -> None:
    kept = {one.name for one in retain(proven, keep=keep, now=NOW) if one.keep}
    assert {one.name for one in proven if one.taken > NOW} <= kept
