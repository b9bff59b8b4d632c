from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from kubeops.engine.context import DONE, NEEDED
from kubeops.handlers import snapshot
from kubeops.handlers.finish import (
    _PRUNE,
    FINISH_UPGRADE,
    PRUNE_UPGRADE_BACKUPS,
    REWRITE_INVENTORY,
)
from kubeops.handlers.packages import (
    _CACHED,
    _FETCH_KEY,
    _HOLD,
    FETCH_PACKAGES,
    HOLD_PACKAGES,
    UPGRADE_KUBEADM,
)
from kubeops.handlers.runtime import _PIPED
from kubeops.handlers.snapshot import SAVE_SNAPSHOT
from kubeops.model.observed import ApiFacts, ClusterFacts, Package, WorkloadFacts
from kubeops.model.version import KubeVersion
from kubeops.plan.actions import (
    FetchPackages,
    FinishUpgrade,
    HoldPackages,
    PruneUpgradeBackups,
    RewriteInventory,
    SaveSnapshot,
    UpgradeKubeadm,
)
from kubeops.transport.base import Command
from tests.unit.handlers.values import Bench
from tests.unit.plan.values import observed

WANTED = KubeVersion.parse("1.36.1")
FINISH = FinishUpgrade(
    version="1.36.1",
    nodes=("cp1", "cp2", "cp3", "w1", "w2"),
    control_planes=("cp1", "cp2", "cp3"),
)
LISTED = """registry.k8s.io/kube-proxy:v1.36.1
registry.k8s.io/coredns/coredns:v1.14.2
"""
CONFIGURED = "kind: ClusterConfiguration\ndns: {imageTag: v1.12.9}\n"
FETCH = FetchPackages(
    url="https://pkgs.k8s.io/core:/stable:/v1.36/deb/", minor="1.36", version="1.36.1"
)


def workload(name: str, image: str) -> WorkloadFacts:
    return WorkloadFacts(
        kind="DaemonSet",
        namespace="kube-system",
        name=name,
        wanted=2,
        ready=2,
        images=(f"registry.k8s.io/{image}",),
    )


def upgraded(
    bench: Bench, *, nodes: Mapping[str, Mapping[str, object]] | None = None, proxy: str = "v1.36.1"
) -> ClusterFacts:
    facts = observed(bench.desired, members=FINISH.nodes)
    api = facts.api
    assert isinstance(api, ApiFacts)
    changed = nodes or {}
    return replace(
        facts,
        api=replace(
            api,
            nodes=tuple(
                replace(
                    node,
                    **{"kubelet": WANTED, **changed.get(node.name, {})},  # type: ignore[arg-type]  # by name
                )
                for node in api.nodes
            ),
            system=(
                workload("coredns", "coredns/coredns:v1.14.2"),
                workload("kube-proxy", f"kube-proxy:{proxy}"),
                workload("flannel", "flannel:1"),
            ),
        ),
    )


def script(text: str) -> Callable[[Command], bool]:
    def fits(command: Command) -> bool:
        return command.argv[:3] == ("sh", "-euc", text)

    return fits


def lists(bench: Bench, images: str = LISTED) -> None:
    """Script a kubeadm that lists these images for the cluster's own configuration."""
    host = bench.runner("cp1")
    host.on(lambda command: "kubeadm-config" in command.argv, stdout=CONFIGURED)
    host.on(script(_PIPED), stdout=images)


@pytest.mark.parametrize(
    ("nodes", "proxy", "said"),
    [
        ({}, "v1.36.1", ""),
        ({}, "v1.35.4", "kube-proxy has the image registry.k8s.io/kube-proxy:v1.35.4"),
        ({"w2": {"kubelet": KubeVersion.parse("1.35.4")}}, "v1.36.1", "node w2 reports 1.35.4"),
        ({"w1": {"kubelet": KubeVersion.parse("1.36.2")}}, "v1.36.1", ""),
        (
            {"w1": {"unschedulable": True, "cordoned_by_us": True}},
            "v1.36.1",
            "node w1 is still cordoned",
        ),
        ({"w1": {"unschedulable": True}}, "v1.36.1", ""),
        ({"w1": {"ready": False, "ready_message": "gone"}}, "v1.36.1", "node w1 is not Ready"),
    ],
    ids=["all", "addons", "old kubelet", "newer", "our cordon", "the operator's", "not ready"],
)
def test_the_end_is_reached_when_everything_is_at_the_version(
    bench: Bench, nodes: Mapping[str, Mapping[str, object]], proxy: str, said: str
) -> None:
    lists(bench)
    bench.clusters["cp1"] = [upgraded(bench, nodes=nodes, proxy=proxy)]
    gate = FINISH_UPGRADE.gate(FINISH, bench.context("cp1"))
    assert gate is not None
    reading = gate.look()
    assert reading.ok is (not said)
    assert said in reading.text


