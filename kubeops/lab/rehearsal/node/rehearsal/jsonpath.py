r"""kubectl's JSONPath templates, as far as operators use them.

Fields, quoted fields with dots (`{.data.ca\.crt}`, `{['a.b']}`), indices, slices, `*`,
`..field`, filters comparing a field or testing its presence (`[?(@.type=="Ready")]`),
`{range}{end}`, and string literals. Functions and boolean operators inside filters are not there
and are refused.
"""

import json
import re
from typing import Any, NamedTuple


class TemplateError(ValueError):
    """The template cannot be read; the message is kubectl's."""


class _Text(NamedTuple):
    text: str


class _Path(NamedTuple):
    steps: tuple[str, ...]


class _Range(NamedTuple):
    path: _Path
    body: tuple[Any, ...]


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}
_STEP = re.compile(
    r"""\.\.(?P<deep>(?:\\.|[\w\-/])+)
      |\.(?P<field>(?:\\.|[\w\-/])+|\*)
      |\[\s*'(?P<quoted>[^']*)'\s*\]
      |\[\s*(?P<slice>-?\d*:-?\d*)\s*\]
      |\[\s*(?P<index>-?\d+|\*)\s*\]
      |\[\?\(\s*(?P<filter>.*?)\s*\)\]
      |(?P<dot>\.)$""",
    re.VERBOSE,
)
_FILTER = re.compile(
    r"""^@(?P<path>[^\s=!<>]*)\s*(?:(?P<op>==|!=|<=|>=|<|>)\s*(?P<value>"[^"]*"|'[^']*'|[\w.+-]+))?$"""
)


def render(template: str, document: Any) -> str:
    """Return what `-o jsonpath=template` prints for a document.

    Raises:
        TemplateError: the template cannot be read or asks for what is not supported.
    """
    nodes, rest = _parse(_tokens(template), inside=False)
    if rest:
        raise TemplateError("not in range, nothing to end")
    return _run(nodes, document, document)


def search(path: str, document: Any) -> list[Any]:
    """Return every value at one path such as `.status.phase`, without braces."""
    return _walk(_path(path), document, document)


def _tokens(template: str) -> list[str]:
    tokens, position = [], 0
    while position < len(template):
        if template[position] != "{":
            end = template.find("{", position)
            end = len(template) if end < 0 else end
            tokens.append(template[position:end])
        else:
            end = _closing(template, position) + 1
            tokens.append(template[position:end])
        position = end
    return tokens


def _closing(template: str, start: int) -> int:
    quote = ""
    position = start
    while position < len(template):
        letter = template[position]
        if quote and letter == "\\":
            position += 1
        elif quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter == "}":
            return position
        position += 1
    raise TemplateError("unclosed action")


def _parse(tokens: list[str], *, inside: bool) -> tuple[tuple[Any, ...], list[str]]:
    nodes: list[Any] = []
    while tokens:
        token, tokens = tokens[0], tokens[1:]
        inner = token[1:-1].strip() if token.startswith("{") else None
        if inner is None:
            nodes.append(_Text(token))
        elif inner == "end":
            if not inside:
                raise TemplateError("not in range, nothing to end")
            return tuple(nodes), tokens
        elif inner.startswith("range "):
            body, tokens = _parse(tokens, inside=True)
            nodes.append(_Range(_path(inner.removeprefix("range ").strip()), body))
        elif inner[:1] in "\"'":
            nodes.append(_Text(re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), inner[1:-1])))
        else:
            nodes.append(_path(inner))
    if inside:
        raise TemplateError("unterminated range")
    return tuple(nodes), []


def _path(text: str) -> _Path:
    text = text.strip()
    text = text[1:] if text[:1] in ("$", "@") else text
    if text and text[0] not in ".[":
        text = f".{text}"
    steps, position = [], 0
    while position < len(text):
        match = _STEP.match(text, position)
        if not match:
            raise TemplateError(f"unrecognized character in action: {text[position]!r}")
        if match["filter"] and not _FILTER.match(match["filter"]):
            raise TemplateError(f"rehearsal: filter {match['filter']!r} is not supported")
        steps.append(match[0])
        position = match.end()
    return _Path(tuple(steps))


def _run(nodes: tuple[Any, ...], root: Any, current: Any) -> str:
    out = []
    for node in nodes:
        if isinstance(node, _Text):
            out.append(node.text)
        elif isinstance(node, _Range):
            items = _walk(node.path, root, current)
            flat = items[0] if len(items) == 1 and isinstance(items[0], list) else items
            out += [_run(node.body, root, item) for item in flat]
        else:
            out.append(" ".join(_shown(value) for value in _walk(node, root, current)))
    return "".join(out)


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _walk(path: _Path, root: Any, current: Any) -> list[Any]:
    values = [current]
    for step in path.steps:
        values = [found for value in values for found in _step(step, root, value)]
    return values


def _step(step: str, root: Any, value: Any) -> list[Any]:
    match = _STEP.match(step)
    if match is None or match["dot"]:
        return [value]
    if match["deep"]:
        return _deep(_plain(match["deep"]), value)
    if match["filter"]:
        items = value if isinstance(value, list) else []
        return [item for item in items if _passes(match["filter"], root, item)]
    if match["slice"] is not None:
        first, _, last = match["slice"].partition(":")
        cut = slice(int(first) if first else None, int(last) if last else None)
        return list(value[cut]) if isinstance(value, list) else []
    return _member(match["field"] or match["quoted"] or match["index"], value)


def _member(name: str, value: Any) -> list[Any]:
    if name == "*":
        if isinstance(value, dict):
            return list(value.values())
        return list(value) if isinstance(value, list) else []
    if isinstance(value, list):
        at = int(name) if re.fullmatch(r"-?\d+", name) else None
        return [value[at]] if at is not None and -len(value) <= at < len(value) else []
    name = _plain(name)
    return [value[name]] if isinstance(value, dict) and name in value else []


def _plain(name: str) -> str:
    return re.sub(r"\\(.)", r"\1", name)


def _deep(name: str, value: Any) -> list[Any]:
    found = []
    if isinstance(value, dict):
        found += [value[name]] if name in value else []
        found += [hit for item in value.values() for hit in _deep(name, item)]
    elif isinstance(value, list):
        found += [hit for item in value for hit in _deep(name, item)]
    return found


def _passes(text: str, root: Any, item: Any) -> bool:
    match = _FILTER.match(text)
    if match is None:
        return False
    values = _walk(_path(match["path"]), root, item)
    if not match["op"]:
        return bool(values)
    wanted = _literal(match["value"])
    return any(_compare(match["op"], value, wanted) for value in values)


def _literal(text: str) -> Any:
    if text[0] in "\"'":
        return text[1:-1]
    try:
        return json.loads(text)
    except ValueError:
        return text


def _compare(operator: str, value: Any, wanted: Any) -> bool:
    if operator in ("==", "!="):
        return bool((value == wanted) == (operator == "=="))
    try:
        results = {"<": value < wanted, ">": value > wanted}
    except TypeError:
        return False
    strict = results[operator[0]]
    return bool(strict or (operator.endswith("=") and value == wanted))
