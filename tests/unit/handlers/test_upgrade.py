import json
from collections.abc import Callable
from dataclasses import replace

import pytest
import yaml

from kubeops.engine.context import DONE, NEEDED
from kubeops.errors import CommandError
from kubeops.handlers.upgrade import (
    _MARKED,
    CHECK_UPGRADE,
    UPGRADE_APPLY,
    UPGRADE_NODE,
    transient,
)
from kubeops.model.observed import ApiFacts, ClusterFacts, HostFacts, StaticPod
from kubeops.model.version import KubeVersion
from kubeops.plan.actions import CheckUpgrade, UpgradeApply, UpgradeNode
from kubeops.plan.standing import CONTROL_PLANE_PODS
from kubeops.transport.base import Command
from tests.unit.handlers.values import Bench
from tests.unit.plan.values import joined, observed

APPLY = UpgradeApply(version="1.36.1")
NODE = UpgradeNode(version="1.36.1")
LATE_JOB = (
    '[preflight] Some fatal errors occurred:\n\t[ERROR CreateJob]: Job "upgrade-health-check-x2" '
    'in the namespace "kube-system" did not complete in 60s: no condition of type Complete\n'
)
LATE_POD = (
    "error execution phase control-plane: couldn't upgrade control plane. kubeadm has tried to "
    "recover everything into the earlier state. Errors faced: static Pod hash for component etcd "
    "on Node cp1 did not change after 5m0s: timed out waiting for the condition"
)
LOST_LOG = (
    "failed to back up etcd data: cp: cannot stat '/var/lib/etcd/member/wal/1.tmp': No such file "
    "or directory: exit status 1"
)
BROKEN = "[ERROR ControlPlaneNodesReady]: there are NotReady control planes in the cluster: [cp2]"


def kubeadm(command: Command) -> bool:
    """kubeadm upgrade"""
    return command.argv[:3] == ("sh", "-euc", _MARKED)


def readyz(command: Command) -> bool:
    """/readyz"""
    return "/readyz" in command.argv


def asking(*words: str) -> Callable[[Command], bool]:
    return lambda command: set(words) <= set(command.argv)


def plane(bench: Bench, version: str, **changed: object) -> HostFacts:
    facts = joined(bench.desired.host("cp1"), bench.desired, None)
    pods = {
        name: StaticPod(name=name, image=f"registry.k8s.io/{name}:v{version}")
        for name in CONTROL_PLANE_PODS
    }
    return replace(facts, static_pods=pods, **changed)  # type: ignore[arg-type]  # by name


def cluster_at(bench: Bench, version: str) -> ClusterFacts:
    facts = observed(bench.desired, members=["cp1", "cp2", "cp3", "w1", "w2"])
    api = facts.api
    assert isinstance(api, ApiFacts)
    return replace(facts, api=replace(api, kubernetes=KubeVersion.parse(version)))


def system_pods(version: str, *, ready: bool = True) -> str:
    return json.dumps(
        {
            "items": [
                {
                    "metadata": {
                        "name": f"{name}-cp1",
                        "annotations": {"kubernetes.io/config.mirror": "hash"},
                    },
                    "spec": {"containers": [{"image": f"registry.k8s.io/{name}:v{version}"}]},
                    "status": {
                        "phase": "Running",
                        "conditions": [{"type": "Ready", "status": str(ready)}],
                    },
                }
                for name in CONTROL_PLANE_PODS
            ]
        }
    )


def well(bench: Bench, version: str = "1.35.4") -> None:
    """Script a control plane cp1 that is well."""
    bench.hosts["cp1"] = [plane(bench, version)]
    bench.clusters["cp1"] = [cluster_at(bench, version)]
    host = bench.runner("cp1")
    host.on(readyz)
    host.on(asking("get", "pods", "json"), stdout=system_pods(version))


def upgrades(bench: Bench, host: str = "cp1") -> list[tuple[str, ...]]:
    return [command.argv[4:] for command in bench.runner(host).commands if kubeadm(command)]


