"""Faults ordered for a node's stand-ins, which use the orders up.

`node/rehearsal/faults.py` says what each field does.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

PATH = "/etc/kubeops-rehearsal/faults.json"
CALLS = "/var/log/kubeops-rehearsal/calls.jsonl"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One ordered misbehaviour: the next `times` calls that begin with `command` have it."""

    command: str
    kind: Literal["fail", "slow", "hang", "die"] = "fail"
    times: int = 1
    seconds: float = 0.0
    status: int = 1
    message: str = ""
    after: str = ""


def to_json(faults: Iterable[Fault]) -> str:
    """Return the content of the orders' file."""
    return json.dumps([asdict(fault) for fault in faults], indent=2) + "\n"
