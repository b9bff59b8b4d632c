"""Durations, ages and sizes as people read them."""

from datetime import datetime

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_KIB = 1024


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 10:  # noqa: PLR2004 - below ten seconds the tenths matter
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"


def age(seconds: float) -> str:
    """`12 s`, `41 min`, `7 h 20 min`, `3 d 4 h`: two units at most; 0 for what is yet to come."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def clock(seconds: float) -> str:
    """`0:07`, `12:31`, `1:02:03`: for numbers that tick on a live screen."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, _HOUR)
    minutes, last = divmod(rest, _MINUTE)
    return f"{hours}:{minutes:02d}:{last:02d}" if hours else f"{minutes}:{last:02d}"


def days_until(moment: datetime, *, now: datetime) -> int:
    """Whole days from `now` to `moment`; negative when it has passed."""
    return (moment - now).days


def size(count: int) -> str:
    """`0 B`, `20 KiB`, `3.4 MiB`, `1.2 GiB`."""
    if count < _KIB:
        return f"{count} B"
    value = float(count)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        value /= _KIB
        if value < _KIB or unit == "TiB":
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"  # noqa: PLR2004 - two digits read well
    raise AssertionError(count)
