import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubeops.lab import faults
from kubeops.lab.model import Lab
from kubeops.lab.rehearsal.orders import Fault
from kubeops.transport.base import Result
from tests.lab.verbs import (
    Operator,
    becomes_true,
    cleared,
    is_whole,
    members,
    order,
    purge,
    used_up,
)

pytestmark = pytest.mark.lab

MakeLab = Callable[..., Lab]
Ssh = Callable[..., Result]

HOLD_DPKG = """sudo systemd-run --quiet --unit=other-apt python3 -c '
import fcntl, signal
file = open("/var/lib/dpkg/lock-frontend", "w")
fcntl.lockf(file, fcntl.LOCK_EX)
signal.pause()'"""
AT_WORK = "cat /proc/[0-9]*/comm | grep -qx kubeadm"
NO_WAY_OUT = "/etc/apt/apt.conf.d/99no-way-out"


@pytest.fixture(scope="module")
def lab(lab_factory: MakeLab) -> Lab:
    return lab_factory(1, 1)


@pytest.fixture
def operator(lab: Lab, ssh: Ssh, tmp_path: Path) -> Iterator[Operator]:
    """An operator with an inventory, and nodes that no test before left a fault on."""
    found = Operator(lab=lab, directory=tmp_path)
    found.describe()
    yield found
    cleared(ssh, lab)


@pytest.fixture
def bare(operator: Operator) -> Operator:
    """The operator, with nodes that belong to no cluster."""
    operator.reset("--confirm", operator.lab.name).must()
    return operator


def untouched(ssh: Ssh, lab: Lab, *names: str) -> None:
    """Assert that nothing that an install writes is on the nodes."""
    look = "ls /etc/kubernetes/*.conf /var/lib/kubeops/lock /var/lib/kubeops/unfinished 2>&-"
    for name in names:
        assert ssh(lab, name, look).stdout == ""


def test_a_wrong_host_key_stops_everything(bare: Operator, ssh: Ssh, tmp_path: Path) -> None:
    lines = bare.lab.known_hosts.read_text().splitlines()
    addresses = [line.split()[0] for line in lines]
    keys = [line.split(maxsplit=1)[1] for line in lines]
    forged = tmp_path / "known_hosts"
    forged.write_text(f"{addresses[0]} {keys[0]}\n{addresses[1]} {keys[0]}\n")
    bare.describe(ssh={"known_hosts": str(forged)})
    refused = bare.install()
    assert refused.status in {3, 4}
    fingerprint = ssh(bare.lab, "w1", "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub").stdout
    assert fingerprint.split()[1] in refused.words
    assert "ssh-keygen" in refused.words
    assert str(forged) in refused.words
    untouched(ssh, bare.lab, "cp1", "w1")
    assert not bare.installs()


def test_a_host_that_does_not_answer_is_left_out_only_on_order(bare: Operator, ssh: Ssh) -> None:
    faults.cut(bare.lab, "w1")
    refused = bare.install().must(4)
    assert "unreachable: w1" in refused.words
    assert "--limit" in refused.words
    untouched(ssh, bare.lab, "cp1")
    assert not bare.installs()
    bare.install("--limit", "cp1").must()
    nodes = bare.json("status")["api"]["nodes"]
    assert {node["name"]: node["ready"] for node in nodes} == {"cp1": True}
    faults.mend(bare.lab, "w1")
    bare.install().must()
    is_whole(bare.json("status"), bare.lab)


@pytest.mark.parametrize("name", ["cp1", "w1"])
def test_a_full_disk_is_seen_before_anything_is_touched(
    bare: Operator, ssh: Ssh, name: str
) -> None:
    faults.fill_disk(bare.lab, name, leave_bytes=50_000_000)
    refused = bare.install().must(4)
    assert f"disk: {name}: /var/lib/containerd has" in refused.words
    assert "--accept disk" in refused.words
    untouched(ssh, bare.lab, "cp1", "w1")


def test_a_disk_that_fills_up_meanwhile(bare: Operator, ssh: Ssh) -> None:
    order(ssh, bare.lab, "w1", Fault(command="kubeadm join", kind="slow", seconds=3))
    with bare.installing() as running:
        running.reaches("/workers/w1/join", "step-waiting", "kubeadm join")
        used_up(ssh, bare.lab, "w1")
        faults.fill_disk(bare.lab, "w1")
        ended = running.ended().must(5)
    assert "no space left on device" in ended.words.lower()
    assert "host w1" in ended.words
    faults.free_disk(bare.lab, "w1")
    bare.install().must()
    is_whole(bare.json("status"), bare.lab)


def test_a_source_that_apt_cannot_read(bare: Operator, ssh: Ssh) -> None:
    purge(ssh, bare.lab)
    proxy = 'Acquire::http::Proxy "http://127.0.0.1:9";'
    ssh(bare.lab, "w1", f"sudo tee {NO_WAY_OUT}", stdin=proxy.encode()).must()
    ended = bare.install().must(5)
    assert "127.0.0.1:9" in ended.words
    assert "Connection refused" in ended.words
    ssh(bare.lab, "w1", f"sudo rm {NO_WAY_OUT}").must()
    bare.install().must()
    is_whole(bare.json("status"), bare.lab)


