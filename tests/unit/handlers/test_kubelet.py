import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from kubeops.engine.context import DONE, NEEDED
from kubeops.errors import CommandError, GateError
from kubeops.handlers.kubelet import AWAIT_NODE, UPGRADE_KUBELET
from kubeops.model.observed import HostFacts, Package
from kubeops.plan.actions import AwaitNode, UpgradeKubelet
from kubeops.transport.base import Command
from tests.unit.handlers.values import Bench

UPGRADE = UpgradeKubelet(node="w1", version="1.36.1")
AWAIT = AwaitNode(node="w1", version="1.36.1")


def asking(*words: str) -> Callable[[Command], bool]:
    return lambda command: set(words) <= set(command.argv)


def node(version: str, *, ready: str = "True") -> str:
    condition = {"type": "Ready", "status": ready, "message": "PLEG is not healthy"}
    item = {
        "kind": "Node",
        "metadata": {"name": "w1"},
        "spec": {},
        "status": {
            "conditions": [condition],
            "nodeInfo": {
                "kubeletVersion": f"v{version}",
                "containerRuntimeVersion": "containerd://2",
            },
        },
    }
    return json.dumps({"items": [item]})


def proxy(ready: str) -> str:
    pod: dict[str, Any] = {
        "metadata": {"name": "kube-proxy-x", "ownerReferences": [{"kind": "DaemonSet"}]},
        "spec": {"containers": [{"image": "kube-proxy:v1.36.1"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
    }
    other = {"metadata": {"name": "coredns-x", "ownerReferences": [{"kind": "ReplicaSet"}]}}
    leaving = {"metadata": {**pod["metadata"], "deletionTimestamp": "2026-11-21T00:00:00Z"}}
    return json.dumps({"items": [pod, other, leaving]})


def installed(bench: Bench, version: str, *, held: bool = True) -> HostFacts:
    facts = bench.prepared("w1")
    packages = {
        name: Package(name=name, version=f"{version}-1.1", held=held)
        for name in ("kubelet", "kubectl")
    }
    return replace(facts, packages={**facts.packages, **packages})


@pytest.mark.parametrize(
    ("package", "hold", "running", "state"),
    [
        ("1.36.1", "held", "1.36.1", DONE),
        ("1.36.1", "held", "1.35.4", NEEDED),
        ("1.36.1", "", "1.36.1", NEEDED),
        ("1.35.4", "held", "1.35.4", NEEDED),
    ],
)
def test_a_kubelet_is_upgraded_when_the_new_one_runs_and_is_held(
    bench: Bench, package: str, hold: str, running: str, state: object
) -> None:
    bench.hosts["w1"] = [installed(bench, package, held=bool(hold))]
    bench.runner("cp1").on(asking("get", "nodes"), stdout=node(running))
    assert UPGRADE_KUBELET.check(UPGRADE, bench.context("w1")) == state


def test_packages_are_installed_held_and_the_kubelet_restarted_once(bench: Bench) -> None:
    bench.hosts["w1"] = [installed(bench, "1.35.4")]
    host = bench.runner("w1")
    for first in ("env", "sh", "systemctl"):
        host.on((first,))
    UPGRADE_KUBELET.apply(UPGRADE, bench.context("w1"))
    done = [" ".join(command.argv) for command in host.commands]
    assert done[0].endswith("dpkg --force-confold --configure -a")
    assert "--allow-change-held-packages --allow-downgrades" in done[1]
    assert done[1].endswith("kubelet=1.36.1-* kubectl=1.36.1-*")
    assert "Dpkg::Options::=--force-confold" in done[1]
    assert "apt-mark hold" in done[2]
    assert done[3:] == ["systemctl daemon-reload", "systemctl restart kubelet.service"]


def test_an_old_kubelet_that_runs_on_is_only_restarted(bench: Bench) -> None:
    bench.hosts["w1"] = [installed(bench, "1.36.1")]
    host = bench.runner("w1")
    host.on(("systemctl",))
    UPGRADE_KUBELET.apply(UPGRADE, bench.context("w1"))
    assert [command.argv[1] for command in host.commands] == ["daemon-reload", "restart"]


def test_a_kubelet_that_does_not_start_says_where_to_look(bench: Bench) -> None:
    bench.hosts["w1"] = [installed(bench, "1.36.1")]
    host = bench.runner("w1")
    host.on(("systemctl", "daemon-reload"))
    host.on(("systemctl", "restart"), status=1, stderr="Job for kubelet.service failed")
    with pytest.raises(CommandError) as raised:
        UPGRADE_KUBELET.apply(UPGRADE, bench.context("w1"))
    assert "journalctl -u kubelet" in raised.value.hint


def test_a_node_is_waited_for_until_its_new_kubelet_reports_it_ready(bench: Bench) -> None:
    host = bench.runner("cp1")
    host.on(asking("get", "nodes"), stdout=node("1.35.4"), times=1)
    host.on(asking("get", "nodes"), stdout=node("1.36.1", ready="False"), times=1)
    host.on(asking("get", "nodes"), stdout=node("1.36.1"))
    host.on(asking("get", "pods"), stdout=proxy("False"), times=1)
    host.on(asking("get", "pods"), stdout=proxy("True"))
    bench.await_gate(AWAIT_NODE.gate(AWAIT, bench.context("cp1")))
    assert [line.removeprefix("waiting for node w1: ") for line in bench.said] == [
        "its kubelet reports 1.35.4",
        "not Ready: PLEG is not healthy",
        "kube-proxy-x is Running, not ready",
        "Ready at v1.36.1",
    ]


def test_a_node_that_never_gets_ready_ends_the_step_with_its_own_words(bench: Bench) -> None:
    bench.runner("cp1").on(asking("get", "nodes"), stdout=node("1.36.1", ready="False"))
    with pytest.raises(GateError, match="PLEG is not healthy"):
        bench.await_gate(AWAIT_NODE.gate(AWAIT, bench.context("cp1")))
