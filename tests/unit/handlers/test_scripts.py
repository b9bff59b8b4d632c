"""The constant scripts, run by sh in a file system of their own with stand-ins for the programs.

Their paths are absolute, so each runs in a mount namespace (root needed) where /etc/kubernetes and
the like are directories of the test.
"""

import os
import shlex
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kubeops.handlers.etcd import _ETCDCTL
from kubeops.handlers.hosts import _SWAP_OFF
from kubeops.handlers.kubeadm import _MARKED, _PIPED
from kubeops.handlers.packages import _FETCH_KEY
from kubeops.handlers.reset import (
    _DATA_ASIDE,
    _MANIFESTS_ASIDE,
    _NETWORK,
    _ROOM,
    _RUNNING,
    _STOP_ORPHANS,
)
from kubeops.plan.network import PodRoute, bridge_files

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="a mount namespace needs root; run the tests as root"
)

OWN = ("etc", "var/lib", "run")
ASIDE = "/var/lib/kubeops/aside/20261121T073000Z"
MARK = "var/lib/kubeops/unfinished"
LOG = 'printf "%s\\n" "$(basename "$0") $*" >>"$CALLS"\n'
_ENTER = """
root=$1
shift
for directory in etc var/lib run; do mount --bind "$root/$directory" "/$directory"; done
exec "$@"
"""


@dataclass
class Node:
    """A file system under `root` that scripts see as theirs, and programs that note their calls."""

    root: Path
    programs: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for directory in (*OWN, "bin"):
            (self.root / directory).mkdir(parents=True)

    def program(self, name: str, body: str = "") -> None:
        path = self.root / "bin" / name
        path.write_text(f"#!/bin/sh\n{LOG}{body}\n")
        path.chmod(0o755)

    def write(self, path: str, text: str = "x\n") -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def read(self, path: str) -> str:
        return (self.root / path).read_text()

    def tree(self, path: str) -> set[str]:
        top = self.root / path
        return {str(file.relative_to(top)) for file in top.rglob("*") if not file.is_dir()}

    def run(
        self, script: str, *arguments: str, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        seen = {"PATH": f"{self.root}/bin:/usr/sbin:/usr/bin:/sbin:/bin", **(env or {})}
        given = tuple(f"{name}={value}" for name, value in seen.items())
        argv = ("env", *given, "sh", "-euc", script, "kubeops", *arguments)
        enter = ("unshare", "--mount", "--propagation", "private", "sh", "-euc", _ENTER, "enter")
        return subprocess.run(
            (*enter, str(self.root), *argv),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "CALLS": str(self.root / "calls")},
        )

    @property
    def calls(self) -> list[str]:
        calls = self.root / "calls"
        return calls.read_text().splitlines() if calls.exists() else []


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "root")


class TestMarked:
    def test_the_mark_is_there_while_kubeadm_runs_and_gone_when_it_ended_well(
        self, node: Node
    ) -> None:
        node.program("kubeadm", 'cat >"$SEEN"; cat /var/lib/kubeops/unfinished >>"$SEEN"')
        seen = node.root / "seen"
        ended = node.run(
            _MARKED,
            "join",
            "kubeadm",
            "join",
            "--config",
            "/dev/stdin",
            stdin="a: 1\n",
            env={"SEEN": str(seen)},
        )
        assert ended.returncode == 0, ended.stderr
        assert seen.read_text() == "a: 1\njoin"
        assert node.calls == ["kubeadm join --config /dev/stdin"]
        assert not (node.root / MARK).exists()

    def test_kubeadms_status_is_the_scripts_and_the_mark_stays(self, node: Node) -> None:
        node.program("kubeadm", "cat >/dev/null; exit 7")
        assert node.run(_MARKED, "init", "kubeadm", "init", stdin="a: 1\n").returncode == 7
        assert node.read(MARK) == "init"

    def test_a_killed_kubeadm_leaves_the_mark(self, node: Node) -> None:
        node.program("kubeadm", "kill -9 $PPID")
        assert node.run(_MARKED, "init", "kubeadm", "init").returncode != 0
        assert node.read(MARK) == "init"

    def test_without_a_mark_kubeadm_does_not_start(self, node: Node) -> None:
        node.program("kubeadm")
        node.write("var/lib/kubeops", "a file where the directory belongs")
        assert node.run(_MARKED, "init", "kubeadm", "init").returncode != 0
        assert node.calls == []

    def test_stdin_can_be_opened_as_a_file(self, node: Node) -> None:
        node.program("kubeadm", 'cat "$2"')
        assert (
            node.run(_PIPED, "kubeadm", "--config", "/dev/stdin", stdin="a: 1\n").stdout == "a: 1\n"
        )


