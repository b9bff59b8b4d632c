"""Which names labs and nodes may have."""

import re

from kubeops.errors import UsageError

_LAB = re.compile(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?")
# Links in the hub that are not nodes'; see `network`.
_LINKS = frozenset({"bridge", "machine", "lo"})
# A node's name is also the name of its link in the hub, and Linux allows 15 characters there.
_NODE = re.compile(r"[a-z]([a-z0-9-]{0,13}[a-z0-9])?")


def check_lab(name: str) -> str:
    """Return `name`, which may name a lab.

    Raises:
        UsageError: it may not.
    """
    if _LAB.fullmatch(name):
        return name
    raise UsageError(
        f"{name!r} cannot name a lab",
        hint="use 1 to 32 lower-case letters, digits and dashes, beginning with a letter",
    )


def check_node(name: str) -> str:
    """Return `name`, which may name a node.

    Raises:
        UsageError: it may not.
    """
    if _NODE.fullmatch(name) and name not in _LINKS:
        return name
    raise UsageError(
        f"{name!r} cannot name a node",
        hint="use 1 to 15 lower-case letters, digits and dashes, beginning with a letter",
    )
