"""What planner and handlers ask about a host on its way to a version."""

from dataclasses import replace

import pytest

from kubeops.model.desired import Role
from kubeops.model.observed import NodeFacts, StaticPod
from kubeops.model.version import KubeVersion
from kubeops.plan.standing import (
    ClusterStanding,
    Cordon,
    control_plane_version,
    cordon,
    image_version,
    kubelet_version,
    superseded,
    unheld,
)
from tests.unit.plan.upgrade_values import At, Seen, packages, seen, static_pods
from tests.unit.plan.values import bare, cluster, host, node

CP = host("cp1", 1, Role.CONTROL_PLANE)
V1, V2 = KubeVersion.parse("1.35.4"), KubeVersion.parse("1.36.1")


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("registry.k8s.io/kube-apiserver:v1.36.1", V2),
        ("mirror:5000/k8s/kube-apiserver:v1.36.1@sha256:0123", V2),
        ("mirror:5000/kube-apiserver", None),
        ("kube-apiserver:latest", None),
        ("kube-apiserver:v1.36.1-rc.0", None),
    ],
)
def test_the_version_of_an_image(image: str, version: KubeVersion | None) -> None:
    assert image_version(image) == version


def test_a_control_plane_is_as_new_as_its_oldest_pod() -> None:
    old = static_pods("1.35.4")["kube-scheduler"]
    mixed = {**static_pods("1.36.1"), "kube-scheduler": old}
    assert control_plane_version(replace(bare(CP), static_pods=mixed)) == V1
    assert control_plane_version(replace(bare(CP), static_pods=static_pods("1.36.1"))) == V2


def test_a_control_plane_without_one_of_its_pods_has_no_version() -> None:
    pods = {name: pod for name, pod in static_pods("1.36.1").items() if name != "kube-scheduler"}
    assert control_plane_version(replace(bare(CP), static_pods=pods)) is None
    odd = {**pods, "kube-scheduler": StaticPod(name="kube-scheduler", image="mine:latest")}
    assert control_plane_version(replace(bare(CP), static_pods=odd)) is None


@pytest.mark.parametrize(
    ("kubelet", "kubectl", "running", "version"),
    [
        ("1.36.1", "1.36.1", "1.36.1", V2),
        ("1.36.1", "1.36.1", "1.35.4", V1),
        ("1.36.1", "1.35.4", "1.36.1", V1),
        ("1.35.4", "1.36.1", "1.36.1", V1),
        ("1.36.1", None, "1.36.1", V2),
        (None, "1.36.1", "1.36.1", None),
    ],
)
def test_a_kubelet_is_as_new_as_what_runs_and_what_is_installed(
    kubelet: str | None, kubectl: str | None, running: str, version: KubeVersion | None
) -> None:
    installed = {
        **(packages("kubelet", version=kubelet) if kubelet else {}),
        **(packages("kubectl", version=kubectl) if kubectl else {}),
    }
    facts = replace(bare(CP), packages=installed)
    assert kubelet_version(facts, _node(kubelet=KubeVersion.parse(running))) == version


def _node(**changed: object) -> NodeFacts:
    return replace(node(CP, 0), **changed)  # type: ignore[arg-type]  # attributes by name


def test_a_kubelet_that_has_not_registered_has_no_version() -> None:
    facts = replace(bare(CP), packages=packages("kubelet", version="1.36.1"))
    assert kubelet_version(facts, None) is None


@pytest.mark.parametrize(
    ("found", "whose"),
    [
        (None, Cordon.NONE),
        (_node(), Cordon.NONE),
        (_node(cordoned_by_us=True), Cordon.NONE),
        (_node(unschedulable=True), Cordon.OPERATORS),
        (_node(unschedulable=True, cordoned_by_us=True), Cordon.OURS),
    ],
)
def test_whose_cordon_it_is(found: NodeFacts | None, whose: Cordon) -> None:
    assert cordon(found) is whose


def test_packages_that_nothing_holds() -> None:
    installed = {
        **packages("kubeadm", "kubelet", version="1.36.1"),
        **packages("kubectl", version="1.36.1", held=False),
    }
    assert unheld(replace(bare(CP), packages=installed)) == ("kubectl",)


def test_of_each_kind_of_backup_the_newest_stays() -> None:
    backups = (
        "kubeadm-backup-etcd-2026-11-21-00-21-00",
        "kubeadm-backup-manifests-2026-11-21-00-21-00",
        "kubeadm-kubelet-env3539559220",
        "kubeadm-backup-etcd-2026-11-21-00-34-35",
        "kubeadm-kubelet-env1139339028",
        "kubeadm-kubelet-config-2026-11-21-00-22-55",
    )
    assert superseded(backups) == (
        "kubeadm-backup-etcd-2026-11-21-00-21-00",
        "kubeadm-kubelet-env3539559220",
    )
    assert superseded(()) == ()


@pytest.mark.parametrize(
    ("at", "finished"),
    [
        (At(), True),
        (At(kubelet="1.36.2"), True),
        (At(kubelet="1.35.4"), False),
        (At(running="1.35.4"), False),
        (At(control_plane="1.35.4"), False),
        (At(unfinished="node"), False),
        (At(cordon="ours"), False),
        (At(cordon="operator"), True),
        (At(kubeadm="1.35.4"), True),
    ],
)
def test_a_cluster_is_finished_when_every_part_is(at: At, finished: bool) -> None:  # noqa: FBT001 - a parameter of the table
    desired = cluster()
    standing = ClusterStanding.of(desired, seen(desired, Seen(version="1.36.1", hosts={"cp2": at})))
    assert standing.finished(V2) is finished


def test_a_cluster_is_not_finished_before_its_addons() -> None:
    desired = cluster()
    old = ClusterStanding.of(desired, seen(desired, Seen(version="1.36.1", kube_proxy="1.35.4")))
    assert old.addons_behind(V2)
    assert not old.finished(V2)
    unconfigured = seen(desired, Seen(version="1.36.1", configured="1.35.4"))
    assert not ClusterStanding.of(desired, unconfigured).finished(V2)