def test_our_cordon_of_a_node_that_is_not_waited_for_is_no_obstacle(bench: Bench) -> None:
    """A worker that is replaced in a later hop may be cordoned long before."""
    lists(bench)
    bench.clusters["cp1"] = [
        upgraded(bench, nodes={"w1": {"unschedulable": True, "cordoned_by_us": True}})
    ]
    others = replace(FINISH, nodes=tuple(name for name in FINISH.nodes if name != "w1"))
    gate = FINISH_UPGRADE.gate(others, bench.context("cp1"))
    assert gate is not None
    assert gate.look().ok


def test_an_addon_from_the_operators_own_registry_is_not_waited_for(bench: Bench) -> None:
    lists(bench)
    facts = upgraded(bench)
    assert facts.api is not None
    own = replace(workload("coredns", "x"), images=("mirror.example/coredns:v1.13.1",))
    bench.clusters["cp1"] = [
        replace(facts, api=replace(facts.api, system=(own, *facts.api.system[1:])))
    ]
    gate = FINISH_UPGRADE.gate(FINISH, bench.context("cp1"))
    assert gate is not None
    assert gate.look().ok


def test_the_coredns_that_the_clusters_configuration_names_is_the_one_waited_for(
    bench: Bench,
) -> None:
    lists(bench, LISTED.replace("v1.14.2", "v1.12.9"))
    facts = upgraded(bench)
    assert facts.api is not None
    own = workload("coredns", "coredns/coredns:v1.12.9")
    bench.clusters["cp1"] = [
        replace(facts, api=replace(facts.api, system=(own, *facts.api.system[1:])))
    ]
    gate = FINISH_UPGRADE.gate(FINISH, bench.context("cp1"))
    assert gate is not None
    assert gate.look().ok
    (asked,) = (one for one in bench.runner("cp1").commands if script(_PIPED)(one))
    assert asked.stdin == CONFIGURED.encode()


def test_of_kubeadms_backups_the_newest_of_each_kind_stays(bench: Bench) -> None:
    kept = ("kubeadm-backup-etcd-2026-11-21-00-34-35", "kubeadm-backup-manifests-2026-11-21-00-34")
    old = ("kubeadm-backup-etcd-2026-11-20-00-34-35",)
    facts = bench.prepared("cp1")
    bench.hosts["cp1"] = [replace(facts, kubeadm_backups=(*old, *kept))]
    host = bench.runner("cp1")
    host.on(script(_PRUNE))
    action = PruneUpgradeBackups()
    assert PRUNE_UPGRADE_BACKUPS.check(action, bench.context("cp1")) == NEEDED
    PRUNE_UPGRADE_BACKUPS.apply(action, bench.context("cp1"))
    assert host.commands[-1].argv[4:] == old
    bench.hosts["cp1"] = [replace(facts, kubeadm_backups=kept)]
    assert PRUNE_UPGRADE_BACKUPS.check(action, bench.context("cp1")) == DONE


