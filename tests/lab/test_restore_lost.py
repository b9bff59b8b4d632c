"""Restores after control planes were lost for good, all of them or some; with a real etcd."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from kubeops.lab import faults
from kubeops.lab.model import Lab
from tests.lab.test_restore import (
    KUBECTL,
    MakeLab,
    Namespaces,
    Ssh,
    backed_up,
    listed,
    marks,
    restore,
    revision,
)
from tests.lab.verbs import Operator, cleared, is_whole

pytestmark = pytest.mark.lab

BUMP = 10**9
FILES = (
    "/etc/kubernetes/patches/kube-apiserver0+merge.yaml",
    "/etc/kubernetes/pki/encryption.yaml",
)


@pytest.fixture(scope="module")
def three(lab_factory: MakeLab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return _installed(lab_factory(3, 1), tmp_path_factory.mktemp("three"))


@pytest.fixture
def one(make_lab: MakeLab, tmp_path: Path) -> Lab:
    return _installed(make_lab(1, 1), tmp_path)


@pytest.fixture
def operator(three: Lab, ssh: Ssh, tmp_path: Path) -> Iterator[Operator]:
    yield _operator(three, tmp_path)
    cleared(ssh, three)


def _installed(lab: Lab, directory: Path) -> Lab:
    _operator(lab, directory).install().must()
    return lab


def _operator(lab: Lab, directory: Path) -> Operator:
    found = Operator(lab=lab, directory=directory)
    found.describe()
    return found


def told(ssh: Ssh, lab: Lab, question: str, *, node: str = "cp1") -> str:
    return ssh(lab, node, question).must().stdout.strip()


def uid_of(ssh: Ssh, lab: Lab, thing: str) -> str:
    return told(ssh, lab, f"{KUBECTL} get {thing} -o jsonpath={{.metadata.uid}}")


def take_out(operator: Operator, *names: str) -> None:
    """Take hosts out of the operator's inventory."""
    document = yaml.safe_load(operator.inventory.read_text())
    for name in names:
        del document["hosts"][name]
    operator.inventory.write_text(yaml.safe_dump(document, sort_keys=False))


def test_the_only_control_plane_is_lost_and_its_worker_comes_back_by_itself(
    one: Lab, ssh: Ssh, tmp_path: Path
) -> None:
    operator, spaces = _operator(one, tmp_path), Namespaces(ssh, one)
    spaces.make("before")
    identity = uid_of(ssh, one, "namespace kube-system")
    worker = uid_of(ssh, one, "node w1")
    joined = told(ssh, one, "sudo stat -c %i-%y /etc/kubernetes/kubelet.conf", node="w1")
    bundle = backed_up(operator)
    spaces.make("after")
    faults.reinstall(one, "cp1")
    arguments = restore(operator, "--from", "latest")
    for stage in ("/prepare/cp1/data", "/place/cp1", "/init/cp1"):
        with operator.under_way("restore", *arguments) as running:
            running.reaches(stage)
            running.killed()
    assert "Restore its backup" in operator.install().must(4).words
    done = operator.on_cluster("restore", *arguments).must()
    assert "/aside/cp1" in done.words
    assert uid_of(ssh, one, "namespace kube-system") == identity
    assert uid_of(ssh, one, "node w1") == worker
    assert joined == told(ssh, one, "sudo stat -c %i-%y /etc/kubernetes/kubelet.conf", node="w1")
    assert "before" in spaces.there()
    assert "after" not in spaces.there()
    assert revision(ssh, one) >= bundle.revision + BUMP
    is_whole(operator.json("status"), one)
    assert marks(ssh, one, "cp1") == ["done"]
    kept = told(ssh, one, "sudo sh -c 'ls /var/lib/kubeops/restore/*'").split()
    assert not {"pki.tar", "snapshot.db"} & set(kept)
    assert not list((operator.state / one.name).glob("restoring/*"))
    assert "restored-already" in operator.on_cluster("restore", *arguments).must(4).words
    undone = operator.on_cluster("restore", *restore(operator, "--undo")).must(4).words
    assert "fresh-restore" in undone
    assert "invoke reset" in undone


def test_all_of_three_control_planes_are_lost(operator: Operator, ssh: Ssh) -> None:
    lab, spaces = operator.lab, Namespaces(ssh, operator.lab)
    for node in lab.control_planes:
        for path in FILES:
            ssh(lab, node.name, f"sudo install -D -m 0600 /dev/stdin {path}", stdin=b"{}\n").must()
    spaces.make("of-all")
    identity = uid_of(ssh, lab, "namespace kube-system")
    bundle = backed_up(operator)
    for node in lab.control_planes:
        faults.reinstall(lab, node.name)
    arguments = restore(operator, "--from", bundle.name)
    with operator.under_way("restore", *arguments) as running:
        running.reaches("/control-planes/cp2/join")
        running.killed()
    operator.on_cluster("restore", *arguments).must()
    assert uid_of(ssh, lab, "namespace kube-system") == identity
    assert "of-all" in spaces.there()
    assert revision(ssh, lab) >= bundle.revision + BUMP
    is_whole(operator.json("status"), lab)
    for node in lab.control_planes:
        modes = told(ssh, lab, f"sudo stat -c %a {' '.join(FILES)}", node=node.name)
        assert modes.split() == ["600", "600"]
    assert operator.json("install", "--plan")["waves"] == []


@pytest.mark.parametrize("lost", [("cp3",), ("cp2", "cp3")])
def test_some_of_three_control_planes_are_lost(
    operator: Operator, ssh: Ssh, lost: tuple[str, ...]
) -> None:
    lab, spaces = operator.lab, Namespaces(ssh, operator.lab)
    space = f"before-{len(lost)}"
    spaces.make(space)
    bundle = backed_up(operator)
    for name in lost:
        faults.kill(lab, name)
    take_out(operator, *lost)
    arguments = restore(operator, "--from", bundle.name)
    if len(lost) == 1:
        assert "member-dropped" in operator.on_cluster("restore", *arguments).must(4).words
    operator.on_cluster("restore", *arguments, "--accept", "member-dropped").must()
    left = {node.name for node in lab.control_planes} - set(lost)
    status = operator.json("status")
    assert {member["name"] for member in status["etcd"]["members"]} == left
    assert revision(ssh, lab) >= bundle.revision + BUMP
    for name in left:
        kept = [one for one in listed(ssh, lab, name) if one.startswith("etcd.before-restore-")]
        assert kept
    for name in lost:
        faults.reinstall(lab, name)
    operator.describe()
    operator.install().must()
    assert space in spaces.there()
    is_whole(operator.json("status"), lab)