def test_apply_marks_the_host_until_kubeadm_is_done(bench: Bench) -> None:
    well(bench)
    bench.runner("cp1").on(kubeadm)
    UPGRADE_APPLY.apply(APPLY, bench.context("cp1"))
    assert upgrades(bench) == [
        ("apply", "kubeadm", "upgrade", "apply", "v1.36.1", "--yes", "--config", "/dev/stdin")
    ]
    (command,) = (command for command in bench.runner("cp1").commands if kubeadm(command))
    assert yaml.safe_load(command.stdin or b"")["timeouts"] == {"upgradeManifests": "10m0s"}
    before, after = _MARKED.split('"$@"')
    assert "> /var/lib/kubeops/unfinished-upgrade" in before
    assert "sync -d" in before
    assert "rm /var/lib/kubeops/unfinished-upgrade" in after


@pytest.mark.parametrize("words", [LATE_JOB, LATE_POD, LOST_LOG])
def test_failures_that_pass_are_met_by_running_kubeadm_again(bench: Bench, words: str) -> None:
    well(bench)
    host = bench.runner("cp1")
    host.on(kubeadm, status=1, stderr=words, times=2)
    host.on(kubeadm)
    UPGRADE_APPLY.apply(APPLY, bench.context("cp1"))
    assert len(upgrades(bench)) == 3
    assert any("It is run again, at most 2 more times" in line for line in bench.said)
    assert any("waiting for the control plane of cp1" in line for line in bench.said)


def test_failures_that_do_not_pass_after_all_end_the_step(bench: Bench) -> None:
    well(bench)
    bench.runner("cp1").on(kubeadm, status=1, stderr=LATE_JOB)
    with pytest.raises(CommandError) as raised:
        UPGRADE_APPLY.apply(APPLY, bench.context("cp1"))
    assert len(upgrades(bench)) == 3
    assert "CreateJob" in raised.value.output


def test_any_other_failure_ends_the_step_with_kubeadms_own_words(bench: Bench) -> None:
    well(bench)
    bench.runner("cp1").on(kubeadm, status=1, stderr=BROKEN)
    with pytest.raises(CommandError) as raised:
        UPGRADE_NODE.apply(NODE, bench.context("cp1"))
    assert len(upgrades(bench)) == 1
    assert raised.value.output == BROKEN
    assert raised.value.shown == "kubeadm upgrade node"
    assert "put the earlier manifests" not in raised.value.hint


def test_kubeadms_own_way_back_is_said(bench: Bench) -> None:
    well(bench)
    bench.runner("cp1").on(kubeadm, status=1, stderr=LATE_POD)
    with pytest.raises(CommandError) as raised:
        UPGRADE_APPLY.apply(APPLY, bench.context("cp1"))
    assert "kubeadm put the earlier manifests of cp1 back" in raised.value.hint


def test_what_passes_is_told_from_what_does_not() -> None:
    assert transient(LATE_JOB)
    assert transient(LOST_LOG)
    assert not transient(BROKEN)
    assert not transient("")


def test_a_kubeadm_of_a_killed_run_is_waited_for(bench: Bench) -> None:
    well(bench)
    busy = plane(bench, "1.35.4", kubeadm_running=True, unfinished_upgrade="apply")
    bench.hosts["cp1"] = [busy, busy, plane(bench, "1.36.1")]
    bench.runner("cp1").on(kubeadm)
    UPGRADE_APPLY.apply(APPLY, bench.context("cp1"))
    assert any("an earlier run: it is still at work on cp1" in line for line in bench.said)


@pytest.mark.parametrize(
    ("version", "configured", "changed", "state"),
    [
        ("1.36.1", "1.36.1", {}, DONE),
        ("1.35.4", "1.35.4", {}, NEEDED),
        ("1.36.1", "1.35.4", {}, NEEDED),
        ("1.36.1", "1.36.1", {"unfinished_upgrade": "apply"}, NEEDED),
        ("1.36.1", "1.36.1", {"kubeadm_running": True}, NEEDED),
    ],
)
def test_apply_is_done_when_pods_and_kubeadm_config_say_so(
    bench: Bench, version: str, configured: str, changed: dict[str, object], state: object
) -> None:
    bench.hosts["cp1"] = [plane(bench, version, **changed)]
    bench.clusters["cp1"] = [cluster_at(bench, configured)]
    host = bench.runner("cp1")
    host.on(asking("--selector=component=kube-apiserver"), stdout="a:v1.36.1 a:v1.35.4 a:v1.35.4")
    host.on(asking("daemonset"), stdout="registry.k8s.io/kube-proxy:v1.35.4")
    assert UPGRADE_APPLY.check(APPLY, bench.context("cp1")) == state


