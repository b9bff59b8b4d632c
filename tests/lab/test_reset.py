from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubeops.lab.model import Lab
from kubeops.transport.base import Result
from tests.lab.verbs import Operator, cleared, is_whole, members, nodes_ready

pytestmark = pytest.mark.lab

MakeLab = Callable[..., Lab]
Ssh = Callable[..., Result]

PORTS = {"6443", "2379", "2380", "10250", "10257", "10259"}


@pytest.fixture(scope="module")
def lab(lab_factory: MakeLab) -> Lab:
    return lab_factory(3, 1)


@pytest.fixture
def whole(lab: Lab, ssh: Ssh, tmp_path: Path) -> Iterator[Operator]:
    """An operator with a whole cluster."""
    operator = Operator(lab=lab, directory=tmp_path)
    operator.describe()
    operator.install().must()
    yield operator
    cleared(ssh, lab)


def is_bare(ssh: Ssh, lab: Lab, name: str) -> None:
    """Assert that nothing of a cluster is left on the node but what was moved aside."""
    look = (
        "sudo sh -c 'ls /etc/kubernetes/manifests /etc/kubernetes/*.conf /etc/kubernetes/pki "
        "/var/lib/etcd/member /etc/cni/net.d/10-kubeops-bridge.conflist "
        "/var/lib/kubeops/unfinished 2>/dev/null'; "
        "systemctl is-active kubelet; ip -brief link show cni0 2>&1"
    )
    said = ssh(lab, name, look).stdout.splitlines()
    assert [line for line in said if line != "/etc/kubernetes/manifests:"] == [
        "inactive",
        'Device "cni0" does not exist.',
    ]
    listening = ssh(lab, name, "ss -Hltn | awk '{print $4}'").must().stdout.split()
    assert not PORTS & {address.rpartition(":")[2] for address in listening}


def aside(ssh: Ssh, lab: Lab, name: str) -> set[str]:
    """What was moved aside on the node, as paths below the dated folders."""
    find = "sudo sh -c 'cd /var/lib/kubeops/aside && find . -mindepth 2 -maxdepth 3'"
    return {line.split("/", 2)[2] for line in ssh(lab, name, find).must().stdout.splitlines()}


def test_a_worker_leaves(whole: Operator, ssh: Ssh) -> None:
    said = whole.reset("--limit", "w1").must().words
    assert "drain w1" in said
    is_bare(ssh, whole.lab, "w1")
    status = whole.json("status")
    assert nodes_ready(status) == {"cp1": True, "cp2": True, "cp3": True}
    again = whole.reset("--limit", "w1").must()
    assert "nothing to do" in again.words
    assert "w1: belongs to no cluster" in again.words


@pytest.mark.parametrize("name", ["cp1", "cp3"])
def test_a_control_plane_leaves_and_joins_again(whole: Operator, ssh: Ssh, name: str) -> None:
    lab = whole.lab
    before = whole.json("status")["api"]["uid"]
    whole.reset("--limit", name).must()
    staying = {node.name for node in lab.control_planes} - {name}
    status = whole.json("status")
    assert members(status) == {one["name"] for one in status["etcd"]["members"]} == staying
    assert set(nodes_ready(status)) == {*staying, "w1"}
    assert all(nodes_ready(status).values())
    is_bare(ssh, lab, name)
    assert {"manifests/etcd.yaml", "etcd/member", "pki/ca.key", "admin.conf"} <= aside(
        ssh, lab, name
    )
    whole.install().must()
    status = whole.json("status")
    is_whole(status, lab)
    assert status["api"]["uid"] == before


def test_the_whole_cluster_goes_when_its_name_is_typed(whole: Operator, ssh: Ssh) -> None:
    lab = whole.lab
    before = whole.json("status")["api"]["uid"]
    for wrong in (("--confirm", f"{lab.name}x"), ()):
        assert lab.name in whole.reset(*wrong).must(2).words
    is_whole(whole.json("status"), lab)
    whole.reset("--confirm", lab.name).must()
    for node in lab.nodes:
        is_bare(ssh, lab, node.name)
    assert "etcd/member" in aside(ssh, lab, "cp2")
    again = whole.reset("--confirm", lab.name).must()
    assert "nothing to do" in again.words
    whole.install().must()
    status = whole.json("status")
    is_whole(status, lab)
    assert status["api"]["uid"] != before


def test_a_reset_that_was_killed_is_continued(whole: Operator, ssh: Ssh) -> None:
    """What was set aside before the kill does not make the host look bare."""
    half_done = (
        "sudo sh -c 'printf reset > /var/lib/kubeops/unfinished; "
        "mkdir -p /root/aside; mv /etc/kubernetes/pki /etc/kubernetes/*.conf /root/aside'"
    )
    ssh(whole.lab, "w1", half_done).must()
    whole.reset("--limit", "w1").must()
    is_bare(ssh, whole.lab, "w1")
    assert "w1" not in nodes_ready(whole.json("status"))
