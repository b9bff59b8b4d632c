"""Help texts: what verbs there are, and what one of them takes."""

import re
import textwrap
from collections.abc import Sequence

Row = tuple[str, str]
_NARROWEST = 20


def overview(*, version: str, groups: Sequence[tuple[str, Sequence[Row]]], width: int) -> str:
    """Return what kubeops is, and every verb by group, for a terminal of `width` columns."""
    return (
        f"kubeops {version}: builds, upgrades, backs up and repairs kubeadm clusters over SSH.\n\n"
        "Usage: kubeops VERB [options]      (kubeops VERB --help explains one)\n\n"
        + listing(groups, width=width)
    )


def listing(groups: Sequence[tuple[str, Sequence[Row]]], *, width: int) -> str:
    """Return groups of names and explanations, all in the same two columns."""
    names = [name for _, rows in groups for name, _ in rows]
    first = max(map(len, names), default=0)
    return "\n".join(
        f"{title}:\n" + columns(rows, first=first, width=width) for title, rows in groups if rows
    )


def verb(*, usage: str, docstring: str, options: Sequence[Row], width: int) -> str:
    """Return one verb's usage, what its docstring tells operators, and its options."""
    text = f"Usage: {usage}\n\n" + textwrap.indent(_for_operators(docstring), "  ") + "\n"
    if options:
        first = max(len(name) for name, _ in options)
        text += "\nOptions:\n" + columns(options, first=first, width=width)
    return text


def columns(rows: Sequence[Row], *, first: int, width: int) -> str:
    """Return names in a column of `first` characters, and what they mean wrapped beside it."""
    lines = []
    for name, text in rows:
        wrapped = textwrap.wrap(text, max(_NARROWEST, width - first - 4)) or [""]
        lines.append(f"  {name:<{first}}  {wrapped[0]}".rstrip())
        lines += [" " * (first + 4) + line for line in wrapped[1:]]
    return "\n".join(lines) + "\n"


def summary(docstring: str | None) -> str:
    """Return the first line of a docstring."""
    return (docstring or "").strip().partition("\n")[0]


def _for_operators(docstring: str) -> str:
    """Return everything before `Raises:` and the like, which concern programmers."""
    first, _, rest = docstring.strip().partition("\n")
    body = re.split(r"\n\s*(?:Args|Raises|Returns):\n", textwrap.dedent(rest))[0].rstrip()
    return f"{first}\n{body}" if body else first
