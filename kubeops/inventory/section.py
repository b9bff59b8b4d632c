"""Reading a document's mappings key by key, and the report of all that is wrong in them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from itertools import zip_longest
from shlex import quote
from typing import TypeVar

from kubeops.errors import InventoryError
from kubeops.inventory.document import (
    Document,
    Items,
    Kind,
    Node,
    Position,
    Problem,
    Scalar,
    Table,
)
from kubeops.inventory.schema import ANY, Schema, homes

T = TypeVar("T")
Parse = Callable[[Scalar], T]
"""Turns a scalar into a value, or raises ValueError saying what is wrong and what is right."""

_PLAIN = re.compile(r"[\w./:@+-]+")
_ITEM = re.compile(r"\[[0-9]+\]")


@dataclass(kw_only=True)
class Report:
    """What was found wrong (`problems`) and unwise (`warnings`) in `document`."""

    document: Document
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def problem(self, path: tuple[str, ...], text: str) -> None:
        """Note that the value at `path` is wrong; it stands where its nearest written key does."""
        self.problems.append(Problem(at=self._where(path), path=path, text=text))

    def warn(self, path: tuple[str, ...], text: str) -> None:
        """Note that the value at `path` is allowed but unwise."""
        self.warnings.append(Problem(at=self._where(path), path=path, text=text))

    def is_sound(self, *path: str) -> bool:
        """Whether nothing wrong was noted at, above or below `path`; `*` is any one name.

        Rules that look at several values ask first, so that one mistake is reported once.
        """
        return not any(_touches(problem.path, path) for problem in self.problems)

    def lines(self, problems: list[Problem]) -> tuple[str, ...]:
        """Render `problems` as `file:line: path: text`, by file and line."""
        order = {file: rank for rank, file in enumerate(self.document.files)}
        ranked = sorted(problems, key=lambda one: (order.get(one.at.file, 0), one.at.line))
        return tuple(_line(problem) for problem in ranked)

    def raise_problems(self) -> None:
        """Raise InventoryError with every problem, if there is one."""
        if not self.problems:
            return
        file = self.document.files[0]
        count = len(self.problems)
        raise InventoryError(
            f"{file} has {'a problem' if count == 1 else f'{count} problems'}",
            problems=self.lines(self.problems),
            hint="Correct the lines above, then type: "
            f"invoke inventory.check --inventory {quote(str(file))}",
        )

    def _where(self, path: tuple[str, ...]) -> Position:
        node: Node | None = self.document.root
        at = Position(file=self.document.files[0], line=1)
        for part in path:
            if isinstance(node, Table) and part in node.entries:
                at = node.keys[part]
                node = node.entries[part]
            elif isinstance(node, Items) and part.strip("[]").isdecimal():
                node = node.items[int(part.strip("[]"))]
                at = node.at
            else:
                break
        return at


class Section:
    """One mapping of the document while it is read; its unknown keys are reported at once."""

    def __init__(
        self,
        *,
        table: Table | None,
        path: tuple[str, ...],
        keys: Schema,
        report: Report,
        readable: bool = True,
    ) -> None:
        self.path = path
        self.report = report
        self._table = table
        self._keys = keys
        self._readable = readable
        for key in self.names() if ANY not in keys else ():
            if key not in keys:
                report.problem((*path, key), _unknown(key, keys=keys))

    def names(self) -> tuple[str, ...]:
        """Return the keys that are written, in the order of the file."""
        return tuple(self._table.entries) if self._table is not None else ()

    def has(self, key: str) -> bool:
        """Whether `key` is written."""
        return self._table is not None and key in self._table.entries

    def section(self, key: str) -> "Section":
        """Return the mapping at `key`; an empty one when it is not written or is no mapping."""
        below = self._keys[key] if key in self._keys else self._keys[ANY]
        node = self._node(key)
        readable = node is None or isinstance(node, Table)
        if node is not None and not readable and not _is_refused(node):
            right = f"write its keys below it ({', '.join(below or {})})"
            if below is not None and ANY in below:
                right = f"write one `NAME: ...` per line below `{key}:`"
            self.report.problem((*self.path, key), f"is {_what(node)}, not a mapping; {right}")
        return Section(
            table=node if isinstance(node, Table) else None,
            path=(*self.path, key),
            keys=below or {},
            report=self.report,
            readable=readable,
        )

    def take(self, key: str, parse: Parse[T], default: T) -> T:
        """Return the value at `key`; `default` when it is not written or is wrong."""
        node = self._node(key)
        return self._parse(node, (*self.path, key), parse, default) if node is not None else default

    def require(self, key: str, parse: Parse[T], default: T, *, such_as: str) -> T:
        """Like `take`, but a key that is not written is a problem."""
        if not self.has(key) and self._readable:
            self.report.problem((*self.path, key), f"is missing; write it, such as {such_as}")
        return self.take(key, parse, default)

    def items(self, key: str, parse: Parse[T], *, such_as: str) -> tuple[T, ...] | None:
        """Return the parsed list at `key`, without its wrong items; None when it is not written."""
        node = self._node(key)
        if node is None:
            return None
        path = (*self.path, key)
        if not isinstance(node, Items):
            if not _is_refused(node):
                self.report.problem(path, f"is {_what(node)}, not a list; write {such_as}")
            return None
        parsed = (
            self._parse(item, (*path, f"[{index}]"), parse, None)
            for index, item in enumerate(node.items)
        )
        return tuple(item for item in parsed if item is not None)

    def pairs(self, parse: Callable[[str, Scalar], T]) -> Mapping[str, T]:
        """Return the mapping's own keys with their values; those that are wrong are left out."""
        found: dict[str, T] = {}
        for key in self.names():
            value = self.take(key, partial(parse, key), None)
            if value is not None:
                found[key] = value
        return found

    def _node(self, key: str) -> Node | None:
        if key not in self._keys and ANY not in self._keys:
            raise KeyError(f"{key!r} is not a key of {'.'.join(self.path) or 'the inventory'}")
        return self._table.entries.get(key) if self._table is not None else None

    def _parse(
        self, node: Node, path: tuple[str, ...], parse: Callable[[Scalar], T], default: T
    ) -> T:
        if not isinstance(node, Scalar):
            self.report.problem(path, f"is {_what(node)}; write a single value")
            return default
        if node.kind is Kind.REFUSED:
            return default
        if node.kind is Kind.NOTHING:
            self.report.problem(path, "has no value; write one or take the line out")
            return default
        try:
            return parse(node)
        except ValueError as error:
            self.report.problem(path, str(error))
            return default


