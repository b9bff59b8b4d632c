from datetime import UTC, datetime
from typing import Any

import pytest
from rehearsal import printers

Obj = dict[str, Any]


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printers, "moment", lambda: datetime(2026, 11, 21, 0, 6, 58, tzinfo=UTC))


def show(kind: str, obj: Obj, *, wide: bool = False) -> str:
    columns = printers.columns_for(kind)
    names = [*columns.names, *(columns.wide if wide else ())]
    return printers.table([names, columns.row(obj)[: len(names)]])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (8, "8s"),
        (117, "117s"),
        (123, "2m3s"),
        (236, "3m56s"),
        (240, "4m"),
        (18 * 60 + 5, "18m"),
        (4 * 3600 + 1800, "4h30m"),
        (47 * 3600, "47h"),
        (3 * 86400, "3d"),
        (100 * 86400, "100d"),
    ],
)
def test_ages(seconds: int, text: str) -> None:
    assert printers.human(seconds) == text


def test_a_node_as_recorded() -> None:
    node = {
        "metadata": {
            "name": "node1",
            "creationTimestamp": "2026-11-21T00:04:55Z",
            "labels": {"node-role.kubernetes.io/control-plane": ""},
        },
        "spec": {},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "172.30.77.11"}],
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {
                "kubeletVersion": "v1.35.4",
                "osImage": "Debian GNU/Linux 12 (bookworm)",
                "kernelVersion": "6.18.44-lab",
                "containerRuntimeVersion": "containerd://2.1.9+unknown",
            },
        },
    }
    assert show("Node", node, wide=True).splitlines() == [
        (
            "NAME    STATUS   ROLES           AGE    VERSION   INTERNAL-IP    EXTERNAL-IP"
            "   OS-IMAGE                         KERNEL-VERSION   CONTAINER-RUNTIME"
        ),
        (
            "node1   Ready    control-plane   2m3s   v1.35.4   172.30.77.11   <none>        Debian"
            " GNU/Linux 12 (bookworm)   6.18.44-lab      containerd://2.1.9+unknown"
        ),
    ]
    node["spec"] = {"unschedulable": True}
    assert "Ready,SchedulingDisabled   control-plane" in show("Node", node)


def test_a_daemon_set_as_recorded() -> None:
    fields = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    daemon = {
        "metadata": {"name": "kube-proxy", "creationTimestamp": "2026-11-21T00:04:56Z"},
        "spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/os": "linux"}}}},
        "status": dict.fromkeys(fields, 4),
    }
    assert show("DaemonSet", daemon).splitlines() == [
        (
            "NAME         DESIRED   CURRENT   READY   UP-TO-DATE   AVAILABLE   NODE SELECTOR"
            "            AGE"
        ),
        (
            "kube-proxy   4         4         4       4            4"
            "           kubernetes.io/os=linux   2m2s"
        ),
    ]


def test_a_pod_that_is_leaving() -> None:
    pod = {
        "metadata": {"name": "p", "deletionTimestamp": "2026-11-21T00:07:00Z"},
        "spec": {"containers": [{}]},
        "status": {"phase": "Running", "containerStatuses": [{"ready": True, "restartCount": 1}]},
    }
    assert printers.columns_for("Pod").row(pod)[1:4] == ["1/1", "Terminating", "1"]


def test_a_request_that_was_signed() -> None:
    request = {
        "metadata": {"name": "csr-8dgsd", "creationTimestamp": "2026-11-21T00:05:00Z"},
        "spec": {"signerName": "s", "username": "system:node:node1"},
        "status": {"conditions": [{"type": "Approved"}], "certificate": "x"},
    }
    row = printers.columns_for("CertificateSigningRequest").row(request)
    assert row == ["csr-8dgsd", "118s", "s", "system:node:node1", "<none>", "Approved,Issued"]


def test_yaml_quotes_what_would_not_stay_text() -> None:
    document = {
        "kind": "ConfigMap",
        "data": {"a": "1", "b": "x: y\nz\n"},
        "when": "2026-11-21T00:04:56Z",
    }
    assert printers.to_yaml(document) == (
        'data:\n  a: "1"\n  b: |\n    x: y\n    z\nkind: ConfigMap\nwhen: "2026-11-21T00:04:56Z"\n'
    )


def test_json_is_escaped_as_go_does() -> None:
    assert printers.to_json({"b": "<a>&", "a": []}) == (
        '{\n    "a": [],\n    "b": "\\u003ca\\u003e\\u0026"\n}\n'
    )
