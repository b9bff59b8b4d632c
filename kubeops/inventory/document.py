"""YAML files as trees that know where every value stands, with `extends` followed and merged.

Text stays text: a scalar keeps what was written next to the kind YAML takes it for, so that
`1.30`, `no` and `0022` can be explained instead of being read as something else in silence.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from os.path import normpath
from pathlib import Path

import yaml

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_COLLECTIONS = {f"{_TAG}map", f"{_TAG}seq"}
_DEEPEST = 100
"""Levels of nesting; libyaml ends the process when there are very many."""


class Kind(StrEnum):
    """What YAML 1.1 takes a scalar for, in the words of a message."""

    TEXT = "text"
    NUMBER = "a number"
    FRACTION = "a decimal number"
    BOOLEAN = "a boolean"
    NOTHING = "nothing"
    REFUSED = "something else"  # the problem is noted already; whoever reads it keeps quiet


_KINDS = {
    f"{_TAG}str": Kind.TEXT,
    f"{_TAG}timestamp": Kind.TEXT,
    f"{_TAG}value": Kind.TEXT,
    f"{_TAG}int": Kind.NUMBER,
    f"{_TAG}float": Kind.FRACTION,
    f"{_TAG}bool": Kind.BOOLEAN,
    f"{_TAG}null": Kind.NOTHING,
}


@dataclass(frozen=True, kw_only=True)
class Position:
    """A line (counted from 1) of a file."""

    file: Path
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, kw_only=True)
class Scalar:
    """A value without parts. `start` and `end` are its characters' indices in the file."""

    at: Position
    kind: Kind
    text: str
    start: int = 0
    end: int = 0


@dataclass(frozen=True, kw_only=True)
class Items:
    """A list."""

    at: Position
    items: "tuple[Node, ...]"


@dataclass(frozen=True, kw_only=True)
class Table:
    """A mapping, in the order of the file; `keys` says where each key stands."""

    at: Position
    entries: "Mapping[str, Node]"
    keys: Mapping[str, Position]


