"""Which backups are kept, and why: pure, in UTC, over proven bundles only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kubeops.model.bundle import Bundle

UNPROVEN_KEPT = timedelta(days=14)


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
    """Decide about every bundle, newest first.

    Args:
        proven: the proven bundles, in any order.
        aside: names of unproven and damaged ones: never counted, pruned after 14 days.
        keep: how many `last`, `daily`, `weekly` and `monthly` ones; what is left out counts 0.
        now: the present moment.

    The newest proven bundle is always kept. So is what claims to be of the future.
    """
    raise NotImplementedError
