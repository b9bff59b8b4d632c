"""kubectl's tables, JSON and YAML."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from rehearsal.objects import condition, labels_of, moment, parse_time

Obj = dict[str, Any]

_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400
_NONE = "<none>"


class Columns(NamedTuple):
    """A table's columns for one kind: always shown, and with `-o wide` only."""

    names: tuple[str, ...]
    wide: tuple[str, ...]
    row: Callable[[Obj], list[str]]


def table(rows: list[list[str]]) -> str:
    """Align rows as kubectl does: columns three blanks apart, the last one ragged."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.ljust(width + 3) for cell, width in zip(row[:-1], widths[:-1], strict=True)]
        lines.append("".join(cells) + row[-1])
    return "\n".join(lines) + "\n"


def columns_for(kind: str) -> Columns:
    """Return the columns of a kind; name and age for kinds without their own."""
    return _COLUMNS.get(kind, Columns(("NAME", "AGE"), (), lambda obj: [_name(obj), age(obj)]))


def to_json(obj: Any) -> str:
    """Return an object as `-o json` prints it."""
    text = json.dumps(obj, indent=4, sort_keys=True, ensure_ascii=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text + "\n"


def to_yaml(obj: Any) -> str:
    """Return an object as `-o yaml` prints it."""
    import yaml  # noqa: PLC0415 - slow to load, and few calls print YAML

    class Dumper(yaml.SafeDumper):
        pass

    def text(dumper: Any, value: str) -> Any:
        style = None
        if "\n" in value:
            style = "|"
        elif dumper.resolve(yaml.ScalarNode, value, (True, False)) != "tag:yaml.org,2002:str":
            style = '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    Dumper.ignore_aliases = lambda *_: True  # type: ignore[method-assign]  # no anchors in kubectl's
    document: str = yaml.dump(obj, Dumper=Dumper, width=10**6, allow_unicode=True)
    return document


def human(seconds: float) -> str:
    """Return a span of time as kubectl shows ages: `45s`, `2m3s`, `18m`, `4h30m`, `2d`."""
    whole = max(0, int(seconds))
    minutes, hours, days, years = whole // 60, whole // _HOUR, whole // _DAY, whole // _YEAR
    short = [
        (2 * _MINUTE, f"{whole}s"),
        (10 * _MINUTE, _pair(minutes, "m", whole % 60, "s")),
        (3 * _HOUR, f"{minutes}m"),
        (8 * _HOUR, _pair(hours, "h", minutes % 60, "m")),
        (2 * _DAY, f"{hours}h"),
        (8 * _DAY, _pair(days, "d", hours % 24, "h")),
        (2 * _YEAR, f"{days}d"),
        (8 * _YEAR, _pair(years, "y", days % 365, "d")),
    ]
    return next((text for limit, text in short if whole < limit), f"{years}y")


def _pair(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large}{unit}{small}{small_unit}" if small else f"{large}{unit}"


def since(text: str | None) -> str:
    """Return the age of a time, or `<unknown>`."""
    return human((moment() - parse_time(text)).total_seconds()) if text else "<unknown>"


def age(obj: Obj) -> str:
    """Return an object's age."""
    return since(obj["metadata"].get("creationTimestamp"))


def _name(obj: Obj) -> str:
    return str(obj["metadata"]["name"])


# Nodes and pods


def node_status(node: Obj) -> str:
    """Return a node's STATUS cell."""
    ready = condition(node, "Ready").get("status")
    text = "Unknown" if ready is None else "Ready" if ready == "True" else "NotReady"
    return f"{text},SchedulingDisabled" if node["spec"].get("unschedulable") else text


def _node(node: Obj) -> list[str]:
    prefix = "node-role.kubernetes.io/"
    roles = sorted(key.removeprefix(prefix) for key in labels_of(node) if key.startswith(prefix))
    status = node.get("status", {})
    info = status.get("nodeInfo", {})
    addresses = {item["type"]: item["address"] for item in status.get("addresses") or []}
    return [
        _name(node),
        node_status(node),
        ",".join(roles) or _NONE,
        age(node),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP", _NONE),
        addresses.get("ExternalIP", _NONE),
        info.get("osImage", "<unknown>"),
        info.get("kernelVersion", "<unknown>"),
        info.get("containerRuntimeVersion", "<unknown>"),
    ]