def _is_refused(node: Node) -> bool:
    """Whether the document reported `node` already."""
    return isinstance(node, Scalar) and node.kind is Kind.REFUSED


def _what(node: Node) -> str:
    if isinstance(node, Table):
        return "a mapping"
    if isinstance(node, Items):
        return "a list"
    return "empty" if node.kind is Kind.NOTHING else f"the single value {node.text[:40]!r}"


def _unknown(key: str, *, keys: Schema) -> str:
    close = get_close_matches(key, keys, n=1)
    if close:
        return f"is not a key kubeops knows; did you mean {close[0]!r}?"
    elsewhere = [home for home in homes(key) if home]
    if elsewhere:
        return f"is not a key here; it belongs below {' or '.join(elsewhere)}"
    return f"is not a key kubeops knows; the keys here are {', '.join(keys)}"


def _touches(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether one path is the other's beginning, `*` in `other` matching any name."""
    return all(a is None or b is None or b in (ANY, a) for a, b in zip_longest(one, other))


def _line(problem: Problem) -> str:
    path = ""
    for part in problem.path:
        item = _ITEM.fullmatch(part)
        shown = part if _PLAIN.fullmatch(part) or item else repr(part[:80])
        path += shown if item or not path else f".{shown}"
    return f"{problem.at}: {path}: {problem.text}" if path else f"{problem.at}: {problem.text}"
