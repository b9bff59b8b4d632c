"""The steps of an upgrade in full: on which host, with which parameters, and what is waited for."""

from dataclasses import replace

from kubeops.model.observed import EtcdMember
from kubeops.plan.actions import (
    WORKSTATION,
    Action,
    AwaitNode,
    CheckUpgrade,
    CordonNode,
    DrainNode,
    FetchPackages,
    FinishUpgrade,
    HoldPackages,
    PruneUpgradeBackups,
    PullImages,
    RewriteInventory,
    SaveSnapshot,
    UncordonNode,
    UpgradeApply,
    UpgradeKubeadm,
    UpgradeKubelet,
    UpgradeNode,
)
from kubeops.plan.model import Plan, Step
from kubeops.plan.upgrade import plan_upgrade
from kubeops.plan.upgrade_path import Wish
from tests.unit.plan.upgrade_values import At, Seen, more, seen
from tests.unit.plan.values import cluster

V = "1.36.1"
URL = "https://pkgs.k8s.io/core:/stable:/v1.36/deb/"
IMAGES = "registry.k8s.io"


def planned(what: Seen, *, control_planes: int = 2, sick: str = "") -> Plan:
    desired = cluster(control_planes, 1)
    facts = seen(desired, what)
    assert facts.etcd is not None

    def health(member: EtcdMember) -> EtcdMember:
        return replace(member, healthy=member.name != sick)

    etcd = replace(facts.etcd, members=tuple(map(health, facts.etcd.members)))
    return plan_upgrade(desired, replace(facts, etcd=etcd), more(desired), wish=Wish.parse("1.36"))


def drain(node: str) -> DrainNode:
    return DrainNode(node=node, timeout=600.0, grace=60.0, pdb="wait", bare_pods=False)


def kubelet(node: str) -> tuple[Action, ...]:
    return (
        CordonNode(node=node),
        drain(node),
        UpgradeKubelet(node=node, version=V),
        AwaitNode(node=node, version=V),
        UncordonNode(node=node),
    )


FETCH = (
    FetchPackages(url=URL, minor="1.36", version=V),
    PullImages(version=V, image_repository=IMAGES),
)
EXPECTED: tuple[tuple[str, Action], ...] = (
    ("cp1", SaveSnapshot(store="file:///var/backups/kubeops")),
    *((host, action) for host in ("cp1", "cp2", "w1") for action in FETCH),
    ("cp1", UpgradeKubeadm(version=V)),
    ("cp1", CheckUpgrade(version=V)),
    ("cp1", UpgradeApply(version=V)),
    *(("cp1", action) for action in kubelet("cp1")),
    ("cp2", UpgradeKubeadm(version=V)),
    ("cp2", UpgradeNode(version=V)),
    *(("cp2", action) for action in kubelet("cp2")),
    ("w1", UpgradeKubeadm(version=V)),
    ("w1", UpgradeNode(version=V)),
    *(("w1" if isinstance(action, UpgradeKubelet) else "cp1", action) for action in kubelet("w1")),
    (
        "cp1",
        FinishUpgrade(version=V, nodes=("cp1", "cp2", "w1"), control_planes=("cp1", "cp2")),
    ),
    *((host, PruneUpgradeBackups()) for host in ("cp1", "cp2", "w1")),
    (WORKSTATION, RewriteInventory(version=V)),
)


def test_every_step_has_its_host_and_its_parameters() -> None:
    plan = planned(Seen(version="1.35.4"))
    assert tuple((step.host, step.action) for step in plan.steps) == EXPECTED


def test_ids_are_unique_and_name_hop_and_host() -> None:
    plan = planned(Seen(version="1.34.7"))
    ids = [step.id for step in plan.steps]
    assert len(set(ids)) == len(ids)
    assert {
        "/snapshot",
        "/1.35/prefetch/w1/packages",
        "/1.35/control-planes/cp1/apply",
        "/1.36/workers/w1/drain",
        "/1.36/finish",
        "/inventory/rewrite",
    } <= set(ids)


def test_gates_are_said() -> None:
    gates = {step.id: step.gate for step in planned(Seen(version="1.35.4")).steps}
    assert gates["/snapshot"] == "proven by restoring it"
    assert "static pods at v1.36.1" in gates["/1.36/control-planes/cp1/apply"]
    assert "static pods at v1.36.1" in gates["/1.36/control-planes/cp2/node"]
    assert gates["/1.36/workers/w1/await"] == "Ready at v1.36.1, system pods ready"
    assert "no cordon left" in gates["/1.36/finish"]


def test_what_is_held_is_what_was_loose() -> None:
    what = Seen(version=V, hosts={"w1": At(held=False)})
    step = one(planned(what), "/1.36/workers/w1/hold")
    assert step.action == HoldPackages(
        packages=("kubeadm", "kubectl", "kubelet", "cri-tools", "kubernetes-cni")
    )


def test_the_backup_is_of_a_healthy_member() -> None:
    plan = planned(Seen(version="1.35.4"), control_planes=3, sick="cp1")
    assert one(plan, "/snapshot").host == "cp2"


def test_an_idle_host_is_switched_to_the_new_package_source() -> None:
    what = Seen(version="1.35.4", hosts={"w1": At(kubelet=V, kubeadm=V, source="1.35.4")})
    ids = [step.id for step in planned(what).steps]
    assert "/1.36/prefetch/w1/packages" in ids
    assert "/1.36/prefetch/w1/images" not in ids


def one(plan: Plan, name: str) -> Step:
    return next(step for step in plan.steps if step.id == name)