def pod_status(pod: Obj) -> str:
    """Return a pod's STATUS cell."""
    status = pod.get("status", {})
    text = status.get("reason") or status.get("phase", "Unknown")
    for item in status.get("containerStatuses") or []:
        state = item.get("state") or {}
        if state.get("waiting", {}).get("reason"):
            text = state["waiting"]["reason"]
        elif "terminated" in state:
            ended = state["terminated"]
            text = ended.get("reason") or f"ExitCode:{ended.get('exitCode', 0)}"
    if "deletionTimestamp" in pod["metadata"]:
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return str(text)


def _pod(pod: Obj) -> list[str]:
    status = pod.get("status", {})
    states = status.get("containerStatuses") or []
    ready = sum(bool(item.get("ready")) for item in states)
    restarts = str(sum(item.get("restartCount", 0) for item in states))
    ended = [
        (item.get("lastState") or {}).get("terminated", {}).get("finishedAt") for item in states
    ]
    last = max((when for when in ended if when), default="")
    return [
        _name(pod),
        f"{ready}/{len(pod['spec'].get('containers') or [])}",
        pod_status(pod),
        f"{restarts} ({since(last)} ago)" if last and restarts != "0" else restarts,
        age(pod),
        status.get("podIP") or _NONE,
        pod["spec"].get("nodeName") or _NONE,
        status.get("nominatedNodeName") or _NONE,
        _NONE,
    ]


# Workloads


def _templates(obj: Obj) -> list[str]:
    containers = obj["spec"]["template"]["spec"].get("containers") or []
    match = obj["spec"].get("selector", {}).get("matchLabels") or {}
    return [
        ",".join(item["name"] for item in containers),
        ",".join(item["image"] for item in containers),
        _pairs(match),
    ]


def _pairs(values: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(values.items())) or _NONE


def _deployment(obj: Obj) -> list[str]:
    status = obj.get("status", {})
    ready = f"{status.get('readyReplicas', 0)}/{obj['spec'].get('replicas', 1)}"
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    return [_name(obj), ready, str(updated), str(available), age(obj), *_templates(obj)]


def _daemon_set(obj: Obj) -> list[str]:
    fields = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    counts = [str(obj.get("status", {}).get(field, 0)) for field in fields]
    selector = _pairs(obj["spec"]["template"]["spec"].get("nodeSelector") or {})
    return [_name(obj), *counts, selector, age(obj), *_templates(obj)]


def _replica_set(obj: Obj) -> list[str]:
    status = obj.get("status", {})
    counts = [obj["spec"].get("replicas", 0), status.get("replicas", 0)]
    return [
        _name(obj),
        *(str(count) for count in (*counts, status.get("readyReplicas", 0))),
        age(obj),
        *_templates(obj),
    ]


def _job(obj: Obj) -> list[str]:
    status = obj.get("status", {})
    done = next((item["type"] for item in status.get("conditions") or []), "Running")
    span = "<none>"
    if status.get("startTime"):
        end = parse_time(status["completionTime"]) if status.get("completionTime") else moment()
        span = human((end - parse_time(status["startTime"])).total_seconds())
    completions = f"{status.get('succeeded', 0)}/{obj['spec'].get('completions', 1)}"
    return [_name(obj), done, completions, span, age(obj)]


def _budget(obj: Obj) -> list[str]:
    spec = obj["spec"]
    return [
        _name(obj),
        str(spec.get("minAvailable", "N/A")),
        str(spec.get("maxUnavailable", "N/A")),
        str(obj.get("status", {}).get("disruptionsAllowed", 0)),
        age(obj),
    ]


# The rest


def _data(obj: Obj) -> list[str]:
    count = len(obj.get("data") or {}) + len(obj.get("binaryData") or {})
    return [_name(obj), str(count), age(obj)]


def _secret(obj: Obj) -> list[str]:
    return [_name(obj), obj.get("type", ""), str(len(obj.get("data") or {})), age(obj)]


def _request(obj: Obj) -> list[str]:
    status = obj.get("status") or {}
    states = [item["type"] for item in status.get("conditions") or []] or ["Pending"]
    if status.get("certificate"):
        states.append("Issued")
    seconds = obj["spec"].get("expirationSeconds")
    return [
        _name(obj),
        age(obj),
        obj["spec"].get("signerName", ""),
        obj["spec"].get("username", ""),
        human(seconds) if seconds else _NONE,
        ",".join(states),
    ]