class TestSwap:
    FSTAB = (
        "# swap was here\n"
        "UUID=1 / ext4 errors=remount-ro 0 1\n"
        "/swap.img\tnone\tswap\tsw\t0\t0\n"
        "UUID=2 none swap sw,pri=5 0 0\n"
        "LABEL=data /mnt/swap ext4 defaults 0 2\n"
    )

    def test_boot_is_settled_before_swap_is_off(self, node: Node) -> None:
        """A run that ends in between has to be seen as not done: swap is still on."""
        node.write("etc/fstab", self.FSTAB)
        node.program("swapoff", 'grep -c "turned swap off" /etc/fstab >>"$CALLS"')
        node.program(
            "systemctl",
            'if [ "$1" = list-units ]; then echo "dev-zram0.swap loaded active active zram"; fi',
        )
        ended = node.run(_SWAP_OFF)
        assert ended.returncode == 0, ended.stderr
        assert node.calls == [
            "systemctl list-units --type=swap --no-legend --plain",
            "systemctl mask --quiet dev-zram0.swap",
            "swapoff -a",
            "2",
        ]
        assert node.read("etc/fstab") == self.FSTAB.replace(
            "/swap.img", "# kubeops turned swap off: /swap.img"
        ).replace("UUID=2", "# kubeops turned swap off: UUID=2")
        assert node.read("etc/fstab.before-kubeops") == self.FSTAB

    def test_again_nothing_changes(self, node: Node) -> None:
        node.write("etc/fstab", self.FSTAB)
        for name in ("swapoff", "systemctl"):
            node.program(name)
        node.run(_SWAP_OFF)
        once = node.read("etc/fstab")
        assert node.run(_SWAP_OFF).returncode == 0
        assert node.read("etc/fstab") == once
        assert node.read("etc/fstab.before-kubeops") == self.FSTAB

    def test_swap_that_cannot_be_turned_off_is_an_error(self, node: Node) -> None:
        node.write("etc/fstab", self.FSTAB)
        node.program("systemctl")
        node.program("swapoff", "echo 'swapoff: Cannot allocate memory' >&2; exit 1")
        ended = node.run(_SWAP_OFF)
        assert ended.returncode != 0
        assert "Cannot allocate memory" in ended.stderr


class TestFetchKey:
    URL = "https://pkgs.k8s.io/core:/stable:/v1.35/deb/"
    KEYRING = "etc/apt/keyrings/kubernetes.asc"
    CURL = 'while [ "$1" != --output ]; do shift; done; printf "%s" "$KEY" >"$2"'

    def fetch(self, node: Node, key: str) -> subprocess.CompletedProcess[str]:
        node.program("curl", self.CURL)
        return node.run(_FETCH_KEY, self.URL, f"/{self.KEYRING}", env={"KEY": key})

    def test_the_suites_own_key_is_put_where_apt_may_read_it(self, node: Node) -> None:
        key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\nx\n"
        assert self.fetch(node, key).returncode == 0
        assert node.read(self.KEYRING) == key
        assert (node.root / self.KEYRING).stat().st_mode & 0o777 == 0o644
        (call,) = node.calls
        assert call.endswith(f" {self.URL}Release.key")

    def test_a_login_page_is_no_key(self, node: Node) -> None:
        node.write(self.KEYRING, "the key of yesterday")
        assert self.fetch(node, "<html>Please log in</html>").returncode != 0
        assert node.read(self.KEYRING) == "the key of yesterday"


