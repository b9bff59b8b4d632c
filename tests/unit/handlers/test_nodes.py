from dataclasses import replace

import pytest

from kubeops.engine.context import DONE, NEEDED, Check, State
from kubeops.errors import CommandError, GateError
from kubeops.handlers.nodes import AWAIT_CLUSTER, DELETE_NODE, DESCRIBE_NODE
from kubeops.plan.actions import AwaitCluster, DeleteNode, DescribeNode
from tests.unit.handlers.test_network import KUBECTL, nodes
from tests.unit.handlers.values import Bench
from tests.unit.plan.values import observed

LOOK = f"{KUBECTL} --request-timeout=10s get nodes -o json"


def described(*, labels: str, taints: str) -> str:
    plain = nodes(w1="10.244.1.0/24")
    return plain.replace('"labels": {}', f'"labels": {labels}').replace(
        '"spec": {', f'"spec": {{"taints": {taints}, '
    )


WANTED = DescribeNode(
    node="w1", labels=(("disk", "ssd"), ("zone", "a")), taints=("gpu=true:NoSchedule",)
)
LABELS = '{"disk": "ssd", "zone": "a", "theirs": "1"}'
TAINTS = (
    '[{"key": "gpu", "value": "true", "effect": "NoSchedule"}, {"key": "x", "effect": "NoExecute"}]'
)


@pytest.mark.parametrize(
    ("labels", "taints", "expected"),
    [
        (LABELS, TAINTS, DONE),
        ('{"disk": "hdd", "zone": "a"}', TAINTS, NEEDED),
        (LABELS, "[]", NEEDED),
    ],
    ids=["all and others'", "another label", "no taint"],
)
def test_what_the_inventory_wants_is_enough(
    bench: Bench, labels: str, taints: str, expected: object
) -> None:
    bench.runner("cp1").on(("kubectl",), stdout=described(labels=labels, taints=taints))
    assert DESCRIBE_NODE.check(WANTED, bench.context("cp1")) == expected
    assert bench.done("cp1") == [LOOK]


def test_a_node_that_is_not_there_cannot_be_described(bench: Bench) -> None:
    bench.runner("cp1").on(("kubectl",), stdout=nodes(w2="10.244.1.0/24"))
    assert DESCRIBE_NODE.check(WANTED, bench.context("cp1")) == Check(
        State.UNKNOWN, "there is no node w1"
    )


def test_labels_and_taints_are_set_over_what_was_there(bench: Bench) -> None:
    bench.runner("cp1").on(("kubectl",))
    DESCRIBE_NODE.apply(WANTED, bench.context("cp1"))
    assert bench.done("cp1") == [
        f"{KUBECTL} label node w1 --overwrite disk=ssd zone=a",
        f"{KUBECTL} taint node w1 --overwrite gpu=true:NoSchedule",
    ]


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (DescribeNode(node="w1", labels=(("a", ""),), taints=()), "label node w1 --overwrite a="),
        (
            DescribeNode(node="w1", labels=(), taints=("a:NoExecute",)),
            "taint node w1 --overwrite a:NoExecute",
        ),
    ],
)
def test_only_what_is_wanted_is_asked_for(
    bench: Bench, action: DescribeNode, expected: str
) -> None:
    bench.runner("cp1").on(("kubectl",))
    DESCRIBE_NODE.apply(action, bench.context("cp1"))
    assert bench.done("cp1") == [f"{KUBECTL} {expected}"]


UNTAINTED = DescribeNode(node="w1", labels=(), taints=("a:NoExecute",), untaint=("gpu:NoSchedule",))
A = '{"key": "a", "effect": "NoExecute"}'
GPU = '{"key": "gpu", "effect": "NoSchedule"}'


@pytest.mark.parametrize(
    ("taints", "expected"), [(f"[{A}]", DONE), (f"[{A}, {GPU}]", NEEDED)], ids=["gone", "there"]
)
def test_a_taint_the_inventory_does_not_want_has_to_go(
    bench: Bench, taints: str, expected: object
) -> None:
    bench.runner("cp1").on(("kubectl",), stdout=described(labels="{}", taints=taints))
    assert DESCRIBE_NODE.check(UNTAINTED, bench.context("cp1")) == expected