Node = Scalar | Items | Table


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something wrong: where, at which path of the tree (`("hosts", "cp2")`), and what."""

    at: Position
    path: tuple[str, ...]
    text: str


@dataclass(frozen=True, kw_only=True)
class Document:
    """An inventory file merged over the files it extends, nearest first in `files`.

    `root` is None when a file could not be read as a mapping; `problems` then says why.
    """

    files: tuple[Path, ...]
    root: Table | None
    problems: tuple[Problem, ...]


def read_document(path: Path) -> Document:
    """Read `path` and what it extends. Never raises for what the files hold."""
    problems: list[Problem] = []
    files: list[Path] = []
    tables: list[Table] = []
    following: Path | None = path
    try:
        while following is not None:
            files.append(following)
            tables.append(_read_file(following, problems))
            following = _base_of(tables[-1], seen=files)
    except _UnusableError as error:
        return Document(files=tuple(files), root=None, problems=(*problems, error.problem))
    root = tables.pop()
    while tables:
        root = _merge(base=root, over=tables.pop())
    return Document(files=tuple(files), root=root, problems=tuple(problems))


def extended_by(path: Path) -> Path | None:
    """Return the file that `path` extends; None when it extends none or cannot be read."""
    try:
        return _base_of(_read_file(path, []), seen=[path])
    except _UnusableError:
        return None


class _UnusableError(Exception):
    """A file from which nothing can be taken, so that looking further would only mislead."""

    def __init__(self, at: Position, text: str, *, path: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.problem = Problem(at=at, path=path, text=text)


def _base_of(table: Table, *, seen: list[Path]) -> Path | None:
    """Return the file that `extends` names; None without the key."""
    node = table.entries.get("extends")
    if node is None:
        return None

    def refused(text: str) -> _UnusableError:
        return _UnusableError(table.keys["extends"], text, path=("extends",))

    if not isinstance(node, Scalar) or node.kind is not Kind.TEXT or not node.text.strip():
        raise refused("is not the name of a file; write one, such as extends: base.yaml")
    folder = node.at.file.parent
    base = Path(normpath(folder / node.text))
    chain = [normpath(file) for file in seen]
    if str(base) in chain:
        circle = " -> ".join([*chain[chain.index(str(base)) :], str(base)])
        raise refused(f"goes in a circle ({circle}); take one of these `extends` lines out")
    try:
        found = base.is_file()
    except (OSError, ValueError):
        found = False
    if not found:
        raise refused(f"there is no file {str(base)!r}; the name is relative to {str(folder)!r}")
    return base


def _merge(*, base: Table, over: Table) -> Table:
    """Lay `over` on `base`: mappings are merged, all else is replaced, `key:` alone takes away."""
    entries = dict(base.entries)
    keys = dict(base.keys)
    for key, node in over.entries.items():
        below = entries.get(key)
        if below is not None and isinstance(node, Scalar) and node.kind is Kind.NOTHING:
            del entries[key], keys[key]
            continue
        if isinstance(below, Table) and isinstance(node, Table):
            node = _merge(base=below, over=node)  # noqa: PLW2901 - the merged node takes its place
        entries[key] = node
        keys[key] = over.keys[key]
    return Table(at=over.at, entries=entries, keys=keys)


def _read_file(path: Path, problems: list[Problem]) -> Table:
    """Return the mapping that `path` holds; what is wrong inside goes to `problems`.

    Raises:
        _UnusableError: it holds none.
    """

    def refused(line: int, text: str) -> _UnusableError:
        return _UnusableError(Position(file=path, line=line), text)

    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise refused(line, "is not UTF-8 text; save the file as UTF-8") from error
    except (OSError, ValueError) as error:
        raise refused(1, _unreadable(error)) from error
    try:
        node = _compose(text)
        tree = _Reading(file=path, problems=problems).node(node, ()) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise refused(mark.line + 1 if mark is not None else 1, _syntax(error)) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise refused(line, "holds a character that YAML forbids; take it out") from error
    except RecursionError as error:
        raise refused(1, "is nested too deeply to be an inventory") from error
    if tree is None:
        raise refused(1, "is empty; copy inventories/example.yaml here and edit the copy")
    if isinstance(tree, Table):
        return tree
    what = "a list" if isinstance(tree, Items) else "a single value"
    raise refused(1, f"is {what}, not a mapping; an inventory has the keys cluster, ssh and hosts")


def _compose(text: str) -> yaml.Node | None:
    """Compose with libyaml, in a fortieth of the time that PyYAML's own reader takes.

    What libyaml does not take is left to the latter, whose words `_syntax` knows; so is a file with
    a byte order mark, after which libyaml counts characters otherwise.
    """
    if yaml.__with_libyaml__ and not text.startswith("\ufeff"):
        try:
            _check_depth(text)
            return yaml.compose(text, Loader=yaml.CSafeLoader)
        except yaml.YAMLError:
            pass
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise RecursionError


def _unreadable(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file; `--inventory` takes a path or a name below inventories/"
    if isinstance(error, IsADirectoryError):
        return "is a directory; name the YAML file in it"
    if isinstance(error, PermissionError):
        return "cannot be read: permission denied; check owner and mode with `ls -l`"
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"cannot be read: {reason}"


def _syntax(error: yaml.MarkedYAMLError) -> str:
    said = ", ".join(part for part in (error.context, error.problem) if part)
    if "'\\t'" in said:
        return "is not YAML: a tab stands where only spaces may; indent with spaces"
    if "expected a single document" in said:
        return "holds a second YAML document (`---`); one file is one cluster"
    return f"is not YAML: {said}; look at this line and the ones just above it"


@dataclass(kw_only=True)
class _Reading:
    """One file's nodes on their way from PyYAML's tree to ours."""

    file: Path
    problems: list[Problem]
    done: dict[int, Node] = field(default_factory=dict)
    open: set[int] = field(default_factory=set)

    def node(self, node: yaml.Node, path: tuple[str, ...]) -> Node:
        """Convert `node`; an anchor's node is converted once however often it is used."""
        if id(node) in self.done:
            return self.done[id(node)]
        if id(node) in self.open:
            self._refuse(node, path, "refers to itself through an anchor; write the value out")
            return self._refused(node)
        self.open.add(id(node))
        converted = self._convert(node, path)
        self.open.discard(id(node))
        self.done[id(node)] = converted
        return converted

    def _convert(self, node: yaml.Node, path: tuple[str, ...]) -> Node:
        if isinstance(node, yaml.ScalarNode) and node.tag in _KINDS:
            return Scalar(
                at=self._at(node),
                kind=_KINDS[node.tag],
                text=node.value,
                start=node.start_mark.index,
                end=node.end_mark.index,
            )
        if isinstance(node, yaml.MappingNode) and node.tag in _COLLECTIONS:
            return self._table(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag in _COLLECTIONS:
            items = (self.node(item, (*path, f"[{i}]")) for i, item in enumerate(node.value))
            return Items(at=self._at(node), items=tuple(items))
        tag = node.tag.replace(_TAG, "!!")
        self._refuse(node, path, f"has the tag {tag}, which means nothing here; take it out")
        return self._refused(node)

    def _table(self, node: yaml.MappingNode, path: tuple[str, ...]) -> Table:
        entries: dict[str, Node] = {}
        keys: dict[str, Position] = {}
        shared: list[Table] = []
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                shared += self._shared(value_node, path)
                continue
            key = self._key(key_node, path)
            if key is None:
                continue
            value = self.node(value_node, (*path, key))
            if key in entries:
                text = f"is written twice, first on line {keys[key].line}; keep one of them"
                self._refuse(key_node, (*path, key), text)
                continue
            entries[key] = value
            keys[key] = self._at(key_node)
        for table in shared:
            for key, value in table.entries.items():
                if key not in entries:
                    entries[key] = value
                    keys[key] = table.keys[key]
        return Table(at=self._at(node), entries=entries, keys=keys)

    def _shared(self, node: yaml.Node, path: tuple[str, ...]) -> list[Table]:
        """Return the mappings a `<<` key brings in, those that win first."""
        value = self.node(node, (*path, "<<"))
        parts = value.items if isinstance(value, Items) else (value,)
        tables = [part for part in parts if isinstance(part, Table)]
        if len(tables) != len(parts):
            self._refuse(
                node, (*path, "<<"), "is not a mapping; write <<: *NAME, the anchor of one"
            )
        return tables

    def _key(self, node: yaml.Node, path: tuple[str, ...]) -> str | None:
        if not isinstance(node, yaml.ScalarNode):
            self._refuse(node, path, "has a key that is not a plain word; write `key: value`")
            return None
        kind = _KINDS.get(node.tag)
        if kind is not Kind.TEXT:
            what = kind if kind is not None else Kind.REFUSED
            text = f'is a key that YAML takes for {what}; write it in quotes: "{node.value}"'
            self._refuse(node, (*path, node.value), text)
            return None
        return str(node.value)

    def _at(self, node: yaml.Node) -> Position:
        return Position(file=self.file, line=node.start_mark.line + 1)

    def _refused(self, node: yaml.Node) -> Scalar:
        return Scalar(at=self._at(node), kind=Kind.REFUSED, text="")

    def _refuse(self, node: yaml.Node, path: tuple[str, ...], text: str) -> None:
        self.problems.append(Problem(at=self._at(node), path=path, text=text))
