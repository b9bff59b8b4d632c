"""Disruption budgets, garbage, namespaces and events: the controllers that keep house."""

from datetime import timedelta
from typing import Any

from rehearsal.apierrors import ApiError
from rehearsal.controller_workloads import is_active, share
from rehearsal.objects import (
    controller_of,
    is_true,
    labels_of,
    matches_selector,
    moment,
    seconds_since,
    stamp,
)
from rehearsal.resources import RESOURCES, by_kind
from rehearsal.world import World

Obj = dict[str, Any]

_DISRUPTION_LASTS = timedelta(minutes=2).total_seconds()
_EVENTS_LAST = timedelta(hours=1).total_seconds()


# Disruption budgets


def disruption_budgets(world: World) -> None:
    """Count healthy pods for every budget and say how many may be disrupted now."""
    for budget in world.all("poddisruptionbudgets"):
        _budget(world, budget)


def _budget(world: World, budget: Obj) -> None:
    spec, namespace = budget["spec"], budget["metadata"]["namespace"]
    pods = [
        pod
        for pod in world.all("pods")
        if pod["metadata"]["namespace"] == namespace
        and matches_selector(spec.get("selector"), labels_of(pod))
        and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
    ]
    now = moment()
    known = {pod["metadata"]["name"]: pod for pod in pods}
    disrupted = {
        name: when
        for name, when in (budget.get("status", {}).get("disruptedPods") or {}).items()
        if name in known and is_active(known[name]) and seconds_since(when, now) < _DISRUPTION_LASTS
    }
    healthy = sum(
        is_active(pod) and is_true(pod, "Ready") and pod["metadata"]["name"] not in disrupted
        for pod in pods
    )
    expected, desired = _wanted(world, spec, pods)
    allowed = max(0, healthy - desired) if expected else 0
    status: Obj = {
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "disruptionsAllowed": allowed,
        "expectedPods": expected,
        "observedGeneration": budget["metadata"]["generation"],
        "conditions": [_disruption_allowed(budget, allowed)],
    }
    if disrupted:
        status["disruptedPods"] = disrupted
    world.set_status("poddisruptionbudgets", budget, status)


def _wanted(world: World, spec: Obj, pods: list[Obj]) -> tuple[int, int]:
    """Return `(expected, desired)` pods, as the real disruption controller computes them."""
    least = spec.get("minAvailable")
    if isinstance(least, int):
        return len(pods), least
    expected = _scale(world, pods)
    if spec.get("maxUnavailable") is not None:
        return expected, max(0, expected - share(spec["maxUnavailable"], expected, up=True))
    return expected, share(least if least is not None else 0, expected, up=True)


def _scale(world: World, pods: list[Obj]) -> int:
    """Return how many pods the controllers of these pods want in all."""
    sizes: dict[str, int] = {}
    for pod in pods:
        owner = controller_of(pod)
        if owner is None:
            continue
        resource = by_kind(owner["apiVersion"], owner["kind"])
        if resource is None or not world.watches(resource.plural):
            continue
        found = world.get(resource.plural, pod["metadata"]["namespace"], owner["name"])
        if found is not None:
            sizes[owner["uid"]] = int(found.get("spec", {}).get("replicas", 0))
    return sum(sizes.values())


def _disruption_allowed(budget: Obj, allowed: int) -> Obj:
    state, reason = ("True", "SufficientPods") if allowed else ("False", "InsufficientPods")
    generation = budget["metadata"]["generation"]
    conditions = budget.get("status", {}).get("conditions") or []
    before: Obj = next((item for item in conditions if item["type"] == "DisruptionAllowed"), {})
    same = before.get("status") == state
    return {
        "lastTransitionTime": before["lastTransitionTime"] if same else stamp(),
        "message": "",
        "observedGeneration": generation,
        "reason": reason,
        "status": state,
        "type": "DisruptionAllowed",
    }


# Garbage


def collect_garbage(world: World) -> None:
    """Delete what is owned by something that no longer exists, after asking the server."""
    for resource in ("pods", "replicasets", "jobs", "secrets"):
        for item in world.all(resource):
            owners = item["metadata"].get("ownerReferences") or []
            marked = "deletionTimestamp" in item["metadata"]
            if owners and not marked and all(_is_gone(world, item, owner) for owner in owners):
                world.delete(resource, item)


def _is_gone(world: World, item: Obj, owner: Obj) -> bool:
    resource = by_kind(owner["apiVersion"], owner["kind"])
    if resource is None or not world.watches(resource.plural):
        return False
    namespace = item["metadata"]["namespace"] if resource.namespaced else ""
    found = world.get(resource.plural, namespace, owner["name"])
    if found is None:
        found = world.client.find(resource.plural, owner["name"], namespace=namespace)
    return found is None or found["metadata"]["uid"] != owner["uid"]


def finish_namespaces(world: World) -> None:
    """Empty namespaces that are being deleted, then let them go."""
    for namespace in world.all("namespaces"):
        if "deletionTimestamp" not in namespace["metadata"]:
            continue
        # What was deleted at the first look is usually gone at the second.
        if not _had_content(world, namespace) or not _had_content(world, namespace):
            body = {**namespace, "spec": {"finalizers": []}}
            world.client.replace("namespaces", body, subresource="finalize")


def _had_content(world: World, namespace: Obj) -> bool:
    """Delete what is left in a namespace; return whether anything was."""
    name, left = namespace["metadata"]["name"], False
    for resource in RESOURCES:
        if not resource.namespaced:
            continue
        for item in world.client.list(resource.qualified, namespace=name)["items"]:
            left = True
            if "deletionTimestamp" not in item["metadata"]:
                world.client.delete(resource.qualified, item["metadata"]["name"], namespace=name)
    return left


class RootCertificates:
    """Publishes the cluster's CA in every namespace, as kube-root-ca.crt.

    Args:
        cafile: the CA; empty publishes nothing.
    """

    def __init__(self, cafile: str) -> None:
        self._content = ""
        if cafile:
            with open(cafile, encoding="utf-8") as file:
                self._content = file.read()
        self._served: set[str] = set()

    def __call__(self, world: World) -> None:
        """Serve the namespaces that have not been served yet."""
        for namespace in world.all("namespaces"):
            meta = namespace["metadata"]
            if not self._content or meta["uid"] in self._served or "deletionTimestamp" in meta:
                continue
            body = {
                "metadata": {"name": "kube-root-ca.crt", "namespace": meta["name"]},
                "data": {"ca.crt": self._content},
            }
            try:
                world.client.create("configmaps", body)
            except ApiError as error:
                if error.reason != "AlreadyExists":
                    raise
            self._served.add(meta["uid"])


def drop_old_events(world: World) -> None:
    """Delete events that are more than an hour old, which a real etcd does by lease."""
    now = moment()
    for event in world.all("events"):
        seen = event.get("lastTimestamp") or event["metadata"]["creationTimestamp"]
        if seconds_since(seen, now) > _EVENTS_LAST:
            world.delete("events", event)
