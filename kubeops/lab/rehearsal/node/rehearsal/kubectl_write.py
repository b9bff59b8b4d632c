"""kubectl apply and delete."""

import json
import sys
import time
from collections.abc import Callable
from threading import Event
from typing import Any

from rehearsal.apierrors import ApiError
from rehearsal.kubectl_get import print_object
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
from rehearsal.patches import merge, strategic
from rehearsal.resources import Resource

Obj = dict[str, Any]

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_MERGED_KINDS = ("CustomResourceDefinition", "APIService")
_POLL = 0.2


def _space(session: Session, resource: Resource, obj: Obj) -> str:
    if not resource.namespaced:
        return ""
    return str(obj["metadata"].get("namespace") or session.namespace)


def report(args: Args, resource: Resource, obj: Obj, word: str) -> None:
    """Print what was done, or the object itself when `-o` asks for it."""
    output = args.one("output")
    if output:
        print_object(obj, output, resource)
    else:
        print(f"{short_name(resource, obj['metadata']['name'])} {word}{args.dry_suffix}")


def each(args: Args, objects: list[Obj], act: Callable[[Obj], None], doing: str) -> int:
    """Act on every object of the files; failures are told and do not stop the rest."""
    status = 0
    source = args.one("filename")
    shown = "STDIN" if source == "-" else source
    for obj in objects:
        try:
            act(obj)
        except ApiError as error:
            from rehearsal.kubectl import explain  # noqa: PLC0415 - kubectl loads this module

            status = 1
            text = explain(error)
            if text.startswith("Error from server"):
                head, _, rest = text.partition(": ")
                text = f'{head}: error when {doing} "{shown}": {rest}'
            sys.stdout.flush()
            sys.stderr.write(f"{text}\n")
    return status


# Apply


def apply(session: Session, args: Args) -> int:
    """Create or update the objects of files, client-side (with last-applied) or server-side."""

    def act(obj: Obj) -> None:
        if args.on("server-side"):
            _apply_on_server(session, args, obj)
        else:
            _apply(session, args, obj)

    return each(args, objects_in(args), act, "applying")


def _apply_on_server(session: Session, args: Args, obj: Obj) -> None:
    resource = resource_of(obj)
    space = _space(session, resource, obj)
    name = obj["metadata"]["name"]
    answer = session.client.patch(
        resource.qualified,
        name,
        obj,
        namespace=space,
        kind="apply",
        dry_run=args.dry_run == "server",
    )
    report(args, resource, answer, "serverside-applied")


def _apply(session: Session, args: Args, obj: Obj) -> None:
    resource = resource_of(obj)
    space, name = _space(session, resource, obj), obj["metadata"]["name"]
    if space:
        obj["metadata"]["namespace"] = space
    wanted = _with_last_applied(obj)
    live = session.client.find(resource.qualified, name, namespace=space)
    on_server = args.dry_run == "server"
    if live is None:
        made = wanted
        if args.dry_run != "client":
            made = session.client.create(
                resource.qualified, wanted, namespace=space, dry_run=on_server
            )
        report(args, resource, made, "created")
        return
    before = json.loads((live["metadata"].get("annotations") or {}).get(_LAST_APPLIED) or "{}")
    changes = _nulls(_removals(before, wanted), wanted)
    by_key = resource.kind not in _MERGED_KINDS
    if (strategic(live, changes) if by_key else merge(live, changes)) == live:
        report(args, resource, live, "unchanged")
        return
    answer = live
    if args.dry_run != "client":
        answer = session.client.patch(
            resource.qualified,
            name,
            changes,
            namespace=space,
            kind="strategic" if by_key else "merge",
            dry_run=on_server,
        )
    report(args, resource, answer, "configured")


def _with_last_applied(obj: Obj) -> Obj:
    """Return the object with its own text as last-applied annotation, as kubectl writes it."""
    meta = obj["metadata"]
    annotations = {k: v for k, v in (meta.get("annotations") or {}).items() if k != _LAST_APPLIED}
    bare = {**obj, "metadata": {**meta, "annotations": annotations}}
    text = json.dumps(bare, separators=(",", ":"), sort_keys=True) + "\n"
    return {**obj, "metadata": {**meta, "annotations": {**annotations, _LAST_APPLIED: text}}}


