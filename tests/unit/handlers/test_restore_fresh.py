"""How a control plane is made of restored data: what is done, in which order, and what is kept."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from kubeops.backups.pki import SETTINGS as SETTINGS_PATH
from kubeops.engine.context import DONE, NEEDED, State
from kubeops.errors import GateError, StepError
from kubeops.handlers import kubeadm, restore, restore_fresh, restore_start
from kubeops.handlers.restore import _MARK
from kubeops.handlers.restore_fresh import (
    _PLACE,
    FORGET_TOKENS,
    KUBELET_SETTINGS,
    PLACE_RESTORED,
    REVIVE_CLUSTER,
    SET_ASIDE,
    STAGE_PKI,
    with_settings,
)
from kubeops.handlers.restore_start import _CLOSE, FORGET_NODES
from kubeops.model.observed import HostFacts
from kubeops.model.restoring import Phase
from kubeops.plan.install import init_cluster
from kubeops.plan.restore_actions import (
    ForgetNodes,
    ForgetTokens,
    PlaceRestored,
    ReviveCluster,
    SetAside,
    StagePki,
)
from tests.certificates import SETTINGS, archive, config_map, pki
from tests.unit.handlers.test_restore import running, says
from tests.unit.handlers.test_scripts import Node
from tests.unit.handlers.values import Bench
from tests.unit.plan.restore_values import ATTEMPT, BUNDLE, whole

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="a mount namespace needs root; run the tests as root"
)
MARK = f"/var/lib/kubeops/restore/{ATTEMPT}"
STAGE = StagePki(attempt=ATTEMPT, bundle=BUNDLE.name, sha256="5" * 64)
ASIDE = SetAside(attempt=ATTEMPT)
PLACE = PlaceRestored(attempt=ATTEMPT, files=("etc/kubernetes/pki/ca.crt",))
REVIVE = ReviveCluster(attempt=ATTEMPT, version="1.35.4", addons=False)


@pytest.fixture(autouse=True)
def seen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore_fresh, "kubeadm_state", bench.see_kubeadm)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(restore, "state_directory", lambda: tmp_path)
    return tmp_path


def fresh(bench: Bench) -> HostFacts:
    return bench.prepared("cp1")


def begun(bench: Bench) -> HostFacts:
    return replace(fresh(bench), unfinished="restore", etcd_data=True)


def up(bench: Bench) -> HostFacts:
    return replace(fresh(bench), kubelet_server="https://10.0.0.10:6443")


def scripts(bench: Bench, host: str = "cp1") -> list[str]:
    return [command.argv[2] for command in bench.runner(host).commands]


class TestStagePki:
    @pytest.mark.parametrize(("status", "expected"), [(0, DONE), (1, NEEDED)])
    def test_the_copy_is_hashed(self, bench: Bench, status: int, expected: object) -> None:
        bench.runner("cp1").on(running(restore_fresh._SAME), status=status)
        assert STAGE_PKI.check(STAGE, bench.context("cp1")) == expected

    def test_it_is_brought_into_the_mark(
        self, bench: Bench, state: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent: list[tuple[Path, str]] = []
        monkeypatch.setattr(
            restore_fresh, "upload", lambda _runner, *files, **_: sent.append(files)
        )
        bench.runner("cp1").on(running(restore_fresh._MAKE, MARK))
        with pytest.raises(StepError, match="not there any more"):
            STAGE_PKI.apply(STAGE, bench.context("cp1"))
        local = state / "prod/restoring" / f"{BUNDLE.name}.pki.tar"
        local.parent.mkdir(parents=True)
        local.touch()
        STAGE_PKI.apply(STAGE, bench.context("cp1"))
        assert sent == [(local, f"{MARK}/pki.tar")]


class TestSetAside:
    def test_what_was_begun_is_set_aside(self, bench: Bench) -> None:
        for facts, phase, expected in (
            (begun(bench), Phase.RESTORED, NEEDED),
            (fresh(bench), Phase.SWAPPED, NEEDED),
            (fresh(bench), Phase.RESTORED, DONE),
            (fresh(bench), None, DONE),
            (up(bench), Phase.SWAPPED, DONE),
            (replace(up(bench), kubeadm_running=True), Phase.SWAPPED, NEEDED),
        ):
            again = Bench(hosts={"cp1": [facts]})
            bench.hosts["cp1"] = [facts]
            says(again, phase)
            assert SET_ASIDE.check(ASIDE, again.context("cp1")) == expected, (facts, phase)

    def test_the_mark_goes_back_before_anything_is_moved(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bench.hosts["cp1"] = [begun(bench)]
        says(bench, Phase.SWAPPED)
        bench.runner("cp1").on(running("advance staged", MARK))
        cleared: list[list[str]] = []
        monkeypatch.setattr(restore_fresh, "clear", lambda _context: cleared.append(scripts(bench)))
        SET_ASIDE.apply(ASIDE, bench.context("cp1"))
        assert cleared
        assert "advance staged" in cleared[0][-1]

    def test_a_kubeadm_that_ends_well_meanwhile_is_left_in_peace(self, bench: Bench) -> None:
        at_work = replace(begun(bench), kubeadm_running=True)
        bench.hosts["cp1"] = [at_work, at_work, up(bench)]
        SET_ASIDE.apply(ASIDE, bench.context("cp1"))
        assert "ended well" in bench.said[-1]
        assert not scripts(bench)

    def test_where_nothing_was_put_nothing_is_moved(self, bench: Bench) -> None:
        bench.hosts["cp1"] = [fresh(bench)]
        says(bench, None)
        SET_ASIDE.apply(ASIDE, bench.context("cp1"))
        assert len(scripts(bench)) == 1


class TestRevive:
    def test_a_host_that_is_up_is_not_touched(self, bench: Bench) -> None:
        bench.hosts["cp1"] = [up(bench)]
        REVIVE_CLUSTER.apply(REVIVE, bench.context("cp1"))
        assert not scripts(bench)

    def test_kubeadm_is_given_what_the_cluster_had(self, bench: Bench) -> None:
        bench.hosts["cp1"] = [begun(bench)]
        host = bench.runner("cp1")
        extra = {"extraArgs": [{"name": "audit-policy-file", "value": "/etc/kubernetes/a.yaml"}]}
        kept = {**SETTINGS, "apiServer": extra}
        unpack = restore_fresh._UNPACK
        host.on(
            running(unpack, MARK, SETTINGS_PATH), stdout=config_map("ClusterConfiguration", kept)
        )
        host.on(running(unpack, MARK, KUBELET_SETTINGS))
        host.on(running(kubeadm._MARKED, "restore", "kubeadm", "init"))
        host.on(("kubeadm", "token", "delete"))
        REVIVE_CLUSTER.apply(REVIVE, bench.context("cp1"))
        (init,) = [command for command in host.commands if command.argv[2] == kubeadm._MARKED]
        assert init.stdin is not None
        documents = {one["kind"]: one for one in yaml.safe_load_all(init.stdin)}
        server = documents["ClusterConfiguration"]["apiServer"]
        assert server["extraArgs"] == extra["extraArgs"]
        assert "10.0.0.11" in server["certSANs"]

    def test_its_control_plane_is_waited_for(self, bench: Bench) -> None:
        facts = whole(bench.desired)
        bench.clusters["cp1"] = [facts]
        bench.runner("cp1").on(("kubectl",), status=1, stderr="refused")
        with pytest.raises(GateError, match="refused"):
            bench.await_gate(REVIVE_CLUSTER.gate(REVIVE, bench.context("cp1")))


class TestSettings:
    def config(self, bench: Bench) -> str:
        action = init_cluster(bench.desired, bench.desired.host("cp1"))
        secrets = {"token": "abcdef.0123456789abcdef", "key": "k"}
        return kubeadm._init_config(action, cluster="prod", node="cp1", **secrets)

    def made(
        self, bench: Bench, cluster: object = None, kubelet: object = None, *, addons: bool = False
    ) -> dict[str, dict[str, object]]:
        text = with_settings(
            self.config(bench),
            config_map("ClusterConfiguration", cluster) if isinstance(cluster, dict) else "",
            config_map("kubelet", kubelet) if isinstance(kubelet, dict) else "",
            addons=addons,
        )
        return {one["kind"]: one for one in yaml.safe_load_all(text)}

    def test_names_and_version_are_ours_and_all_else_is_theirs(self, bench: Bench) -> None:
        theirs = {
            **SETTINGS,
            "clusterName": "old-name",
            "kubernetesVersion": "v1.35.1",
            "controlPlaneEndpoint": "10.9.9.9:6443",
            "featureGates": {"X": True},
            "apiServer": {"certSANs": ["api.example"], "extraVolumes": [{"name": "audit"}]},
            "etcd": {"local": {"dataDir": "/fast/etcd", "extraArgs": [{"name": "quota"}]}},
        }
        found = self.made(bench, theirs)["ClusterConfiguration"]
        assert found["clusterName"] == "old-name"
        assert found["kubernetesVersion"] == "v1.35.4"
        assert found["controlPlaneEndpoint"] == "10.0.0.10:6443"
        assert found["featureGates"] == {"X": True}
        assert found["apiServer"] == {
            "certSANs": ["10.0.0.10", "10.0.0.11", "10.0.0.12", "10.0.0.13", "api.example"],
            "extraVolumes": [{"name": "audit"}],
        }
        assert found["etcd"] == {
            "local": {"dataDir": "/var/lib/etcd", "extraArgs": [{"name": "quota"}]}
        }

    def test_kubelets_keep_their_settings(self, bench: Bench) -> None:
        kept = {"kind": "KubeletConfiguration", "maxPods": 250}
        found = self.made(bench, None, kept)["KubeletConfiguration"]
        assert (found["maxPods"], found["cgroupDriver"]) == (250, "systemd")

    def test_a_data_directory_that_is_not_empty_is_what_we_want(self, bench: Bench) -> None:
        found = self.made(bench)["InitConfiguration"]
        registration = found["nodeRegistration"]
        assert isinstance(registration, dict)
        assert registration["ignorePreflightErrors"] == ["DirAvailable--var-lib-etcd"]

    @pytest.mark.parametrize(("addons", "skipped"), [(False, ["addon"]), (True, None)])
    def test_addons_are_in_the_data(self, bench: Bench, *, addons: bool, skipped: object) -> None:
        found = self.made(bench, addons=addons)["InitConfiguration"]
        assert found.get("skipPhases") == skipped

    def test_without_what_was_there_it_is_a_new_cluster_over_old_data(self, bench: Bench) -> None:
        found = self.made(bench)["ClusterConfiguration"]
        assert found["clusterName"] == "prod"


class TestForget:
    def test_pods_go_before_their_nodes(self, bench: Bench) -> None:
        host = bench.runner("cp1")
        host.on(("kubectl",))
        FORGET_NODES.apply(ForgetNodes(nodes=("cp2", "cp3")), bench.context("cp1"))
        said = bench.done("cp1")
        assert [line.split(" delete ")[1].split()[0] for line in said] == ["pod", "node"] * 2
        assert "etcd-cp2 kube-apiserver-cp2" in said[0]
        assert "delete node cp3" in said[3]

    def test_nodes_that_nobody_knows_are_forgotten_already(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        facts = whole(bench.desired)
        assert facts.api is not None
        nodes = facts.api.nodes
        monkeypatch.setattr(restore_start, "nodes", lambda *_, **__: nodes)
        context = bench.context("cp1")
        assert FORGET_NODES.check(ForgetNodes(nodes=("cp3",)), context) == NEEDED
        assert FORGET_NODES.check(ForgetNodes(nodes=("cp9",)), context) == DONE

    def test_old_tokens_and_certificates_go_and_the_mark_says_so(self, bench: Bench) -> None:
        host = bench.runner("cp1")
        host.on(("kubectl",))
        host.on(running("advance controllers", MARK))
        FORGET_TOKENS.apply(ForgetTokens(attempt=ATTEMPT), bench.context("cp1"))
        tokens, certificates, _mark = host.commands
        assert "type=bootstrap.kubernetes.io/token" in tokens.argv
        assert "kubeadm-certs" in certificates.argv

    @pytest.mark.parametrize(
        ("phase", "expected"), [(Phase.SWAPPED, NEEDED), (Phase.CONTROLLERS, DONE)]
    )
    def test_tokens_of_joins_are_not_deleted_by_a_later_run(
        self, bench: Bench, phase: Phase, expected: object
    ) -> None:
        says(bench, phase)
        assert FORGET_TOKENS.check(ForgetTokens(attempt=ATTEMPT), bench.context("cp1")) == expected


def test_what_is_placed_already_is_not_placed_again(bench: Bench) -> None:
    says(bench, Phase.SWAPPED)
    assert PLACE_RESTORED.check(PLACE, bench.context("cp1")) == DONE
    blocked = Bench()
    says(blocked, None)
    assert PLACE_RESTORED.check(PLACE, blocked.context("cp1")).state is State.BLOCKED


BEGAN = "20261121T120000Z"
NEW = f"var/lib/db-of-test.restored-{BEGAN}"
DATABASE = "var/lib/db-of-test/member/snap/db"


@pytest.fixture
def host(tmp_path: Path) -> Node:
    """A fresh host on which PKI and snapshot are staged, and the data directory is made."""
    made = Node(tmp_path / "root")
    made.write(f"{NEW}/member/snap/db", "new")
    for name, text in {"began": BEGAN, "data": "/var/lib/db-of-test", "phase": "restored"}.items():
        made.write(f"{MARK[1:]}/{name}", text + "\n")
    files = pki() | {"etc/kubernetes/enc/enc.yaml": b"enc", "etc/kubernetes/admin.conf": b"old"}
    (made.root / MARK[1:] / "pki.tar").write_bytes(archive(files))
    return made


def place(host: Node, *files: str, status: int = 0) -> str:
    ended = host.run(_MARK + _PLACE, MARK, *files)
    assert ended.returncode == status, ended.stderr
    return ended.stdout + ended.stderr


@needs_root
class TestPlace:
    FILES = (
        *("etc/kubernetes/pki/ca.key", "etc/kubernetes/pki/ca.crt"),
        *("etc/kubernetes/pki/etcd/ca.key", "etc/kubernetes/enc/enc.yaml"),
    )

    def test_data_and_files_are_in_place_and_nothing_else_is(self, host: Node) -> None:
        place(host, *self.FILES)
        assert host.read(DATABASE) == "new"
        there = {f"etc/kubernetes/{path}" for path in host.tree("etc/kubernetes")}
        assert there == set(self.FILES)
        assert host.read("var/lib/kubeops/unfinished") == "restore"
        assert host.read(f"{MARK[1:]}/phase").strip() == "swapped"

    def test_only_root_reads_keys_and_data(self, host: Node) -> None:
        place(host, *self.FILES)
        for path in ("etc/kubernetes/pki/ca.key", "etc/kubernetes/enc/enc.yaml"):
            assert (host.root / path).stat().st_mode & 0o777 == 0o600
        assert (host.root / "var/lib/db-of-test").stat().st_mode & 0o777 == 0o700
        assert (host.root / "etc/kubernetes/pki").stat().st_mode & 0o777 == 0o755

    def test_an_empty_directory_that_a_reset_left_gives_way(self, host: Node) -> None:
        (host.root / "var/lib/db-of-test").mkdir()
        place(host, *self.FILES)
        assert host.read(DATABASE) == "new"

    def test_data_that_is_there_is_never_replaced(self, host: Node) -> None:
        host.write(DATABASE, "of somebody")
        place(host, *self.FILES, status=1)
        assert host.read(DATABASE) == "of somebody"
        assert host.read(f"{MARK[1:]}/phase").strip() == "restored"
        assert host.read("var/lib/kubeops/unfinished") == "restore"

    def test_typed_again_it_finishes(self, host: Node) -> None:
        place(host, *self.FILES)
        host.write(f"{MARK[1:]}/phase", "restored\n")
        place(host, *self.FILES)
        assert host.read(DATABASE) == "new"
        assert host.read(f"{MARK[1:]}/phase").strip() == "swapped"

    def test_without_data_it_does_not_say_so(self, host: Node) -> None:
        (host.root / NEW).rename(host.root / "var/lib/elsewhere")
        assert "neither" in place(host, *self.FILES, status=1)
        assert host.read(f"{MARK[1:]}/phase").strip() == "restored"

    def test_the_mark_of_something_else_unfinished_stays(self, host: Node) -> None:
        host.write("var/lib/kubeops/unfinished", "reset")
        place(host, *self.FILES)
        assert host.read("var/lib/kubeops/unfinished") == "reset"

    def test_a_mount_point_keeps_its_place(self, host: Node) -> None:
        host.program("mountpoint")
        (host.root / NEW).rename(host.root / "var/lib/elsewhere")
        host.write(f"var/lib/db-of-test/member.restored-{BEGAN}/snap/db", "new")
        place(host, *self.FILES)
        assert host.read(DATABASE) == "new"

    def test_no_key_is_left_in_the_mark_when_it_is_closed(self, host: Node) -> None:
        place(host, *self.FILES)
        ended = host.run(_MARK + _CLOSE, MARK, "done")
        assert ended.returncode == 0, ended.stderr
        assert "pki.tar" not in host.tree(MARK[1:])
        assert host.read(DATABASE) == "new"


@needs_root
@pytest.mark.parametrize(("name", "expected"), [("a.yaml", "x\n"), ("b.yaml", "")])
def test_what_the_archive_lacks_is_empty(tmp_path: Path, name: str, expected: str) -> None:
    node = Node(tmp_path / "root")
    node.write("var/lib/x", "")
    (node.root / "var/lib/pki.tar").write_bytes(archive({"cluster/a.yaml": b"x\n"}))
    told = node.run(restore_fresh._UNPACK, "/var/lib", f"cluster/{name}")
    assert (told.returncode, told.stdout) == (0, expected)
