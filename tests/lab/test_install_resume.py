from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubeops.lab import faults
from kubeops.lab.model import Lab
from kubeops.lab.rehearsal.orders import Fault
from kubeops.transport.base import Result
from tests.lab.verbs import (
    Operator,
    cleared,
    is_whole,
    members,
    nodes_ready,
    order,
    purge,
    used_up,
)

pytestmark = pytest.mark.lab

MakeLab = Callable[..., Lab]
Ssh = Callable[..., Result]

SLOW = 4.0
STAGES = {
    "during apt": ("/hosts/w1/packages", "step-waiting", "apt-get install"),
    "during kubeadm init": ("/control-planes/cp1/init", "step-waiting", "kubeadm init"),
    "between init and join": ("/control-planes/cp1/init", "step-done", ""),
    "during a control plane's join": ("/control-planes/cp2/join", "step-waiting", "kubeadm join"),
    "during a worker's join": ("/workers/w1/join", "step-waiting", "kubeadm join"),
    "during the network": ("/network/w1/bridge", "step-started", ""),
}


@pytest.fixture(scope="module")
def lab(lab_factory: MakeLab) -> Lab:
    return lab_factory(3, 1)


@pytest.fixture
def operator(lab: Lab, ssh: Ssh, tmp_path: Path) -> Iterator[Operator]:
    found = Operator(lab=lab, directory=tmp_path)
    found.describe()
    yield found
    cleared(ssh, lab)


@pytest.fixture
def bare(operator: Operator) -> Operator:
    """The operator, with nodes that belong to no cluster."""
    operator.reset("--confirm", operator.lab.name).must()
    return operator


@pytest.fixture
def whole(operator: Operator) -> Operator:
    """The operator, with a whole cluster."""
    operator.install().must()
    return operator


def test_a_run_killed_at_any_stage_is_continued_by_the_same_command(
    bare: Operator, ssh: Ssh
) -> None:
    purge(ssh, bare.lab)
    for name, command in {"cp1": "init", "cp2": "join", "w1": "join"}.items():
        order(ssh, bare.lab, name, Fault(command=f"kubeadm {command}", kind="slow", seconds=SLOW))
    said = ""
    for stage, (step, kind, text) in STAGES.items():
        with bare.installing() as running:
            running.reaches(step, kind, text)
            running.killed()
            assert ("took over the lock" in running.said()) == bool(said), stage
            said = running.said()
        newest = bare.installs()[0]
        assert newest["state"] == "killed", stage
        ended = "done" if kind == "step-done" else "unfinished"
        assert {one["id"]: one["state"] for one in newest["steps"]}[step] == ended, stage
    assert "took over the lock of a run that was killed" in bare.install().must().words
    is_whole(bare.json("status"), bare.lab)
    assert [run["state"] for run in bare.installs()] == ["done", *("killed" for _ in STAGES)]
    assert "nothing to do" in bare.install().must().text


def test_a_control_plane_that_dies_while_its_member_joins_etcd(whole: Operator, ssh: Ssh) -> None:
    lab = whole.lab
    whole.reset("--limit", "cp3").must()
    order(ssh, lab, "cp3", Fault(command="kubeadm join", kind="hang", after="etcd-announced"))
    with whole.installing() as running:
        running.reaches("/control-planes/cp3/join", "step-waiting", "kubeadm join")
        used_up(ssh, lab, "cp3")
        faults.kill(lab, "cp3")
        rest = whole.json("status")
        assert members(rest) == {"cp1", "cp2"}
        assert nodes_ready(rest) == {"cp1": True, "cp2": True, "w1": True}
        faults.start(lab, "cp3")  # its kernel says that it knows nothing of the connection
        ended = running.ended().must(5)
    assert "failed /control-planes/cp3/join" in ended.words
    assert "host cp3" in ended.words
    assert "nobody knows how" in ended.words
    whole.install().must()
    is_whole(whole.json("status"), lab)
