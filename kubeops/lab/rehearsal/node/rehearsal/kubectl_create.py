"""kubectl create: from files, raw, and the generators operators use."""

import base64
import os
import sys
from collections.abc import Callable
from typing import Any

from rehearsal.kubectl_session import (
    Args,
    CommandError,
    Session,
    objects_in,
    resource_called,
    resource_of,
)
from rehearsal.kubectl_write import each, report

Obj = dict[str, Any]


def create(session: Session, args: Args) -> int:
    """Create objects; see `_GENERATORS` for what can be made without a file."""
    if args.given("raw"):
        return _raw(session, args)
    if args.given("filename"):
        return each(args, objects_in(args), lambda obj: _make(session, args, obj), "creating")
    if not args.words:
        raise CommandError("error: must specify one of -f and -k")
    kind, *words = args.words
    generator = _GENERATORS.get(kind)
    if generator is None:
        raise CommandError(f'error: rehearsal: "kubectl create {kind}" is not played')
    if not words:
        raise CommandError("error: exactly one NAME is required, got 0")
    _make(session, args, generator(words, args))
    return 0


def _raw(session: Session, args: Args) -> int:
    source = args.one("filename")
    if not source:
        raise CommandError("error: --raw and --filename must be used together")
    if source == "-":
        body = sys.stdin.buffer.read()
    else:
        try:
            with open(source, "rb") as file:
                body = file.read()
        except OSError as error:
            raise CommandError(f"error: open {source}: {(error.strerror or '').lower()}") from error
    sys.stdout.write(session.client.request("POST", args.one("raw"), body=body).decode())
    return 0


def _make(session: Session, args: Args, obj: Obj) -> None:
    resource = resource_of(obj)
    space = ""
    if resource.namespaced:
        space = obj["metadata"].get("namespace") or session.namespace
        obj["metadata"]["namespace"] = space
    made = obj
    if args.dry_run != "client":
        made = session.client.create(
            resource.qualified, obj, namespace=space, dry_run=args.dry_run == "server"
        )
    report(args, resource, made, "created")


def _object(kind: str, name: str, **fields: Any) -> Obj:
    resource = resource_called(kind)
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name},
        **fields,
    }


def _namespace(words: list[str], _args: Args) -> Obj:
    return _object("namespace", words[0])


def _deployment(words: list[str], args: Args) -> Obj:
    name, images = words[0], args.every("image")
    if not images:
        raise CommandError('error: required flag(s) "image" not set')
    containers = [
        {"name": image.rsplit("/", 1)[-1].split(":")[0].split("@")[0], "image": image}
        for image in images
    ]
    labels = {"app": name}
    deployment = _object("deployment", name)
    deployment["metadata"]["labels"] = labels
    deployment["spec"] = {
        "replicas": int(args.one("replicas", "1")),
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
    }
    return deployment


def _budget(words: list[str], args: Args) -> Obj:
    if not args.given("selector"):
        raise CommandError('error: required flag(s) "selector" not set')
    pairs = (part.partition("=") for part in args.one("selector").split(","))
    spec: Obj = {"selector": {"matchLabels": {key: value for key, _, value in pairs}}}
    for flag, field in (("min-available", "minAvailable"), ("max-unavailable", "maxUnavailable")):
        if args.given(flag):
            value = args.one(flag)
            spec[field] = int(value) if value.isdigit() else value
    if len(spec) == 1:
        raise CommandError("error: one of min-available or max-unavailable must be specified")
    return _object("pdb", words[0], spec=spec)


def _pairs(args: Args) -> dict[str, str]:
    data = {}
    for literal in args.every("from-literal"):
        key, equals, value = literal.partition("=")
        if not equals:
            raise CommandError(f"error: invalid literal source {literal}, expected key=value")
        data[key] = value
    for source in args.every("from-file"):
        key, equals, path = source.partition("=")
        path = path if equals else key
        with open(path, encoding="utf-8") as file:
            data[key if equals else os.path.basename(path)] = file.read()
    return data


def _config_map(words: list[str], args: Args) -> Obj:
    data = _pairs(args)
    return _object("configmap", words[0], **({"data": data} if data else {}))


def _secret(words: list[str], args: Args) -> Obj:
    kind, *names = words
    if kind != "generic" or not names:
        raise CommandError(f'error: rehearsal: "kubectl create secret {kind}" is not played')
    data = {key: base64.b64encode(value.encode()).decode() for key, value in _pairs(args).items()}
    return _object("secret", names[0], type=args.one("type", "Opaque"), data=data)


def _cluster_role_binding(words: list[str], args: Args) -> Obj:
    return _binding("clusterrolebinding", words[0], args)


def _role_binding(words: list[str], args: Args) -> Obj:
    return _binding("rolebinding", words[0], args)


def _binding(kind: str, name: str, args: Args) -> Obj:
    api = "rbac.authorization.k8s.io"
    role = "ClusterRole" if args.given("clusterrole") else "Role"
    target = args.one("clusterrole") or args.one("role")
    if not target:
        raise CommandError("error: exactly one of clusterrole or role must be specified")
    subjects = [
        {"kind": subject, "apiGroup": api, "name": value}
        for subject, flag in (("User", "user"), ("Group", "group"))
        for value in args.every(flag)
    ]
    return _object(
        kind, name, roleRef={"apiGroup": api, "kind": role, "name": target}, subjects=subjects
    )


def _service_account(words: list[str], _args: Args) -> Obj:
    return _object("serviceaccount", words[0])


_GENERATORS: dict[str, Callable[[list[str], Args], Obj]] = {
    "namespace": _namespace,
    "ns": _namespace,
    "deployment": _deployment,
    "deploy": _deployment,
    "poddisruptionbudget": _budget,
    "pdb": _budget,
    "configmap": _config_map,
    "cm": _config_map,
    "secret": _secret,
    "clusterrolebinding": _cluster_role_binding,
    "rolebinding": _role_binding,
    "serviceaccount": _service_account,
    "sa": _service_account,
}
