"""Reading the machine's apt configuration: where does it get Debian from?

The lab takes its mirror from there, so that it works wherever `apt-get install` works.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kubeops.errors import UsageError

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True, kw_only=True)
class Source:
    """One suite of one archive."""

    uri: str
    suite: str
    components: tuple[str, ...]


def read(directory: Path = Path("/etc/apt")) -> tuple[Source, ...]:
    """Every enabled binary source of the apt configuration below `directory`."""
    listed = [directory / "sources.list", *sorted(directory.glob("sources.list.d/*.list"))]
    stanzas = sorted(directory.glob("sources.list.d/*.sources"))
    found = [
        *(source for path in listed if path.is_file() for source in parse_lines(path.read_text())),
        *(source for path in stanzas for source in parse_stanzas(path.read_text())),
    ]
    return tuple(dict.fromkeys(found))


def parse_lines(text: str) -> Iterator[Source]:
    """Read the one-line format: `deb [options] URI SUITE COMPONENT...`."""
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if not words or words[0] != "deb":
            continue
        rest = words[1:]
        if rest and rest[0].startswith("["):
            closing = next((i for i, word in enumerate(rest) if word.endswith("]")), len(rest))
            rest = rest[closing + 1 :]
        if len(rest) > 1:
            yield Source(uri=rest[0].rstrip("/"), suite=rest[1], components=tuple(rest[2:]))


def parse_stanzas(text: str) -> Iterator[Source]:
    """Read the deb822 format: `Types:`, `URIs:`, `Suites:`, `Components:`."""
    for fields in _stanzas(text):
        if "deb" not in fields.get("types", "").split() or fields.get("enabled") == "no":
            continue
        components = tuple(fields.get("components", "").split())
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield Source(uri=uri.rstrip("/"), suite=suite, components=components)


def debian_mirror(sources: Iterable[Source], *, codename: str) -> str:
    """Return the address of the archive that this Debian, called `codename`, is installed from.

    Raises:
        UsageError: no source says so.
    """
    names = {codename, "stable", "oldstable", "testing", "unstable", "sid"}
    for source in sources:
        if source.suite in names and "main" in source.components:
            return source.uri
    raise UsageError(
        f"this machine's apt configuration names no Debian archive (suite {codename}, main)",
        hint="the lab's nodes are built from Debian packages: add the archive to /etc/apt",
    )


def codename(os_release: str) -> str:
    """Return the release's code name from the text of /etc/os-release.

    Raises:
        UsageError: this is no Debian.
    """
    fields = dict(line.split("=", 1) for line in os_release.splitlines() if "=" in line)
    name = fields.get("VERSION_CODENAME", "").strip('"')
    if fields.get("ID", "").strip('"') == "debian" and name:
        return name
    raise UsageError(
        "a lab's nodes are built from the Debian archive this machine uses, and this is no Debian",
        hint="run the lab on a Debian machine or virtual machine",
    )


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    """Split deb822 text into its stanzas; field names in lower case."""
    fields: dict[str, str] = {}
    last = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield fields
            fields = {}
        elif line[0].isspace():
            fields[last] += f" {line.strip()}"
        else:
            name, _, value = line.partition(":")
            last = name.strip().lower()
            fields[last] = value.strip()
