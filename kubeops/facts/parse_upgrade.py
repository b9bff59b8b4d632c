"""Parsers of what an upgrade asks: package indexes, pods, budgets, evictions, metrics, drift.

Each raises ValueError, LookupError, TypeError or AttributeError on a surprise.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from kubeops.model.upgrading import DeprecatedApi
from kubeops.model.version import KubeVersion, Minor

PROGRAMS = frozenset({"kubeadm", "kubelet", "kubectl"})
_COLUMNS = (
    "{.metadata.namespace}",
    "{.metadata.name}",
    "{.metadata.uid}",
    "{.spec.nodeName}",
    "{.status.phase}",
    "{.metadata.ownerReferences[?(@.controller==true)].kind}",
    r"{.metadata.annotations.kubernetes\.io/config\.mirror}",
    "{.metadata.deletionTimestamp}",
    "{.spec.volumes[*].emptyDir}",
    "{.metadata.labels}",
)
POD_TABLE = "{range .items[*]}" + r'{"\t"}'.join(_COLUMNS) + r'{"\n"}{end}'
"""kubectl's jsonpath for what `parse_pods` reads: a line per pod, its columns parted by tabs."""
_METRIC = re.compile(r"apiserver_requested_deprecated_apis\{(.*)\} (\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where libyaml is
_OF_THE_NODE = frozenset({"containerRuntimeEndpoint", "resolvConf"})
"""Settings that kubeadm itself gives each node: no drift."""


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A pod as far as a drain cares."""

    namespace: str
    name: str
    uid: str
    node: str
    phase: str
    controller: str
    mirror: bool
    leaving: bool
    empty_dir: bool
    labels: Mapping[str, str]

    @property
    def full_name(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @property
    def movable(self) -> bool:
        """Whether a drain takes it away: it runs, and is no static pod and no DaemonSet's."""
        ended = self.phase in {"Succeeded", "Failed"}
        return not (self.mirror or ended or self.controller == "DaemonSet")


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A PodDisruptionBudget: its full name and whom it covers."""

    namespace: str
    name: str
    selector: Mapping[str, Any] | None

    def covers(self, pod: Pod) -> bool:
        """Whether `pod` counts; an empty selector covers a namespace, an absent one nothing."""
        if self.selector is None or self.namespace != pod.namespace:
            return False
        labels = self.selector.get("matchLabels") or {}
        return all(pod.labels.get(key) == value for key, value in labels.items()) and all(
            _matches(rule, pod.labels) for rule in self.selector.get("matchExpressions") or ()
        )


def _matches(rule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = rule["key"], rule.get("values") or ()
    match rule["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case other:
            raise ValueError(f"{other!r} is no operator of a label selector")


def parse_offers(text: str) -> tuple[KubeVersion, ...]:
    """Read lines of package and version; return the releases all programs can be had in."""
    found: dict[KubeVersion, set[str]] = {}
    for line in text.splitlines():
        name, version = line.split()
        found.setdefault(KubeVersion.from_package(version), set()).add(name)
    return tuple(sorted(version for version, names in found.items() if names >= PROGRAMS))


def parse_pods(text: str) -> tuple[Pod, ...]:
    """Read what kubectl makes of `POD_TABLE`."""
    return tuple(_pod(line) for line in text.splitlines() if line)


def _pod(line: str) -> Pod:
    columns = line.split("\t")
    space, name, uid, node, phase, controller, mirror, leaving, empty_dir, labels = columns
    return Pod(
        namespace=space,
        name=name,
        uid=uid,
        node=node,
        phase=phase,
        controller=controller,
        mirror=bool(mirror),
        leaving=bool(leaving),
        empty_dir=bool(empty_dir),
        labels=json.loads(labels or "{}"),
    )


def parse_budgets(text: str) -> tuple[Budget, ...]:
    """Read a list of PodDisruptionBudgets in JSON."""
    return tuple(
        Budget(
            namespace=item["metadata"]["namespace"],
            name=f"{item['metadata']['namespace']}/{item['metadata']['name']}",
            selector=item["spec"].get("selector"),
        )
        for item in json.loads(text)["items"]
    )


def parse_evictions(text: str) -> Mapping[str, str]:
    """Read tried evictions; return the API's words by pod (`namespace/name`) for those refused.

    A pod that was gone by then is not refused.
    """
    refused = {}
    for line in text.splitlines():
        namespace, name, status, words = line.split("\t")
        if status != "0" and "(NotFound)" not in words:
            refused[f"{namespace}/{name}"] = words.strip()
    return refused


def parse_deprecated(text: str) -> tuple[DeprecatedApi, ...]:
    """Read the lines of `apiserver_requested_deprecated_apis` in Prometheus' text format."""
    found = []
    for line in text.splitlines():
        metric = _METRIC.fullmatch(line.strip())
        if metric is None:
            raise ValueError(f"{line!r} is not a line of apiserver_requested_deprecated_apis")
        labels = dict(_LABEL.findall(metric[1]))
        removed = labels.get("removed_release", "")
        parts = (labels["resource"], labels.get("subresource", ""))
        found.append(
            DeprecatedApi(
                group=labels.get("group", ""),
                version=labels["version"],
                resource="/".join(filter(None, parts)),
                removed=Minor.parse(removed) if removed else None,
            )
        )
    return tuple(found)


def parse_drifted_manifests(text: str) -> tuple[str, ...]:
    """Read `kubeadm upgrade diff` of the running version: `PATH: WHAT` for each edited manifest."""
    path = ""
    changes: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("--- "):
            path = line.removeprefix("--- ").split("\t")[0]
        elif path and line.startswith("-"):
            changes.setdefault(path, []).append(f"`{_item(line)}` would be lost")
        elif path and line.startswith("+") and not line.startswith("+++ "):
            changes.setdefault(path, []).append(f"`{_item(line)}` would come back")
    return tuple(f"{path}: {', '.join(what)}" for path, what in changes.items())


def _item(line: str) -> str:
    return line[1:].strip().removeprefix("- ")


def drifted_settings(present: str, kept: str) -> tuple[str, ...]:
    """Compare a node's kubelet configuration with the cluster's, both YAML; name what differs."""
    here, there = _flat(_mapping(present)), _flat(_mapping(kept))
    return tuple(
        f"{key} is {_shown(here.get(key))}, in the cluster {_shown(there.get(key))}"
        for key in sorted({*here, *there})
        if here.get(key) != there.get(key) and key.split(".", 1)[0] not in _OF_THE_NODE
    )


def _mapping(text: str) -> Mapping[str, Any]:
    try:
        document = yaml.load(text, Loader=_LOADER)  # noqa: S506 - one of the two safe loaders
    except yaml.YAMLError as error:
        raise ValueError(f"no YAML: {error}") from error
    if not isinstance(document, dict):
        raise TypeError("not a YAML mapping")
    return document


def _flat(document: Mapping[str, Any]) -> Mapping[str, object]:
    return dict(_leaves(document, ()))


def _leaves(value: object, path: Sequence[str]) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, str(key)))
    elif value != {}:
        yield ".".join(path), value


def _shown(value: object) -> str:
    return "not set" if value is None else json.dumps(value)
