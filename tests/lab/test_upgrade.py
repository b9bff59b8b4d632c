"""A cluster at work, three minor releases behind: planned, refused, upgraded under a client's eyes.

The tests follow each other on the same lab, each from where the one before it left the cluster.
"""

import json

import pytest

from kubeops.lab import faults
from tests.lab.clients import outside
from tests.lab.upgrades import Busy, MakeLab, Ssh, make_busy
from tests.lab.verbs import Operator, becomes_true

pytestmark = [pytest.mark.lab, pytest.mark.timeout(3600)]

WORKERS_AWAY = 2


@pytest.fixture(scope="module")
def busy(lab_factory: MakeLab, tmp_path_factory: pytest.TempPathFactory, ssh: Ssh) -> Busy:
    lab = lab_factory(3, 3, kubernetes="1.34.7")
    cluster = make_busy(
        Operator(lab=lab, directory=tmp_path_factory.mktemp("operator")),
        ssh,
        policy={
            "max_unavailable": WORKERS_AWAY,
            "drain": {"timeout": "120s", "grace": "5s"},
        },
        replicas={"web": 6, "api": 3},
    )
    cluster.budget("web", "min-available=5")
    cluster.budget("api", "max-unavailable=1")
    return cluster


def test_all_hops_are_planned_and_nothing_is_touched(busy: Busy) -> None:
    before = busy.operator.json("status")["api"]
    planned = busy.operator.json("upgrade", "--to", "1.37", "--plan")
    waves = [wave["name"] for wave in planned["waves"]]
    assert [name for name in waves if name.endswith("first-control-plane")] == [
        "1.35/first-control-plane",
        "1.36/first-control-plane",
        "1.37/first-control-plane",
    ]
    assert waves[0] == "snapshot"
    assert "v1.34.7 -> v1.35.6 -> v1.36.2 -> v1.37.1" in planned["summary"]
    assert [one["text"] for one in planned["findings"] if one["severity"] != "warning"] == []
    assert [node["kubelet"] for node in busy.operator.json("status")["api"]["nodes"]] == [
        node["kubelet"] for node in before["nodes"]
    ]
    assert {run["kind"] for run in busy.operator.runs()} == {"install"}


def test_what_is_in_the_way_is_found_before_anything_is_touched(busy: Busy, ssh: Ssh) -> None:
    busy.budget("web", "min-available=6")
    faults.fill_disk(busy.lab, "cp2", leave_bytes=5_000_000)
    edit = (
        "sudo sed -i '/--secure-port/a\\    - --v=4' /etc/kubernetes/manifests/kube-apiserver.yaml"
    )
    ssh(busy.lab, "cp3", edit).must()
    try:
        refused = busy.operator.on_cluster("upgrade", "--to", "1.35", "--plan", "--json").must(4)
    finally:
        faults.free_disk(busy.lab, "cp2")
        ssh(busy.lab, "cp3", edit.replace("/--secure-port/a\\    - --v=4", "/--v=4/d")).must()
        busy.budget("web", "min-available=5")
    found = json.loads(refused.stdout)["data"]["findings"]
    told = {(one["check"], one["host"]): one["text"] for one in found}
    held = " ".join(text for (check, _), text in told.items() if check == "drainability")
    assert "default/web-" in held
    assert "PodDisruptionBudget default/web" in held
    assert any(check == "disk" and host == "cp2" for check, host in told)
    assert any(host == "cp3" and "--v=4" in text for (_, host), text in told.items())
    assert {run["kind"] for run in busy.operator.runs()} == {"install"}


def test_an_etcd_member_that_lags_is_in_the_way_until_it_has_caught_up(busy: Busy) -> None:
    def members() -> dict[str, bool]:
        etcd = busy.operator.json("status")["etcd"]
        return {member["name"]: member["healthy"] for member in etcd["members"]}

    faults.lag(busy.lab, "cp2")
    try:
        seen = members()
        refused = busy.operator.on_cluster("upgrade", "--to", "1.35", "--plan", "--json").must(4)
    finally:
        faults.catch_up(busy.lab, "cp2")
    assert seen == {"cp1": True, "cp2": False, "cp3": True}
    found = json.loads(refused.stdout)["data"]["findings"]
    assert any("etcd member cp2 is not healthy" in one["text"] for one in found)
    becomes_true("cp2 to catch up", lambda: all(members().values()), timeout=60)


def test_lower_and_same_versions_are_refused_or_nothing_to_do(busy: Busy) -> None:
    assert "downgrade" in busy.operator.on_cluster("upgrade", "--to", "1.33", "--plan").must(4).text
    busy.has_nothing_to_do("1.34.7")


def test_three_hops_leave_the_api_and_the_workload_be(busy: Busy) -> None:
    """The API is away only while kubeadm restarts it, the workload never beyond its budgets."""
    with busy.client() as client:
        ended = busy.operator.on_cluster("upgrade", "--to", "1.37", "--yes", "--json").must()
    assert outside(client.gaps(), busy.kubeadm_windows()) == []
    assert client.least("web") >= 5
    assert client.least("api") >= 2
    assert client.away_together(node.name for node in busy.lab.nodes if node.name[0] == "w") == 2
    assert client.away_together(node.name for node in busy.lab.control_planes) == 1
    first = client.answered[0].pods
    assert first.isdisjoint(client.answered[-1].pods), "pods that were never moved"
    report = json.loads(ended.stdout)["data"]
    assert report["outcome"]["status"] == "done"
    assert {step["state"] for step in report["steps"]} <= {"done", "skipped"}
    assert report["availability"]["looks"] > 0
    busy.is_at("1.37.1")
    busy.has_nothing_to_do("1.37")
