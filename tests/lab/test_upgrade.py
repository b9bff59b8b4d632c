"""One cluster of five nodes and its upgrades: planned, refused, killed, hit by faults, finished.

The tests follow each other on the same lab, each from where the one before it left the cluster.
"""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from kubeops.inventory import load
from kubeops.lab import faults, lifecycle
from kubeops.lab.model import Lab
from kubeops.lab.rehearsal.orders import Fault
from kubeops.transport.base import Result
from tests.lab.verbs import Operator, Running, becomes_true, is_whole, order

pytestmark = pytest.mark.lab

MakeLab = Callable[..., Lab]
Ssh = Callable[..., Result]

KUBECTL = "sudo kubectl --kubeconfig /etc/kubernetes/admin.conf"
BUDGET = f"{KUBECTL} create pdb web --selector=app=web --min-available="
POLL = (
    "while :; do if said=$(kubectl --kubeconfig /etc/kubernetes/admin.conf --request-timeout=2s "
    "get deployment web -o 'jsonpath={.status.availableReplicas}' 2>/dev/null); "
    "then echo available ${said:-0}; else echo away; fi; sleep 0.5; done >/tmp/poll"
)

LATE_JOB = Fault(
    command="kubeadm upgrade apply",
    message="[preflight] Some fatal errors occurred:\n\t[ERROR CreateJob]: Job "
    '"upgrade-health-check-x" in the namespace "kube-system" did not complete in 60s',
)
HOLD_APT = (
    "sudo systemd-run --quiet --unit=apt-holder python3 -c 'import fcntl, signal; "
    'lock = open("/var/lib/dpkg/lock-frontend", "w"); fcntl.lockf(lock, fcntl.LOCK_EX); '
    "signal.pause()'"
)


@dataclass(frozen=True, kw_only=True)
class Busy:
    """A cluster with a workload of four pods, three of which must always be there."""

    lab: Lab
    operator: Operator
    ssh: Ssh

    def kubectl(self, command: str) -> str:
        return self.ssh(self.lab, "cp1", f"{KUBECTL} {command}").must().stdout

    def budget(self, available: int) -> None:
        self.kubectl("delete pdb web --ignore-not-found")
        self.ssh(self.lab, "cp1", f"{BUDGET}{available}").must()

    def node_is(self, name: str, ready: str) -> None:
        path = '{.status.conditions[?(@.type=="Ready")].status}'
        wanted = f"get node {name} -o 'jsonpath={path}'"
        becomes_true(f"{name} to be {ready}", lambda: self.kubectl(wanted) == ready)

    def workload_is_whole(self) -> None:
        wanted = "get deployment web -o 'jsonpath={.status.availableReplicas}'"
        becomes_true("four pods", lambda: self.kubectl(wanted) == "4")

    @contextmanager
    def upgrading(self, to: str, *arguments: str) -> Iterator[Running]:
        operator = self.operator
        output = operator.directory / "upgrade.txt"
        command = ("upgrade", "--to", to, "-i", str(operator.inventory), "--yes", *arguments)
        with output.open("w") as file, operator.typing(*command, stdout=file) as process:
            running = Running(process, output=output, journal=operator.state)
            try:
                yield running
            finally:
                if running.is_running:
                    running.killed()

    def is_at(self, version: str) -> None:
        """Assert that the whole cluster is at `version`, and nothing of the upgrade is left."""
        status = self.operator.json("status")
        is_whole(status, self.lab)
        assert {_version(node["kubelet"]) for node in status["api"]["nodes"]} == {version}
        assert [node["name"] for node in status["api"]["nodes"] if node["unschedulable"]] == []
        proxy = next(one for one in status["api"]["system"] if one["name"] == "kube-proxy")
        assert proxy["images"] == [f"registry.k8s.io/kube-proxy:v{version}"]
        for name, host in status["hosts"].items():
            assert host["unfinished_upgrade"] is None, name
            kinds = [backup.rstrip("-0123456789") for backup in host["kubeadm_backups"]]
            assert len(kinds) == len(set(kinds)), name
            for package in ("kubeadm", "kubelet", "kubectl"):
                assert host["packages"][package]["version"].startswith(f"{version}-"), name
        assert str(load(self.operator.inventory).kubernetes) == version