def test_another_apt_is_waited_for(bare: Operator, ssh: Ssh) -> None:
    purge(ssh, bare.lab)
    ssh(bare.lab, "w1", HOLD_DPKG).must()
    with bare.installing() as running:
        running.reaches("/hosts/w1/packages", "step-waiting", "waiting for another apt or dpkg")
        ssh(bare.lab, "w1", "sudo systemctl stop other-apt").must()
        assert "apt-lock" in running.ended().must().words
    is_whole(bare.json("status"), bare.lab)


def test_what_kubeadm_says_is_shown(bare: Operator, ssh: Ssh) -> None:
    words = "[ERROR Port-10250]: Port 10250 is in use"
    order(ssh, bare.lab, "w1", Fault(command="kubeadm join", message=words, status=1))
    ended = bare.install().must(5)
    assert words in ended.words
    assert "/workers/w1/join" in ended.words
    assert "kubeadm join" in ended.words
    assert "invoke install" in ended.words
    bare.install().must()
    is_whole(bare.json("status"), bare.lab)


def test_a_kubeadm_that_hangs_is_given_up_with_two_interruptions(bare: Operator, ssh: Ssh) -> None:
    order(ssh, bare.lab, "w1", Fault(command="kubeadm join", kind="hang"))
    with bare.installing() as running:
        running.reaches("/workers/w1/join", "step-waiting", "kubeadm join")
        becomes_true("kubeadm to be at work", lambda: ssh(bare.lab, "w1", AT_WORK).ok)
        running.signal(signal.SIGINT)
        becomes_true("the first to be noticed", lambda: "no further step starts" in running.said())
        assert running.is_running
        running.signal(signal.SIGINT)
        ended = running.ended().must(130)
    assert "/workers/w1/join" in ended.words
    assert "invoke install" in ended.words
    becomes_true("kubeadm to be ended", lambda: not ssh(bare.lab, "w1", AT_WORK).ok)
    assert "the kubeadm of an earlier run" not in bare.install().must().words
    is_whole(bare.json("status"), bare.lab)


def test_a_kubeadm_that_hangs_after_its_run_was_killed_is_ended_as_told(
    bare: Operator, ssh: Ssh
) -> None:
    order(ssh, bare.lab, "w1", Fault(command="kubeadm join", kind="hang"))
    with bare.installing() as running:
        running.reaches("/workers/w1/join", "step-waiting", "kubeadm join")
        becomes_true("kubeadm to be at work", lambda: ssh(bare.lab, "w1", AT_WORK).ok)
        running.killed()
    with bare.installing() as running:
        running.reaches("/workers/w1/join", "step-waiting", "the kubeadm of an earlier run")
        told = re.search(r"still at work on w1; .* end it there: (sudo kill \d+)", running.said())
        assert told
        ssh(bare.lab, "w1", told[1]).must()
        running.ended().must()
    is_whole(bare.json("status"), bare.lab)


def test_two_runs_at_once(bare: Operator) -> None:
    with bare.installing() as running:
        running.reaches("/control-planes/cp1/init", "step-waiting", "kubeadm init")
        running.signal(signal.SIGSTOP)  # until the other one has been refused
        first = bare.installs()[0]
        assert first["state"] == "running"
        refused = bare.install().must(7)
        running.signal(signal.SIGCONT)
        assert f"pid {first['pid']}" in refused.words
        assert first["run_id"] in refused.words
        assert "invoke lock" in refused.words
        running.ended().must()
    assert "nothing to do" in bare.install().must().text
    is_whole(bare.json("status"), bare.lab)
    assert [run["state"] for run in bare.installs()] == ["done"]


def test_an_interrupted_run_lets_the_step_end_and_is_resumed(bare: Operator, ssh: Ssh) -> None:
    order(ssh, bare.lab, "cp1", Fault(command="kubeadm init", kind="slow", seconds=6))
    with bare.installing() as running:
        running.reaches("/control-planes/cp1/init", "step-waiting", "kubeadm init")
        running.signal(signal.SIGINT)
        ended = running.ended().must(130)
    assert "waiting for the end of /control-planes/cp1/init" in ended.words
    assert f"invoke install --inventory {bare.inventory}" in ended.words
    assert bare.installs()[0]["state"] == "interrupted"
    bare("runs.resume", "--yes").must()
    is_whole(bare.json("status"), bare.lab)


def test_a_worker_that_dies_while_it_joins(bare: Operator, ssh: Ssh) -> None:
    lab = bare.lab
    order(ssh, lab, "w1", Fault(command="kubeadm join", kind="hang", after="preflight"))
    with bare.installing() as running:
        running.reaches("/workers/w1/join", "step-waiting", "kubeadm join")
        used_up(ssh, lab, "w1")
        faults.kill(lab, "w1")
        assert members(bare.json("status")) == {"cp1"}
        faults.start(lab, "w1")  # its kernel says that it knows nothing of the connection
        ended = running.ended().must(5)
    assert "failed /workers/w1/join" in ended.words
    assert "host w1" in ended.words
    assert "nobody knows how" in ended.words
    assert f"invoke install --inventory {bare.inventory}" in ended.words
    bare.install().must()
    is_whole(bare.json("status"), lab)