def _removals(before: Any, now: Any) -> Obj:
    """Return a patch with null for every field applied before and not any more."""
    removed: Obj = {}
    for key, value in before.items() if isinstance(before, dict) else ():
        if key not in now:
            removed[key] = None
        elif isinstance(value, dict) and isinstance(now[key], dict):
            deeper = _removals(value, now[key])
            if deeper:
                removed[key] = deeper
    return removed


def _nulls(removals: Obj, wanted: Obj) -> Obj:
    """Return `wanted` with the nulls of `removals` in it."""
    result = dict(wanted)
    for key, value in removals.items():
        if value is None:
            result[key] = None
        else:
            result[key] = _nulls(value, wanted.get(key) or {})
    return result


# Delete


def delete(session: Session, args: Args) -> int:
    """Delete objects, and wait until they are gone unless told not to."""
    if args.on("force") and not args.on("now"):
        sys.stderr.write(
            "Warning: Immediate deletion does not wait for confirmation that the running resource"
            " has been terminated. The resource may continue to run on the cluster indefinitely.\n"
        )
    deleted: list[tuple[Named, str, str]] = []
    status = 0
    for target, space in _targets(session, args):
        try:
            uid = _delete_one(session, args, target, space)
        except ApiError as error:
            if error.reason == "NotFound" and args.on("ignore-not-found"):
                continue
            from rehearsal.kubectl import explain  # noqa: PLC0415 - kubectl loads this module

            sys.stdout.flush()
            sys.stderr.write(f"{explain(error)}\n")
            status = 1
            continue
        deleted.append((target, space, uid))
    if args.on("wait", default=True) and args.dry_run == "none":
        _wait_gone(session, args, deleted)
    return status


def _targets(session: Session, args: Args) -> list[tuple[Named, str]]:
    if args.given("filename"):
        return [
            (
                Named(resource_of(obj), obj["metadata"]["name"]),
                _space(session, resource_of(obj), obj),
            )
            for obj in objects_in(args)
        ]
    chosen: list[tuple[Named, str]] = []
    for resource, name in named_objects(args.words):
        space = "" if args.on("all-namespaces") else session.within(resource)
        if name:
            chosen.append((Named(resource, name), space))
            continue
        if not (args.on("all") or args.given("selector") or args.given("field-selector")):
            raise CommandError("error: resource(s) were provided, but no name was specified")
        found = session.client.list(
            resource.qualified,
            namespace=space,
            labels=args.one("selector"),
            fields=args.one("field-selector"),
        )["items"]
        chosen += [
            (Named(resource, item["metadata"]["name"]), item["metadata"].get("namespace", ""))
            for item in found
        ]
    if not chosen:
        print("No resources found")
    return chosen


def _delete_one(session: Session, args: Args, target: Named, space: str) -> str:
    grace: int | None = int(args.one("grace-period", "-1"))
    if args.on("force") and grace == -1:
        grace = 0
    elif args.on("now"):
        grace = 1
    elif grace is not None and grace < 0:
        grace = None
    resource, name = target
    uid = ""
    if args.dry_run != "client":
        before = session.client.get(resource.qualified, name, namespace=space)
        uid = before["metadata"]["uid"]
        session.client.delete(
            resource.qualified,
            name,
            namespace=space,
            grace=grace,
            dry_run=args.dry_run == "server",
        )
    word = "force deleted" if args.on("force") else "deleted"
    if args.one("output") == "name":
        print(short_name(resource, name))
    else:
        where = f" from {space} namespace" if space else ""
        print(f'{resource.singular} "{name}" {word}{where}{args.dry_suffix}', flush=True)
    return uid


def _wait_gone(session: Session, args: Args, deleted: list[tuple[Named, str, str]]) -> None:
    limit = args.seconds("timeout", 0.0)
    deadline = time.monotonic() + limit if limit > 0 else float("inf")
    pause = Event()
    for target, space, uid in deleted:
        while True:
            found = session.client.find(target.resource.qualified, target.name, namespace=space)
            if found is None or found["metadata"]["uid"] != uid:
                break
            if time.monotonic() >= deadline:
                raise CommandError(
                    "error: timed out waiting for the condition on"
                    f" {target.resource.plural}/{target.name}"
                )
            pause.wait(_POLL)
