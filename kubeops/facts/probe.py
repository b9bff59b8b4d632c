"""The scripts that read hosts, and the framing of what they print.

framing.sh, probe.sh (a host), cluster.sh (API and etcd, from a control plane) and the two of an
upgrade lie next to this module. A script's output is one announcement and then sections:

    @@facts BOUNDARY
    BODY
    @@BOUNDARY STATUS NAME

The boundary is random and chosen by the host, so that nothing a section holds can end it; the last
section is called `ended`, so that output that was cut off is told apart from output that is whole.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from kubeops.errors import FactsError
from kubeops.transport.base import Command

HOST_TIMEOUT = 30.0
CLUSTER_TIMEOUT = 45.0

_ANNOUNCEMENT = re.compile(r"^@@facts ([0-9A-Za-z-]{8,64})\n", re.MULTILINE)


@dataclass(frozen=True)
class Section:
    """What one command or file of the script gave: its text and the command's exit status."""

    text: str
    status: int = 0

    @property
    def ok(self) -> bool:
        """Whether the exit status is 0."""
        return self.status == 0


Sections = Mapping[str, Section]
About = Literal["all", "objects", "etcd"]


def host_probe(repository_url: str = "") -> Command:
    """Return the command that reads a host, and asks for `repository_url` from there if given."""
    return Command(
        argv=("sh", "-s", "--", repository_url) if repository_url else ("sh", "-s", "--"),
        stdin=script("probe.sh"),
        timeout=HOST_TIMEOUT,
    )


def cluster_probe(node: str, about: About) -> Command:
    """Return the command that asks the API and etcd on control plane `node`.

    etcd is asked with the flags of the node's own member, where it runs one. Of the API `objects`
    asks only for those that tell whether the cluster works, `etcd` for nothing.
    """
    return Command(
        argv=("sh", "-s", "--", node, about),
        stdin=script("cluster.sh"),
        timeout=CLUSTER_TIMEOUT,
    )


def split(output: str, *, host: str) -> Sections:
    """Cut a script's output into its sections, by name.

    What comes before the announcement (a login banner) is ignored.

    Raises:
        FactsError: the output is not a script's, is not whole, or names a section twice.
    """
    announcement = _ANNOUNCEMENT.search(output)
    if announcement is None:
        reason = f"it does not start as kubeops' script does: {output[:200]!r}"
        raise FactsError(host=host, section="the probe's output", reason=reason)
    text, *endings = output[announcement.end() :].split(f"\n@@{announcement[1]} ")
    sections: dict[str, Section] = {}
    for ending in endings:
        said, newline, following = ending.partition("\n")
        if not newline:
            break
        status, _, name = said.partition(" ")
        if name in sections:
            raise FactsError(host=host, section=name, reason="it is there twice")
        sections[name] = Section(text, int(status))
        text = following
    if "ended" not in sections:
        last = next(reversed(sections), "the start")
        raise FactsError(
            host=host, section="the probe's output", reason=f"it was cut off after {last}"
        )
    return sections


@cache
def script(name: str) -> bytes:
    """Return the script `name` with the framing in front, as `sh -s` reads it."""
    folder = Path(__file__).parent
    return folder.joinpath("framing.sh").read_bytes() + folder.joinpath(name).read_bytes()