def test_only_the_version_of_the_inventory_is_rewritten(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "prod.yaml"
    before = 'cluster: # ours\n  name: prod\n  kubernetes: "1.35.4"  # upgraded by kubeops\n'
    path.write_text(before)
    bench.desired = replace(bench.desired, source=path)
    context = bench.context("cp1")
    assert REWRITE_INVENTORY.check(RewriteInventory(version="1.35.4"), context) == DONE
    action = RewriteInventory(version="1.36.1")
    assert REWRITE_INVENTORY.check(action, context) == NEEDED
    REWRITE_INVENTORY.apply(action, context)
    assert path.read_text() == before.replace("1.35.4", "1.36.1")


def test_packages_are_downloaded_not_installed(bench: Bench) -> None:
    bench.hosts["w1"] = [bench.prepared("w1")]
    host = bench.runner("w1")
    host.on(script(_FETCH_KEY))
    host.on(lambda command: "kubernetes.list" in " ".join(command.argv), stdout="changed")
    host.on(("env",))
    assert FETCH_PACKAGES.check(FETCH, bench.context("w1")) == NEEDED
    FETCH_PACKAGES.apply(FETCH, bench.context("w1"))
    last = " ".join(host.commands[-1].argv)
    assert "apt-get" in last
    assert "--download-only" in last
    assert "kubeadm=1.36.1-*" in last
    assert "kubelet=1.36.1-*" in last


@pytest.mark.parametrize(("status", "state"), [(0, DONE), (44, NEEDED)])
def test_packages_in_apts_cache_are_not_fetched_again(
    bench: Bench, status: int, state: object
) -> None:
    bench.desired = replace(bench.desired, kubernetes=WANTED)
    bench.hosts["w1"] = [bench.prepared("w1")]
    bench.runner("w1").on(script(_CACHED), status=status)
    assert FETCH_PACKAGES.check(FETCH, bench.context("w1")) == state


def test_kubeadm_is_installed_at_its_exact_version_and_everything_held(bench: Bench) -> None:
    bench.hosts["w1"] = [bench.prepared("w1")]
    host = bench.runner("w1")
    for first in ("env", "sh"):
        host.on((first,))
    action = UpgradeKubeadm(version="1.36.1")
    assert UPGRADE_KUBEADM.check(action, bench.context("w1")) == NEEDED
    assert UPGRADE_KUBEADM.check(UpgradeKubeadm(version="1.35.4"), bench.context("w1")) == DONE
    UPGRADE_KUBEADM.apply(action, bench.context("w1"))
    assert host.commands[1].argv[-1] == "kubeadm=1.36.1-*"
    assert host.commands[2].argv[2] == _HOLD
    assert host.commands[2].argv[4:] == (
        "kubeadm",
        "kubectl",
        "kubelet",
        "cri-tools",
        "kubernetes-cni",
    )


def test_a_hold_that_was_lost_is_set_again(bench: Bench) -> None:
    facts = bench.prepared("w1")
    loose = {**facts.packages, "kubelet": Package(name="kubelet", version="1.35.4-1.1")}
    bench.hosts["w1"] = [replace(facts, packages=loose)]
    bench.runner("w1").on(script(_HOLD))
    action = HoldPackages(packages=("kubelet",))
    assert HOLD_PACKAGES.check(action, bench.context("w1")) == NEEDED
    HOLD_PACKAGES.apply(action, bench.context("w1"))
    assert bench.runner("w1").commands[-1].argv[4:] == ("kubelet",)
    bench.hosts["w1"] = [facts]
    assert HOLD_PACKAGES.check(action, bench.context("w1")) == DONE


def test_a_snapshot_is_taken_and_remembered_and_counts_for_an_hour(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def take(*given: object, **_more: object) -> SimpleNamespace:
        asked.append(given)
        return SimpleNamespace(name="20261121T073000Z-k3x9ab")

    monkeypatch.setattr(snapshot, "take", take)
    monkeypatch.setattr(snapshot, "open_store", lambda policy: policy)
    bench.clusters["cp1"] = [observed(bench.desired, members=FINISH.nodes)]
    action = SaveSnapshot(store="file:///backups")
    context = bench.context("cp1")

    assert SAVE_SNAPSHOT.check(action, context) == NEEDED
    SAVE_SNAPSHOT.apply(action, context)
    assert len(asked) == 1
    assert SAVE_SNAPSHOT.check(action, context) == DONE
    assert SAVE_SNAPSHOT.check(SaveSnapshot(store="s3://other"), context) == NEEDED
    bench.clock.pause(3601)
    assert SAVE_SNAPSHOT.check(action, context) == NEEDED
