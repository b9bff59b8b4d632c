import json
from collections.abc import Callable

import pytest

from kubeops.engine.context import DONE, NEEDED
from kubeops.errors import CommandError, GateError, StepError
from kubeops.handlers.drain import _EVICT, CORDON_NODE, DRAIN_NODE, UNCORDON_NODE
from kubeops.model.observed import CORDONED_BY_US
from kubeops.plan.actions import CordonNode, DrainNode, UncordonNode
from kubeops.transport.base import Command
from tests.unit.handlers.values import Bench

REFUSED = "Error from server (TooManyRequests): Cannot evict pod as it would violate the budget."
BUDGETS = json.dumps(
    {
        "items": [
            {
                "metadata": {"namespace": "shop", "name": "redis"},
                "spec": {"selector": {"matchLabels": {"app": "redis"}}},
            }
        ]
    }
)
DRAIN = DrainNode(node="w1", timeout=10, grace=30)


def asking(*words: str) -> Callable[[Command], bool]:
    def fits(command: Command) -> bool:
        return command.argv[0] == "kubectl" and set(words) <= set(command.argv)

    fits.__doc__ = f"kubectl ... {' '.join(words)}"
    return fits


def evicting(command: Command) -> bool:
    """evictions"""
    return command.argv[:3] == ("sh", "-euc", _EVICT)


def node(*, unschedulable: bool = False, ours: bool = False) -> str:
    item = {
        "kind": "Node",
        "metadata": {
            "name": "w1",
            "annotations": {CORDONED_BY_US: "2026-11-21T07:30:00Z"} if ours else {},
        },
        "spec": {"unschedulable": True} if unschedulable else {},
        "status": {
            "conditions": [],
            "nodeInfo": {"kubeletVersion": "v1.35.4", "containerRuntimeVersion": "containerd://2"},
        },
    }
    return json.dumps({"items": [item]})


def pod(name: str, *, uid: str = "", owner: str = "ReplicaSet", **more: str) -> str:
    columns = {
        "namespace": "shop",
        "name": name,
        "uid": uid or name,
        "node": "w1",
        "phase": "Running",
        "controller": owner,
        "mirror": "",
        "leaving": "",
        "empty_dir": "",
        "labels": json.dumps({"app": name.partition("-")[0]}),
    }
    return "\t".join((columns | more).values()) + "\n"


def patches(bench: Bench) -> list[object]:
    return [
        json.loads(command.argv[command.argv.index("--patch") + 1])
        for command in bench.runner("cp1").commands
        if "patch" in command.argv
    ]


def drained(bench: Bench, action: DrainNode, *tables: str) -> None:
    """Script a drain of w1, cordoned already, on which these pods are seen one after the other."""
    host = bench.runner("cp1")
    host.on(asking("get", "nodes"), stdout=node(unschedulable=True, ours=True))
    for table in tables[:-1]:
        host.on(asking("get", "pods"), stdout=table, times=1)
    host.on(asking("get", "pods"), stdout=tables[-1])
    host.on(asking("get", "poddisruptionbudgets"), stdout=BUDGETS)
    DRAIN_NODE.apply(action, bench.context("cp1"))


def test_cordon_and_note_are_one_request(bench: Bench) -> None:
    host = bench.runner("cp1")
    host.on(asking("get", "nodes"), stdout=node())
    host.on(asking("patch", "node", "w1"))
    action = CordonNode(node="w1")

    assert CORDON_NODE.check(action, bench.context("cp1")) == NEEDED
    CORDON_NODE.apply(action, bench.context("cp1"))

    assert patches(bench) == [
        {
            "metadata": {"annotations": {CORDONED_BY_US: "2026-11-21T07:30:00Z"}},
            "spec": {"unschedulable": True},
        }
    ]


def test_the_operators_cordon_is_left_alone(bench: Bench) -> None:
    host = bench.runner("cp1")
    host.on(asking("get", "nodes"), stdout=node(unschedulable=True))

    assert CORDON_NODE.check(CordonNode(node="w1"), bench.context("cp1")) == DONE
    CORDON_NODE.apply(CordonNode(node="w1"), bench.context("cp1"))
    assert UNCORDON_NODE.check(UncordonNode(node="w1"), bench.context("cp1")) == DONE
    assert patches(bench) == []


def test_our_cordon_is_taken_back_with_its_note(bench: Bench) -> None:
    host = bench.runner("cp1")
    host.on(asking("get", "nodes"), stdout=node(unschedulable=True, ours=True))
    host.on(asking("patch", "node", "w1"))
    action = UncordonNode(node="w1")

    assert UNCORDON_NODE.check(action, bench.context("cp1")) == NEEDED
    UNCORDON_NODE.apply(action, bench.context("cp1"))

    assert patches(bench) == [
        {"metadata": {"annotations": {CORDONED_BY_US: None}}, "spec": {"unschedulable": None}}
    ]


def test_static_pods_and_those_of_daemonsets_stay(bench: Bench) -> None:
    staying = pod("proxy-1", owner="DaemonSet") + pod("etcd", mirror="abc", owner="Node")
    drained(bench, DRAIN, staying + pod("job-1", phase="Succeeded"))
    assert not [one for one in bench.runner("cp1").commands if evicting(one)]


def test_pods_are_evicted_with_their_grace_and_waited_for(bench: Bench) -> None:
    host = bench.runner("cp1")
    host.on(evicting, stdout="shop\tweb-1\t0\t{}\n")
    both = pod("web-1") + pod("web-2", leaving="2026-11-21T07:30:00Z")
    drained(bench, DRAIN, both, pod("web-1", leaving="now"), "")

    asked = [command for command in host.commands if evicting(command)]
    assert [command.stdin for command in asked] == [b"shop web-1\n"]
    assert not [command for command in host.commands if "poddisruptionbudgets" in command.argv]
    assert json.loads(asked[0].argv[5])["deleteOptions"] == {"gracePeriodSeconds": 30}
    assert "waiting for w1 to be drained: shop/web-1 is ending" in bench.said


