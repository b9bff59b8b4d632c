"""Commands in hints and cures, completed so that they can be typed as they stand.

Who writes a hint (a check, a handler, a store) writes `invoke reset --limit w1`, and does not know
how kubeops was called. Typed like that, it may be about another cluster than the hint.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from kubeops.cli._app import Later, typed
from kubeops.cli._options import INVENTORY

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

T = TypeVar("T")

_COMMAND = re.compile(
    r"\b(?:invoke|kubeops(?= [a-z]+\.[a-z])) (?P<verb>[a-z]+(?:\.[a-z]+)*)"
    r"(?P<rest>(?:(?!\b(?:invoke|kubeops) ).)*)"
)
"""A command, and what follows it up to the next one; `kubeops restore ...` may as well be prose."""
_VERBATIM = frozenset({"waves", "output"})
"""Keys of JSON documents whose texts are sent to a host, or came from one."""


def completed(value: T, inventory: str | None) -> T:
    """Return `value`, a text or JSON values, with every command in it as it is to be typed.

    Verbs that take an inventory get `inventory`, unless one is there already or it is None; the
    program is called what the operator called it.
    """
    told: Any = value
    if isinstance(value, str):
        told = "".join(_pieces(value, inventory))
    elif isinstance(value, (list, tuple)):
        told = type(value)(completed(item, inventory) for item in value)
    elif isinstance(value, dict):
        told = {
            key: item if key in _VERBATIM else completed(item, inventory)
            for key, item in value.items()
        }
    return cast("T", told)


def completed_text(shown: "RenderableType", inventory: str | None) -> "RenderableType":
    """Return what is shown with its lines `completed`; tables are left as they are."""
    from rich.console import Group
    from rich.text import Text

    if isinstance(shown, str):
        return completed(shown, inventory)
    if isinstance(shown, Text):
        return _completed_line(shown, inventory)
    if isinstance(shown, Group):
        return Group(*(completed_text(part, inventory) for part in shown.renderables))
    if isinstance(shown, Later):
        return completed_text(shown.make(), inventory)
    return shown


def _completed_line(line: "Text", inventory: str | None) -> "Text":
    told, end = line.blank_copy(), 0
    for start, stop, command in _commands(line.plain, inventory):
        told.append_text(line[end:start]).append(command)
        end = stop
    return told.append_text(line[end:])


def _pieces(text: str, inventory: str | None) -> Iterator[str]:
    end = 0
    for start, stop, command in _commands(text, inventory):
        yield text[end:start]
        yield command
        end = stop
    yield text[end:]


def _commands(text: str, inventory: str | None) -> Iterator[tuple[int, int, str]]:
    """Yield where each command begins and its verb ends, and what is to be typed there."""
    for match in _COMMAND.finditer(text):
        verb = match["verb"]
        if verb in _verbs():
            named = not _verbs()[verb] or "--inventory" in match["rest"]
            arguments = ("--inventory", inventory) if inventory and not named else ()
            yield match.start(), match.start("rest"), typed(verb, *arguments)


@cache
def _verbs() -> Mapping[str, bool]:
    """Return whether each verb takes an inventory."""
    from kubeops.cli.namespace import NOUNS, verbs

    return {verb.path: INVENTORY in verb.options for noun in NOUNS for verb in verbs(noun)}
