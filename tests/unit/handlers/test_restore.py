"""What the handlers of a restore do at their turn, and what they refuse to do."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kubeops.engine.context import DONE, NEEDED, Handler, State
from kubeops.errors import CommandError, GateError, StepError, UntrustedSnapshotError
from kubeops.handlers import restore, restore_start
from kubeops.handlers.etcd_tools import _RUN
from kubeops.handlers.restore import (
    FORGET_BUNDLE,
    KEEP_PRESENT,
    RESTORE_DATA,
    STAGE_SNAPSHOT,
    SWAP_DATA,
    SWAP_DATA_BACK,
)
from kubeops.handlers.restore_start import (
    AWAIT_MEMBERS,
    AWAIT_RESTORED,
    CLOSE_ATTEMPT,
    RESYNC_NODE,
    START_STATIC_PODS,
    STOP_CONTROL_PLANE,
)
from kubeops.model.restoring import Phase
from kubeops.plan.restore_actions import (
    AwaitMembers,
    AwaitRestored,
    CloseAttempt,
    ForgetBundle,
    KeepPresent,
    RestoreData,
    ResyncNode,
    StageSnapshot,
    StartStaticPods,
    StopControlPlane,
    SwapData,
    SwapDataBack,
)
from kubeops.transport.base import Command
from tests.unit.handlers.values import Bench
from tests.unit.plan.restore_values import ATTEMPT, BEGINS, BUNDLE, whole

STAGE = StageSnapshot(
    attempt=ATTEMPT,
    bundle=BUNDLE.name,
    sha256="5" * 64,
    revision=4597,
    begins=BEGINS,
    data="/var/lib/etcd",
)
DATA = RestoreData(
    attempt=ATTEMPT,
    sha256="5" * 64,
    member="cp1",
    peers="https://10.0.0.11:2380",
    members="cp1=https://10.0.0.11:2380",
    token="kubeops-restore-x",  # noqa: S106 - a cluster token is no secret
    bump=10**9,
)
STOP = StopControlPlane(attempt=ATTEMPT, phase=Phase.STOPPING)
START = StartStaticPods(attempt=ATTEMPT, phase=Phase.ETCD, pods=("etcd",))
API = StartStaticPods(attempt=ATTEMPT, phase=Phase.API, pods=("kube-apiserver",))
RESYNC = ResyncNode(node="w1", via="cp1", always=False)


def running(part: str, *words: str) -> Callable[[Command], bool]:
    """Fits a shell command whose script holds `part` and whose arguments begin with `words`."""

    def fits(command: Command) -> bool:
        if command.argv[:2] != ("sh", "-euc") or part not in command.argv[2]:
            return False
        return command.argv[4 : 4 + len(words)] == words

    fits.__doc__ = f"a script with {part[:40]!r} {' '.join(words)}"
    return fits


def says(bench: Bench, phase: Phase | None, *, host: str = "cp1") -> None:
    text = f"{phase}\n" if phase is not None else ""
    bench.runner(host).on(running(restore._PHASE), stdout=text)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(restore, "state_directory", lambda: tmp_path)
    return tmp_path


def local(state: Path, content: bytes = b"snapshot") -> Path:
    file = state / "prod/restoring" / f"{BUNDLE.name}.db"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    return file


@pytest.mark.parametrize(
    ("handler", "action", "reached"),
    [
        (SWAP_DATA, SwapData(attempt=ATTEMPT), Phase.SWAPPED),
        (SWAP_DATA_BACK, SwapDataBack(attempt=ATTEMPT), Phase.UNDO_SWAPPED),
        (START_STATIC_PODS, START, Phase.ETCD),
        (CLOSE_ATTEMPT, CloseAttempt(attempt=ATTEMPT, phase=Phase.DONE), Phase.DONE),
    ],
)
def test_a_step_is_done_when_the_host_says_so(
    bench: Bench, handler: Handler[Any], action: object, reached: Phase
) -> None:
    before = list(Phase)[reached.rank - 1]
    for phase, expected in ((before, NEEDED), (reached, DONE)):
        fresh = Bench()
        says(fresh, phase)
        assert handler.check(action, fresh.context("cp1")) == expected
    says(bench, None)
    blocked = handler.check(action, bench.context("cp1"))
    assert blocked.state is State.BLOCKED
    assert "knows nothing" in blocked.reason


def test_a_restore_does_not_go_on_once_it_is_being_undone(bench: Bench) -> None:
    says(bench, Phase.UNDO_SWAPPED)
    for handler, action in ((SWAP_DATA, SwapData(attempt=ATTEMPT)), (STAGE_SNAPSHOT, STAGE)):
        check = handler.check(action, bench.context("cp1"))  # type: ignore[arg-type]  # pairs fit
        assert check.state is State.BLOCKED
        assert "restore --undo" in check.reason


class TestStage:
    def test_a_host_that_knows_nothing_yet_begins(self, bench: Bench) -> None:
        says(bench, None)
        assert STAGE_SNAPSHOT.check(STAGE, bench.context("cp1")) == NEEDED

    @pytest.mark.parametrize(("status", "expected"), [(0, DONE), (1, NEEDED)])
    def test_a_copy_is_hashed_again(self, bench: Bench, status: int, expected: object) -> None:
        says(bench, Phase.STAGED)
        bench.runner("cp1").on(running(restore._SAME), status=status)
        assert STAGE_SNAPSHOT.check(STAGE, bench.context("cp1")) == expected

    def stage(self, bench: Bench, *, revision: str) -> None:
        host = bench.runner("cp1")
        host.on(running(restore._BEGIN))
        host.on(lambda command: command.argv[3:4] == ("kubeops-upload",))
        host.on(running(_RUN, "etcdutl", "snapshot", "status"), stdout=revision)
        host.on(running("advance staged"))
        STAGE_SNAPSHOT.apply(STAGE, bench.context("cp1"))

    def test_the_host_marks_it_once_etcdutl_agrees(self, bench: Bench, state: Path) -> None:
        local(state)
        self.stage(bench, revision='{"hash":1,"revision":4597,"totalKey":7,"totalSize":9}')
        assert bench.runner("cp1").commands[-1].argv[2].endswith("advance staged")

    def test_another_revision_is_not_trusted(self, bench: Bench, state: Path) -> None:
        local(state)
        with pytest.raises(UntrustedSnapshotError, match=r"revision 4000 .*not 4597"):
            self.stage(bench, revision='{"revision":4000}')

    def test_an_answer_that_is_none_is_not_trusted(self, bench: Bench, state: Path) -> None:
        local(state)
        with pytest.raises(StepError, match="etcdutl answered"):
            self.stage(bench, revision="panic")

    def test_a_local_copy_that_is_gone_is_said(self, bench: Bench) -> None:
        with pytest.raises(StepError, match="not there any more"):
            self.stage(bench, revision="")


def test_the_local_copy_goes_with_its_directory(bench: Bench, state: Path) -> None:
    file = local(state)
    forget = ForgetBundle(bundle=BUNDLE.name)
    context = bench.context("cp1")
    assert FORGET_BUNDLE.check(forget, context) == NEEDED
    FORGET_BUNDLE.apply(forget, context)
    assert not file.parent.exists()
    assert FORGET_BUNDLE.check(forget, context) == DONE


def test_etcdutl_makes_a_member_of_the_new_cluster(bench: Bench) -> None:
    host = bench.runner("cp1")
    host.on(running(restore._CLEAR), stdout="/var/lib/etcd.part-restored\n")
    host.on(running(_RUN, "etcdutl"))
    host.on(running(restore._PLACE))
    RESTORE_DATA.apply(DATA, bench.context("cp1"))
    assert host.commands[1].argv[4:] == (
        *("etcdutl", "snapshot", "restore", f"/var/lib/kubeops/restore/{ATTEMPT}/snapshot.db"),
        *("--data-dir", "/var/lib/etcd.part-restored", "--name", "cp1"),
        *("--initial-advertise-peer-urls", "https://10.0.0.11:2380"),
        *("--initial-cluster", "cp1=https://10.0.0.11:2380"),
        *("--initial-cluster-token", "kubeops-restore-x"),
        *("--bump-revision", "1000000000", "--mark-compacted"),
    )


def test_a_damaged_copy_is_never_given_to_etcdutl(bench: Bench) -> None:
    host = bench.runner("cp1")
    host.on(running(restore._CLEAR), status=1, stderr="the snapshot is damaged")
    with pytest.raises(CommandError) as caught:
        RESTORE_DATA.apply(DATA, bench.context("cp1"))
    assert "damaged" in caught.value.output
    assert "same command again" in caught.value.hint
    assert len(host.commands) == 1


class TestKeep:
    def keep(self, bench: Bench, *, required: bool, status: int) -> None:
        bench.runner("cp1").on(running("snapshot save"), status=status, stderr="no leader")
        bench.runner("cp1").on(running("mv -T"))
        keep = KeepPresent(attempt=ATTEMPT, required=required)
        KEEP_PRESENT.apply(keep, bench.context("cp1"))

    def test_it_is_said_where_it_is(self, bench: Bench) -> None:
        self.keep(bench, required=True, status=0)
        assert f"/var/lib/kubeops/restore/{ATTEMPT}/present.db" in bench.said[-1]

    def test_a_member_that_answered_must_be_saved(self, bench: Bench) -> None:
        said = r"etcdctl snapshot save .*present.db` ended with"
        with pytest.raises(CommandError, match=said) as caught:
            self.keep(bench, required=True, status=1)
        assert "no leader" in caught.value.output

    def test_one_that_did_not_may_fail(self, bench: Bench) -> None:
        self.keep(bench, required=False, status=1)
        assert "no leader" in bench.said[-1]


class TestStop:
    def test_manifests_that_came_back_are_moved_again(self, bench: Bench) -> None:
        says(bench, Phase.STOPPING)
        bench.runner("cp1").on(running(restore_start._LEFT), stdout="etcd\n", times=1)
        bench.runner("cp1").on(running(restore_start._LEFT))
        assert STOP_CONTROL_PLANE.check(STOP, bench.context("cp1")) == NEEDED
        assert STOP_CONTROL_PLANE.check(STOP, bench.context("cp1")) == DONE

    def test_the_containers_end_is_waited_for(self, bench: Bench) -> None:
        says(bench, Phase.STOPPING)
        bench.runner("cp1").on(running(restore_start._RUNNING), stdout="etcd\n", times=2)
        bench.runner("cp1").on(running(restore_start._RUNNING))
        bench.await_gate(STOP_CONTROL_PLANE.gate(STOP, bench.context("cp1")))
        assert any("etcd still run" in line for line in bench.said)

    def test_an_answer_that_failed_is_no_end(self, bench: Bench) -> None:
        says(bench, Phase.STOPPING)
        bench.runner("cp1").on(running(restore_start._RUNNING), status=1)
        with pytest.raises(GateError):
            bench.await_gate(STOP_CONTROL_PLANE.gate(STOP, bench.context("cp1")))

    def test_a_host_that_is_further_may_run_again(self, bench: Bench) -> None:
        says(bench, Phase.API)
        assert STOP_CONTROL_PLANE.gate(STOP, bench.context("cp1")) is None


class TestStart:
    def test_etcd_is_not_waited_for_alone(self, bench: Bench) -> None:
        assert START_STATIC_PODS.gate(START, bench.context("cp1")) is None

    def test_an_api_server_has_to_be_ready(self, bench: Bench) -> None:
        host = bench.runner("cp1")
        host.on(running(restore_start._RUNNING), times=1)
        host.on(running(restore_start._RUNNING), stdout="kube-apiserver\n")
        host.on(("kubectl",), status=1, stderr="connection refused", times=1)
        host.on(("kubectl",), stdout="ok")
        bench.await_gate(START_STATIC_PODS.gate(API, bench.context("cp1")))
        said = " ".join(bench.said)
        assert "do not run yet" in said
        assert "connection refused" in said

    def test_the_phase_and_the_pods_are_told(self, bench: Bench) -> None:
        host = bench.runner("cp1")
        host.on(running(restore_start._IN))
        START_STATIC_PODS.apply(API, bench.context("cp1"))
        assert host.commands[0].argv[5:] == ("api", "kube-apiserver")


class TestResync:
    def lease(self, bench: Bench, *times: str) -> None:
        for one in times:
            bench.runner("cp1").on(("kubectl",), stdout=one, times=1)

    def test_a_kubelet_that_renews_its_lease_is_left_alone(self, bench: Bench) -> None:
        self.lease(bench, "09:02:14", "09:02:14", "09:02:24")
        RESYNC_NODE.apply(RESYNC, bench.context("w1"))
        assert bench.done("w1") == []
        bench.runner("cp1").assert_all_used()

    def test_one_that_does_not_is_restarted(self, bench: Bench) -> None:
        looks = restore_start.RENEWAL_TIMEOUT + 4
        bench.runner("w1").on(("systemctl", "restart", "kubelet.service"))
        bench.runner("cp1").on(("kubectl",), stdout="", times=looks)
        self.lease(bench, "", "09:03:00")
        RESYNC_NODE.apply(RESYNC, bench.context("w1"))
        assert bench.done("w1") == ["systemctl restart kubelet.service"]
        assert any("restarting the kubelet" in line for line in bench.said)

    def test_after_an_undo_all_are(self, bench: Bench) -> None:
        bench.runner("w1").on(("systemctl", "restart", "kubelet.service"))
        self.lease(bench, "09:02:14", "09:02:24")
        RESYNC_NODE.apply(replace(RESYNC, always=True), bench.context("w1"))
        assert bench.done("w1") == ["systemctl restart kubelet.service"]


class TestVerify:
    def wait(self, bench: Bench, uid: str) -> None:
        bench.clusters["cp1"] = [whole(bench.desired)]
        nodes = tuple(host.name for host in bench.desired.hosts)
        action = AwaitRestored(uid=uid, nodes=nodes)
        bench.await_gate(AWAIT_RESTORED.gate(action, bench.context("cp1")))

    def test_the_cluster_that_was_meant(self, bench: Bench) -> None:
        self.wait(bench, BUNDLE.kube_system_uid)

    def test_another_one_is_not_waited_for(self, bench: Bench) -> None:
        with pytest.raises(GateError, match="cannot come true"):
            self.wait(bench, "another")


def etcd_says(
    bench: Bench,
    *,
    healthy: bool = True,
    revision: int = BEGINS,
    hashes: tuple[int, ...] = (7, 7),
    alarms: str = "{}",
) -> None:
    """Have cp1 and cp2 be etcd's members, and cp1 say so."""
    members, health, status, hashed = [], [], [], []
    for number, digest in enumerate(hashes, start=1):
        url = f"https://10.0.0.1{number}:2379"
        header = {"member_id": number, "revision": revision}
        members.append(
            {"ID": number, "name": f"cp{number}", "peerURLs": [url], "clientURLs": [url]}
        )
        health.append({"endpoint": url, "health": healthy})
        status.append(
            {"Endpoint": url, "Status": {"header": header, "version": "3.6.6", "dbSize": 1}}
        )
        hashed.append({"Endpoint": url, "HashKV": {"header": header, "hash": digest}})
    told = {
        "member list": json.dumps({"members": members}),
        "endpoint health": json.dumps(health),
        "endpoint status": json.dumps(status),
        "endpoint hashkv": json.dumps(hashed),
        "alarm list": alarms,
    }
    for words, text in told.items():
        bench.runner("cp1").on(running("etcdctl", *words.split()), stdout=text)


