"""An upgrade that replaces a worker: a spare host joins at the new version, the old one leaves.

The tests follow each other on the same lab, each from where the one before it left the cluster.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from kubeops.lab.model import Lab
from kubeops.transport.base import Result
from tests.lab.verbs import Operator, becomes_true, nodes_ready

pytestmark = pytest.mark.lab

MakeLab = Callable[..., Lab]
Ssh = Callable[..., Result]

KUBECTL = "sudo kubectl --kubeconfig /etc/kubernetes/admin.conf"
POLL = (
    "while :; do kubectl --kubeconfig /etc/kubernetes/admin.conf --request-timeout=2s "
    "get deployment web -o jsonpath='{.status.availableReplicas} ' 2>/dev/null; "
    "sleep 0.5; done >/tmp/poll"
)
REPLACE = ("upgrade", "--to", "1.36", "--strategy", "replace", "--yes")


@dataclass(frozen=True, kw_only=True)
class Farm:
    """One control plane, two workers with a workload of four pods, and w3 that replaces w1."""

    lab: Lab
    operator: Operator
    ssh: Ssh

    def kubectl(self, command: str) -> str:
        return self.ssh(self.lab, "cp1", f"{KUBECTL} {command}").must().stdout

    def available(self) -> str:
        return self.kubectl("get deployment web -o jsonpath={.status.availableReplicas}")

    def pods_on(self, node: str) -> list[str]:
        told = self.kubectl(f"get pods --field-selector=spec.nodeName={node} -o name")
        return told.split()


@pytest.fixture(scope="module")
def farm(lab_factory: MakeLab, tmp_path_factory: pytest.TempPathFactory, ssh: Ssh) -> Farm:
    lab = lab_factory(1, 3)
    operator = Operator(lab=lab, directory=tmp_path_factory.mktemp("operator"))
    operator.describe(
        hosts={"w3": {"replaces": "w1", "labels": {"disk": "ssd"}}},
        cluster={"upgrade": {"drain": {"timeout": "60s", "grace": "5s"}}},
    )
    operator.install().must()
    farm = Farm(lab=lab, operator=operator, ssh=ssh)
    farm.kubectl("create deployment web --image=nginx --replicas=4")
    becomes_true("four pods", lambda: farm.available() == "4")
    farm.kubectl("create pdb web --selector=app=web --min-available=3")
    return farm


def test_until_it_replaces_a_marked_host_is_left_alone(farm: Farm) -> None:
    status = farm.operator.json("status")
    assert nodes_ready(status) == {"cp1": True, "w1": True, "w2": True}
    again = farm.operator.install().must()
    assert "nothing to do" in again.text
    assert "w3: waits to replace w1" in again.words
    assert "w3: waits to replace w1" in farm.operator.on_cluster("verify").must().words
    told = farm.operator.on_cluster("status").must().words
    assert "w3: waits to replace w1" in told
    assert "install joins them" not in told


def test_what_is_planned(farm: Farm) -> None:
    planned = farm.operator.json(*REPLACE[:-1], "--plan")
    ids = [step["id"] for w in planned["waves"] for lane in w["lanes"] for step in lane["steps"]]
    assert planned["summary"].endswith("1 control plane, 2 workers, 1 of them replaced")
    assert ids.index("/workers/w3/join") > ids.index("/1.36/control-planes/cp1/uncordon")
    assert ids.index("/hosts/w1/drain") > ids.index("/1.36/workers/w3/await")
    assert [one["text"] for one in planned["findings"] if one["severity"] != "warning"] == []


def test_killed_twice_it_ends_with_the_new_host_in_place_of_the_old(farm: Farm, ssh: Ssh) -> None:
    ssh(farm.lab, "cp1", f"sudo systemd-run --unit=poll sh -c {_quoted(POLL)}").must()
    with farm.operator.under_way(*REPLACE) as running:
        running.reaches("/snapshot", "step-done")
        running.reaches("/1.36/control-planes/cp1/apply")
        running.reaches("/workers/w3/join", "step-waiting", "kubeadm join")
        running.killed()
    with farm.operator.under_way(*REPLACE) as running:
        running.reaches("/1.36/workers/w2/drain")
        running.reaches("/hosts/w1/drain")
        running.reaches("/hosts/w1/reset", "step-waiting", "kubeadm reset")
        running.killed()
    ended = farm.operator.on_cluster(*REPLACE, "--json").must()
    ssh(farm.lab, "cp1", "sudo systemctl stop poll").must()
    notices = json.loads(ended.stdout)["data"]["notices"]
    assert [notice.partition(":")[0] for notice in notices] == ["w1 was replaced by w3"]
    looks = ssh(farm.lab, "cp1", "sudo cat /tmp/poll").must().stdout.split()
    assert set(looks) <= {"3", "4"}
    status = farm.operator.json("status")
    assert nodes_ready(status) == {"cp1": True, "w2": True, "w3": True}
    assert {node["kubelet"] for node in status["api"]["nodes"]} == {"1.36.2"}
    assert [node["name"] for node in status["api"]["nodes"] if node["unschedulable"]] == []
    labels = {node["name"]: node["labels"] for node in status["api"]["nodes"]}
    assert labels["w3"]["disk"] == "ssd"
    becomes_true("four pods", lambda: farm.available() == "4")
    assert farm.pods_on("w3")
    old = status["hosts"]["w1"]
    assert (old["kubelet_server"], old["cluster_ca"], old["unfinished"]) == (None, None, None)
    kept = ssh(farm.lab, "w1", "sudo find /var/lib/kubeops/aside/ -name kubelet.conf").must()
    assert "kubelet.conf" in kept.stdout


def test_as_long_as_the_inventory_lists_it_the_old_host_is_left_alone(farm: Farm) -> None:
    note = "w1: replaced by w3; take w1, and the replaces: of w3, out of"
    for command in (REPLACE, ("upgrade", "--to", "1.36", "--yes"), ("install", "--yes")):
        ended = farm.operator.on_cluster(*command).must()
        assert "nothing to do" in ended.text
        assert note in ended.words
    assert note in farm.operator.on_cluster("status").must().words
    farm.operator.on_cluster("verify", "--limit", "w3").must()
    assert "w1: replaced by w3" in farm.operator.on_cluster("verify").words


def _quoted(script: str) -> str:
    return '"' + script.replace("$", "\\$") + '"'
