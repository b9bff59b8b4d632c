"""Restores and their undo on a lab with a real etcd: whole, killed anywhere, refused."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kubeops.backups import catalog
from kubeops.backups.save import take
from kubeops.backups.stores import open_store
from kubeops.inventory import load
from kubeops.lab import faults
from kubeops.lab.model import Lab
from kubeops.model.bundle import Bundle
from kubeops.ops.session import open_session
from kubeops.transport.base import Result
from tests.lab.verbs import Operator, cleared, is_whole

pytestmark = pytest.mark.lab

MakeLab = Callable[..., Lab]
Ssh = Callable[..., Result]

ETCDCTL = (
    "sudo etcdctl --endpoints https://127.0.0.1:2379 --cacert /etc/kubernetes/pki/etcd/ca.crt "
    "--cert /etc/kubernetes/pki/etcd/server.crt --key /etc/kubernetes/pki/etcd/server.key "
)
KUBECTL = "sudo kubectl --kubeconfig /etc/kubernetes/admin.conf "
STAGES = (
    *("/fetch/workstation", "/prepare/cp2/stage", "/prepare/cp3/data", "/forget/workstation"),
    *("/keep/cp1", "/stop/cp1", "/swap/cp2", "/etcd/cp3", "/members/cp1", "/api/cp2"),
    *("/controllers/cp3", "/resync/w1", "/verify/cp1", "/close/cp2"),
)
UNDO_STAGES = ("/stop/cp1", "/swap/cp1", "/start/cp1", "/members/cp1", "/verify/cp1")


@pytest.fixture(scope="module")
def three(lab_factory: MakeLab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return _installed(lab_factory(3, 1), tmp_path_factory.mktemp("three"))


@pytest.fixture(scope="module")
def one(lab_factory: MakeLab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return _installed(lab_factory(1, 0), tmp_path_factory.mktemp("one"))


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


def backed_up(operator: Operator) -> Bundle:
    """Take a proven backup as `invoke backup` does."""
    cluster = load(operator.inventory)
    with open_session(cluster) as session:
        return take(
            cluster,
            session.observe(),
            transport=session.transport,
            store=open_store(cluster.backup),
            state=operator.state,
            now=session.clock.now,
            progress=lambda _text: None,
        )


class Namespaces:
    """Makes and lists namespaces on the first control plane."""

    def __init__(self, ssh: Ssh, lab: Lab) -> None:
        self._ssh, self._lab = ssh, lab

    def make(self, name: str) -> None:
        self._ssh(self._lab, "cp1", f"{KUBECTL} create namespace {name}").must()

    def drop(self, name: str) -> None:
        self._ssh(self._lab, "cp1", f"{KUBECTL} delete namespace {name} --wait=true").must()

    def there(self) -> set[str]:
        told = self._ssh(self._lab, "cp1", f"{KUBECTL} get namespaces -o name").must().stdout
        return {line.rpartition("/")[2] for line in told.split()}


def restore(operator: Operator, *arguments: str) -> tuple[str, ...]:
    return ("--yes", "--confirm", operator.lab.name, *arguments)


def hashes(ssh: Ssh, lab: Lab) -> list[tuple[int, int]]:
    told = ssh(lab, "cp1", ETCDCTL + "endpoint hashkv --cluster -w json").must().stdout
    found = [each["HashKV"] for each in json.loads(told)]
    return [(each["hash"], each["header"]["revision"]) for each in found]


def revision(ssh: Ssh, lab: Lab) -> int:
    told = ssh(lab, "cp1", ETCDCTL + "endpoint status -w json").must().stdout
    return int(json.loads(told)[0]["Status"]["header"]["revision"])


def marks(ssh: Ssh, lab: Lab, node: str) -> list[str]:
    told = ssh(lab, node, "sudo sh -c 'cat /var/lib/kubeops/restore/*/phase' 2>/dev/null || true")
    return told.stdout.split()


def listed(ssh: Ssh, lab: Lab, node: str) -> list[str]:
    return ssh(lab, node, "sudo ls /var/lib").must().stdout.split()


def test_what_was_deleted_is_back_and_what_was_made_is_gone(operator: Operator, ssh: Ssh) -> None:
    lab, spaces = operator.lab, Namespaces(ssh, operator.lab)
    spaces.make("before")
    bundle = backed_up(operator)
    spaces.drop("before")
    spaces.make("after")
    seen = revision(ssh, lab)
    done = operator.on_cluster("restore", *restore(operator, "--from", bundle.name)).must()
    assert "kept: /var/lib/etcd.before-restore-" in done.words
    assert "before" in spaces.there()
    assert "after" not in spaces.there()
    assert revision(ssh, lab) > max(seen, bundle.revision + 10**9 - 1)
    # Leases go on, so revisions may differ for a moment: the same revision has the same content.
    found = hashes(ssh, lab)
    assert len(found) == 3
    assert len({revision for _hash, revision in found}) == len(set(found))
    is_whole(operator.json("status"), lab)
    for node in lab.control_planes:
        assert marks(ssh, lab, node.name)[-1] == "done"
        kept = [name for name in listed(ssh, lab, node.name) if name.startswith("etcd.")]
        assert len(kept) == 1
        assert kept[0].startswith("etcd.before-restore-")
    assert not list((operator.state / lab.name).glob("restoring/*"))
    again = restore(operator, "--from", "latest")
    assert "restored-already" in operator.on_cluster("restore", *again).must(4).words
    undone = operator.on_cluster("restore", *restore(operator, "--undo")).must()
    assert "kept: /var/lib/etcd.undone-restore-" in undone.words
    assert "after" in spaces.there()
    is_whole(operator.json("status"), lab)
    over = operator.on_cluster("restore", *restore(operator, "--undo")).must(4)
    assert "nothing-to-undo" in over.words


def test_a_restore_killed_at_every_step_is_continued(operator: Operator, ssh: Ssh) -> None:
    lab, spaces = operator.lab, Namespaces(ssh, operator.lab)
    spaces.make("kept")
    bundle = backed_up(operator)
    spaces.drop("kept")
    spaces.make("lost")
    arguments = restore(operator, "--from", bundle.name)
    for stage in STAGES:
        with operator.under_way("restore", *arguments) as running:
            running.reaches(stage)
            running.killed()
    ended = operator.on_cluster("restore", *arguments)
    # The last step may have ended on all hosts although nobody was there any more to see it.
    assert ended.status == 0 or "restored-already" in ended.words
    assert "kept" in spaces.there()
    assert "lost" not in spaces.there()
    assert revision(ssh, lab) > bundle.revision + 10**9 - 1
    is_whole(operator.json("status"), lab)
    assert {marks(ssh, lab, node.name)[-1] for node in lab.control_planes} == {"done"}


def test_a_restore_killed_anywhere_is_undone_and_so_is_a_killed_undo(
    one: Lab, ssh: Ssh, tmp_path: Path
) -> None:
    operator, spaces = _operator(one, tmp_path), Namespaces(ssh, one)
    bundle = backed_up(operator)
    spaces.make("since")
    before = revision(ssh, one)
    forth, back = restore(operator, "--from", bundle.name), restore(operator, "--undo")
    for stage in ("/prepare/cp1/data", "/stop/cp1", "/swap/cp1", "/api/cp1"):
        with operator.under_way("restore", *forth) as running:
            running.reaches(stage)
            running.killed()
        operator.on_cluster("restore", *back).must()
        assert "since" in spaces.there(), stage
        assert before <= revision(ssh, one) < before + 10**8, stage
    operator.on_cluster("restore", *forth).must()
    assert "since" not in spaces.there()
    assert revision(ssh, one) > bundle.revision + 10**9 - 1
    for stage in UNDO_STAGES:
        with operator.under_way("restore", *back) as running:
            running.reaches(stage)
            running.killed()
        refused = operator.on_cluster("restore", *forth).must(4)
        assert "unfinished-undo" in refused.words, stage
    operator.on_cluster("restore", *back).must()
    assert "since" in spaces.there()
    is_whole(operator.json("status"), one)


def test_what_cannot_be_right_is_refused_before_anything_is_touched(
    operator: Operator, one: Lab, ssh: Ssh, tmp_path: Path
) -> None:
    lab = operator.lab
    bundle = backed_up(operator)
    before = {node.name: marks(ssh, lab, node.name) for node in lab.control_planes}
    (tmp_path / "other").mkdir()
    other = _operator(one, tmp_path / "other")
    foreign = adopted(backed_up(other), other, operator)
    refused = operator.on_cluster("restore", *restore(operator, "--from", foreign)).must(4)
    assert "other-cluster" in refused.words
    assert "--accept" in refused.words
    faults.fill_disk(lab, "cp2", leave_bytes=100 << 20)
    refused = operator.on_cluster("restore", *restore(operator, "--from", bundle.name)).must(4)
    assert "disk: cp2" in refused.words
    faults.free_disk(lab, "cp2")
    damaged = damaged_in_store(bundle, operator)
    refused = operator.on_cluster("restore", *restore(operator, "--from", damaged)).must(8)
    assert "snapshot.db.zst" in refused.words
    assert before == {node.name: marks(ssh, lab, node.name) for node in lab.control_planes}
    is_whole(operator.json("status"), lab)


def test_a_copy_that_is_damaged_on_one_host_stops_the_run_before_anything_is_touched(
    operator: Operator, ssh: Ssh
) -> None:
    lab = operator.lab
    bundle = backed_up(operator)
    wrapper = "/usr/local/bin/etcdutl"
    ssh(lab, "cp2", f"sudo tee {wrapper} >/dev/null", stdin=DAMAGES).must()
    ssh(lab, "cp2", f"sudo chmod 0755 {wrapper}").must()
    failed = operator.on_cluster("restore", *restore(operator, "--from", bundle.name))
    ssh(lab, "cp2", f"sudo rm {wrapper}").must()
    failed.must(5)
    assert "cp2" in failed.words
    assert "expected sha256" in failed.words
    for node in lab.control_planes:
        assert marks(ssh, lab, node.name)[-1] in {"staged", "restored"}
    is_whole(operator.json("status"), lab)
    operator.on_cluster("restore", *restore(operator, "--undo")).must()
    is_whole(operator.json("status"), lab)
    assert not [name for name in listed(ssh, lab, "cp1") if "restored" in name]


DAMAGES = b"""#!/bin/sh
# One byte of the snapshot changes between the last look at it and its use.
if [ "$2" = restore ]; then
    printf X | dd of="$3" bs=1 seek=40000 conv=notrunc 2>/dev/null
fi
exec /usr/bin/etcdutl "$@"
"""


def damaged_in_store(bundle: Bundle, operator: Operator) -> str:
    """Flip a bit of the stored snapshot; return the bundle's name."""
    folder = Path(load(operator.inventory).backup.store.removeprefix("file://"))
    stored = folder / catalog.prefix(bundle) / bundle.snapshot.name
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    stored.write_bytes(content)
    return bundle.name


def adopted(bundle: Bundle, of: Operator, by: Operator) -> str:
    """Put a bundle of one cluster into the store of another; return its name."""
    theirs, ours = (open_store(load(each.inventory).backup) for each in (of, by))
    mine = replace(bundle, cluster=by.lab.name)
    for part in bundle.parts:
        with (
            theirs.open(catalog.prefix(bundle) + part.name) as source,
            ours.create(catalog.prefix(mine) + part.name) as sink,
        ):
            while piece := source.read(1 << 20):
                sink.write(piece)
    catalog.commit(ours, mine)
    return mine.name
