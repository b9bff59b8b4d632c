"""DaemonSets: one pod on every node that may run it, and renewal one node after the other.

A daemon's pod is tied to its node by node affinity and bound by the scheduler, as on a real
cluster.
"""

from typing import Any

from rehearsal.controller_workloads import create_pod, is_active, owned, share, template_hash
from rehearsal.objects import is_true, labels_of, matches_selector, tolerates
from rehearsal.world import World

Obj = dict[str, Any]

_DAEMON_TOLERATIONS = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)


def daemon_sets(world: World) -> None:
    """Keep one pod of every DaemonSet on every node it may run on, and renew old ones."""
    for item in world.all("daemonsets"):
        if "deletionTimestamp" not in item["metadata"]:
            _daemon_set(world, item)


def _daemon_set(world: World, item: Obj) -> None:
    wanted_hash = template_hash(item["spec"]["template"])
    by_node: dict[str, list[Obj]] = {}
    for pod in owned(world, "pods", item):
        by_node.setdefault(_daemon_node(pod), []).append(pod)
    known = {node["metadata"]["name"]: node for node in world.all("nodes")}
    nodes = [name for name, node in known.items() if _may_run(item, node, name in by_node)]
    for name in nodes:
        active = [pod for pod in by_node.get(name, []) if is_active(pod)]
        if not by_node.get(name):
            by_node[name] = [_create_daemon_pod(world, item, name, wanted_hash)]
        for pod in active[1:]:
            world.delete("pods", pod)
        _remove_finished(world, by_node[name])
    for name in set(by_node) & (set(known) - set(nodes)):
        for pod in by_node.pop(name):
            if is_active(pod):
                world.delete("pods", pod)
    _renew(world, item, {name: by_node[name] for name in nodes}, wanted_hash)
    _daemon_status(world, item, [by_node[name] for name in nodes], wanted_hash)


def _remove_finished(world: World, pods: list[Obj]) -> None:
    for pod in pods:
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            world.delete("pods", pod)


def _daemon_node(pod: Obj) -> str:
    """Return the node a daemon's pod is on, or bound for."""
    if pod["spec"].get("nodeName"):
        return str(pod["spec"]["nodeName"])
    try:
        affinity = pod["spec"]["affinity"]["nodeAffinity"]
        terms = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
        return str(terms[0]["matchFields"][0]["values"][0])
    except (KeyError, IndexError):
        return ""


def _may_run(item: Obj, node: Obj, runs: bool) -> bool:  # noqa: FBT001 - a fact of the node
    """Whether a node is one for the daemon; a pod that runs is driven off by NoExecute only."""
    spec = item["spec"]["template"]["spec"]
    if not matches_selector({"matchLabels": spec.get("nodeSelector") or {}}, labels_of(node)):
        return False
    tolerations = [*(spec.get("tolerations") or []), *_daemon_tolerations()]
    effects = ("NoExecute",) if runs else ("NoSchedule", "NoExecute")
    return all(
        tolerates(tolerations, taint)
        for taint in node["spec"].get("taints") or []
        if taint["effect"] in effects
    )


def _daemon_tolerations() -> list[Obj]:
    return [
        {"key": key, "operator": "Exists", "effect": effect} for key, effect in _DAEMON_TOLERATIONS
    ]


def _create_daemon_pod(world: World, item: Obj, node: str, wanted_hash: str) -> Obj:
    spec = item["spec"]["template"]["spec"]
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    affinity = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchFields": [field]}]
            }
        }
    }
    extra = [
        toleration
        for toleration in _daemon_tolerations()
        if toleration not in (spec.get("tolerations") or [])
    ]
    if spec.get("hostNetwork"):
        key = "node.kubernetes.io/network-unavailable"
        extra.append({"key": key, "operator": "Exists", "effect": "NoSchedule"})
    return create_pod(
        world,
        item,
        affinity=affinity,
        tolerations=[*(spec.get("tolerations") or []), *extra],
        labels={
            "controller-revision-hash": wanted_hash,
            "pod-template-generation": str(item["metadata"]["generation"]),
        },
    )


def _renew(world: World, item: Obj, by_node: dict[str, list[Obj]], wanted_hash: str) -> None:
    """Delete outdated pods, as many at a time as the strategy lets be missing."""
    strategy = item["spec"].get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return
    limit = share(
        (strategy.get("rollingUpdate") or {}).get("maxUnavailable", 1), len(by_node), up=True
    )
    down = sum(not any(_serves(pod) for pod in pods) for pods in by_node.values())
    for pods in by_node.values():
        for pod in pods:
            outdated = labels_of(pod).get("controller-revision-hash") != wanted_hash
            if not outdated or not is_active(pod):
                continue
            if not _serves(pod):
                world.delete("pods", pod)
            elif down < max(1, limit):
                down += 1
                world.delete("pods", pod)


def _serves(pod: Obj) -> bool:
    return is_active(pod) and is_true(pod, "Ready")


def _daemon_status(world: World, item: Obj, groups: list[list[Obj]], wanted_hash: str) -> None:
    first = [next((pod for pod in pods if is_active(pod)), None) for pods in groups]
    present = [pod for pod in first if pod is not None]
    ready = sum(is_true(pod, "Ready") for pod in present)
    updated = sum(labels_of(pod).get("controller-revision-hash") == wanted_hash for pod in present)
    status: Obj = {
        "currentNumberScheduled": len(present),
        "desiredNumberScheduled": len(groups),
        "numberMisscheduled": 0,
        "numberReady": ready,
        "observedGeneration": item["metadata"]["generation"],
    }
    optional = {
        "numberAvailable": ready,
        "numberUnavailable": len(groups) - ready,
        "updatedNumberScheduled": updated,
    }
    status |= {key: value for key, value in optional.items() if value}
    world.set_status("daemonsets", item, status)