class TestMembers:
    ACTION = AwaitMembers(control_planes=("cp1", "cp2"), revision=BEGINS)

    def test_members_that_agree(self, bench: Bench) -> None:
        etcd_says(bench)
        bench.await_gate(AWAIT_MEMBERS.gate(self.ACTION, bench.context("cp1")))

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"healthy": False}, "not healthy"),
            ({"revision": BEGINS - 1}, "have not reached revision"),
            ({"hashes": (7, 8)}, "content differs"),
            ({"hashes": (7,)}, "has no member cp2"),
            ({"hashes": (7, 7, 7)}, "cp3 belongs to no control plane"),
            ({"alarms": '{"alarms":[{"memberID":1,"alarm":2}]}'}, "alarm CORRUPT 1"),
        ],
    )
    def test_members_that_do_not_are_waited_for(
        self, bench: Bench, wrong: dict[str, Any], said: str
    ) -> None:
        etcd_says(bench, **wrong)
        with pytest.raises(GateError, match=said):
            bench.await_gate(AWAIT_MEMBERS.gate(self.ACTION, bench.context("cp1")))

    def test_after_an_undo_etcd_is_what_it_was(self, bench: Bench) -> None:
        bench.clusters["cp1"] = [whole(bench.desired)]
        old = AwaitMembers(control_planes=("cp1", "cp2"), revision=0)
        bench.await_gate(AWAIT_MEMBERS.gate(old, bench.context("cp1")))