def test_what_holds_a_pod_is_named_while_it_is_waited_for(bench: Bench) -> None:
    host = bench.runner("cp1")
    host.on(evicting, stdout=f"shop\tredis-1\t1\t{REFUSED}\n", times=1)
    host.on(evicting, stdout="shop\tredis-1\t0\t{}\n")
    drained(bench, DRAIN, pod("redis-1"), pod("redis-1"), "")
    held = "waiting for w1 to be drained: shop/redis-1 is held by the budget shop/redis"
    assert held in bench.said


def test_a_drain_that_takes_too_long_leaves_the_node_cordoned_and_says_why(bench: Bench) -> None:
    bench.runner("cp1").on(evicting, stdout=f"shop\tredis-1\t1\t{REFUSED}\n")
    with pytest.raises(GateError, match="w1 stays cordoned") as raised:
        drained(bench, DRAIN, pod("redis-1"))
    assert raised.value.last == "shop/redis-1 is held by the budget shop/redis"
    assert "kubectl get poddisruptionbudgets" in raised.value.hint
    assert bench.clock.monotonic() >= DRAIN.timeout


def test_the_policy_fail_does_not_wait(bench: Bench) -> None:
    bench.runner("cp1").on(evicting, stdout=f"shop\tredis-1\t1\t{REFUSED}\n")
    action = DrainNode(node="w1", timeout=10, grace=30, pdb="fail")
    with pytest.raises(GateError, match="it cannot come true"):
        drained(bench, action, pod("redis-1"))
    assert bench.clock.monotonic() == 0


def test_the_policy_force_deletes_what_is_refused_and_says_so(bench: Bench) -> None:
    host = bench.runner("cp1")
    host.on(evicting, stdout=f"shop\tredis-1\t1\t{REFUSED}\nshop\tweb-1\t0\t{{}}\n")
    host.on(asking("delete", "pod", "redis-1", "--grace-period=30"))
    action = DrainNode(node="w1", timeout=10, grace=30, pdb="force")
    both = pod("redis-1") + pod("web-1")
    drained(bench, action, both, "")
    deleted = [command.argv[6] for command in host.commands if "delete" in command.argv]
    assert deleted == ["pod"]
    assert "deleting shop/redis-1 against its budget, as ordered" in bench.said


def test_bare_pods_are_lost_only_when_that_is_accepted(bench: Bench) -> None:
    action = DrainNode(node="w1", timeout=10, grace=30, bare_pods=False)
    with pytest.raises(StepError, match=r"shop/tool.*nothing was evicted"):
        drained(bench, action, pod("tool", owner=""))
    assert not [one for one in bench.runner("cp1").commands if evicting(one)]


def test_bare_pods_go_like_the_others_when_their_loss_is_accepted(bench: Bench) -> None:
    bench.runner("cp1").on(evicting, stdout="shop\ttool\t0\t{}\n")
    bare = pod("tool", owner="")
    drained(bench, DRAIN, bare, "")
    asked = [command.stdin for command in bench.runner("cp1").commands if evicting(command)]
    assert asked == [b"shop tool\n"]


def test_a_pod_that_comes_back_in_spite_of_the_cordon_is_not_chased(bench: Bench) -> None:
    bench.runner("cp1").on(evicting, stdout="shop\tweb-1\t0\t{}\n")
    first, again = pod("web-1", uid="a"), pod("web-1", uid="b")
    drained(bench, DRAIN, first, again)
    asked = [command for command in bench.runner("cp1").commands if evicting(command)]
    assert len(asked) == 1


@pytest.mark.parametrize(("seen", "state"), [(node(unschedulable=True), DONE), (node(), NEEDED)])
def test_a_node_is_drained_when_it_is_cordoned_and_empty(
    bench: Bench, seen: str, state: object
) -> None:
    host = bench.runner("cp1")
    host.on(asking("get", "nodes"), stdout=seen)
    host.on(asking("get", "pods"), stdout=pod("proxy-1", owner="DaemonSet"))
    assert DRAIN_NODE.check(DRAIN, bench.context("cp1")) == state


def test_an_api_that_restarts_is_asked_again(bench: Bench) -> None:
    host = bench.runner("cp1")
    gone = "The connection to the server 10.0.0.10:6443 was refused - did you specify the right ho"
    host.on(asking("get", "nodes"), status=1, stderr=f"{gone}st or port?", times=3)
    host.on(asking("get", "nodes"), stdout=node(unschedulable=True))
    assert CORDON_NODE.check(CordonNode(node="w1"), bench.context("cp1")) == DONE
    assert len(host.commands) == 4


def test_an_api_that_says_no_is_not_asked_again(bench: Bench) -> None:
    bench.runner("cp1").on(asking("get", "nodes"), status=1, stderr="Error from server (Forbidden)")
    with pytest.raises(CommandError):
        CORDON_NODE.check(CordonNode(node="w1"), bench.context("cp1"))
    assert len(bench.runner("cp1").commands) == 1


def test_an_api_that_stays_away_ends_the_step_in_kubectls_words(bench: Bench) -> None:
    words = "Unable to connect to the server: dial tcp: i/o timeout"
    bench.runner("cp1").on(asking("get", "nodes"), status=1, stderr=words)
    with pytest.raises(CommandError) as raised:
        CORDON_NODE.check(CordonNode(node="w1"), bench.context("cp1"))
    assert raised.value.output == words
