"""`verify` after an install: everything holds; what is then broken is found, nothing else."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kubeops.lab.model import Lab
from kubeops.transport.base import Result
from tests.lab.verbs import Operator

pytestmark = pytest.mark.lab

Ssh = Callable[..., Result]


@pytest.fixture(scope="module")
def operator(lab_factory: Callable[..., Lab], tmp_path_factory: pytest.TempPathFactory) -> Operator:
    directory: Path = tmp_path_factory.mktemp("operator")
    operator = Operator(lab=lab_factory(1, 1), directory=directory)
    operator.describe(hosts={"w1": {"labels": {"disk": "ssd"}, "taints": ["gpu=true:NoSchedule"]}})
    operator.install().must()
    return operator


def failures(operator: Operator, *arguments: str) -> set[tuple[str, str]]:
    """What does not hold, by host."""
    told = operator.on_cluster("verify", "--json", *arguments)
    if told.status == 0:
        return set()
    data = json.loads(told.must(11).stdout)["data"]
    return {
        (item["host"], item["text"]) for item in data["properties"] if item["verdict"] == "failed"
    }


def test_a_finished_install_holds(operator: Operator) -> None:
    report = operator.json("verify")
    assert report["rehearsal"]
    assert report["hosts"] == ["cp1", "w1"]
    assert {item["verdict"] for item in report["properties"]} == {"passed"}


def test_what_is_broken_by_hand_is_found(operator: Operator, ssh: Ssh) -> None:
    breaks = (
        ("w1", "sudo apt-mark unhold kubelet", "sudo apt-mark hold kubelet"),
        (
            "cp1",
            "sudo chmod 0644 /etc/kubernetes/pki/ca.key",
            "sudo chmod 0600 /etc/kubernetes/pki/ca.key",
        ),
        (
            "w1",
            "sudo sh -c 'echo 0 > /proc/sys/net/ipv4/ip_forward'",
            "sudo sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'",
        ),
    )
    for node, command, _cure in breaks:
        ssh(operator.lab, node, command).must()
    found = failures(operator)
    for node, _command, cure in breaks:
        ssh(operator.lab, node, cure).must()
    assert found == {
        ("w1", "kubelet is held"),
        ("cp1", "the cluster's private keys are for root alone"),
        ("w1", "net.ipv4.ip_forward is 1"),
    }
    assert failures(operator) == set()


def test_only_looks_at_what_was_asked_for(operator: Operator) -> None:
    report = operator.json("verify", "--limit", "w1", "--only", "kubelet and held")
    assert [(item["host"], item["text"]) for item in report["properties"]] == [
        ("w1", "kubelet is held")
    ]
