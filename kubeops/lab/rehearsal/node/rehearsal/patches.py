"""The ways of patching an object: merge, strategic merge, JSON patch.

Strategic merge knows the keyed lists that operators and node programs touch (containers,
conditions, addresses, volumes ...). Other lists are replaced whole, node taints among them, as on a
real server.
"""

import copy
from typing import Any

_KEYED_LISTS: dict[str, tuple[str, ...]] = {
    "conditions": ("type",),
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "addresses": ("type",),
    "volumes": ("name",),
    "env": ("name",),
    "volumeMounts": ("mountPath",),
    "ports": ("containerPort", "port"),
    "imagePullSecrets": ("name",),
    "ownerReferences": ("uid",),
    "podIPs": ("ip",),
    "hostIPs": ("ip",),
}
_MERGED_PRIMITIVES = ("finalizers", "podCIDRs")


class PatchError(ValueError):
    """The patch cannot be applied to the object."""


def merge(target: Any, patch: Any) -> Any:
    """Return `target` with a JSON merge patch (RFC 7386) applied."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def strategic(target: Any, patch: Any) -> Any:
    """Return `target` with a strategic merge patch applied, `$patch` directives included."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    directive = patch.get("$patch")
    base = dict(target) if isinstance(target, dict) and directive != "replace" else {}
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        if value is None:
            base.pop(key, None)
        elif isinstance(value, list):
            base[key] = _strategic_list(key, base.get(key) or [], value)
        else:
            base[key] = strategic(base.get(key), value)
    return base


def _strategic_list(name: str, target: list[Any], patch: list[Any]) -> list[Any]:
    if name in _MERGED_PRIMITIVES:
        return target + [item for item in patch if item not in target]
    if name not in _KEYED_LISTS or any(
        isinstance(item, dict) and item.get("$patch") == "replace" for item in patch
    ):
        return [
            copy.deepcopy(item)
            for item in patch
            if not (isinstance(item, dict) and item.get("$patch") == "replace")
        ]
    result = list(target)
    for item in patch:
        key = next((key for key in _KEYED_LISTS[name] if key in item), _KEYED_LISTS[name][0])
        place = next((at for at, old in enumerate(result) if old.get(key) == item.get(key)), None)
        if item.get("$patch") == "delete":
            if place is not None:
                del result[place]
        elif place is None:
            result.append(strategic({}, item))
        else:
            result[place] = strategic(result[place], item)
    return result


def json_patch(target: Any, operations: list[dict[str, Any]]) -> Any:
    """Return `target` with a JSON patch (RFC 6902) applied.

    Raises:
        PatchError: an operation names what is not there, or a `test` does not hold.
    """
    result = copy.deepcopy(target)
    for operation in operations:
        _operate(result, operation)
    return result


def _operate(document: Any, operation: dict[str, Any]) -> None:
    kind = operation["op"]
    if kind == "test":
        if _at(document, _split(operation["path"])) != operation.get("value"):
            raise PatchError(f"testing value {operation['path']} failed: test failed")
    elif kind in ("add", "replace"):
        _set(document, _split(operation["path"]), operation["value"], insert=kind == "add")
    elif kind == "remove":
        _remove(document, _split(operation["path"]))
    elif kind in ("move", "copy"):
        source = _split(operation["from"])
        value = copy.deepcopy(_at(document, source))
        if kind == "move":
            _remove(document, source)
        _set(document, _split(operation["path"]), value, insert=True)
    else:
        raise PatchError(f"Unexpected kind: {kind}")


def _split(pointer: str) -> list[str]:
    if not pointer.startswith("/"):
        raise PatchError(f'invalid path "{pointer}"')
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def _at(document: Any, path: list[str]) -> Any:
    value = document
    for part in path:
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise PatchError(f"the path /{'/'.join(path)} does not exist") from error
    return value


def _set(document: Any, path: list[str], value: Any, *, insert: bool) -> None:
    parent, last = _at(document, path[:-1]), path[-1]
    if not isinstance(parent, list):
        if not insert and last not in parent:
            raise PatchError(f"replace operation does not apply: doc is missing key: {last}")
        parent[last] = value
    elif last == "-":
        parent.append(value)
    elif insert:
        parent.insert(int(last), value)
    else:
        parent[int(last)] = value


def _remove(document: Any, path: list[str]) -> None:
    _at(document, path)
    parent, last = _at(document, path[:-1]), path[-1]
    del parent[int(last) if isinstance(parent, list) else last]
