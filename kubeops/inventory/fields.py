"""Parsers of single values. Each raises ValueError: what is wrong; what would be right."""

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from kubeops.inventory.document import Kind, Scalar
from kubeops.model.desired import Role
from kubeops.model.version import KubeVersion, Minor

E = TypeVar("E", bound=StrEnum)

OLDEST_MINOR = Minor(1, 31)
"""The first minor release with kubeadm's v1beta4 configuration, the only one kubeops writes."""

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_DURATION = re.compile(r"(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6})s)?")
_SCHEDULE = re.compile(
    r"hourly|(daily|weekly (Mon|Tue|Wed|Thu|Fri|Sat|Sun)) ([01]\d|2[0-3]):[0-5]\d"
)
_JUMP = re.compile(
    r"(?:[^\s@:/,-][^\s@:/,]*@)?([A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?"
)
_PLUGIN_VERSION = re.compile(r"v?(\d+\.\d+\.\d+)")
_IMAGES = re.compile(r"[a-z0-9][a-z0-9.-]*(:\d+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
_BOX = re.compile(r"[\w.-]+/[\w.-]+")


def shown(text: str) -> str:
    """Return `text` quoted for a message, shortened when it is long."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")  # noqa: PLR2004 - one line


def text(scalar: Scalar) -> str:
    """Read a text that is not empty."""
    if scalar.kind is not Kind.TEXT:
        raise ValueError(
            f'{scalar.text} is {scalar.kind} to YAML; write it in quotes: "{scalar.text}"'
        )
    if not scalar.text.strip():
        raise ValueError("is an empty text; write a value or take the line out")
    return scalar.text


def boolean(scalar: Scalar) -> bool:
    """Read true or false."""
    if scalar.kind is not Kind.BOOLEAN:
        raise ValueError(f"{shown(scalar.text)} is neither true nor false; write one of them")
    return scalar.text.lower() in ("true", "yes", "on")


def whole(*, least: int, most: int | None = None, unit: str = "") -> Callable[[Scalar], int]:
    """Return a parser of decimal whole numbers between `least` and `most`."""
    upper = f" and at most {most}" if most is not None else ""
    bounds = f"a whole number{unit and f' of {unit}'}, at least {least}{upper}"

    def parse(scalar: Scalar) -> int:
        if scalar.kind is Kind.TEXT and _WHOLE.fullmatch(scalar.text):
            raise ValueError(f"is a text; write the number without quotes: {scalar.text}")
        if scalar.kind is Kind.NUMBER and not _WHOLE.fullmatch(scalar.text):
            if re.fullmatch(r"0[0-7]+", scalar.text):
                plain = scalar.text.lstrip("0") or "0"
                octal = int(scalar.text, 8)
                raise ValueError(f"{scalar.text} is octal to YAML, that is {octal}; write {plain}")
            raise ValueError(f"{shown(scalar.text)} is no plain decimal number; write {bounds}")
        if scalar.kind is not Kind.NUMBER:
            raise ValueError(f"{shown(scalar.text)} is not a whole number; write {bounds}")
        number = int(scalar.text)
        if number < least or (most is not None and number > most):
            raise ValueError(f"{number} is out of bounds; write {bounds}")
        return number

    return parse


def choice(kind: type[E]) -> Callable[[Scalar], E]:
    """Return a parser of the values of `kind`."""
    words = one_of(tuple(kind))
    return lambda scalar: kind(words(scalar))


def one_of(words: Iterable[str], *, meant: str = "") -> Callable[[Scalar], str]:
    """Return a parser of `words`; `meant` is what to suggest when nothing is similar."""
    known = tuple(words)

    def parse(scalar: Scalar) -> str:
        if scalar.text in known:
            return str(scalar.text)
        close = get_close_matches(scalar.text, known, n=1)
        suggestion = close[0] if close else meant
        hint = f"; did you mean {suggestion}?" if suggestion else ""
        if len(known) == 1:
            raise ValueError(f"{shown(scalar.text)} is not supported; write {known[0]}")
        raise ValueError(f"{shown(scalar.text)} is not one of {', '.join(known)}{hint}")

    return parse


def role(scalar: Scalar) -> Role:
    """Read a host's role."""
    old_words = {"master": "control-plane", "controlplane": "control-plane", "node": "worker"}
    meant = old_words.get(scalar.text.lower(), "")
    return Role(one_of(tuple(Role), meant=meant)(scalar))


def dns_label(scalar: Scalar) -> str:
    """Read a DNS-1123 label, such as the name of the cluster."""
    return label_name(text(scalar))


def label_name(name: str) -> str:
    """Return `name` when it is a DNS-1123 label.

    Raises:
        ValueError: it is not; the message proposes the nearest name that is one.
    """
    if _LABEL.fullmatch(name):
        return name
    proposal = re.sub(r"[^a-z0-9]+", "-", name.lower())[:63].strip("-")
    such = f", such as {proposal}" if _LABEL.fullmatch(proposal) else ""
    raise ValueError(
        f"{shown(name)} is no DNS label; use small letters, digits and dashes, a letter or digit "
        f"first and last, at most 63 characters{such}"
    )


def dns_name(scalar: Scalar) -> str:
    """Read a DNS name of one or more labels."""
    name = text(scalar)
    if len(name) > 253 or not all(_LABEL.fullmatch(part) for part in name.split(".")):  # noqa: PLR2004 - RFC 1123
        raise ValueError(f"{shown(name)} is no DNS name; write one such as cluster.local")
    return name


def version(scalar: Scalar) -> KubeVersion:
    """Read a Kubernetes release that kubeops can install."""
    if scalar.kind in (Kind.FRACTION, Kind.NUMBER):
        raise ValueError(
            f"{scalar.text} is {scalar.kind} to YAML; write it in quotes, with all three parts, "
            'such as "1.35.4"'
        )
    written = text(scalar).strip()
    try:
        minor = Minor.parse(written)
    except ValueError:
        found = _release(written)
    else:
        raise ValueError(
            f'{minor} names no patch release; write all three parts, such as "{minor}.4"'
        )
    if found.minor < OLDEST_MINOR:
        raise ValueError(f"{found} is too old; kubeops installs {OLDEST_MINOR} and newer")
    return found


def _release(written: str) -> KubeVersion:
    try:
        return KubeVersion.parse(written)
    except ValueError as error:
        raise ValueError(f'{error}; write a release such as "1.35.4"') from error


def duration(scalar: Scalar) -> float:
    """Read a time such as 90s, 10m or 1h30m, in seconds."""
    if scalar.kind is Kind.NUMBER:
        raise ValueError(f"{scalar.text} has no unit; write {scalar.text}s or {scalar.text}m")
    return seconds_of(scalar.text)


def seconds_of(text: str) -> float:
    """Return the seconds of a time such as 90s, 10m or 1h30m.

    Raises:
        ValueError: it is none.
    """
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise ValueError(f"{shown(text)} is no time; write one such as 90s, 10m or 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


def max_unavailable(scalar: Scalar) -> int | str:
    """Read how many workers may be away: a number from 1, or a percentage from 1% to 100%."""
    match = re.fullmatch(r"([0-9]{1,3})%", scalar.text)
    if match is None:
        try:
            return whole(least=1)(scalar)
        except ValueError as error:
            raise ValueError(f"{error}, or a percentage such as 20%") from error
    if not 1 <= int(match[1]) <= 100:  # noqa: PLR2004 - per cent
        raise ValueError(f"{scalar.text} is out of bounds; write 1% to 100%")
    return scalar.text


def schedule(scalar: Scalar) -> str:
    """Read when backups are made."""
    written = text(scalar)
    if _SCHEDULE.fullmatch(written):
        return written
    right = '"hourly", "daily 02:30" or "weekly Sun 02:30"'
    raise ValueError(f"{shown(written)} is no schedule; write {right} (24 hours, the host's clock)")


def store(scalar: Scalar) -> str:
    """Read where backups go: file:///directory or s3://bucket/prefix."""
    written = text(scalar)
    scheme, _, rest = written.partition("://")
    if scheme == "file" and rest.startswith("/"):
        return written
    if scheme == "s3" and rest.split("/", 1)[0]:
        return written
    if written.startswith("/"):
        raise ValueError(f"{shown(written)} names no scheme; write file://{written}")
    if scheme == "file":
        raise ValueError(f"{shown(written)} is not absolute; write file:///{rest.lstrip('./')}")
    raise ValueError(
        f"{shown(written)} is no store; write file:///var/backups/kubeops or s3://BUCKET/PREFIX"
    )


def repository(scalar: Scalar) -> str:
    """Read the package repository's URL, one suite per minor release; it ends with one slash."""
    written = _web_address(scalar, such_as="https://pkgs.k8s.io/core:/stable:/v{minor}/deb/")
    if written.count("{minor}") != 1 or re.search(r"[{}]", written.replace("{minor}", "")):
        raise ValueError(
            f"{shown(written)} must have {{minor}} in it, once, and no other braces; kubeops fills "
            "it per release, as in https://pkgs.k8s.io/core:/stable:/v{minor}/deb/"
        )
    return written.rstrip("/") + "/"


def _web_address(scalar: Scalar, *, such_as: str) -> str:
    written = text(scalar)
    try:
        parts = urlsplit(written)
        password, host = parts.password, parts.hostname
    except ValueError as error:
        raise ValueError(f"{shown(written)} is no URL; write one such as {such_as}") from error
    if password is not None:
        raise ValueError(
            "holds a password; inventories hold no secrets: let the hosts in by address"
        )
    if parts.scheme not in ("http", "https") or not host or re.search(r"\s", written):
        raise ValueError(f"{shown(written)} is no http or https URL; write one such as {such_as}")
    return written


def images(scalar: Scalar) -> str:
    """Read the registry, and path in it, of the control plane's images."""
    written = text(scalar)
    if "://" in written:
        raise ValueError(f"{shown(written)} has a scheme; write {written.split('://', 1)[1]}")
    if not _IMAGES.fullmatch(written):
        raise ValueError(
            f"{shown(written)} is no image repository; write registry.k8s.io or "
            "mirror.example:5000/kubernetes, without a slash at the end and without a tag"
        )
    return written


def manifest(scalar: Scalar) -> str:
    """Read the URL or the path of a manifest; a path is made absolute and must be a file."""
    written = text(scalar)
    if "://" in written:
        return _web_address(scalar, such_as="https://mirror.example/plugin.yaml")
    return str(existing_file(scalar))


def path(scalar: Scalar) -> Path:
    """Read a path: `~` is the home directory, a relative one starts at the file it stands in."""
    written = text(scalar)
    try:
        return (scalar.at.file.parent / Path(written).expanduser()).absolute()
    except RuntimeError as error:
        raise ValueError(f"{shown(written)} names a user without a home directory here") from error


def existing_file(scalar: Scalar) -> Path:
    """Read the path of a file that exists."""
    found = path(scalar)
    try:
        if found.is_file():
            return found
        there = found.exists()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(f"{shown(scalar.text)} cannot be looked up: {reason}") from error
    if there:
        raise ValueError(f"{str(found)!r} is not a file; name the file itself")
    raise ValueError(f"there is no file {str(found)!r}; correct the path or put the file there")


def addon(scalar: Scalar) -> str:
    """Read an addon: a name kubeops knows, or a manifest's URL or path."""
    written = text(scalar)
    if written in ADDONS or "/" in written or written.endswith((".yaml", ".yml")):
        return written if written in ADDONS else manifest(scalar)
    raise ValueError(
        f"{shown(written)} is no addon kubeops knows ({', '.join(ADDONS)}); "
        "write one of these, or the path or URL of a manifest"
    )


ADDONS = ("ingress-nginx", "metrics-server")


def plugin_version(scalar: Scalar) -> str:
    """Read a network plugin's release, written with or without a v; returned without."""
    match = _PLUGIN_VERSION.fullmatch(scalar.text)
    if match is None:
        raise ValueError(
            f'{shown(scalar.text)} is no release; write all three parts, such as "0.28.4"'
        )
    return match[1]


def package_version(scalar: Scalar) -> str:
    """Read the version, or the beginning of one, that a package is pinned to."""
    written = text(scalar)
    if not re.fullmatch(r"[0-9][A-Za-z0-9.+~:-]*", written):
        raise ValueError(f'{shown(written)} is no package version; write one such as "2.1.4"')
    return written


def jump(scalar: Scalar) -> str:
    """Read a jump host, `[user@]host[:port]`, or `none`."""
    match = _JUMP.fullmatch(text(scalar))
    if match is None or not 1 <= int(match[2] or 22) <= 65535:  # noqa: PLR2004 - TCP's last port
        raise ValueError(
            f"{shown(scalar.text)} is no jump host; write HOST, USER@HOST or HOST:PORT"
        )
    return scalar.text


def user(scalar: Scalar) -> str:
    """Read a login name."""
    written = text(scalar)
    if written.startswith("-") or re.search(r"[\s:/]", written):
        raise ValueError(f"{shown(written)} is no login name; write one such as ops")
    return written


def box(scalar: Scalar) -> str:
    """Read the name of a Vagrant box."""
    if not _BOX.fullmatch(text(scalar)):
        raise ValueError(
            f"{shown(scalar.text)} is no Vagrant box; write one such as debian/bookworm64"
        )
    return scalar.text
