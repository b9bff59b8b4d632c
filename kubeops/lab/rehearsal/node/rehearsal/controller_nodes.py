"""Node lifecycle: unreachable nodes, taints, pod networks, and the pods of nodes that are gone."""

import ipaddress
import time
from typing import Any

from rehearsal.objects import condition, moment, seconds_since, stamp, tolerates
from rehearsal.world import World

Obj = dict[str, Any]

_NOT_READY = "node.kubernetes.io/not-ready"
_UNREACHABLE = "node.kubernetes.io/unreachable"
_CORDONED = "node.kubernetes.io/unschedulable"
_QUARANTINE = 40.0
_UNKNOWN = ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")


class NodeLifecycle:
    """Tells lost nodes by their leases, and taints nodes by what they are.

    Args:
        grace: seconds without a renewed lease after which a node's state is unknown.
    """

    def __init__(self, *, grace: float) -> None:
        self._grace = grace
        self._beats: dict[str, tuple[str, float]] = {}

    def __call__(self, world: World) -> None:
        """Look at every node once."""
        for node in world.all("nodes"):
            if self._silent(world, node) and condition(node, "Ready").get("status") != "Unknown":
                self._mark_unknown(world, node)
            else:
                _set_taints(world, node)

    def _silent(self, world: World, node: Obj) -> bool:
        """Whether the node has shown no sign of life for the grace, by our own clock."""
        name = node["metadata"]["name"]
        lease = world.get("leases", "kube-node-lease", name)
        renewed = str((lease or {}).get("spec", {}).get("renewTime", ""))
        beat = f"{renewed} {condition(node, 'Ready').get('lastHeartbeatTime', '')}"
        if self._beats.get(name, ("", 0.0))[0] != beat:
            self._beats[name] = (beat, time.monotonic())
        return time.monotonic() - self._beats[name][1] > self._grace

    def _mark_unknown(self, world: World, node: Obj) -> None:
        now = stamp()
        known = {item["type"]: item for item in node.get("status", {}).get("conditions") or []}
        for kind in _UNKNOWN:
            before = known.get(kind, {"type": kind, "lastHeartbeatTime": now})
            known[kind] = before | {
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
                "lastTransitionTime": now,
            }
        status = {**node.get("status", {}), "conditions": list(known.values())}
        world.set_status("nodes", node, status)
        for pod in _pods_on(world, node["metadata"]["name"]):
            _mark_unready(world, pod, now)


def _mark_unready(world: World, pod: Obj, now: str) -> None:
    if condition(pod, "Ready").get("status") != "True":
        return
    conditions = [
        item | {"status": "False", "lastTransitionTime": now} if item["type"] == "Ready" else item
        for item in pod["status"]["conditions"]
    ]
    world.set_status("pods", pod, {**pod["status"], "conditions": conditions})


def _pods_on(world: World, name: str) -> list[Obj]:
    return [pod for pod in world.all("pods") if pod["spec"].get("nodeName") == name]


def _set_taints(world: World, node: Obj) -> None:
    ready = condition(node, "Ready").get("status", "Unknown")
    wanted = []
    if ready == "False":
        wanted += [(_NOT_READY, "NoSchedule"), (_NOT_READY, "NoExecute")]
    elif ready == "Unknown" and condition(node, "Ready"):
        wanted += [(_UNREACHABLE, "NoSchedule"), (_UNREACHABLE, "NoExecute")]
    elif ready != "True":
        wanted.append((_NOT_READY, "NoSchedule"))
    if node["spec"].get("unschedulable"):
        wanted.append((_CORDONED, "NoSchedule"))
    ours = (_NOT_READY, _UNREACHABLE, _CORDONED)
    before = node["spec"].get("taints") or []
    taints = [
        taint
        for taint in before
        if taint["key"] not in ours or (taint["key"], taint["effect"]) in wanted
    ]
    present = {(taint["key"], taint["effect"]) for taint in taints}
    now = stamp()
    taints += [
        {"effect": effect, "key": key, "timeAdded": now}
        for key, effect in wanted
        if (key, effect) not in present
    ]
    if taints != before:
        world.patch("nodes", node, {"spec": {"taints": taints or None}})


class PodNetworks:
    """Gives every node its piece of the pod network.

    Args:
        network: the cluster's pod network; empty gives nothing out.
        size: prefix length of a node's piece.
    """

    def __init__(self, network: str, size: int) -> None:
        self._networks = (
            list(ipaddress.ip_network(network.split(",", maxsplit=1)[0]).subnets(new_prefix=size))
            if network
            else []
        )

    def __call__(self, world: World) -> None:
        """Serve the nodes that have none."""
        taken = {node["spec"].get("podCIDR") for node in world.all("nodes")}
        for node in world.all("nodes"):
            if node["spec"].get("podCIDR"):
                continue
            free = next((str(net) for net in self._networks if str(net) not in taken), None)
            if free is None:
                return
            taken.add(free)
            patch = {
                "metadata": {"annotations": {"node.alpha.kubernetes.io/ttl": "0"}},
                "spec": {"podCIDR": free, "podCIDRs": [free]},
            }
            world.patch("nodes", node, patch)


def evict_from_tainted(world: World) -> None:
    """Delete pods from nodes whose NoExecute taints they do not (or no longer) tolerate."""
    for node in world.all("nodes"):
        taints = [
            taint for taint in node["spec"].get("taints") or [] if taint["effect"] == "NoExecute"
        ]
        if not taints:
            continue
        for pod in _pods_on(world, node["metadata"]["name"]):
            if "deletionTimestamp" not in pod["metadata"] and any(
                _outstayed(pod, taint) for taint in taints
            ):
                world.delete("pods", pod)


def _outstayed(pod: Obj, taint: Obj) -> bool:
    if "kubernetes.io/config.mirror" in (pod["metadata"].get("annotations") or {}):
        return False
    matching = [item for item in pod["spec"].get("tolerations") or [] if tolerates([item], taint)]
    if not matching:
        return True
    limits = [item.get("tolerationSeconds") for item in matching]
    if None in limits:
        return False
    stayed = seconds_since(taint.get("timeAdded"), moment())
    return stayed >= min(float(limit) for limit in limits if limit is not None)


class PodGarbage:
    """Removes the pods of nodes that no longer exist, after the real controller's 40 s."""

    def __init__(self) -> None:
        self._missing: dict[str, float] = {}

    def __call__(self, world: World) -> None:
        """Look at every pod once."""
        nodes = {node["metadata"]["name"] for node in world.all("nodes")}
        orphans: dict[str, list[Obj]] = {}
        for pod in world.all("pods"):
            name = pod["spec"].get("nodeName")
            if name and name not in nodes:
                orphans.setdefault(name, []).append(pod)
        self._missing = {name: self._missing.get(name, time.monotonic()) for name in orphans}
        for name, pods in orphans.items():
            if time.monotonic() - self._missing[name] > _QUARANTINE:
                for pod in pods:
                    world.delete("pods", pod, grace=0)
