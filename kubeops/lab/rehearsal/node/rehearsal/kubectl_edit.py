"""kubectl patch, label, annotate, taint and scale."""

from typing import Any

from rehearsal.kubectl_session import Args, CommandError, Session, named_objects
from rehearsal.kubectl_write import report
from rehearsal.resources import Resource

Obj = dict[str, Any]

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


# Patch, label, annotate


def patch(session: Session, args: Args) -> int:
    """Patch one or more objects."""
    if args.given("patch-file"):
        with open(args.one("patch-file"), encoding="utf-8") as file:
            text = file.read()
    else:
        text = args.one("patch")
    if not text:
        raise CommandError(
            "error: must specify --patch or --patch-file containing the contents of the patch"
        )
    import yaml  # noqa: PLC0415 - slow to load, and only patches may be YAML

    try:
        body = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CommandError(f"error: unable to parse {text!r}: {error}") from error
    kind = args.one("type", "strategic")
    if kind not in ("strategic", "merge", "json"):
        raise CommandError(f"error: --type must be one of [json merge strategic], not {kind!r}")
    for resource, name in named_objects(args.words):
        before = session.client.get(resource.qualified, name, namespace=session.within(resource))
        answer = before
        if args.dry_run != "client":
            answer = session.client.patch(
                resource.qualified,
                name,
                body,
                namespace=session.within(resource),
                kind=kind,
                subresource=args.one("subresource"),
                dry_run=args.dry_run == "server",
            )
        same = answer["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
        no_change = " (no change)" if same and args.dry_run == "none" else ""
        report(args, resource, answer, f"patched{no_change}")
    return 0


def label(session: Session, args: Args) -> int:
    """Set and remove labels."""
    return _mark(session, args, "labels", "label")


def annotate(session: Session, args: Args) -> int:
    """Set and remove annotations."""
    return _mark(session, args, "annotations", "annotate")


def _split_changes(words: list[str]) -> tuple[list[str], list[str]]:
    """Split `TYPE NAME ... KEY=VALUE ... KEY-` into objects and changes."""
    changes = [word for word in words if "=" in word or word.endswith("-")]
    return [word for word in words if word not in changes], changes


def _chosen(session: Session, args: Args, words: list[str]) -> list[tuple[Resource, Obj]]:
    found: list[tuple[Resource, Obj]] = []
    for resource, name in named_objects(words):
        space = session.within(resource)
        if name:
            found.append((resource, session.client.get(resource.qualified, name, namespace=space)))
        elif args.on("all") or args.given("selector"):
            items = session.client.list(
                resource.qualified, namespace=space, labels=args.one("selector")
            )["items"]
            found += [(resource, item) for item in items]
        else:
            raise CommandError("error: one or more resources must be specified by name")
    return found


def _mark(session: Session, args: Args, field: str, verb: str) -> int:
    words, changes = _split_changes(args.words)
    if not changes:
        raise CommandError(f"error: at least one {verb} update is required")
    for resource, obj in _chosen(session, args, words):
        present = obj["metadata"].get(field) or {}
        patch_body: dict[str, str | None] = {}
        for change in changes:
            key, equals, value = change.partition("=")
            if not equals:
                key = change.removesuffix("-")
                if key not in present:
                    print(f'{verb} "{key}" not found.')
                patch_body[key] = None
                continue
            if present.get(key, value) != value and not args.on("overwrite"):
                raise CommandError(
                    f"error: '{key}' already has a value ({present[key]}), and --overwrite is false"
                )
            patch_body[key] = value
        word = _marked_word(present, patch_body, verb)
        answer = obj
        if args.dry_run != "client":
            answer = session.client.patch(
                resource.qualified,
                obj["metadata"]["name"],
                {"metadata": {field: patch_body}},
                namespace=obj["metadata"].get("namespace", ""),
                dry_run=args.dry_run == "server",
            )
        report(args, resource, answer, word)
    return 0


def _marked_word(present: dict[str, str], changes: dict[str, str | None], verb: str) -> str:
    if verb == "annotate":
        return "annotated"
    after = {k: v for k, v in {**present, **changes}.items() if v is not None}
    if after == present:
        return "not labeled"
    return "unlabeled" if all(value is None for value in changes.values()) else "labeled"


# Taints


def taint(session: Session, args: Args) -> int:
    """Add, change and remove taints of nodes."""
    changes = [word for word in args.words if ":" in word or word.endswith("-") or "=" in word]
    words = [word for word in args.words if word not in changes]
    added: list[Obj] = []
    removed: list[Obj] = []
    for change in changes:
        target = removed if change.endswith("-") else added
        target.append(_taint(change.removesuffix("-"), removing=change.endswith("-")))
    for resource, node in _chosen(session, args, words):
        name = node["metadata"]["name"]
        taints = list(node["spec"].get("taints") or [])
        for item in removed:
            kept = [old for old in taints if not _same_taint(old, item)]
            if len(kept) == len(taints):
                effect = f":{item['effect']}" if item.get("effect") else ""
                raise CommandError(f'error: taint "{item["key"]}{effect}" not found')
            taints = kept
        for item in added:
            clash = [old for old in taints if _same_taint(old, item)]
            if clash and not args.on("overwrite"):
                raise CommandError(
                    f"error: node {name} already has {item['key']} taint(s) with same effect(s) and"
                    " --overwrite is false"
                )
            taints = [old for old in taints if old not in clash] + [item]
        if args.dry_run != "client":
            session.client.patch(
                "nodes",
                name,
                {"spec": {"taints": taints or None}},
                dry_run=args.dry_run == "server",
            )
        word = "modified" if added and removed else "tainted" if added else "untainted"
        report(args, resource, node, word)
    return 0


def _taint(text: str, *, removing: bool) -> Obj:
    left, _, effect = text.partition(":")
    key, _, value = left.partition("=")
    if (effect or not removing) and effect not in _EFFECTS:
        raise CommandError(
            f"error: invalid taint effect: {effect}, unsupported taint effect"
            if effect
            else f"error: unknown taint spec: {text}"
        )
    return {
        "key": key,
        **({"value": value} if value else {}),
        **({"effect": effect} if effect else {}),
    }


def _same_taint(old: Obj, item: Obj) -> bool:
    effect = item.get("effect", old["effect"])
    return bool(old["key"] == item["key"] and old["effect"] == effect)


# Scale


def scale(session: Session, args: Args) -> int:
    """Set the number of replicas."""
    if not args.given("replicas"):
        raise CommandError('error: required flag(s) "replicas" not set')
    for resource, name in named_objects(args.words):
        if not name:
            raise CommandError("error: one or more resources must be specified by name")
        answer = session.client.patch(
            resource.qualified,
            name,
            {"spec": {"replicas": int(args.one("replicas"))}},
            namespace=session.within(resource),
            subresource="scale",
        )
        report(args, resource, answer, "scaled")
    return 0