@pytest.mark.parametrize(
    ("taints", "expected"),
    [
        (f"[{GPU}]", "taint node w1 --overwrite a:NoExecute gpu:NoSchedule-"),
        ("[]", "taint node w1 --overwrite a:NoExecute"),
    ],
    ids=["there", "gone"],
)
def test_only_a_taint_that_is_there_is_taken_off(bench: Bench, taints: str, expected: str) -> None:
    """kubectl fails, and changes nothing, when it is not."""
    bench.runner("cp1").on(("kubectl",), stdout=described(labels="{}", taints=taints))
    DESCRIBE_NODE.apply(UNTAINTED, bench.context("cp1"))
    assert bench.done("cp1") == [LOOK, f"{KUBECTL} {expected}"]


@pytest.mark.parametrize(("there", "expected"), [("w1", NEEDED), ("w2", DONE)])
def test_a_node_is_deleted_when_it_is_there(bench: Bench, there: str, expected: object) -> None:
    bench.runner("cp1").on(("kubectl",), stdout=nodes(**{there: ""}))
    assert DELETE_NODE.check(DeleteNode(node="w1"), bench.context("cp1")) == expected


def test_a_node_is_deleted_once(bench: Bench) -> None:
    bench.runner("cp1").on(("kubectl",))
    DELETE_NODE.apply(DeleteNode(node="w1"), bench.context("cp1"))
    assert bench.done("cp1") == [f"{KUBECTL} delete node w1 --ignore-not-found"]


def test_a_silent_api_is_an_error_in_kubectls_words(bench: Bench) -> None:
    bench.runner("cp1").on(("kubectl",), status=1, stderr="connection refused")
    with pytest.raises(CommandError) as raised:
        DELETE_NODE.check(DeleteNode(node="w1"), bench.context("cp1"))
    assert raised.value.output == "connection refused"


def test_the_whole_cluster_is_waited_for_and_nothing_else_done(bench: Bench) -> None:
    everyone = tuple(host.name for host in bench.desired.hosts)
    planes = tuple(host.name for host in bench.desired.control_planes)
    action = AwaitCluster(nodes=everyone, control_planes=planes)
    assert AWAIT_CLUSTER.check(action, bench.context("cp1")) == NEEDED
    AWAIT_CLUSTER.apply(action, bench.context("cp1"))
    assert bench.done("cp1") == []
    bench.clusters["cp1"] = [
        observed(bench.desired, members=planes),
        observed(bench.desired, members=everyone),
    ]
    bench.await_gate(AWAIT_CLUSTER.gate(action, bench.context("cp1")))
    assert bench.said == [
        "waiting for the whole cluster: node w1 is not registered; node w2 is not registered",
        "waiting for the whole cluster: everything is there",
    ]


def test_members_of_control_planes_left_out_are_not_waited_for(bench: Bench) -> None:
    action = AwaitCluster(
        nodes=("cp1", "cp2", "w1"), control_planes=("cp1", "cp2"), left_out=("cp3",)
    )
    facts = observed(bench.desired, members=("cp1", "cp2", "cp3", "w1"))
    assert facts.etcd is not None
    members = tuple(replace(one, healthy=one.name != "cp3") for one in facts.etcd.members)
    bench.clusters["cp1"] = [replace(facts, etcd=replace(facts.etcd, members=members))]
    bench.await_gate(AWAIT_CLUSTER.gate(action, bench.context("cp1")))
    assert bench.said == ["waiting for the whole cluster: everything is there"]


def test_what_is_missing_is_in_the_error(bench: Bench) -> None:
    bench.clusters["cp1"] = [observed(bench.desired)]
    action = AwaitCluster(nodes=("cp1",), control_planes=("cp1",))
    with pytest.raises(GateError, match="the API does not answer: no control plane was asked"):
        bench.await_gate(AWAIT_CLUSTER.gate(action, bench.context("cp1")))
