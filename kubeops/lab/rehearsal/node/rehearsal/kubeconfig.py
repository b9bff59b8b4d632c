"""Kubeconfig files: where a cluster is, and who we are there.

Certificates, tokens, files beside the kubeconfig and inline data are read; exec plugins, auth
providers and proxies are not.
"""

import base64
import os
from typing import Any, NamedTuple

Obj = dict[str, Any]


class KubeconfigError(Exception):
    """The kubeconfig file cannot be used; the message is kubectl's."""


class Access(NamedTuple):
    """Where a cluster is and who we are there; everything a kubeconfig context says."""

    server: str
    ca: str = ""
    certificate: str = ""
    key: str = ""
    token: str = ""
    namespace: str = "default"
    insecure: bool = False


def load_kubeconfig(path: str, *, context: str = "") -> Access:
    """Read one context (the current one by default) of a kubeconfig file.

    Raises:
        KubeconfigError: the file is missing or broken, or names things it does not define.
    """
    import yaml  # noqa: PLC0415 - costs 14 ms, and a caller with an Access does not need it

    try:
        with open(path, encoding="utf-8") as file:
            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
            document = yaml.load(file, Loader=loader)  # noqa: S506 - a safe loader
    except OSError as error:
        raise KubeconfigError(f"stat {path}: {(error.strerror or '').lower()}") from error
    except yaml.YAMLError as error:
        raise KubeconfigError(f"error loading config file {path!r}: {error}") from error
    document = document if isinstance(document, dict) else {}
    name = context or document.get("current-context") or ""
    if context and context not in {item["name"] for item in document.get("contexts") or []}:
        raise KubeconfigError(f'context "{context}" does not exist')
    chosen = _named_entry(document, "contexts", name).get("context", {})
    cluster = _named_entry(document, "clusters", chosen.get("cluster", "")).get("cluster", {})
    user = _named_entry(document, "users", chosen.get("user", "")).get("user", {})
    base = os.path.dirname(os.path.abspath(path))
    token = user.get("token") or ""
    if user.get("tokenFile"):
        token = _read(base, user["tokenFile"]).strip()
    return Access(
        server=cluster.get("server") or "http://localhost:8080",
        ca=_material(base, cluster, "certificate-authority"),
        certificate=_material(base, user, "client-certificate"),
        key=_material(base, user, "client-key"),
        token=token,
        namespace=chosen.get("namespace") or "default",
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
    )


def _named_entry(document: Obj, section: str, name: str) -> Obj:
    for item in document.get(section) or []:
        if item.get("name") == name:
            return dict(item)
    return {}


def _material(base: str, entry: Obj, name: str) -> str:
    inline = entry.get(f"{name}-data")
    if inline:
        return base64.b64decode(inline).decode()
    path = entry.get(name)
    return _read(base, path) if path else ""


def _read(base: str, path: str) -> str:
    try:
        with open(os.path.join(base, path), encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise KubeconfigError(f"unable to read {path}: {(error.strerror or '').lower()}") from error
