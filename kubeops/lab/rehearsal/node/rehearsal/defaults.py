"""What the API server fills in and refuses when objects are written.

The defaults are those an operator sees in `kubectl get -o json` and the stand-ins rely on; there is
no schema, so unknown fields pass.
"""

import copy
import re
from typing import Any

from rehearsal.objects import stamp, tolerates
from rehearsal.resources import Resource
from rehearsal.status import StatusError, invalid

Obj = dict[str, Any]

_NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
_NAME_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.',"
    " and must start and end with an alphanumeric character (e.g. 'example.com', regex used for"
    " validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_FREE_NAMES = ("clusterroles", "clusterrolebindings", "roles", "rolebindings", "events")
_PRIORITIES = {"system-node-critical": 2000001000, "system-cluster-critical": 2000000000}
_COUNTED = ("apps", "policy", "batch", "networking.k8s.io")


def check(resource: Resource, obj: Obj) -> None:
    """Refuse what a real server would refuse of the little that is checked.

    Raises:
        StatusError: 422, with every cause.
    """
    name = obj["metadata"].get("name", "")
    causes = []
    if resource.plural not in _FREE_NAMES and not _NAME.match(name):
        shown = f'Invalid value: "{name}": {_NAME_RULE}'
        causes.append(("metadata.name", "FieldValueInvalid", shown))
    for path, spec in _pod_specs(obj):
        if not spec.get("containers"):
            causes.append((f"{path}.containers", "FieldValueRequired", "Required value"))
        for at, container in enumerate(spec.get("containers") or []):
            if not container.get("image"):
                place = f"{path}.containers[{at}].image"
                causes.append((place, "FieldValueRequired", "Required value"))
    if causes:
        raise invalid(resource, name, causes)


def counts_generations(resource: Resource) -> bool:
    """Whether objects carry `metadata.generation`, raised by every change of their spec."""
    return resource.group in _COUNTED or resource.kind == "Pod"


def fill(resource: Resource, obj: Obj, *, creating: bool) -> None:
    """Fill in defaults, in place; when creating, also what only the server decides."""
    for path, spec in _pod_specs(obj):
        _fill_pod_spec(spec, is_pod=path == "spec")
    fillers = [_FILLERS.get(resource.kind), _FIRST.get(resource.kind) if creating else None]
    for filler in fillers:
        if filler:
            filler(obj)


def _pod_specs(obj: Obj) -> list[tuple[str, Obj]]:
    spec = obj.get("spec")
    if obj.get("kind") == "Pod":
        return [("spec", obj.setdefault("spec", {}))]
    if isinstance(spec, dict) and isinstance(spec.get("template"), dict):
        template = spec["template"]
        if isinstance(template.get("spec"), dict):
            return [("spec.template.spec", template["spec"])]
    return []


def _fill_pod_spec(spec: Obj, *, is_pod: bool) -> None:
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        image = str(container.get("image", ""))
        latest = image.endswith(":latest") or ":" not in image.rsplit("/", 1)[-1]
        container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")
        container.setdefault("resources", {})
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
    if not is_pod:
        return
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    spec.setdefault("priority", _PRIORITIES.get(spec.get("priorityClassName", ""), 0))
    tolerations = spec.setdefault("tolerations", [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        taint = {"key": key, "effect": "NoExecute"}
        if not tolerates(tolerations, taint):
            tolerations.append({**taint, "operator": "Exists", "tolerationSeconds": 300})


def _fill_pod(obj: Obj) -> None:
    obj["status"] = {"phase": "Pending", "qosClass": _quality(obj["spec"])}


def _quality(spec: Obj) -> str:
    resources = [container.get("resources") or {} for container in spec.get("containers") or []]
    if not any(item.get("requests") or item.get("limits") for item in resources):
        return "BestEffort"
    guaranteed = all(
        item.get("limits") and item.get("requests", item["limits"]) == item["limits"]
        for item in resources
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _fill_deployment(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")


def _fill_daemon_set(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("revisionHistoryLimit", 10)
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)


def _fill_replicas(obj: Obj) -> None:
    obj.setdefault("spec", {}).setdefault("replicas", 1)


def _fill_namespace(obj: Obj) -> None:
    meta = obj["metadata"]
    meta.setdefault("labels", {})["kubernetes.io/metadata.name"] = meta["name"]
    obj["spec"] = {"finalizers": ["kubernetes"]}
    obj["status"] = {"phase": "Active"}


def _fill_secret(obj: Obj) -> None:
    obj.setdefault("type", "Opaque")


def _fill_service(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    spec.setdefault("internalTrafficPolicy", "Cluster")
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    for port in spec.get("ports") or []:
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))
    obj.setdefault("status", {"loadBalancer": {}})


def _fill_node(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    taint = {"effect": "NoSchedule", "key": "node.kubernetes.io/not-ready"}
    taints = spec.setdefault("taints", [])
    if not any(item["key"] == taint["key"] for item in taints):
        taints.append(taint)


def _fill_event(obj: Obj) -> None:
    obj.setdefault("firstTimestamp", stamp())
    obj.setdefault("lastTimestamp", obj["firstTimestamp"])
    obj.setdefault("type", "Normal")
    obj.setdefault("count", 1)


def _fill_job(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("completions", 1)
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", 6)


_FIRST = {"Pod": _fill_pod, "Namespace": _fill_namespace, "Node": _fill_node}
_FILLERS = {
    "Deployment": _fill_deployment,
    "DaemonSet": _fill_daemon_set,
    "ReplicaSet": _fill_replicas,
    "StatefulSet": _fill_replicas,
    "Secret": _fill_secret,
    "Service": _fill_service,
    "Event": _fill_event,
    "Job": _fill_job,
}


def keep_unwritable(resource: Resource, old: Obj, new: Obj) -> Obj:
    """Return `new` with everything an update cannot change taken from `old`.

    Raises:
        StatusError: 422 for a change of a pod's spec other than images, tolerations and grace.
    """
    result = copy.deepcopy(new)
    meta, was = result["metadata"], old["metadata"]
    for field in ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"):
        if field in was:
            meta[field] = was[field]
        else:
            meta.pop(field, None)
    if "status" in old:
        result["status"] = old["status"]
    else:
        result.pop("status", None)
    if resource.kind == "Pod":
        _check_pod_update(resource, old, result)
    if resource.kind == "CertificateSigningRequest":
        result["spec"] = old["spec"]
    return result


def _check_pod_update(resource: Resource, old: Obj, new: Obj) -> None:
    def fixed(spec: Obj) -> Obj:
        rest = {key: value for key, value in spec.items() if key not in _CHANGEABLE}
        for part in ("containers", "initContainers"):
            rest[part] = [
                {key: value for key, value in item.items() if key != "image"}
                for item in spec.get(part) or []
            ]
        return rest

    if fixed(old["spec"]) != fixed(new.get("spec") or {}):
        raise _immutable_pod(resource, new["metadata"]["name"])


_CHANGEABLE = ("tolerations", "activeDeadlineSeconds", "terminationGracePeriodSeconds")


def _immutable_pod(resource: Resource, name: str) -> StatusError:
    text = (
        "Forbidden: pod updates may not change fields other than"
        " `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
        "`spec.tolerations` (only additions to existing tolerations),"
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously"
        " negative)"
    )
    return invalid(resource, name, [("spec", "FieldValueForbidden", text)])
