"""API objects as files: which ones, where, and without what a cluster fills in. Pure.

The same object always gives the same bytes, so that a repository of them shows what has changed.
"""

import copy
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

import yaml

Object = Mapping[str, Any]

SECRETS = "secrets"
CLUSTER_WIDE = "_cluster"

_SKIPPED = frozenset(
    {
        "bindings",
        "certificatesigningrequests.certificates.k8s.io",
        "componentstatuses",
        "controllerrevisions.apps",
        "csinodes.storage.k8s.io",
        "csistoragecapacities.storage.k8s.io",
        "endpoints",
        "endpointslices.discovery.k8s.io",
        "events",
        "events.events.k8s.io",
        "ipaddresses.networking.k8s.io",
        "leasecandidates.coordination.k8s.io",
        "leases.coordination.k8s.io",
        "nodes",
        "resourceslices.resource.k8s.io",
        "storageversions.internal.apiserver.k8s.io",
        "volumeattachments.storage.k8s.io",
    }
)
"""Types whose objects are the cluster's own doing: they come back by themselves."""

_SKIPPED_GROUPS = (".metrics.k8s.io", ".custom.metrics.k8s.io", ".external.metrics.k8s.io")
_OWN_METADATA = frozenset(
    {
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "generation",
        "managedFields",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)
_OWN_ANNOTATIONS = frozenset(
    {
        "deployment.kubernetes.io/revision",
        "deprecated.daemonset.template.generation",
        # Holds the whole object once more: a Secret's values among it.
        "kubectl.kubernetes.io/last-applied-configuration",
    }
)
_OWN_SECRETS = frozenset({"kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"})
_JOB_LABELS = frozenset({"controller-uid", "batch.kubernetes.io/controller-uid"})
_ROOT_CA = "kube-root-ca.crt"
_AUTOMANAGED = "kube-aggregator.kubernetes.io/automanaged"

# What YAML 1.1, which kubectl reads, takes for something else than text, and PyYAML does not.
_AMBIGUOUS = re.compile(r"[yYnN~]|[-+.]?[0-9].*")


def wanted(types: Iterable[str], *, secrets: bool) -> tuple[str, ...]:
    """Return the types that are exported, of those there are."""
    return tuple(
        name
        for name in types
        if name not in _SKIPPED
        and not name.endswith(_SKIPPED_GROUPS)
        and (secrets or name != SECRETS)
    )


def exported(obj: Object) -> Object | None:
    """Return `obj` without what the cluster fills in; None when all of it is the cluster's doing.

    That is: what another object owns, tokens of accounts, and what controllers put everywhere.
    """
    if _is_own(obj):
        return None
    kept: dict[str, Any] = {
        key: copy.deepcopy(value) for key, value in obj.items() if key != "status"
    }
    kept["metadata"] = _metadata(obj["metadata"])
    if obj["kind"] == "Job":
        _forget_job(kept)
    return kept


def place(obj: Object) -> PurePosixPath:
    """Return where the object's file is: `shop/deployment.apps/web.yaml`.

    Objects without a namespace are in `_cluster`. What not all file systems take in a name is
    written as %XX.
    """
    metadata = obj["metadata"]
    group, slash, _version = obj["apiVersion"].partition("/")
    kind = obj["kind"].lower() + (f".{group}" if slash else "")
    name = quote(metadata["name"], safe="")
    return PurePosixPath(metadata.get("namespace") or CLUSTER_WIDE, kind, f"{name}.yaml")


def to_yaml(obj: Object) -> bytes:
    """Return the object as YAML: keys in order, texts of several lines readable."""
    document: str = yaml.dump(
        obj, Dumper=_Dumper, width=2**20, allow_unicode=True, default_flow_style=False
    )
    return document.encode()


def _is_own(obj: Object) -> bool:
    metadata = obj["metadata"]
    return (
        bool(metadata.get("ownerReferences"))
        or _AUTOMANAGED in (metadata.get("labels") or {})
        or (obj["kind"] == "Secret" and obj.get("type") in _OWN_SECRETS)
        or (obj["kind"] == "ConfigMap" and metadata["name"] == _ROOT_CA)
    )


def _metadata(metadata: Object) -> dict[str, Any]:
    kept = {
        key: copy.deepcopy(value) for key, value in metadata.items() if key not in _OWN_METADATA
    }
    annotations = {
        key: value
        for key, value in (kept.pop("annotations", None) or {}).items()
        if key not in _OWN_ANNOTATIONS
    }
    return kept | ({"annotations": annotations} if annotations else {})


def _forget_job(job: dict[str, Any]) -> None:
    """Take out the selector that the cluster made up: no other cluster would take it."""
    spec = job.get("spec", {})
    if spec.get("manualSelector"):
        return
    spec.pop("selector", None)
    for metadata in (job["metadata"], spec.get("template", {}).get("metadata", {})):
        for label in _JOB_LABELS & set(metadata.get("labels") or {}):
            del metadata["labels"][label]


class _Dumper(yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper):  # type: ignore[misc]  # either of the two
    """Writes no anchors, long texts as blocks, and in quotes what kubectl takes for no text."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else "'" if _AMBIGUOUS.fullmatch(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)
