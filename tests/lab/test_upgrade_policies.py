"""What an operator chooses about workers, on a cluster with a single control plane.

How budgets are met, all workers at once, a node that stays cordoned. The tests follow each other on
the same lab, each from where the one before it left the cluster.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.lab.clients import outside
from tests.lab.upgrades import Busy, MakeLab, Ssh, make_busy
from tests.lab.verbs import Operator

pytestmark = pytest.mark.lab

DNS = "v1.12.9"
OWN_DNS = (
    "sudo sh -c 'export KUBECONFIG=/etc/kubernetes/admin.conf; "
    "kubectl -n kube-system get configmap kubeadm-config "
    '-o jsonpath="{.data.ClusterConfiguration}" | '
    f'sed "s/^dns: .*/dns:\\n  imageTag: {DNS}/" >/tmp/cluster.yaml; '
    "kubeadm init phase upload-config kubeadm --config /tmp/cluster.yaml; "
    "grep -A1 dns: /tmp/cluster.yaml'"
)


@pytest.fixture(scope="module")
def busy(lab_factory: MakeLab, tmp_path_factory: pytest.TempPathFactory, ssh: Ssh) -> Busy:
    return make_busy(
        Operator(
            lab=lab_factory(1, 3, kubernetes="1.36.0"),
            directory=tmp_path_factory.mktemp("operator"),
        ),
        ssh,
        policy=_policy("fail"),
        replicas={"web": 4},
    )


def _policy(budgets: str) -> Mapping[str, Any]:
    return {"drain": {"timeout": "60s", "grace": "5s", "pdb": budgets}}


def _choose(busy: Busy, budgets: str) -> None:
    """Write another policy into the inventory, as an editor would."""
    inventory = busy.operator.inventory
    inventory.write_text(re.sub(r"pdb: \w+", f"pdb: {budgets}", inventory.read_text()))


def test_fail_refuses_what_budgets_forbid_before_the_run_and_within_it(busy: Busy) -> None:
    busy.budget("web", "min-available=4")
    refused = busy.operator.on_cluster(
        "upgrade", "--to", "1.36.1", "--yes", "--accept", "drainability"
    ).must(4)
    assert "PodDisruptionBudget default/web" in refused.words
    busy.budget("web", "min-available=3")
    busy.kubectl("cordon w3")
    with busy.upgrading("1.36.1") as running:
        running.reaches("/1.36/control-planes/cp1/kubelet")
        busy.budget("web", "min-available=4")
        ended = running.ended().must(6)
    assert "held by the budget default/web" in ended.words
    assert "w1 stays cordoned" in ended.words or "w2 stays cordoned" in ended.words
    assert busy.kubectl("get node w3 -o 'jsonpath={.status.nodeInfo.kubeletVersion}'").startswith(
        "v1.36.0"
    )


def test_force_deletes_against_budgets_only_when_it_is_named(busy: Busy) -> None:
    _choose(busy, "force")
    refused = busy.operator.on_cluster("upgrade", "--to", "1.36.1", "--yes").must(4)
    assert "--accept pdb-force" in refused.words
    ended = busy.operator.on_cluster(
        "upgrade", "--to", "1.36.1", "--yes", "--accept", "pdb-force"
    ).must()
    assert "against its budget, as ordered" in ended.words
    busy.is_at("1.36.1", cordoned=("w3",))
    busy.kubectl("uncordon w3")
    busy.workload_is_whole()


def test_all_at_once_upgrades_workers_together_when_it_is_named(busy: Busy, ssh: Ssh) -> None:
    """kubeadm-config names a CoreDNS of the operator's own, which the end waits for."""
    assert DNS in ssh(busy.lab, "cp1", OWN_DNS).must().stdout
    _choose(busy, "wait")
    together = ("upgrade", "--to", "1.36.2", "--yes", "--strategy", "all-at-once")
    refused = busy.operator.on_cluster(*together).must(4)
    assert "--accept all-at-once" in refused.words
    with busy.client() as client:
        ended = busy.operator.on_cluster(*together, "--accept", "all-at-once", "--json").must()
    assert client.away_together(("w1", "w2", "w3")) == 3
    gaps = list(client.gaps())
    assert gaps, "the only API server was restarted, and the client saw nothing of it"
    assert outside(gaps, busy.kubeadm_windows()) == []
    assert json.loads(ended.stdout)["data"]["outcome"]["status"] == "done"
    image = "-o 'jsonpath={.spec.template.spec.containers[0].image}'"
    coredns = busy.kubectl(f"--namespace kube-system get deployment coredns {image}")
    assert coredns.endswith(f":{DNS}")
    busy.is_at("1.36.2")
    busy.workload_is_whole()
    busy.has_nothing_to_do("1.36")