def test_apply_runs_again_when_only_the_addons_are_owed(bench: Bench) -> None:
    bench.hosts["cp1"] = [plane(bench, "1.36.1")]
    bench.clusters["cp1"] = [cluster_at(bench, "1.36.1")]
    host = bench.runner("cp1")
    host.on(asking("--selector=component=kube-apiserver"), stdout="a:v1.36.1 a:v1.36.1")
    host.on(asking("daemonset"), stdout="registry.k8s.io/kube-proxy:v1.35.4")
    assert UPGRADE_APPLY.check(APPLY, bench.context("cp1")) == NEEDED


def test_a_worker_does_not_tell_and_is_done_again(bench: Bench) -> None:
    assert UPGRADE_NODE.check(NODE, bench.context("w1")) == NEEDED
    assert UPGRADE_NODE.gate(NODE, bench.context("w1")) is None


def test_the_gate_wants_pods_at_the_version(bench: Bench) -> None:
    well(bench, "1.36.1")
    bench.await_gate(UPGRADE_APPLY.gate(APPLY, bench.context("cp1")))
    assert any("API ready, etcd healthy" in line for line in bench.said)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("pods", "kube-apiserver is at 1.35.4, not 1.36.1"),
        ("unready", "kube-apiserver-cp1 is Running, not ready"),
        ("etcd", "etcd member cp2 is not healthy"),
        ("member", "etcd has no member cp1"),
    ],
)
def test_the_gate_says_what_is_missing(bench: Bench, spoil: str, said: str) -> None:
    facts = cluster_at(bench, "1.36.1")
    etcd = facts.etcd
    assert etcd is not None
    if spoil == "etcd":
        one, two, three = etcd.members
        facts = replace(
            facts, etcd=replace(etcd, members=(one, replace(two, healthy=False), three))
        )
    if spoil == "member":
        facts = replace(facts, etcd=replace(etcd, members=etcd.members[1:]))
    bench.clusters["cp1"] = [facts]
    host = bench.runner("cp1")
    host.on(readyz)
    version = "1.35.4" if spoil == "pods" else "1.36.1"
    host.on(asking("get", "pods", "json"), stdout=system_pods(version, ready=spoil != "unready"))
    gate = UPGRADE_APPLY.gate(APPLY, bench.context("cp1"))
    assert gate is not None
    reading = gate.look()
    assert not reading.ok
    assert said in reading.text


def test_the_gate_waits_for_the_hosts_own_api_server(bench: Bench) -> None:
    bench.clusters["cp1"] = [cluster_at(bench, "1.36.1")]
    bench.runner("cp1").on(readyz, status=1, stderr="connection refused")
    gate = UPGRADE_NODE.gate(NODE, bench.context("cp1"))
    assert gate is not None
    reading = gate.look()
    assert (reading.ok, reading.text) == (False, "its API server: connection refused")


def test_the_gate_tells_of_the_api_server_and_of_etcd(bench: Bench) -> None:
    facts = cluster_at(bench, "1.36.1")
    bench.clusters["cp1"] = [replace(facts, etcd=None, etcd_error="no leader")]
    bench.runner("cp1").on(readyz, status=1, stderr="connection refused")
    gate = UPGRADE_NODE.gate(NODE, bench.context("cp1"))
    assert gate is not None
    assert gate.look().text == (
        "its API server: connection refused; etcd does not answer on cp1: no leader"
    )


def test_kubeadms_plan_must_agree(bench: Bench) -> None:
    bench.hosts["cp1"] = [plane(bench, "1.35.4")]
    host = bench.runner("cp1")
    host.on(("kubeadm", "upgrade", "plan"), status=1, stderr="[upgrade/versions] FATAL: no")
    action = CheckUpgrade(version="1.36.1")
    assert CHECK_UPGRADE.check(action, bench.context("cp1")) == NEEDED
    with pytest.raises(CommandError) as raised:
        CHECK_UPGRADE.apply(action, bench.context("cp1"))
    assert host.commands[-1].argv == ("kubeadm", "upgrade", "plan", "v1.36.1")
    assert "nothing was changed" in raised.value.hint