def _version(document: Any) -> str:
    if isinstance(document, str):
        return document.removeprefix("v").partition("+")[0]
    return f"{document['major']}.{document['minor_number']}.{document['patch']}"


@pytest.fixture(scope="module")
def busy(
    lab_factory: MakeLab, tmp_path_factory: pytest.TempPathFactory, ssh: Ssh
) -> Iterator[Busy]:
    lab = lab_factory(3, 2)
    operator = Operator(lab=lab, directory=tmp_path_factory.mktemp("operator"))
    policy = {"drain": {"timeout": "20s", "grace": "5s"}}
    operator.describe(cluster={"upgrade": policy})
    operator.install().must()
    cluster = Busy(lab=lab, operator=operator, ssh=ssh)
    cluster.kubectl("create deployment web --image=nginx --replicas=4")
    cluster.workload_is_whole()
    cluster.budget(3)
    yield cluster
    lifecycle.down(lab.name)


def test_all_hops_are_planned_and_nothing_is_touched(busy: Busy) -> None:
    before = busy.operator.json("status")["api"]
    planned = busy.operator.json("upgrade", "--to", "1.37", "--plan")
    waves = [wave["name"] for wave in planned["waves"]]
    assert [name for name in waves if name.endswith("first-control-plane")] == [
        "1.36/first-control-plane",
        "1.37/first-control-plane",
    ]
    assert waves[0] == "snapshot"
    assert "v1.35.4 -> v1.36.2 -> v1.37.1" in planned["summary"]
    assert [one["text"] for one in planned["findings"] if one["severity"] != "warning"] == []
    assert [node["kubelet"] for node in busy.operator.json("status")["api"]["nodes"]] == [
        node["kubelet"] for node in before["nodes"]
    ]
    assert {run["kind"] for run in busy.operator.runs()} == {"install"}


def test_what_is_in_the_way_is_found_before_anything_is_touched(busy: Busy, ssh: Ssh) -> None:
    busy.budget(4)
    faults.fill_disk(busy.lab, "cp2", leave_bytes=5_000_000)
    edit = (
        "sudo sed -i '/--secure-port/a\\    - --v=4' /etc/kubernetes/manifests/kube-apiserver.yaml"
    )
    ssh(busy.lab, "cp3", edit).must()
    try:
        refused = busy.operator.on_cluster("upgrade", "--to", "1.36", "--plan", "--json").must(4)
    finally:
        faults.free_disk(busy.lab, "cp2")
        ssh(busy.lab, "cp3", edit.replace("/--secure-port/a\\    - --v=4", "/--v=4/d")).must()
        busy.budget(3)
    found = json.loads(refused.stdout)["data"]["findings"]
    told = {(one["check"], one["host"]): one["text"] for one in found}
    held = " ".join(text for (check, _), text in told.items() if check == "drainability")
    assert "default/web-" in held
    assert "PodDisruptionBudget default/web" in held
    assert any(check == "disk" and host == "cp2" for check, host in told)
    assert any(host == "cp3" and "--v=4" in text for (_, host), text in told.items())
    assert {run["kind"] for run in busy.operator.runs()} == {"install"}


def test_lower_and_same_versions_are_refused_or_nothing_to_do(busy: Busy) -> None:
    assert "downgrade" in busy.operator.on_cluster("upgrade", "--to", "1.34", "--plan").must(4).text
    ended = busy.operator.on_cluster("upgrade", "--to", "1.35.4", "--yes").must()
    assert "nothing to do" in ended.text


