"""Deployments, ReplicaSets and Jobs: from what is wanted to pods.

The rules are the real controllers' (surge and unavailability limits, template hashes, which pod
goes first); history, pausing, progress deadlines and indexed Jobs are left out.
"""

import hashlib
import json
import math
from typing import Any

from rehearsal.objects import (
    annotations_of,
    controller_of,
    is_true,
    labels_of,
    owner_reference,
    parse_time,
    stamp,
)
from rehearsal.world import World

Obj = dict[str, Any]

_SAFE = "bcdfghjklmnpqrstvwxz2456789"
_REVISION = "deployment.kubernetes.io/revision"


def template_hash(template: Obj) -> str:
    """Return a short name for a pod template, in the characters Kubernetes uses for it."""
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()
    return "".join(_SAFE[byte % len(_SAFE)] for byte in digest[:10])


def is_active(pod: Obj) -> bool:
    """Whether a pod still counts: neither finished nor being deleted."""
    finished = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return not finished and "deletionTimestamp" not in pod["metadata"]


def owned(world: World, resource: str, owner: Obj) -> list[Obj]:
    """Return the objects of a resource that `owner` controls."""
    uid = owner["metadata"]["uid"]
    return [item for item in world.all(resource) if (controller_of(item) or {}).get("uid") == uid]


def share(value: Any, total: int, *, up: bool) -> int:
    """Return a number or percentage of `total`, rounded up or down."""
    if isinstance(value, int):
        return value
    portion = int(str(value).removesuffix("%")) * total / 100
    return math.ceil(portion) if up else math.floor(portion)


# Deployments


def deployments(world: World) -> None:
    """Move every Deployment one step towards its template and number."""
    for deployment in world.all("deployments"):
        if "deletionTimestamp" not in deployment["metadata"]:
            _deployment(world, deployment)


def _deployment(world: World, deployment: Obj) -> None:
    wanted = template_hash(deployment["spec"]["template"])
    sets = owned(world, "replicasets", deployment)
    current = next(
        (item for item in sets if labels_of(item).get("pod-template-hash") == wanted), None
    )
    old = [item for item in sets if item is not current]
    if current is None:
        current = _new_set(world, deployment, wanted, sets)
    _balance(world, deployment, current, old)
    if annotations_of(deployment).get(_REVISION) != annotations_of(current).get(_REVISION):
        revision = {_REVISION: annotations_of(current)[_REVISION]}
        deployment = world.patch("deployments", deployment, {"metadata": {"annotations": revision}})
    _deployment_status(world, deployment, current, old)


def _new_set(world: World, deployment: Obj, wanted: str, sets: list[Obj]) -> Obj:
    meta, spec = deployment["metadata"], deployment["spec"]
    revision = 1 + max((int(annotations_of(item).get(_REVISION, 0)) for item in sets), default=0)
    template = json.loads(json.dumps(spec["template"]))
    template.setdefault("metadata", {}).setdefault("labels", {})["pod-template-hash"] = wanted
    match = {**(spec["selector"].get("matchLabels") or {}), "pod-template-hash": wanted}
    body = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{meta['name']}-{wanted}",
            "namespace": meta["namespace"],
            "labels": template["metadata"]["labels"],
            "annotations": {_REVISION: str(revision)},
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": {
            "replicas": 0 if sets else spec["replicas"],
            "selector": {**spec["selector"], "matchLabels": match},
            "template": template,
        },
    }
    return world.create("replicasets", body)


def _balance(world: World, deployment: Obj, current: Obj, old: list[Obj]) -> None:
    """Set the numbers of the new and the old ReplicaSets within the rollout's limits."""
    wanted = deployment["spec"]["replicas"]
    strategy = deployment["spec"].get("strategy") or {}
    rolling = strategy.get("rollingUpdate") or {}
    surge = share(rolling.get("maxSurge", "25%"), wanted, up=True)
    missing = share(rolling.get("maxUnavailable", "25%"), wanted, up=False)
    if strategy.get("type") == "Recreate":
        surge, missing = 0, wanted
    elif surge == 0 and missing == 0:
        missing = 1
    total = sum(_wanted(item) for item in (current, *old))
    room = wanted + surge - total
    if _wanted(current) > wanted or not old:
        _scale(world, current, wanted)
    elif room > 0 and not (strategy.get("type") == "Recreate" and _pods_left(world, old)):
        _scale(world, current, min(wanted, _wanted(current) + room))
    available = sum(item.get("status", {}).get("availableReplicas", 0) for item in (current, *old))
    spare = available - (wanted - missing)
    for item in old:
        unavailable = _wanted(item) - item.get("status", {}).get("availableReplicas", 0)
        step = max(0, min(_wanted(item), max(spare, 0) + max(unavailable, 0)))
        spare -= max(0, step - max(unavailable, 0))
        _scale(world, item, _wanted(item) - step)


def _pods_left(world: World, sets: list[Obj]) -> bool:
    return any(owned(world, "pods", item) for item in sets)


def _wanted(item: Obj) -> int:
    return int(item["spec"].get("replicas", 0))


def _scale(world: World, item: Obj, replicas: int) -> None:
    if _wanted(item) != replicas:
        world.patch("replicasets", item, {"spec": {"replicas": replicas}})


