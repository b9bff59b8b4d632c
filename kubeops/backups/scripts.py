"""The shell scripts next to this module, as commands, and the answers they give."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kubeops.transport.base import Command

NO_SPACE = 45
"""The exit status with which a script says that its scratch directory fits nowhere."""

SCRATCH = ("/var/lib/kubeops/scratch", "/var/tmp")  # noqa: S108 - a 0700 directory is made there
"""Where scripts make their scratch directory on a host: the first one with room."""

_ANSWER = re.compile(r"^@(\w+) (\d+) (\d+) ([A-Za-z0-9+/=]*)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How one question ended, what came back (what failed: its errors), and how long it took."""

    status: int
    text: str
    seconds: float


def script(*names: str, arguments: tuple[str, ...] = (), timeout: float) -> Command:
    """Return the command that runs the scripts `names`, one after the other in one shell."""
    return Command(argv=("sh", "-s", "--", *arguments), stdin=_source(names), timeout=timeout)


def answers(output: str) -> Mapping[str, Answer]:
    """Return the answers in `output`, by name, in order; all else in it is ignored.

    Raises:
        ValueError: one is damaged.
    """
    found = {}
    for name, status, milliseconds, text in _ANSWER.findall(output):
        try:
            plain = base64.b64decode(text, validate=True).decode(errors="replace")
        except binascii.Error as error:
            raise ValueError(f"the answer {name!r} is damaged") from error
        found[name] = Answer(status=int(status), text=plain, seconds=int(milliseconds) / 1000)
    return found


def remark(output: str) -> str:
    """Return the last line of `output` that is no answer: what a script complained of."""
    lines = _ANSWER.sub("", output).splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


@cache
def _source(names: tuple[str, ...]) -> bytes:
    folder = Path(__file__).parent
    return b"\n".join(folder.joinpath(f"{name}.sh").read_bytes() for name in ("tools", *names))