class TestReset:
    def node_of_a_cluster(self, node: Node) -> None:
        for name in ("etcd", "kube-apiserver", "kube-vip"):
            node.write(f"etc/kubernetes/manifests/{name}.yaml", name)
        node.write("etc/kubernetes/pki/ca.key", "private")
        node.write("etc/kubernetes/pki/etcd/ca.key", "private")
        for name in ("admin", "kubelet", "super-admin"):
            node.write(f"etc/kubernetes/{name}.conf")
        node.write("etc/kubernetes/audit/policy.yaml")
        node.write("var/lib/etcd/member/snap/db", "the cluster")

    def test_every_manifest_is_moved_and_the_host_says_so(self, node: Node) -> None:
        self.node_of_a_cluster(node)
        node.write("etc/kubernetes/manifests/.kubelet-keep", "")
        assert node.run(_MANIFESTS_ASIDE, ASIDE).returncode == 0
        kept = {"etcd.yaml", "kube-apiserver.yaml", "kube-vip.yaml"}
        assert node.tree(f"{ASIDE[1:]}/manifests") == kept
        assert node.tree("etc/kubernetes/manifests") == {".kubelet-keep"}
        assert node.read(MARK) == "reset"
        assert (node.root / ASIDE[1:]).stat().st_mode & 0o777 == 0o700

    def test_the_mark_of_an_unfinished_join_stays(self, node: Node) -> None:
        node.write(MARK, "join")
        assert node.run(_MANIFESTS_ASIDE, ASIDE).returncode == 0
        assert node.read(MARK) == "join"

    def test_data_is_moved_and_never_deleted(self, node: Node) -> None:
        self.node_of_a_cluster(node)
        ended = node.run(_DATA_ASIDE, ASIDE)
        assert ended.returncode == 0, ended.stderr
        assert node.tree(ASIDE[1:]) == {
            "etcd/member/snap/db",
            "pki/ca.key",
            "pki/etcd/ca.key",
            "admin.conf",
            "kubelet.conf",
            "super-admin.conf",
        }
        assert node.read(f"{ASIDE[1:]}/etcd/member/snap/db") == "the cluster"
        assert node.tree("var/lib/etcd") == set()
        assert (node.root / "etc/kubernetes/audit/policy.yaml").exists()

    def test_a_second_try_continues(self, node: Node) -> None:
        self.node_of_a_cluster(node)
        for at in (ASIDE, f"{ASIDE}-2"):
            assert node.run(_MANIFESTS_ASIDE, at).returncode == 0
            assert node.run(_DATA_ASIDE, at).returncode == 0
        assert "etcd/member/snap/db" in node.tree(ASIDE[1:])
        assert node.tree(f"{ASIDE[1:]}-2") == set()

    def test_a_worker_has_nothing_to_move(self, node: Node) -> None:
        assert node.run(_DATA_ASIDE, ASIDE).returncode == 0
        assert node.tree(ASIDE[1:]) == set()

    def test_without_containerd_nothing_runs(self, node: Node) -> None:
        node.program("crictl", "exit 1")
        ended = node.run(_RUNNING)
        assert (ended.returncode, ended.stdout) == (0, "")

    def test_the_containers_of_the_control_plane_are_counted(self, node: Node) -> None:
        (node.root / "run/containerd").mkdir()
        os.mknod(node.root / "run/containerd/containerd.sock", stat.S_IFSOCK | 0o600)
        node.program("crictl", "echo a1")
        assert node.run(_RUNNING).stdout == "a1\n"
        names = "^(etcd|kube-apiserver|kube-controller-manager|kube-scheduler)$"
        assert node.calls == [f"crictl ps --quiet --name {names}"]

    def test_a_containerd_that_does_not_answer_is_not_a_stopped_one(self, node: Node) -> None:
        (node.root / "run/containerd").mkdir()
        os.mknod(node.root / "run/containerd/containerd.sock", stat.S_IFSOCK | 0o600)
        node.program("crictl", "exit 1")
        assert node.run(_RUNNING).returncode == 1

    def test_room_is_asked_for_only_where_data_is_copied(self, node: Node) -> None:
        places = ("/var/lib/etcd/member", "/var/lib/kubeops/aside")
        assert node.run(_ROOM, *places).stdout == ""
        self.node_of_a_cluster(node)
        assert node.run(_ROOM, *places).stdout == ""
        elsewhere = ("/var/lib/etcd/member", "/dev/shm")  # noqa: S108 - a file system that is another
        needed, free = map(int, node.run(_ROOM, *elsewhere).stdout.split())
        assert 0 < needed < free

    @pytest.mark.parametrize(("active", "stopped"), [(True, False), (False, True)])
    def test_containers_no_kubelet_stops_are_stopped(
        self, node: Node, *, active: bool, stopped: bool
    ) -> None:
        (node.root / "run/containerd").mkdir()
        os.mknod(node.root / "run/containerd/containerd.sock", stat.S_IFSOCK | 0o600)
        node.program("systemctl", "" if active else "exit 3")
        node.program("crictl", '[ "$1" != ps ] || echo a1 a2')
        assert node.run(_STOP_ORPHANS).returncode == 0
        assert ("crictl stop --timeout 30 a1 a2" in node.calls) is stopped

    def test_routes_bridge_and_mark_go(self, node: Node) -> None:
        node.write(MARK, "reset")
        node.write("etc/cni/net.d/10-kubeops-bridge.conflist")
        node.write("etc/cni/net.d/05-cilium.conflist", "of another plugin")
        node.write("etc/cni/net.d/README")
        node.write(
            "etc/systemd/system/kubeops-pod-routes.service",
            "ExecStart=ip route replace 10.244.1.0/24 via 10.0.0.12 proto 107\n"
            "ExecStart=ip route replace fd00:1::/64 via fd00::12\n",
        )
        node.program("systemctl")
        node.program("ip", '[ "$1 $2" != "route del" ]')
        script = _NETWORK.replace("/sys/class/net/", f"{node.root}/net/")
        for link in ("cni0", "flannel.1", "eth0"):
            node.write(f"net/{link}")
        ended = node.run(script, ASIDE)
        assert ended.returncode == 0, ended.stderr
        assert node.calls == [
            "systemctl disable --now --quiet kubeops-pod-routes.service",
            "ip route del 10.244.1.0/24 via 10.0.0.12 proto 107",
            "ip route del fd00:1::/64 via fd00::12",
            "systemctl daemon-reload",
            "ip link del cni0",
            "ip link del flannel.1",
        ]
        assert node.tree("etc") == {"cni/net.d/README"}
        assert node.read(f"{ASIDE[1:]}/cni/05-cilium.conflist") == "of another plugin"
        assert not (node.root / MARK).exists()

    def test_a_host_without_our_network_loses_only_the_mark(self, node: Node) -> None:
        node.write(MARK, "join")
        node.program("ip", "exit 1")
        assert node.run(_NETWORK.replace("/sys/class/net/", "/nowhere/"), ASIDE).returncode == 0
        assert node.calls == []
        assert not (node.root / MARK).exists()


