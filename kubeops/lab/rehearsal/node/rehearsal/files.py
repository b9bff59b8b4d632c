"""Small helpers for files, texts and waiting that every stand-in shares."""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def write(path: Path, data: str | bytes, *, mode: int = 0o644) -> None:
    """Replace `path` by `data` in one step; folders are made as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as sink:
            sink.write(data.encode() if isinstance(data, str) else data)
            os.fchmod(sink.fileno(), mode)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def load_yaml(text: str) -> Any:
    """Read one YAML document."""
    return yaml.load(text, Loader=Loader)  # noqa: S506 - a safe loader, in C where there is one


def load_all(text: str) -> list[Any]:
    """Read every non-empty YAML document of `text`."""
    return [document for document in yaml.load_all(text, Loader=Loader) if document is not None]


class _Plain(Dumper):  # type: ignore[misc]  # the C dumper is untyped
    """Writes shared objects in full, and texts of several lines as literal blocks."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the signature is PyYAML's
        return True


def _text(dumper: Any, value: str) -> Any:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Plain.add_representer(str, _text)


def dump_yaml(value: Any) -> str:
    """Write `value` the way Kubernetes' own tools do: keys sorted, lists not indented."""
    return str(
        yaml.dump(value, Dumper=_Plain, default_flow_style=False, sort_keys=True, width=10**6)
    )


def now() -> datetime:
    """Return the present moment in UTC, without fractions of a second."""
    return datetime.now(UTC).replace(microsecond=0)


def stamp(moment: datetime | None = None) -> str:
    """Return a moment as the API writes it."""
    return (moment or now()).strftime("%Y-%m-%dT%H:%M:%SZ")


def say(text: str = "") -> None:
    """Print a line on stdout at once: whoever reads a pipe sees progress as it happens."""
    print(text, flush=True)


def warn(text: str) -> None:
    """Print a line on stderr at once."""
    print(text, file=sys.stderr, flush=True)


def klog(source: str, text: str, *, level: str = "W") -> str:
    """Return a line as klog prefixes it: `W1121 00:05:22.783380    2120 version.go:108] text`."""
    moment = datetime.now(UTC)
    return f"{level}{moment:%m%d %H:%M:%S.%f} {os.getpid():>7} {source}] {text}"


def wait(predicate: Callable[[], bool], *, timeout: float, interval: float = 0.1) -> bool:
    """Poll `predicate` until it is true; False when `timeout` seconds have passed first."""
    deadline = time.monotonic() + timeout
    while True:
        if predicate():
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(interval)


def duration(text: str | float) -> float:
    """Return the seconds in a Go duration such as `4m0s`, `1h30m` or `500ms`.

    Raises:
        ValueError: it is no duration.
    """
    if not isinstance(text, str):
        return float(text)
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    total, number, unit = 0.0, "", ""
    for character in text + "\0":
        if character.isdigit() or character in ".\0":
            if unit:
                if unit not in units or not number:
                    raise ValueError(f'time: invalid duration "{text}"')
                total += float(number) * units[unit]
                number, unit = "", ""
            number += character.strip("\0")
        else:
            unit += character
    if number and number != "0":
        raise ValueError(f'time: missing unit in duration "{text}"')
    return total


def go_duration(seconds: float) -> str:
    """Return `seconds` as Go prints a duration: `4m0s`, `24h0m0s`."""
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{left}s"
    return f"{minutes}m{left}s" if minutes else f"{left}s"
