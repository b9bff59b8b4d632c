"""An upgrade that meets everything at once: what passes is waited out, the rest stops the run.

The tests follow each other on the same lab, each from where the one before it left the cluster.
"""

import signal

import pytest

from kubeops.lab import faults
from kubeops.lab.rehearsal.orders import Fault
from tests.lab.upgrades import Busy, MakeLab, Ssh, make_busy
from tests.lab.verbs import Operator, order

pytestmark = pytest.mark.lab

LATE_JOB = Fault(
    command="kubeadm upgrade apply",
    message="[preflight] Some fatal errors occurred:\n\t[ERROR CreateJob]: Job "
    '"upgrade-health-check-x" in the namespace "kube-system" did not complete in 60s',
)
DIES_HALF_WAY = Fault(command="kubeadm upgrade node", kind="die", after="kube-apiserver")
HOLD_APT = (
    "sudo systemd-run --quiet --unit=apt-holder python3 -c 'import fcntl, signal; "
    'lock = open("/var/lib/dpkg/lock-frontend", "w"); fcntl.lockf(lock, fcntl.LOCK_EX); '
    "signal.pause()'"
)


@pytest.fixture(scope="module")
def busy(lab_factory: MakeLab, tmp_path_factory: pytest.TempPathFactory, ssh: Ssh) -> Busy:
    lab = lab_factory(3, 2, kubernetes="1.36.2")
    cluster = make_busy(
        Operator(lab=lab, directory=tmp_path_factory.mktemp("operator")),
        ssh,
        policy={"drain": {"timeout": "60s", "grace": "5s"}},
        replicas={"web": 4},
    )
    cluster.budget("web", "min-available=3")
    return cluster


def test_control_planes_wait_out_what_passes_and_stop_at_a_kubeadm_that_dies(
    busy: Busy, ssh: Ssh
) -> None:
    """A Job of kubeadm's that is late, a second operator, apt at work, a kubeadm that is killed."""
    lab = busy.lab
    order(ssh, lab, "cp1", LATE_JOB)
    order(ssh, lab, "cp3", DIES_HALF_WAY)
    with busy.upgrading("1.37") as running:
        running.reaches(
            "/1.37/control-planes/cp1/apply", "step-waiting", "kubeadm failed: its trial"
        )
        busy.operator.on_cluster("upgrade", "--to", "1.37", "--yes").must(7)
        ssh(lab, "cp2", HOLD_APT).must()
        running.reaches("/1.37/control-planes/cp2/kubeadm")
        ssh(lab, "cp2", "sudo systemctl stop apt-holder").must()
        ended = running.ended().must(5)
    assert "/1.37/control-planes/cp3/node" in ended.text
    assert "it goes on with cp3 to v1.37.1" in ended.words
    assert busy.operator.json("status")["hosts"]["cp3"]["unfinished_upgrade"] == "node"


def test_a_budget_is_waited_for_and_a_full_disk_stops_the_run(busy: Busy) -> None:
    lab = busy.lab
    with busy.upgrading("1.37") as running:
        running.reaches("/1.37/control-planes/cp3/uncordon", "step-done")
        busy.budget("web", "min-available=4")
        running.reaches("/1.37/workers/w1/drain", "step-waiting", "held by the budget default/web")
        faults.fill_disk(lab, "w1")
        busy.budget("web", "min-available=3")
        ended = running.ended().must(5)
    assert "/1.37/workers/w1/kubelet" in ended.text
    assert "No space left on device" in ended.text
    faults.free_disk(lab, "w1")


def test_a_worker_that_dies_during_its_drain_stops_the_run(busy: Busy) -> None:
    lab = busy.lab
    with busy.upgrading("1.37") as running:
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
    busy.has_nothing_to_do("1.37")
