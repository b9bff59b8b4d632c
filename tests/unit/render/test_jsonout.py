import json
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

import pytest

from kubeops import errors
from kubeops.model.desired import Role
from kubeops.render.jsonout import failure, success, to_json
from tests.unit.render.values import NOON, VERSION, cluster, facts, failed, install


@dataclass(frozen=True)
class Pair:
    left: object
    right: object


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        (None, None),
        (VERSION, "1.35.4"),
        (VERSION.minor, "1.35"),
        (Path("/a/b"), "/a/b"),
        (ip_network("10.0.0.0/8"), "10.0.0.0/8"),
        (NOON, "2026-11-21T12:00:00+00:00"),
        (Role.WORKER, "worker"),
        # By itself pytest would name it by the order of the set, another one in each process.
        pytest.param(frozenset({"b", "a"}), ["a", "b"], id="set"),
        (Pair(left=(1, 2.5), right={"k": True}), {"left": [1, 2.5], "right": {"k": True}}),
    ],
    ids=str,
)
def test_spelling(value: object, spelled: object) -> None:
    assert to_json(value) == spelled


def test_a_type_nobody_decided_on_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no JSON spelling"):
        to_json(object())


@pytest.mark.parametrize(
    "value", [cluster(), facts(), failed(), install()], ids=lambda v: type(v).__name__
)
def test_what_verbs_return_survives_json(value: object) -> None:
    envelope = success("status", value)
    assert json.loads(json.dumps(envelope)) == envelope
    assert (envelope["kubeops"], envelope["kind"], envelope["ok"]) == ("1", "status", True)


def test_a_command_error_keeps_its_parts() -> None:
    error = errors.CommandError(host="cp1", shown="true", status=1, output="no", hint="retry")
    assert failure("install", error) == {
        "kubeops": "1",
        "kind": "install",
        "ok": False,
        "error": {
            "code": "KO-51",
            "message": "cp1: `true` ended with status 1",
            "hint": "retry",
            "exit_status": 5,
            "host": "cp1",
            "command": "true",
            "status": 1,
            "output": "no",
        },
    }


@pytest.mark.parametrize(
    ("error", "key", "value"),
    [
        (errors.InventoryError("bad", problems=("a", "b")), "problems", ["a", "b"]),
        (errors.GateError("late", last="1 of 3"), "last", "1 of 3"),
        (errors.TransportError("gone", host="w1"), "host", "w1"),
    ],
    ids=["inventory", "gate", "transport"],
)
def test_other_errors_keep_theirs(error: errors.KubeopsError, key: str, value: object) -> None:
    told = failure("status", error)["error"]
    assert isinstance(told, dict)
    assert told[key] == value


def test_a_refused_plan_is_the_data() -> None:
    plan = install().to_json()
    assert failure("install", errors.PreflightError("no", plan=plan))["data"] == to_json(plan)
