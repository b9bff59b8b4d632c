"""The status of pods as a kubelet writes it."""

from datetime import UTC, datetime
from typing import Any

from rehearsal import files
from rehearsal.runtime import Container, Image

Obj = dict[str, Any]


def moment(nanoseconds: int) -> str:
    """Return a time in nanoseconds as the API writes it."""
    return files.stamp(datetime.fromtimestamp(nanoseconds / 1e9, UTC))


def container_status(spec: Obj, record: Container, *, ready: bool) -> Obj:
    """Return a container's status."""
    image = Image(name=record.image)
    state: Obj = {"running": {"startedAt": moment(record.created)}}
    if not record.running:
        state = {"terminated": {"exitCode": record.exit_code, "reason": "Error"}}
    return {
        "containerID": f"containerd://{record.id}",
        "image": record.image,
        "imageID": f"{image.repository}@sha256:{image.digest}",
        "lastState": {},
        "name": spec["name"],
        "ready": ready,
        "restartCount": record.attempt,
        "started": record.running,
        "state": state,
    }


def pod_status(
    *,
    phase: str,
    ready: bool,
    started: str,
    host: str,
    address: str,
    containers: list[Obj],
    before: Obj,
) -> Obj:
    """Return the status of a pod that was started."""
    done = phase == "Succeeded"
    if done:
        for container in containers:
            container["state"] = {"terminated": {"exitCode": 0, "reason": "Completed"}}
    return {
        "phase": phase,
        "conditions": conditions(
            {
                "PodReadyToStartContainers": True,
                "Initialized": True,
                "Ready": ready,
                "ContainersReady": ready,
                "PodScheduled": True,
            },
            before,
        ),
        "containerStatuses": containers,
        "hostIP": host,
        "hostIPs": [{"ip": host}],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "qosClass": "Burstable",
        "startTime": started,
    }


def waiting_status(pod: Obj, host: str, reason: str, message: str) -> Obj:
    """Return the status of a pod that waits for `reason`."""
    before = pod.get("status", {})
    waiting = {"reason": reason} | ({"message": message} if message else {})
    return {
        "phase": "Pending",
        "conditions": conditions(
            {
                "PodReadyToStartContainers": False,
                "Initialized": True,
                "Ready": False,
                "ContainersReady": False,
                "PodScheduled": True,
            },
            before,
        ),
        "containerStatuses": [
            {
                "image": spec["image"],
                "imageID": "",
                "lastState": {},
                "name": spec["name"],
                "ready": False,
                "restartCount": 0,
                "started": False,
                "state": {"waiting": waiting},
            }
            for spec in pod["spec"]["containers"]
        ],
        "hostIP": host,
        "qosClass": "Burstable",
        "startTime": before.get("startTime") or files.stamp(),
    }


def conditions(values: dict[str, bool], before: Obj) -> list[Obj]:
    """Return a pod's conditions; what did not change keeps its time."""
    old = {c["type"]: c for c in before.get("conditions") or []}
    rows = []
    for kind, value in values.items():
        status = str(value)
        same = old.get(kind, {}).get("status") == status
        since = old[kind].get("lastTransitionTime") if same else None
        rows.append(
            {
                "lastProbeTime": None,
                "lastTransitionTime": since or files.stamp(),
                "status": status,
                "type": kind,
            }
        )
    return rows


def same(present: Obj, status: Obj) -> bool:
    """Whether writing `status` would change nothing."""
    return all(present.get(key) == value for key, value in status.items())
