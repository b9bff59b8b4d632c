"""Parsers of node labels and taints, by the syntax the Kubernetes API enforces.

https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
"""

import re
from difflib import get_close_matches

from kubeops.inventory.document import Scalar
from kubeops.inventory.fields import shown, text
from kubeops.model.desired import Taint

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LONGEST_PREFIX = 253


def label(key: str, scalar: Scalar) -> str:
    """Read the value of the label `key`."""
    check_key(key, "label")
    value = text(scalar) if scalar.text else ""
    _check_value(value, "label")
    return value


def taint(scalar: Scalar) -> Taint:
    """Read a taint written `key=value:Effect` or `key:Effect`."""
    written = text(scalar)
    left, colon, effect = written.rpartition(":")
    if not colon:
        raise ValueError(f"{shown(written)} has no effect; write {written}:NoSchedule")
    key, _, value = left.partition("=")
    if effect not in EFFECTS:
        close = {name.lower(): name for name in EFFECTS}
        near = get_close_matches(effect.lower(), close, n=1)
        hint = f"; did you mean {close[near[0]]}?" if near else ""
        raise ValueError(f"{shown(effect)} is not one of {', '.join(EFFECTS)}{hint}")
    check_key(key, "taint")
    _check_value(value, "taint")
    return Taint(key=key, value=value, effect=effect)


def check_key(key: str, what: str) -> None:
    """Raise ValueError when `key` is no key of a label or taint (`what` says of which)."""
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > _LONGEST_PREFIX or not _PREFIX.fullmatch(prefix)):
        raise ValueError(
            f"{shown(prefix)} is no prefix of a {what} key; before the slash write a DNS name in "
            f"small letters, such as example.com/{name or 'disk'}"
        )
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{shown(name)} is no {what} key; use letters, digits, dashes, dots and underscores, a "
            "letter or digit first and last, at most 63 characters"
        )


def _check_value(value: str, what: str) -> None:
    if value and not _NAME.fullmatch(value):
        raise ValueError(
            f"{shown(value)} is no {what} value; use letters, digits, dashes, dots and "
            "underscores, a letter or digit first and last, at most 63 characters"
        )
