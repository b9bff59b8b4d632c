"""The JSON envelope, version 1: what every verb prints on stdout with `--json`.

success   {"kubeops": "1", "kind": "status", "ok": true, "data": {...}}
failure   {"kubeops": "1", "kind": "status", "ok": false, "error": {"code": ..., "message": ...}}

Fields may be added to version 1; none is renamed, removed or given another meaning.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from pathlib import PurePath

from kubeops.errors import (
    CommandError,
    GateError,
    InventoryError,
    KubeopsError,
    PlanChangedError,
    PreflightError,
)
from kubeops.model.version import KubeVersion, Minor

VERSION = "1"
_AS_TEXT = (KubeVersion, Minor, PurePath, IPv4Network, IPv6Network)


def success(kind: str, data: object) -> dict[str, object]:
    """Return the envelope of a verb that did what it was asked."""
    return {"kubeops": VERSION, "kind": kind, "ok": True, "data": to_json(data)}


def failure(kind: str, error: KubeopsError, *, data: object = None) -> dict[str, object]:
    """Return the envelope of a verb that ended in `error`.

    `data` is what it found or did all the same; for a plan that was refused it is the plan.
    """
    told: dict[str, object] = {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "exit_status": error.exit_status,
    }
    if isinstance(error, InventoryError):
        told["problems"] = list(error.problems)
    if isinstance(error, CommandError):
        told |= {
            "host": error.host,
            "command": error.shown,
            "status": error.status,
            "output": error.output,
        }
    elif hasattr(error, "host"):
        told["host"] = error.host
    if isinstance(error, GateError):
        told["last"] = error.last
    envelope: dict[str, object] = {"kubeops": VERSION, "kind": kind, "ok": False, "error": told}
    if isinstance(error, (PreflightError, PlanChangedError)):
        data = error.plan
    if data is not None:
        envelope["data"] = to_json(data)
    return envelope


def to_json(value: object) -> object:
    """Return `value` as JSON values: dataclasses as objects, times as ISO 8601, sets sorted.

    Raises:
        TypeError: for a type whose spelling nobody decided on.
    """
    match value:
        case Enum():
            return to_json(value.value)
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {str(to_json(key)): to_json(item) for key, item in value.items()}
        case list() | tuple():
            return [to_json(item) for item in value]
        case set() | frozenset():
            return sorted((to_json(item) for item in value), key=str)
        case _:
            return _spelled(value)


def _spelled(value: object) -> object:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, _AS_TEXT):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} has no JSON spelling")
