"""`kubeconfig`: fetches the administrator's kubeconfig and merges it into the operator's own."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kubeops.errors import StepError, TransportError, UsageError
from kubeops.ops.session import Session
from kubeops.transport.files import read

ADMIN = "/etc/kubernetes/admin.conf"
_LISTS = ("clusters", "contexts", "users")


def fetch(session: Session) -> Mapping[str, Any]:
    """Return the administrator's kubeconfig, its names and its server those of the inventory.

    The first control plane that answers and has one is asked.

    Raises:
        StepError: no control plane has one.
    """
    desired = session.desired
    tried = []
    for host in desired.control_planes:
        try:
            content = read(session.transport.runner(host.name), ADMIN)
        except TransportError as error:
            tried.append(error.message)
            continue
        if content is not None:
            return _named(yaml.safe_load(content), name=desired.name, endpoint=desired.endpoint)
        tried.append(f"{host.name} has no {ADMIN}")
    raise StepError(
        f"no control plane of {desired.name} has an administrator's kubeconfig: {'; '.join(tried)}",
        hint="See what is there: invoke status",
    )


def _named(document: Mapping[str, Any], *, name: str, endpoint: str) -> Mapping[str, Any]:
    user = f"{name}-admin"
    authority = document["clusters"][0]["cluster"]["certificate-authority-data"]
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": name,
                "cluster": {
                    "certificate-authority-data": authority,
                    "server": f"https://{endpoint}",
                },
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "users": [{"name": user, "user": document["users"][0]["user"]}],
        "current-context": name,
        "preferences": {},
    }


def merge(existing: Mapping[str, Any], fetched: Mapping[str, Any]) -> dict[str, Any]:
    """Return `existing` with the entries of `fetched` put in place of those of the same names.

    Everything else in `existing` stays; its current context becomes the fetched one.
    """
    merged: dict[str, Any] = {**fetched, **existing}
    for kind in _LISTS:
        names = {entry["name"] for entry in fetched[kind]}
        kept = [entry for entry in existing.get(kind) or () if entry["name"] not in names]
        merged[kind] = [*kept, *fetched[kind]]
    merged["current-context"] = fetched["current-context"]
    return merged


def write(fetched: Mapping[str, Any], path: Path) -> None:
    """Merge `fetched` into the kubeconfig at `path`; written whole or not at all, mode 0600.

    Raises:
        UsageError: what is there is not a kubeconfig; it is left alone.
    """
    existing: Mapping[str, Any] = {}
    if path.exists():
        try:
            existing = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (OSError, yaml.YAMLError) as error:
            raise UsageError(
                f"{path} cannot be read as a kubeconfig: {error}",
                hint="Give another place: --output FILE",
            ) from error
        if not isinstance(existing, dict) or existing.get("kind", "Config") != "Config":
            raise UsageError(
                f"{path} is not a kubeconfig", hint="Give another place: --output FILE"
            )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.kubeops")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        yaml.safe_dump(merge(existing, fetched), file, sort_keys=False)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