def test_a_run_killed_at_many_steps_is_finished_while_clients_go_on(busy: Busy, ssh: Ssh) -> None:
    ssh(busy.lab, "cp3", f'sudo systemd-run --unit=poll sh -c "{_quoted(POLL)}"').must()
    for step, text in (
        ("/1.36/prefetch/w1/packages", "downloading"),
        ("/1.36/control-planes/cp1/apply", "kubeadm upgrade apply"),
        ("/1.36/control-planes/cp2/node", "kubeadm upgrade node"),
        ("/1.36/control-planes/cp2/kubelet", "restarting the kubelet"),
        ("/1.36/workers/w1/drain", "waiting for w1 to be drained"),
        ("/1.36/workers/w1/kubelet", "apt-get install"),
    ):
        with busy.upgrading("1.36") as running:
            running.reaches(step, "step-waiting", text)
            running.killed()
    with busy.upgrading("1.36") as running:
        running.reaches("/1.36/workers/w2/uncordon")
        running.killed()
    ended = busy.operator.on_cluster("upgrade", "--to", "1.36", "--yes", "--json").must()
    ssh(busy.lab, "cp3", "sudo systemctl stop poll").must()
    busy.is_at("1.36.2")
    report = json.loads(ended.stdout)["data"]
    assert report["outcome"]["status"] == "done"
    assert all(step["state"] in {"done", "skipped"} for step in report["steps"])
    looks = ssh(busy.lab, "cp3", "sudo cat /tmp/poll").must().stdout.splitlines()
    assert {look for look in looks if look.startswith("available")} <= {
        "available 3",
        "available 4",
    }
    assert looks.count("away") < len(looks) / 2
    assert len(list(_backups(busy.operator))) >= 1
    assert "nothing to do" in busy.operator.on_cluster("upgrade", "--to", "1.36", "--yes").text


def _quoted(script: str) -> str:
    return script.replace("$", "\\$")


def _backups(operator: Operator) -> Iterator[Any]:
    for run in operator.runs():
        if run["kind"] == "upgrade" and "snapshot" in run["remembered"]:
            yield run["remembered"]["snapshot"]


def test_faults_are_waited_out_or_stop_the_run_which_then_goes_on(busy: Busy, ssh: Ssh) -> None:
    """A Job of kubeadm's that is late, a second operator, apt at work, a budget, a dying worker."""
    lab = busy.lab
    order(ssh, lab, "cp1", LATE_JOB)
    with busy.upgrading("1.37") as running:
        running.reaches(
            "/1.37/control-planes/cp1/apply", "step-waiting", "kubeadm failed: its trial"
        )
        busy.operator.on_cluster("upgrade", "--to", "1.37", "--yes").must(7)
        ssh(lab, "cp2", HOLD_APT).must()
        running.reaches("/1.37/control-planes/cp2/kubeadm")
        ssh(lab, "cp2", "sudo systemctl stop apt-holder").must()
        running.reaches("/1.37/control-planes/cp3/uncordon", "step-done")
        busy.budget(4)
        running.reaches("/1.37/workers/w1/drain", "step-waiting", "held by the budget default/web")
        busy.budget(3)
        running.reaches("/1.37/workers/w2/drain", "step-waiting", "is ending")
        faults.kill(lab, "w2")
        ended = running.ended().must(6)
    assert "/1.37/workers/w2/drain" in ended.text
    assert "w2 stays cordoned" in ended.words
    faults.start(lab, "w2")
    busy.node_is("w2", "True")
    busy.workload_is_whole()


def test_a_kubelet_that_never_gets_ready_is_waited_for_and_named(busy: Busy, ssh: Ssh) -> None:
    with busy.upgrading("1.37") as running:
        running.reaches("/1.37/workers/w2/kubelet")
        order(ssh, busy.lab, "w2", Fault(command="kubelet never-ready"))
        running.reaches("/1.37/workers/w2/await", "step-waiting", "ordered never to be ready")
        running.signal(signal.SIGINT)
        running.ended().must(130)
    unschedulable = busy.kubectl("get node w2 -o 'jsonpath={.spec.unschedulable}'")
    assert unschedulable == "true"
    order(ssh, busy.lab, "w2")
    busy.node_is("w2", "True")
    busy.operator.on_cluster("upgrade", "--to", "1.37", "--yes").must()
    busy.is_at("1.37.1")
    assert "nothing to do" in busy.operator.on_cluster("upgrade", "--to", "1.37", "--yes").text
