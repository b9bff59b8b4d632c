"""The system pods of one node: static pods and those of DaemonSets in kube-system."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kubeops.engine.context import StepContext
from kubeops.errors import FactsError
from kubeops.handlers.kube import kube
from kubeops.model.version import KubeVersion
from kubeops.plan.standing import CONTROL_PLANE_PODS, image_version

_MIRROR = "kubernetes.io/config.mirror"


def pods_not_yet(
    node: str, context: StepContext, *, control_plane: KubeVersion | None
) -> tuple[str, ...]:
    """Return which system pods of `node` are not ready, one line each.

    Args:
        node: the node.
        context: how to ask; the step's host is a control plane.
        control_plane: the version its API server, controller manager and scheduler must have at
            least; None when it does not matter.

    Raises:
        CommandError: the API does not answer.
        FactsError: its answer cannot be understood.
    """
    text = kube(
        context,
        "--namespace=kube-system",
        "get",
        "pods",
        f"--field-selector=spec.nodeName={node}",
        "-o",
        "json",
    )
    try:
        pods = [pod for pod in json.loads(text)["items"] if _belongs_to_node(pod)]
        unready = tuple(_unready(pod) for pod in pods if not _is_ready(pod))
        behind = () if control_plane is None else tuple(_behind(node, pods, control_plane))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise FactsError(host=context.host, section="pods", reason=str(error)) from error
    return (*behind, *unready)


def _belongs_to_node(pod: Mapping[str, Any]) -> bool:
    metadata = pod["metadata"]
    if metadata.get("deletionTimestamp"):
        return False
    owners = {owner["kind"] for owner in metadata.get("ownerReferences", ())}
    return "DaemonSet" in owners or _MIRROR in metadata.get("annotations", {})


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _unready(pod: Mapping[str, Any]) -> str:
    return (
        f"{pod['metadata']['name']} is {pod.get('status', {}).get('phase', 'Pending')}, not ready"
    )


def _behind(node: str, pods: Sequence[Mapping[str, Any]], wanted: KubeVersion) -> list[str]:
    images = {pod["metadata"]["name"]: str(pod["spec"]["containers"][0]["image"]) for pod in pods}
    found = []
    for component in CONTROL_PLANE_PODS:
        image = images.get(f"{component}-{node}")
        version = None if image is None else image_version(image)
        if version is None or version < wanted:
            found.append(f"{component} is at {version or 'no version'}, not {wanted}")
    return found
