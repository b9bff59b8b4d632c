"""kubectl get and logs."""

import json
import sys
from collections.abc import Iterator
from typing import Any

from rehearsal import jsonpath, printers
from rehearsal.apierrors import ApiError
from rehearsal.kubectl_session import (
    Args,
    CommandError,
    Named,
    Session,
    named_objects,
    objects_in,
    resource_of,
    short_name,
)
from rehearsal.objects import labels_of
from rehearsal.resources import Resource

Obj = dict[str, Any]

_COMPONENTS = ("cs", "componentstatus", "componentstatuses")
_FORMATS = (
    "custom-columns",
    "json",
    "jsonpath",
    "jsonpath-as-json",
    "name",
    "wide",
    "yaml",
)


def get(session: Session, args: Args) -> int:
    """Print objects, or the raw body of a path."""
    if args.given("raw"):
        sys.stdout.write(session.client.raw(args.one("raw")))
        return 0
    _check_format(args.one("output"))
    if args.words and args.words[0] in _COMPONENTS:
        return _component_statuses(session)
    if args.given("filename"):
        wanted = [Named(resource_of(obj), obj["metadata"]["name"]) for obj in objects_in(args)]
    else:
        wanted = named_objects(args.words)
    if args.on("all-namespaces") and any(item.name for item in wanted):
        raise CommandError("error: a resource cannot be retrieved by name across all namespaces")
    groups, failed = _fetch(session, args, wanted)
    _sort(groups, args.one("sort-by"))
    _show(session, args, wanted, groups)
    return 1 if failed else 0


def logs(session: Session, args: Args) -> int:
    """Print a pod's log, which says that containers here write none."""
    if not args.words:
        raise CommandError("error: expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.")
    name = args.words[0].removeprefix("pod/")
    sys.stdout.write(session.client.raw(f"/api/v1/namespaces/{session.namespace}/pods/{name}/log"))
    return 0


def print_object(obj: Obj, output: str, resource: Resource) -> None:
    """Print one object in the form `-o` asks for.

    Raises:
        CommandError: there is no such form.
    """
    _check_format(output)
    if output == "name":
        sys.stdout.write(short_name(resource, obj["metadata"]["name"]) + "\n")
    else:
        sys.stdout.write(_formatted(obj, output))


def _check_format(output: str) -> None:
    if output and output.partition("=")[0] not in _FORMATS:
        raise CommandError(
            f'error: unable to match a printer suitable for the output format "{output}", allowed'
            f" formats are: {','.join(_FORMATS)}"
        )


def _component_statuses(session: Session) -> int:
    found = json.loads(session.client.raw("/api/v1/componentstatuses"))["items"]
    sys.stderr.write("Warning: v1 ComponentStatus is deprecated in v1.19+\n")
    columns = printers.columns_for("ComponentStatus")
    sys.stdout.write(printers.table([list(columns.names), *(columns.row(item) for item in found)]))
    return 0


def _fetch(
    session: Session, args: Args, wanted: list[Named]
) -> tuple[list[tuple[Resource, list[Obj]]], bool]:
    """Return objects by type, and whether one of those named is missing (which has been said)."""
    groups: list[tuple[Resource, list[Obj]]] = []
    failed = False
    for resource, name in wanted:
        if not groups or groups[-1][0] is not resource:
            groups.append((resource, []))
        space = "" if args.on("all-namespaces") else session.within(resource)
        if not name:
            groups[-1][1].extend(_listed(session, args, resource, space))
            continue
        try:
            groups[-1][1].append(session.client.get(resource.qualified, name, namespace=space))
        except ApiError as error:
            if error.reason != "NotFound":
                raise
            if not args.on("ignore-not-found"):
                failed = True
                sys.stderr.write(f"Error from server (NotFound): {error.message}\n")
    return groups, failed


def _listed(session: Session, args: Args, resource: Resource, space: str) -> Iterator[Obj]:
    answer = session.client.list(
        resource.qualified,
        namespace=space,
        labels=args.one("selector"),
        fields=args.one("field-selector"),
    )
    for item in answer["items"]:
        yield {"apiVersion": resource.api_version, "kind": resource.kind, **item}