def _lease(obj: Obj) -> list[str]:
    return [_name(obj), obj["spec"].get("holderIdentity", ""), age(obj)]


def _namespace(obj: Obj) -> list[str]:
    return [_name(obj), obj.get("status", {}).get("phase", ""), age(obj)]


def _event(obj: Obj) -> list[str]:
    about = obj.get("involvedObject") or {}
    return [
        since(obj.get("lastTimestamp")),
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{about.get('kind', '').lower()}/{about.get('name', '')}",
        obj.get("message", ""),
    ]


def _service(obj: Obj) -> list[str]:
    spec = obj["spec"]
    ports = [f"{item['port']}/{item.get('protocol', 'TCP')}" for item in spec.get("ports") or []]
    return [
        _name(obj),
        spec.get("type", "ClusterIP"),
        spec.get("clusterIP") or "None",
        _NONE,
        ",".join(ports) or _NONE,
        age(obj),
        _pairs(spec.get("selector") or {}),
    ]


def _component(obj: Obj) -> list[str]:
    health = (obj.get("conditions") or [{}])[0]
    state = "Healthy" if health.get("status") == "True" else "Unhealthy"
    return [_name(obj), state, health.get("message", ""), health.get("error", "")]


def _created(obj: Obj) -> list[str]:
    return [_name(obj), obj["metadata"].get("creationTimestamp", "")]


def _binding(obj: Obj) -> list[str]:
    role = obj.get("roleRef") or {}
    return [_name(obj), f"{role.get('kind')}/{role.get('name')}", age(obj)]


_TEMPLATES = ("CONTAINERS", "IMAGES", "SELECTOR")
_COLUMNS = {
    "Node": Columns(
        ("NAME", "STATUS", "ROLES", "AGE", "VERSION"),
        ("INTERNAL-IP", "EXTERNAL-IP", "OS-IMAGE", "KERNEL-VERSION", "CONTAINER-RUNTIME"),
        _node,
    ),
    "Pod": Columns(
        ("NAME", "READY", "STATUS", "RESTARTS", "AGE"),
        ("IP", "NODE", "NOMINATED NODE", "READINESS GATES"),
        _pod,
    ),
    "Deployment": Columns(
        ("NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"), _TEMPLATES, _deployment
    ),
    "DaemonSet": Columns(
        (
            "NAME",
            "DESIRED",
            "CURRENT",
            "READY",
            "UP-TO-DATE",
            "AVAILABLE",
            "NODE SELECTOR",
            "AGE",
        ),
        _TEMPLATES,
        _daemon_set,
    ),
    "ReplicaSet": Columns(("NAME", "DESIRED", "CURRENT", "READY", "AGE"), _TEMPLATES, _replica_set),
    "Job": Columns(("NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE"), (), _job),
    "PodDisruptionBudget": Columns(
        ("NAME", "MIN AVAILABLE", "MAX UNAVAILABLE", "ALLOWED DISRUPTIONS", "AGE"), (), _budget
    ),
    "ConfigMap": Columns(("NAME", "DATA", "AGE"), (), _data),
    "Secret": Columns(("NAME", "TYPE", "DATA", "AGE"), (), _secret),
    "CertificateSigningRequest": Columns(
        ("NAME", "AGE", "SIGNERNAME", "REQUESTOR", "REQUESTEDDURATION", "CONDITION"), (), _request
    ),
    "Lease": Columns(("NAME", "HOLDER", "AGE"), (), _lease),
    "Namespace": Columns(("NAME", "STATUS", "AGE"), (), _namespace),
    "Event": Columns(("LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"), (), _event),
    "Service": Columns(
        ("NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"), ("SELECTOR",), _service
    ),
    "ComponentStatus": Columns(("NAME", "STATUS", "MESSAGE", "ERROR"), (), _component),
    "ClusterRole": Columns(("NAME", "CREATED AT"), (), _created),
    "Role": Columns(("NAME", "CREATED AT"), (), _created),
    "CustomResourceDefinition": Columns(("NAME", "CREATED AT"), (), _created),
    "ClusterRoleBinding": Columns(("NAME", "ROLE", "AGE"), (), _binding),
    "RoleBinding": Columns(("NAME", "ROLE", "AGE"), (), _binding),
}