class TestPodRoutes:
    def started(self, node: Node, *routes: PodRoute) -> list[str]:
        """What `ip` is asked for when the unit's first command runs, as systemd would run it."""
        _conflist, unit = bridge_files(subnet="10.244.0.0/24", routes=routes)
        joined = unit.content.decode().replace("\\\n", "").replace("$$", "$")
        line = next(line for line in joined.splitlines() if line.startswith("ExecStart=sh "))
        shell, option, script = shlex.split(line.removeprefix("ExecStart="))
        assert (shell, option) == ("sh", "-c")
        node.program(
            "ip",
            'if [ "$*" = "-4 route show proto 107" ]; then '
            'echo "10.244.1.0/24 via 10.0.0.12"; echo "10.244.2.0/24 via 10.0.0.13"; fi',
        )
        assert node.run(script).returncode == 0
        return [call for call in node.calls if "show" not in call]

    def test_routes_to_nodes_that_have_left_are_taken_back(self, node: Node) -> None:
        staying = PodRoute(subnet="10.244.2.0/24", address="10.0.0.13")
        assert self.started(node, staying) == ["ip -4 route del 10.244.1.0/24 proto 107"]

    def test_the_last_node_has_none(self, node: Node) -> None:
        assert self.started(node) == [
            "ip -4 route del 10.244.1.0/24 proto 107",
            "ip -4 route del 10.244.2.0/24 proto 107",
        ]


class TestEtcdctl:
    MANIFEST = """\
    - etcd
    - --advertise-client-urls=https://10.0.0.11:2379
    - --cert-file=/etc/kubernetes/pki/etcd/server.crt
    - --key-file=/etc/kubernetes/pki/etcd/server.key
    - --listen-client-urls={listen}
    - --trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt
"""
    COMMON = (
        "--cacert /etc/kubernetes/pki/etcd/ca.crt --cert /etc/kubernetes/pki/etcd/server.crt "
        "--key /etc/kubernetes/pki/etcd/server.key --command-timeout=10s "
        "member remove 8e9e05c52164694d"
    )
    REMOVE = ("member", "remove", "8e9e05c52164694d")

    @pytest.mark.parametrize(
        ("listen", "endpoint"),
        [
            ("https://127.0.0.1:2379,https://10.0.0.11:2379", "https://127.0.0.1:2379"),
            ("https://[::1]:2379,https://[fd00::11]:2379", "https://10.0.0.11:2379"),
        ],
    )
    def test_the_members_own_flags_are_used(self, node: Node, listen: str, endpoint: str) -> None:
        node.write("etc/kubernetes/manifests/etcd.yaml", self.MANIFEST.format(listen=listen))
        node.program("etcdctl", "exit 3")
        assert node.run(_ETCDCTL, *self.REMOVE).returncode == 3
        assert node.calls == [f"etcdctl --endpoints {endpoint} {self.COMMON}"]

    def test_etcds_own_image_has_one_too(self, node: Node) -> None:
        listen = "https://127.0.0.1:2379"
        node.write("etc/kubernetes/manifests/etcd.yaml", self.MANIFEST.format(listen=listen))
        node.program("crictl", 'if [ "$1" = ps ]; then echo 1f2e3d; fi')
        for name in ("sed", "grep", "head", "tr", "sh", "basename"):
            (node.root / "bin" / name).symlink_to(f"/usr/bin/{name}")
        ended = node.run(_ETCDCTL, *self.REMOVE, env={"PATH": f"{node.root}/bin"})
        assert ended.returncode == 0, ended.stderr
        assert node.calls == [
            "crictl ps --quiet --name ^etcd$",
            f"crictl exec 1f2e3d etcdctl --endpoints {listen} {self.COMMON}",
        ]
