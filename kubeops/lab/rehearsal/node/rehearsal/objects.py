"""What every part does with API objects: times, names, owners, selectors."""

import random
import re
from datetime import UTC, datetime, timedelta
from typing import Any

Obj = dict[str, Any]

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_SET_TERM = re.compile(r"^(\S+)\s+(in|notin)\s+\(([^)]*)\)$")
_RANDOM = random.SystemRandom()


class SelectorError(ValueError):
    """A label or field selector cannot be read; the message is the server's."""


# Times


def moment() -> datetime:
    """Return the present, in UTC."""
    return datetime.now(UTC)


def stamp(when: datetime | None = None) -> str:
    """Return a time as objects hold it: `2026-11-21T00:04:55Z`."""
    return (when or moment()).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_stamp(when: datetime | None = None) -> str:
    """Return a time as leases hold it: `2026-11-21T00:04:55.123456Z`."""
    return (when or moment()).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime:
    """Return the moment an object's time names.

    Raises:
        ValueError: it is not RFC 3339.
    """
    return datetime.fromisoformat(text)


def seconds_since(text: str | None, now: datetime) -> float:
    """Return the age of an object's time in seconds; infinite when there is none."""
    if not text:
        return float("inf")
    return (now - parse_time(text)) / timedelta(seconds=1)


def duration(text: str) -> float:
    """Return the seconds in a Go duration such as `40s`, `1m30s` or `500ms`.

    Raises:
        ValueError: it is no duration.
    """
    if text in ("0", ""):
        return 0.0
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6}
    sign = -1.0 if text.startswith("-") else 1.0
    rest = text.lstrip("-")
    parts = re.findall(r"(\d+(?:\.\d+)?)(h|ms|us|m|s)", rest)
    if not parts or "".join(number + unit for number, unit in parts) != rest:
        raise ValueError(f'time: invalid duration "{text}"')
    return sign * sum(float(number) * units[unit] for number, unit in parts)


# Names and owners


def suffix(length: int = 5) -> str:
    """Return random characters as Kubernetes appends them to generated names."""
    return "".join(_RANDOM.choices(_ALPHABET, k=length))


def labels_of(obj: Obj) -> dict[str, str]:
    """Return the labels of an object; empty when it has none."""
    return obj.get("metadata", {}).get("labels") or {}


def annotations_of(obj: Obj) -> dict[str, str]:
    """Return the annotations of an object; empty when it has none."""
    return obj.get("metadata", {}).get("annotations") or {}


def controller_of(obj: Obj) -> Obj | None:
    """Return the owner reference that controls an object, or None."""
    for owner in obj["metadata"].get("ownerReferences") or []:
        if owner.get("controller"):
            return dict(owner)
    return None


def owner_reference(owner: Obj) -> Obj:
    """Return the reference a controller puts on what it creates."""
    return {
        "apiVersion": owner["apiVersion"],
        "blockOwnerDeletion": True,
        "controller": True,
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }


def full_name(obj: Obj) -> str:
    """Return `namespace/name`, or the name of an object without namespace."""
    meta = obj["metadata"]
    return f"{meta['namespace']}/{meta['name']}" if meta.get("namespace") else str(meta["name"])


def condition(obj: Obj, kind: str) -> Obj:
    """Return the condition of that type, or an empty one."""
    for item in obj.get("status", {}).get("conditions") or []:
        if item.get("type") == kind:
            return dict(item)
    return {}


def is_true(obj: Obj, kind: str) -> bool:
    """Whether an object's condition of that type is True."""
    return condition(obj, kind).get("status") == "True"


def tolerates(tolerations: list[Obj], taint: Obj) -> bool:
    """Whether one of a pod's tolerations accepts a taint."""
    return any(_accepts(item, taint) for item in tolerations)


def _accepts(toleration: Obj, taint: Obj) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    same_value = bool(toleration.get("value", "") == (taint.get("value") or ""))
    return bool(toleration.get("key")) and same_value


# Selectors


def matches_selector(selector: Obj | None, labels: dict[str, str]) -> bool:
    """Whether labels satisfy a LabelSelector object; an absent one selects nothing."""
    if selector is None:
        return False
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    return all(
        _term_matches(term["key"], term["operator"].lower(), term.get("values") or [], labels)
        for term in selector.get("matchExpressions") or []
    )


def matches_labels(text: str, labels: dict[str, str]) -> bool:
    """Whether labels satisfy a selector string such as `app=web,tier!=db,x in (a,b),!old`.

    Raises:
        SelectorError: the selector cannot be read.
    """
    return all(_term_matches(*term, labels) for term in label_terms(text))


def label_terms(text: str) -> list[tuple[str, str, list[str]]]:
    """Return the `(key, operator, values)` terms of a label selector string.

    Raises:
        SelectorError: it cannot be read.
    """
    return [_term(part.strip()) for part in re.split(r",(?![^(]*\))", text) if part.strip()]


def _term(part: str) -> tuple[str, str, list[str]]:
    sets = _SET_TERM.match(part)
    if sets:
        return sets[1], sets[2], [value.strip() for value in sets[3].split(",")]
    for sign, operator in (("!=", "notin"), ("==", "in"), ("=", "in")):
        if sign in part:
            key, _, value = part.partition(sign)
            return key.strip(), operator, [value.strip()]
    if re.search(r"[\s()]", part):
        raise SelectorError(f"unable to parse requirement: found '{part}'")
    return (part[1:], "doesnotexist", []) if part.startswith("!") else (part, "exists", [])


def _term_matches(key: str, operator: str, values: list[str], labels: dict[str, str]) -> bool:
    if operator == "exists":
        return key in labels
    if operator == "doesnotexist":
        return key not in labels
    if operator == "in":
        return labels.get(key) in values and key in labels
    return labels.get(key) not in values


def field_terms(text: str) -> list[tuple[str, bool, str]]:
    """Return the `(path, equal, value)` terms of a field selector string.

    Raises:
        SelectorError: it cannot be read.
    """
    terms = []
    for part in text.split(","):
        match = re.match(r"^([\w./-]+)(!=|==|=)(.*)$", part.strip())
        if not match:
            raise SelectorError(f"invalid field selector \"{text}\"; can't understand '{part}'")
        terms.append((match[1], match[2] != "!=", match[3]))
    return terms


def field_value(obj: Obj, path: str) -> str:
    """Return the field at a dotted path as field selectors see it: empty when absent."""
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def matches_fields(terms: list[tuple[str, bool, str]], obj: Obj) -> bool:
    """Whether an object satisfies the terms of a field selector."""
    return all((field_value(obj, path) == value) == equal for path, equal, value in terms)