def _deployment_status(world: World, deployment: Obj, current: Obj, old: list[Obj]) -> None:
    def total(field: str) -> int:
        return sum(item.get("status", {}).get(field, 0) for item in (current, *old))

    wanted = deployment["spec"]["replicas"]
    updated = current.get("status", {}).get("replicas", 0)
    counts = {
        "replicas": total("replicas"),
        "updatedReplicas": updated,
        "readyReplicas": total("readyReplicas"),
        "availableReplicas": total("availableReplicas"),
    }
    counts["unavailableReplicas"] = max(0, wanted - counts["availableReplicas"])
    rolling = deployment["spec"].get("strategy", {}).get("rollingUpdate") or {}
    missing = share(rolling.get("maxUnavailable", "25%"), wanted, up=False)
    enough = counts["availableReplicas"] >= wanted - missing
    complete = updated == counts["replicas"] == counts["availableReplicas"] == wanted
    name = current["metadata"]["name"]
    progress = "has successfully progressed" if complete else "is progressing"
    conditions = [
        _condition(
            deployment,
            "Available",
            str(enough),
            "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
            f"Deployment {'has' if enough else 'does not have'} minimum availability.",
        ),
        _condition(
            deployment,
            "Progressing",
            "True",
            "NewReplicaSetAvailable" if complete else "ReplicaSetUpdated",
            f'ReplicaSet "{name}" {progress}.',
        ),
    ]
    status: Obj = {key: value for key, value in counts.items() if value}
    status |= {
        "observedGeneration": deployment["metadata"]["generation"],
        "conditions": conditions,
    }
    world.set_status("deployments", deployment, status)


def _condition(obj: Obj, kind: str, state: str, reason: str, message: str) -> Obj:
    before: Obj = next(
        (item for item in obj.get("status", {}).get("conditions") or [] if item["type"] == kind),
        {},
    )
    same = before.get("status") == state
    if same and (before.get("reason"), before.get("message")) == (reason, message):
        return before
    now = stamp()
    return {
        "type": kind,
        "status": state,
        "reason": reason,
        "message": message,
        "lastUpdateTime": now,
        "lastTransitionTime": before["lastTransitionTime"] if same else now,
    }


# ReplicaSets


def replica_sets(world: World) -> None:
    """Create and delete pods until every ReplicaSet has its number."""
    for item in world.all("replicasets"):
        if "deletionTimestamp" not in item["metadata"]:
            _replica_set(world, item)


def _replica_set(world: World, item: Obj) -> None:
    pods = [pod for pod in owned(world, "pods", item) if is_active(pod)]
    wanted = _wanted(item)
    pods += [create_pod(world, item) for _ in range(wanted - len(pods))]
    for pod in sorted(pods, key=_expendable)[: max(0, len(pods) - wanted)]:
        world.delete("pods", pod)
        pods.remove(pod)
    ready = sum(is_true(pod, "Ready") for pod in pods)
    status: Obj = {
        "replicas": len(pods),
        "observedGeneration": item["metadata"]["generation"],
    }
    if pods:
        status["fullyLabeledReplicas"] = len(pods)
    if ready:
        status |= {"readyReplicas": ready, "availableReplicas": ready}
    world.set_status("replicasets", item, status)


def _expendable(pod: Obj) -> tuple[bool, bool, float]:
    """Order pods by how little is lost with them: unbound, unready, youngest."""
    age = parse_time(pod["metadata"]["creationTimestamp"]).timestamp()
    return bool(pod["spec"].get("nodeName")), is_true(pod, "Ready"), -age


def create_pod(world: World, owner: Obj, **changes: Any) -> Obj:
    """Create a pod from the owner's template; `changes` are merged into its spec."""
    meta = owner["metadata"]
    template = json.loads(json.dumps(owner["spec"]["template"]))
    about = template.get("metadata") or {}
    body: Obj = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{meta['name']}-",
            "namespace": meta["namespace"],
            "labels": {**(about.get("labels") or {}), **changes.pop("labels", {})},
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": {**template["spec"], **changes},
    }
    if about.get("annotations"):
        body["metadata"]["annotations"] = about["annotations"]
    return world.create("pods", body)


# Jobs


def jobs(world: World) -> None:
    """Run every Job's pods to their end, up to its parallelism."""
    for item in world.all("jobs"):
        if "deletionTimestamp" not in item["metadata"]:
            _job(world, item)


def _job(world: World, item: Obj) -> None:
    pods = owned(world, "pods", item)
    succeeded = sum(pod.get("status", {}).get("phase") == "Succeeded" for pod in pods)
    failed = sum(pod.get("status", {}).get("phase") == "Failed" for pod in pods)
    active = [pod for pod in pods if is_active(pod)]
    spec = item["spec"]
    missing = min(spec["parallelism"] - len(active), spec["completions"] - succeeded - len(active))
    given_up = failed > spec["backoffLimit"]
    labels = {"job-name": item["metadata"]["name"]}
    active += [
        create_pod(world, item, labels=labels) for _ in range(0 if given_up else max(0, missing))
    ]
    status: Obj = {**item.get("status", {})}
    status.setdefault("startTime", stamp())
    counts = {"active": len(active), "succeeded": succeeded, "failed": failed}
    for field, value in counts.items():
        status.pop(field, None)
        if value:
            status[field] = value
    done = succeeded >= spec["completions"]
    if (done or given_up) and not status.get("conditions"):
        kind = "Complete" if done else "Failed"
        now = stamp()
        status["conditions"] = [{"type": kind, "status": "True", "lastTransitionTime": now}]
        if done:
            status["completionTime"] = now
    world.set_status("jobs", item, status)
