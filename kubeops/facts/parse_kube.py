"""Parsers of static pod manifests and of kubectl's JSON.

Each raises ValueError, LookupError, TypeError or AttributeError on a surprise.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from kubeops.model.observed import CORDONED_BY_US, NodeFacts, StaticPod, WorkloadFacts
from kubeops.model.version import KubeVersion

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where libyaml is
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


@dataclass(frozen=True, kw_only=True)
class ClusterConfiguration:
    """What kubeops reads of the kubeadm-config ConfigMap."""

    endpoint: str = ""
    kubernetes: KubeVersion | None = None
    feature_gates: Mapping[str, bool] = field(default_factory=dict)


def parse_static_pod(text: str) -> StaticPod:
    """Read a static pod's manifest: name, and image and flags of its first container.

    A flag without a value is `true`, as Go's flags have it.
    """
    pod = _yaml(text)
    container = pod["spec"]["containers"][0]
    flags = {}
    for argument in (*container.get("command", ()), *container.get("args", ())):
        if argument.startswith("-"):
            name, equals, value = argument.lstrip("-").partition("=")
            flags[name] = value if equals else "true"
    return StaticPod(name=pod["metadata"]["name"], image=container["image"], flags=flags)


def parse_server_version(text: str) -> KubeVersion:
    """Read the server's version of `kubectl version -o json`."""
    return KubeVersion.parse(json.loads(text)["serverVersion"]["gitVersion"])


def parse_nodes(text: str) -> tuple[NodeFacts, ...]:
    """Read the nodes of a list of nodes and workloads."""
    return tuple(_node(item) for item in json.loads(text)["items"] if item["kind"] == "Node")


def parse_workloads(text: str) -> tuple[WorkloadFacts, ...]:
    """Read the Deployments and DaemonSets of a list of nodes and workloads."""
    return tuple(_workload(item) for item in json.loads(text)["items"] if item["kind"] != "Node")


def parse_uid(text: str) -> str:
    """Read the UID of the kube-system namespace in a list that holds it."""
    for item in json.loads(text)["items"]:
        if item["kind"] == "Namespace":
            return str(item["metadata"]["uid"])
    raise LookupError("there is no namespace kube-system")


def parse_cluster_configuration(text: str) -> ClusterConfiguration:
    """Read the ConfigMap kubeadm-config of a list; empty when it is not in there."""
    data = _config_map(text, "kubeadm-config")
    if data is None:
        return ClusterConfiguration()
    document = _yaml(data["ClusterConfiguration"])
    version = document.get("kubernetesVersion")
    return ClusterConfiguration(
        endpoint=document.get("controlPlaneEndpoint", ""),
        kubernetes=None if version is None else KubeVersion.parse(version),
        feature_gates=document.get("featureGates") or {},
    )


def parse_applied(text: str) -> Mapping[str, str]:
    """Read the ConfigMap kubeops of a list: manifests that were applied, and their digests."""
    return _config_map(text, "kubeops") or {}


def _config_map(text: str, name: str) -> Mapping[str, str] | None:
    for item in json.loads(text)["items"]:
        if (item["kind"], item["metadata"]["name"]) == ("ConfigMap", name):
            return dict(item.get("data") or {})
    return None


def _node(item: Mapping[str, Any]) -> NodeFacts:
    metadata, spec, status = item["metadata"], item["spec"], item.get("status", {})
    labels = metadata.get("labels", {})
    conditions = {entry["type"]: entry for entry in status.get("conditions", ())}
    ready = conditions.get(
        "Ready", {"status": "Unknown", "message": "the kubelet has not reported"}
    )
    info = status["nodeInfo"]
    return NodeFacts(
        name=metadata["name"],
        ready=ready["status"] == "True",
        ready_message=ready.get("message", ""),
        kubelet=KubeVersion.parse(info["kubeletVersion"]),
        container_runtime=info["containerRuntimeVersion"],
        addresses=tuple(
            entry["address"]
            for entry in status.get("addresses", ())
            if entry["type"] in {"InternalIP", "ExternalIP"}
        ),
        unschedulable=spec.get("unschedulable", False),
        control_plane=_CONTROL_PLANE in labels,
        labels=labels,
        taints=tuple(_taint(entry) for entry in spec.get("taints", ())),
        pod_cidr=spec.get("podCIDR", ""),
        cordoned_by_us=CORDONED_BY_US in metadata.get("annotations", {}),
    )


def _taint(entry: Mapping[str, str]) -> str:
    value = entry.get("value", "")
    key = f"{entry['key']}={value}" if value else entry["key"]
    return f"{key}:{entry['effect']}"


def _workload(item: Mapping[str, Any]) -> WorkloadFacts:
    kind, metadata, spec = item["kind"], item["metadata"], item["spec"]
    status = item.get("status", {})
    if kind == "DaemonSet":
        wanted, ready = status.get("desiredNumberScheduled", 0), status.get("numberReady", 0)
    elif kind == "Deployment":
        wanted, ready = spec.get("replicas", 1), status.get("readyReplicas", 0)
    else:
        raise ValueError(f"{kind} is neither a Deployment nor a DaemonSet")
    return WorkloadFacts(
        kind=kind,
        namespace=metadata["namespace"],
        name=metadata["name"],
        wanted=wanted,
        ready=ready,
        images=tuple(c["image"] for c in spec["template"]["spec"]["containers"]),
    )


def _yaml(text: str) -> dict[str, Any]:
    """Read one YAML mapping; what YAML cannot read is a ValueError too."""
    try:
        document = yaml.load(text, Loader=_LOADER)  # noqa: S506 - one of the two safe loaders
    except yaml.YAMLError as error:
        raise ValueError(f"no YAML: {error}") from error
    if not isinstance(document, dict):
        raise TypeError("not a YAML mapping")
    return document
