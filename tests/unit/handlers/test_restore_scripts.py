"""The scripts of a restore, run by sh on directories of their own, cut off where it hurts."""

import os
import subprocess
from pathlib import Path

import pytest

from kubeops.engine.clock import Clock
from kubeops.engine.gates import Gate, Reading, wait_until
from kubeops.handlers.restore import _BEGIN, _CLEAR, _MARK, _PLACE, _PLACED, _SWAP, _SWAP_BACK
from kubeops.handlers.restore_start import _CLOSE, _IN, _LEFT, _OUT, _RUNNING, PODS
from tests.unit.handlers.test_scripts import Node

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="a mount namespace needs root; run the tests as root"
)

MARK = "/var/lib/kubeops/restore/001-20261121T023000Z-abc123"
BEGAN = "20261121T120000Z"
KEPT, UNDONE = f"db-of-test.before-restore-{BEGAN}", f"db-of-test.undone-restore-{BEGAN}"
NEW = f"db-of-test.restored-{BEGAN}"
SHA = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
"""Of the text `x`."""


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A control plane with data, manifests, and a mark whose snapshot is staged."""
    made = Node(tmp_path / "root")
    made.write("var/lib/db-of-test/member/snap/db", "old")
    for name in PODS:
        made.write(f"etc/kubernetes/manifests/{name}.yaml", name)
    for name, text in {"began": BEGAN, "data": "/var/lib/db-of-test", "phase": "staged"}.items():
        made.write(f"{MARK[1:]}/{name}", text + "\n")
    made.write(f"{MARK[1:]}/snapshot.db", "x")
    return made


def restored(node: Node) -> None:
    node.write(f"var/lib/{NEW}/member/snap/db", "new")


def script(node: Node, text: str, *arguments: str, status: int = 0) -> str:
    ended = node.run(_MARK + text, MARK, *arguments)
    assert ended.returncode == status, ended.stderr
    return ended.stdout + ended.stderr


def phase(node: Node) -> str:
    return node.read(f"{MARK[1:]}/phase").strip()


def data(node: Node) -> dict[str, str]:
    """What each etcd directory holds."""
    return {
        path.parts[-4]: path.read_text()
        for path in sorted((node.root / "var/lib").glob("db-of-test*/member/snap/db"))
    }


class TestBegin:
    def test_the_time_of_the_first_try_stays(self, node: Node) -> None:
        script(node, _BEGIN, "/data/etcd", "1000004597", "beside")
        assert node.read(f"{MARK[1:]}/began").strip() == BEGAN
        assert node.read(f"{MARK[1:]}/data").strip() == "/data/etcd"
        assert node.read(f"{MARK[1:]}/revision").strip() == "1000004597"
        assert "fresh" not in node.tree(MARK[1:])

    def test_a_fresh_host_is_marked_as_one(self, node: Node) -> None:
        script(node, _BEGIN, "/data/etcd", "1000004597", "fresh")
        assert "fresh" in node.tree(MARK[1:])

    def test_only_root_sees_a_mark(self, tmp_path: Path) -> None:
        fresh = Node(tmp_path / "fresh")
        script(fresh, _BEGIN, "/var/lib/db-of-test", "1", "beside")
        assert (fresh.root / MARK[1:]).stat().st_mode & 0o777 == 0o700
        assert len(fresh.read(f"{MARK[1:]}/began").strip()) == len(BEGAN)


class TestData:
    def test_a_damaged_copy_is_not_restored(self, node: Node) -> None:
        node.write(f"{MARK[1:]}/snapshot.db", "y")
        assert "is damaged" in script(node, _CLEAR, SHA, status=1)

    def test_what_an_earlier_try_left_is_removed(self, node: Node) -> None:
        restored(node)
        node.write("var/lib/db-of-test.part-restored/member/snap/db", "half")
        assert script(node, _CLEAR, SHA).strip() == "/var/lib/db-of-test.part-restored"
        assert data(node) == {"db-of-test": "old"}

    def test_it_lies_beside_the_present_data(self, node: Node) -> None:
        node.write("var/lib/db-of-test.part-restored/member/snap/db", "new")
        script(node, _PLACE, "cp1=https://10.0.0.11:2380")
        assert data(node) == {"db-of-test": "old", NEW: "new"}
        assert phase(node) == "restored"
        script(node, _PLACED, "cp1=https://10.0.0.11:2380")
        script(node, _PLACED, "cp1=https://10.0.0.99:2380", status=1)

    def test_it_belongs_to_whom_the_present_data_belongs(self, node: Node) -> None:
        node.write("var/lib/db-of-test.part-restored/member/snap/db", "new")
        os.chown(node.root / "var/lib/db-of-test", 4242, 4242)
        script(node, _PLACE, "")
        assert (node.root / f"var/lib/{NEW}/member/snap/db").stat().st_uid == 4242


class TestSwap:
    def test_the_old_data_is_kept(self, node: Node) -> None:
        restored(node)
        assert KEPT in script(node, _SWAP)
        assert data(node) == {"db-of-test": "new", KEPT: "old"}
        assert phase(node) == "swapped"

    def test_one_that_was_killed_between_its_renames_is_finished(self, node: Node) -> None:
        restored(node)
        (node.root / "var/lib/db-of-test").rename(node.root / f"var/lib/{KEPT}")
        script(node, _SWAP)
        assert data(node) == {"db-of-test": "new", KEPT: "old"}

    def test_twice_is_once(self, node: Node) -> None:
        restored(node)
        script(node, _SWAP)
        script(node, _SWAP)
        assert data(node) == {"db-of-test": "new", KEPT: "old"}

    def test_lost_data_is_replaced_too(self, node: Node) -> None:
        restored(node)
        (node.root / "var/lib/db-of-test").rename(node.root / "var/lib/elsewhere")
        script(node, _SWAP)
        assert data(node) == {"db-of-test": "new"}
        assert (node.root / f"var/lib/{KEPT}").is_dir()

    def test_without_new_data_nothing_is_moved(self, node: Node) -> None:
        assert "is there" in script(node, _SWAP, status=1)
        assert data(node) == {"db-of-test": "old"}
        assert phase(node) == "staged"

    def test_the_data_of_a_member_that_runs_is_left_alone(self, node: Node) -> None:
        # Scripts look at all processes of the machine: other tests' must not find it, too.
        node.write(f"{MARK[1:]}/data", "/var/lib/running-db-of-test\n")
        node.write("var/lib/running-db-of-test/member/snap/db", "old")
        node.write(f"var/lib/running-db-of-test.restored-{BEGAN}/member/snap/db", "new")
        node.program("etcd", "read -r _")
        program = (node.root / "bin/etcd", "--data-dir=/var/lib/running-db-of-test")
        environment = {"CALLS": os.devnull, "PATH": os.environ["PATH"]}
        with subprocess.Popen(program, stdin=subprocess.PIPE, env=environment) as running:
            becomes_known_as(running, "etcd")
            said = script(node, _SWAP, status=1)
            running.communicate()
        assert "etcd still runs on /var/lib/running-db-of-test" in said
        assert node.read("var/lib/running-db-of-test/member/snap/db") == "old"


def becomes_known_as(process: subprocess.Popen[bytes], name: str) -> None:
    """Wait until `process` has become the program it was started as."""

    def look() -> Reading:
        comm = Path(f"/proc/{process.pid}/comm").read_text().strip()
        return Reading(ok=comm == name, text=comm)

    gate = Gate(name=name, look=look, timeout=10, successes=1, interval=0.01)
    wait_until(gate, clock=Clock(), progress=lambda _text: None)


class TestSwapBack:
    def test_the_data_of_the_restore_is_kept(self, node: Node) -> None:
        restored(node)
        script(node, _SWAP)
        assert UNDONE in script(node, _SWAP_BACK)
        assert data(node) == {"db-of-test": "old", UNDONE: "new"}
        assert phase(node) == "undo-swapped"

    def test_one_that_was_killed_between_its_renames_is_finished(self, node: Node) -> None:
        restored(node)
        script(node, _SWAP)
        (node.root / "var/lib/db-of-test").rename(node.root / f"var/lib/{UNDONE}")
        script(node, _SWAP_BACK)
        assert data(node) == {"db-of-test": "old", UNDONE: "new"}

    def test_a_swap_that_was_killed_between_its_renames_is_undone(self, node: Node) -> None:
        restored(node)
        (node.root / "var/lib/db-of-test").rename(node.root / f"var/lib/{KEPT}")
        script(node, _SWAP_BACK)
        assert data(node) == {"db-of-test": "old", NEW: "new"}

    def test_where_nothing_was_swapped_nothing_is(self, node: Node) -> None:
        restored(node)
        assert script(node, _SWAP_BACK) == ""
        assert data(node) == {"db-of-test": "old", NEW: "new"}


class TestMountPoint:
    """A data directory that is a file system of its own cannot be renamed; `member` can."""

    def test_member_changes_places(self, node: Node) -> None:
        node.program("mountpoint")
        node.write("var/lib/db-of-test/part-restored/member/snap/db", "new")
        assert script(node, "places; echo $part").strip() == "/var/lib/db-of-test/part-restored"
        script(node, _PLACE, "")
        script(node, _SWAP)
        there = {
            path.parent.parent.name for path in (node.root / "var/lib/db-of-test").glob("*/*/db")
        }
        assert there == {"member", f"member.before-restore-{BEGAN}"}
        assert node.read("var/lib/db-of-test/member/snap/db") == "new"
        script(node, _SWAP_BACK)
        assert node.read("var/lib/db-of-test/member/snap/db") == "old"
        assert node.read(f"var/lib/db-of-test/member.undone-restore-{BEGAN}/snap/db") == "new"


class TestManifests:
    def test_they_leave_only_when_their_copies_are_there(self, node: Node) -> None:
        script(node, _OUT, "stopping")
        assert node.tree("etc/kubernetes/manifests") == set()
        assert node.tree(f"{MARK[1:]}/manifests") == {f"{name}.yaml" for name in PODS}
        assert phase(node) == "stopping"

    def test_others_stay(self, node: Node) -> None:
        node.write("etc/kubernetes/manifests/kube-vip.yaml")
        script(node, _OUT, "stopping")
        assert node.tree("etc/kubernetes/manifests") == {"kube-vip.yaml"}
        assert node.run(_LEFT).stdout == ""

    def test_the_mark_says_so_before_the_first_one_leaves(self, node: Node) -> None:
        node.program("cp", 'cat "$PHASE" >&2; exit 1')
        ended = node.run(_MARK + _OUT, MARK, "stopping", env={"PHASE": f"{MARK}/phase"})
        assert "stopping" in ended.stderr
        assert len(node.tree("etc/kubernetes/manifests")) == len(PODS)

    def test_they_come_back_as_they_were(self, node: Node) -> None:
        script(node, _OUT, "stopping")
        script(node, _IN, "etcd", "etcd")
        assert node.tree("etc/kubernetes/manifests") == {"etcd.yaml"}
        script(node, _IN, "undo-started", *PODS)
        assert node.tree("etc/kubernetes/manifests") == {f"{name}.yaml" for name in PODS}
        assert node.read("etc/kubernetes/manifests/kube-apiserver.yaml") == "kube-apiserver"
        assert phase(node) == "undo-started"

    def test_one_that_is_there_is_left_alone(self, node: Node) -> None:
        script(node, _OUT, "stopping")
        node.write("etc/kubernetes/manifests/etcd.yaml", "newer")
        script(node, _IN, "etcd", "etcd")
        assert node.read("etc/kubernetes/manifests/etcd.yaml") == "newer"

    def test_one_that_is_nowhere_is_missed(self, node: Node) -> None:
        (node.root / "etc/kubernetes/manifests/etcd.yaml").unlink()
        assert "neither" in script(node, _IN, "etcd", "etcd", status=1)
        assert phase(node) == "staged"


class TestRunning:
    def test_crictl_tells(self, node: Node) -> None:
        node.program("crictl", 'case "$*" in *etcd*) echo 1b15a4411f8aa;; esac')
        assert node.run(_RUNNING, *PODS).stdout.split() == ["etcd"]
        assert node.calls[0] == "crictl ps --quiet --name ^etcd$"

    def test_a_crictl_that_fails_is_no_answer(self, node: Node) -> None:
        node.program("crictl", "exit 1")
        assert node.run(_RUNNING, *PODS).returncode != 0


class TestClose:
    def test_copies_and_unused_data_go_and_what_was_moved_aside_stays(self, node: Node) -> None:
        restored(node)
        script(node, _SWAP)
        node.write("var/lib/db-of-test.part-restored/member/snap/db", "half")
        assert KEPT in script(node, _CLOSE, "done")
        assert data(node) == {"db-of-test": "new", KEPT: "old"}
        assert not (node.root / MARK[1:] / "snapshot.db").exists()
        assert phase(node) == "done"

    def test_what_was_only_prepared_goes(self, node: Node) -> None:
        restored(node)
        script(node, _CLOSE, "undone")
        assert data(node) == {"db-of-test": "old"}
