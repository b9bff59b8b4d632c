"""`kubeconfig`: fetches the administrator's kubeconfig and merges it into the operator's own."""

import os
import tempfile
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
        except (TransportError, StepError) as error:
            tried.append(error.message)
            continue
        if content is None:
            tried.append(f"{host.name} has no {ADMIN}")
            continue
        try:
            return _named(yaml.safe_load(content), name=desired.name, endpoint=desired.endpoint)
        except (yaml.YAMLError, ValueError, LookupError, TypeError):
            # Not in YAML's words: they quote the line, and the line may be a key.
            tried.append(f"{host.name}: {ADMIN} is not a kubeconfig")
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

    A link is followed: who put it there wants the file behind it to be the one that counts.

    Raises:
        UsageError: what is there is not a kubeconfig, and is left alone; or nothing can be written.
    """
    elsewhere = "Give another place: --output FILE"
    try:
        merged = merge(_existing(path), fetched)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint=elsewhere) from error
    except (yaml.YAMLError, ValueError, LookupError, TypeError) as error:
        # Not in YAML's words: they quote the line, and the line may be a key.
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise UsageError(f"{path}{line}: this is not a kubeconfig", hint=elsewhere) from None
    try:
        _replace(path.resolve(), yaml.safe_dump(merged, sort_keys=False))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", hint=elsewhere) from error


def _existing(path: Path) -> Mapping[str, Any]:
    if not path.exists():
        return {}
    existing = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    if not isinstance(existing, dict) or existing.get("kind", "Config") != "Config":
        raise ValueError("not a kubeconfig")
    return existing


def _replace(path: Path, content: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
