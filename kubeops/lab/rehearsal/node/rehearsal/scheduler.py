"""kube-scheduler's stand-in: binds pending pods to nodes.

A node is fit when it is Ready, not cordoned, its taints are tolerated, and node selector, required
node affinity, pod anti-affinity by hostname and the number of pods allow it. Among the fit ones the
least loaded wins. Requests for CPU and memory, priorities, preemption, topology spread and volumes
are not looked at.
"""

import sys
from collections import Counter
from typing import Any

from rehearsal.flags import FlagError, parse
from rehearsal.leader import serve
from rehearsal.objects import (
    controller_of,
    field_value,
    is_true,
    labels_of,
    matches_selector,
    stamp,
    tolerates,
)
from rehearsal.world import World

Obj = dict[str, Any]

_NAME = "kube-scheduler"
_PORT = "10259"
_FLAGS = (
    "authentication-kubeconfig",
    "authorization-kubeconfig",
    "bind-address",
    "client-ca-file",
    "config",
    "kube-api-burst",
    "kube-api-qps",
    "kubeconfig",
    "leader-elect",
    "leader-elect-lease-duration",
    "leader-elect-renew-deadline",
    "leader-elect-retry-period",
    "profiling",
    "secure-port",
    "tls-cert-file",
    "tls-cipher-suites",
    "tls-min-version",
    "tls-private-key-file",
)
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def schedule(world: World) -> None:
    """Bind every pod that waits for a node, or say in its status why it cannot be."""
    pods = world.all("pods")
    waiting = [pod for pod in pods if _waits(pod)]
    bound = [pod for pod in pods if pod["spec"].get("nodeName")]
    nodes = world.all("nodes")
    for pod in waiting:
        fit = [node for node in nodes if unfit(pod, node, bound) is None]
        if fit:
            node = min(fit, key=lambda item: _load(item, pod, bound))
            bound.append(_bind(world, pod, node["metadata"]["name"]))
        else:
            reasons = Counter(str(unfit(pod, node, bound)) for node in nodes)
            _explain(world, pod, len(nodes), reasons)


def _waits(pod: Obj) -> bool:
    return (
        not pod["spec"].get("nodeName")
        and "deletionTimestamp" not in pod["metadata"]
        and pod["spec"].get("schedulerName", "default-scheduler") == "default-scheduler"
        and pod.get("status", {}).get("phase", "Pending") == "Pending"
    )


def unfit(pod: Obj, node: Obj, bound: list[Obj]) -> str | None:
    """Return why a pod cannot run on a node, in the scheduler's words, or None when it can."""
    if (why := _untolerated(pod, node)) is not None:
        return why
    if not is_true(node, "Ready") and not _is_daemon(pod):
        return "node(s) were not ready"
    if not _selected(pod["spec"], node):
        return "node(s) didn't match Pod's node affinity/selector"
    if _repelled(pod, node, bound):
        return "node(s) didn't match pod anti-affinity rules"
    here = [item for item in bound if item["spec"]["nodeName"] == node["metadata"]["name"]]
    limit = int(node.get("status", {}).get("allocatable", {}).get("pods", "110"))
    return "Too many pods" if len(here) >= limit else None


def _untolerated(pod: Obj, node: Obj) -> str | None:
    tolerations = pod["spec"].get("tolerations") or []
    cordon = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    if node["spec"].get("unschedulable") and not tolerates(tolerations, cordon):
        return "node(s) were unschedulable"
    hard = [t for t in node["spec"].get("taints") or [] if t["effect"] != "PreferNoSchedule"]
    if any(not tolerates(tolerations, taint) for taint in hard):
        return "node(s) had untolerated taint(s)"
    return None


def _is_daemon(pod: Obj) -> bool:
    return (controller_of(pod) or {}).get("kind") == "DaemonSet"


def _selected(spec: Obj, node: Obj) -> bool:
    if not matches_selector({"matchLabels": spec.get("nodeSelector") or {}}, labels_of(node)):
        return False
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(_REQUIRED)
    if not required:
        return True
    return any(_term(term, node) for term in required.get("nodeSelectorTerms") or [])


def _term(term: Obj, node: Obj) -> bool:
    expressions = {"matchExpressions": term.get("matchExpressions") or []}
    return matches_selector(expressions, labels_of(node)) and all(
        field_value(node, field["key"]) in field["values"]
        for field in term.get("matchFields") or []
    )


def _repelled(pod: Obj, node: Obj, bound: list[Obj]) -> bool:
    terms = ((pod["spec"].get("affinity") or {}).get("podAntiAffinity") or {}).get(_REQUIRED)
    name = node["metadata"]["name"]
    for term in terms or []:
        if term.get("topologyKey") != "kubernetes.io/hostname":
            continue
        for other in bound:
            same = other["metadata"]["namespace"] == pod["metadata"]["namespace"]
            if (
                same
                and other["spec"]["nodeName"] == name
                and matches_selector(term.get("labelSelector"), labels_of(other))
            ):
                return True
    return False


def _load(node: Obj, pod: Obj, bound: list[Obj]) -> tuple[int, int, str]:
    """Order nodes by siblings of the pod, then by all pods, then by name."""
    name, owner = node["metadata"]["name"], (controller_of(pod) or {}).get("uid")
    here = [item for item in bound if item["spec"]["nodeName"] == name]
    siblings = sum(
        owner is not None and (controller_of(item) or {}).get("uid") == owner for item in here
    )
    return siblings, len(here), name


def _bind(world: World, pod: Obj, node: str) -> Obj:
    meta = pod["metadata"]
    world.client.request(
        "POST",
        f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/binding",
        body={
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        },
    )
    return {**pod, "spec": {**pod["spec"], "nodeName": node}}


def _explain(world: World, pod: Obj, nodes: int, reasons: Counter[str]) -> None:
    why = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    message = f"0/{nodes} nodes are available: {why or 'no nodes'}."
    conditions = pod.get("status", {}).get("conditions") or []
    if any(
        item["type"] == "PodScheduled" and item.get("message") == message for item in conditions
    ):
        return
    scheduled = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": message,
        "lastTransitionTime": stamp(),
        "lastProbeTime": None,
    }
    others = [item for item in conditions if item["type"] != "PodScheduled"]
    world.set_status("pods", pod, {**pod["status"], "conditions": [*others, scheduled]})


def main(argv: list[str]) -> int:
    """Run until SIGTERM or until the lease is lost; return the exit status."""
    try:
        flags = parse(argv, _FLAGS)
    except FlagError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    return serve(
        name=_NAME,
        kubeconfig=flags.get("kubeconfig", ""),
        port=int(flags.get("secure-port", _PORT)),
        elect=flags.get("leader-elect", "true") == "true",
        resources=("nodes", "pods"),
        steps=[schedule],
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