def _sort(groups: list[tuple[Resource, list[Obj]]], path: str) -> None:
    if not path:
        return
    bare = path.strip("{}")

    def key(obj: Obj) -> tuple[int, Any]:
        value = next(iter(jsonpath.search(bare, obj)), "")
        return (1, value) if isinstance(value, int) else (0, str(value))

    for _, items in groups:
        items.sort(key=key)


def _show(
    session: Session, args: Args, wanted: list[Named], groups: list[tuple[Resource, list[Obj]]]
) -> None:
    output = args.one("output")
    items = [(resource, item) for resource, found in groups for item in found]
    if output == "name":
        lines = [short_name(resource, item["metadata"]["name"]) for resource, item in items]
        sys.stdout.write("".join(f"{line}\n" for line in lines))
    elif output in ("", "wide"):
        _tables(session, args, groups)
    elif len(wanted) == 1 and wanted[0].name:
        sys.stdout.write(_formatted(items[0][1], output) if items else "")
    else:
        body = {
            "apiVersion": "v1",
            "kind": "List",
            "metadata": {"resourceVersion": ""},
            "items": [item for _, item in items],
        }
        sys.stdout.write(_formatted(body, output))


def _formatted(obj: Obj, output: str) -> str:
    kind, _, template = output.partition("=")
    if kind == "json":
        return printers.to_json(obj)
    if kind == "yaml":
        return printers.to_yaml(obj)
    if kind == "custom-columns":
        return _custom(template, obj)
    try:
        if kind == "jsonpath-as-json":
            return printers.to_json(jsonpath.search(template.strip("{}"), obj))
        return jsonpath.render(template, obj)
    except jsonpath.TemplateError as error:
        raise CommandError(f"error: error parsing jsonpath {template}, {error}") from error


def _custom(template: str, obj: Obj) -> str:
    columns = [part.partition(":") for part in template.split(",")]
    rows = [[name for name, _, _ in columns]]
    for item in obj.get("items", [obj]):
        cells = []
        for _, _, path in columns:
            found = jsonpath.search(path.strip("{}"), item)
            cells.append(",".join(str(value) for value in found) if found else "<none>")
        rows.append(cells)
    return printers.table(rows)


# Tables


def _tables(session: Session, args: Args, groups: list[tuple[Resource, list[Obj]]]) -> None:
    filled = [(resource, items) for resource, items in groups if items]
    several = len({resource.plural for resource, _ in groups}) > 1 or args.on("show-kind")
    if not filled:
        _nothing(session, args, groups)
        return
    pages = [_table(args, resource, items, kinds=several) for resource, items in filled]
    sys.stdout.write("\n".join(pages))


def _nothing(session: Session, args: Args, groups: list[tuple[Resource, list[Obj]]]) -> None:
    named = bool(args.words) and (len(args.words) > 1 or "/" in args.words[0])
    if named or args.on("ignore-not-found"):
        return
    spaced = any(resource.namespaced for resource, _ in groups)
    where = f" in {session.namespace} namespace" if spaced else ""
    where = "" if args.on("all-namespaces") else where
    sys.stderr.write(f"No resources found{where}{'.' if where else ''}\n")


def _table(args: Args, resource: Resource, items: list[Obj], *, kinds: bool) -> str:
    columns = printers.columns_for(resource.kind)
    wide = args.one("output") == "wide"
    spaces = args.on("all-namespaces") and resource.namespaced
    shown = len(columns.names) + (len(columns.wide) if wide else 0)
    extra = [name for value in args.every("label-columns") for name in value.split(",")]
    header = [*columns.names, *columns.wide][:shown]
    header += [name.rpartition("/")[2].upper() for name in extra]
    rows = [[*(["NAMESPACE"] if spaces else []), *header]]
    if args.on("show-labels"):
        rows[0].append("LABELS")
    for item in items:
        cells = columns.row(item)[:shown]
        if kinds:
            at = columns.names.index("NAME") if "NAME" in columns.names else 0
            cells[at] = f"{resource.singular}/{cells[at]}"
        labels = labels_of(item)
        cells += [labels.get(name, "") for name in extra]
        if args.on("show-labels"):
            cells.append(",".join(f"{k}={v}" for k, v in sorted(labels.items())) or "<none>")
        space = [item["metadata"].get("namespace", "")] if spaces else []
        rows.append([*space, *cells])
    return printers.table(rows[1:] if args.on("no-headers") else rows)
