"""The install's plan as a value: what is done, where, in which order, and what is left out."""

from dataclasses import replace

import pytest

from kubeops.model.desired import Cluster, Taint
from kubeops.model.observed import ClusterFacts
from kubeops.plan.actions import (
    AwaitCluster,
    ConfigureBridge,
    DescribeNode,
    InitCluster,
    JoinControlPlane,
    JoinWorker,
)
from kubeops.plan.install import CONTROL_PLANE_TAINT, plan_install
from kubeops.plan.model import Plan
from kubeops.plan.network import ManifestSource
from tests.unit.plan.values import NOON, cluster, observed, prepared

ALL = ("cp1", "cp2", "cp3", "w1", "w2")
GPU = Taint(key="gpu", value="true", effect="NoSchedule")


def ids(plan: Plan, wave: str) -> list[str]:
    found = [wave_ for wave_ in plan.waves if wave_.name == wave]
    return [step.id for wave_ in found for lane in wave_.lanes for step in lane.steps]


def names(plan: Plan) -> list[str]:
    return [wave.name for wave in plan.waves]


def tainted(desired: Cluster, name: str, taints: tuple[Taint, ...] | None) -> Cluster:
    hosts = (replace(one, taints=taints) if one.name == name else one for one in desired.hosts)
    return replace(desired, hosts=tuple(hosts))


def test_bare_hosts_get_everything_in_order() -> None:
    desired = cluster()
    plan = plan_install(desired, observed(desired))
    assert names(plan) == ["hosts", "init", "control-planes", "workers", "network", "cluster"]
    assert ids(plan, "init") == ["/control-planes/cp1/init"]
    assert ids(plan, "control-planes") == [
        "/control-planes/cp2/join",
        "/control-planes/cp3/join",
    ]
    assert ids(plan, "workers") == ["/workers/w1/join", "/workers/w2/join"]
    assert plan.summary == "v1.35.4, 3 control planes, 2 workers"


def test_control_planes_join_one_at_a_time_and_workers_together() -> None:
    desired = cluster()
    waves = {wave.name: wave for wave in plan_install(desired, observed(desired)).waves}
    assert waves["control-planes"].at_once == 1
    assert waves["workers"].at_once >= len(desired.workers)
    assert waves["hosts"].at_once >= len(desired.hosts)


def test_a_host_is_prepared_in_the_order_kubeadm_needs() -> None:
    desired = cluster(1, 0)
    swapped = replace(observed(desired).hosts["cp1"], swap=1024)
    plan = plan_install(desired, observed(desired, changed={"cp1": swapped}))
    assert [step.rsplit("/", 1)[-1] for step in ids(plan, "hosts")] == [
        "swap",
        "kernel",
        "prerequisites",
        "package-source",
        "packages",
        "runtime",
        "images",
    ]


def test_a_finished_cluster_has_nothing_to_do() -> None:
    desired = cluster()
    plan = plan_install(desired, observed(desired, members=ALL))
    assert plan.is_empty
    assert plan.waves == ()
    assert plan.done == tuple(f"{host.name}: {host.role}, joined" for host in desired.hosts)


def test_prepared_hosts_are_not_prepared_again() -> None:
    desired = cluster()
    plan = plan_install(desired, observed(desired, ready=ALL))
    assert ids(plan, "hosts") == [f"/hosts/{name}/images" for name in ALL]


def test_a_new_worker_is_joined_through_the_cluster_that_is() -> None:
    desired = cluster(workers=3)
    plan = plan_install(desired, observed(desired, members=ALL))
    assert names(plan) == ["hosts", "workers", "network", "cluster"]
    (join,) = [step for step in plan.steps if isinstance(step.action, JoinWorker)]
    assert (join.host, join.action) == (
        "w3",
        JoinWorker(address="10.0.0.33", endpoint=desired.endpoint, via="cp1"),
    )


def test_a_new_worker_changes_the_routes_of_every_node() -> None:
    desired = cluster(workers=3)
    plan = plan_install(desired, observed(desired, members=ALL))
    assert ids(plan, "network") == [f"/network/{host.name}/bridge" for host in desired.hosts]


def test_a_lost_first_control_plane_joins_through_another() -> None:
    """The cluster lives on in cp2 and cp3: init on a fresh cp1 would make a second cluster."""
    desired = cluster()
    plan = plan_install(desired, observed(desired, members=("cp2", "cp3", "w1", "w2")))
    assert not any(isinstance(step.action, InitCluster) for step in plan.steps)
    (join,) = [step for step in plan.steps if isinstance(step.action, JoinControlPlane)]
    assert (join.host, join.action.via) == ("cp1", "cp2")  # type: ignore[union-attr]  # filtered


@pytest.mark.parametrize("left", ["init", "join"])
def test_an_unfinished_host_is_not_a_member(left: str) -> None:
    desired = cluster(1, 1)
    facts = observed(desired, members=("cp1", "w1"))
    name = "cp1" if left == "init" else "w1"
    facts = replace(
        facts,
        hosts={**facts.hosts, name: replace(facts.hosts[name], unfinished=left)},
        api=None if left == "init" else facts.api,
    )
    plan = plan_install(desired, facts)
    wanted = InitCluster if left == "init" else JoinWorker
    assert [step.host for step in plan.steps if isinstance(step.action, wanted)] == [name]


def test_a_host_whose_node_is_gone_from_the_api_is_no_member() -> None:
    desired = cluster()
    facts = observed(desired, members=ALL)
    assert facts.api is not None
    kept = tuple(node for node in facts.api.nodes if node.name != "w2")
    plan = plan_install(desired, replace(facts, api=replace(facts.api, nodes=kept)))
    assert [step.host for step in plan.steps if isinstance(step.action, JoinWorker)] == ["w2"]


def test_limit_leaves_the_other_hosts_alone() -> None:
    desired = cluster()
    plan = plan_install(desired, observed(desired, members=("cp1",)), limit=("w1",))
    touched = {step.host for step in plan.steps} - {"cp1"}
    assert touched == {"w1"}
    (wait,) = [step.action for step in plan.steps if isinstance(step.action, AwaitCluster)]
    assert wait == AwaitCluster(
        nodes=("cp1", "w1"), control_planes=("cp1",), left_out=("cp2", "cp3")
    )


def test_a_control_plane_out_of_reach_is_not_waited_for() -> None:
    """Its member is there, dead or alive: without --limit the run would not have begun."""
    desired = cluster()
    facts = observed(desired, members=ALL)
    assert facts.etcd is not None
    hosts = {name: found for name, found in facts.hosts.items() if name != "cp3"}
    members = tuple(replace(one, healthy=one.name != "cp3") for one in facts.etcd.members)
    facts = replace(facts, hosts=hosts, etcd=replace(facts.etcd, members=members))
    assert plan_install(desired, facts, limit=("w1",)).is_empty


def test_unreachable_hosts_are_left_out_of_the_plan() -> None:
    desired = cluster()
    facts = observed(desired)
    seen = {name: found for name, found in facts.hosts.items() if name != "w2"}
    plan = plan_install(desired, replace(facts, hosts=seen))
    assert "w2" not in {step.host for step in plan.steps}


def test_labels_and_taints_come_after_joining() -> None:
    desired = cluster(1, 1)
    worker = replace(
        desired.hosts[1],
        labels={"disk": "ssd"},
        taints=(Taint(key="gpu", value="true", effect="NoSchedule"),),
    )
    desired = replace(desired, hosts=(desired.hosts[0], worker))
    plan = plan_install(desired, observed(desired))
    (step,) = [step for step in plan.steps if isinstance(step.action, DescribeNode)]
    assert (step.host, step.action) == (
        "cp1",
        DescribeNode(node="w1", labels=(("disk", "ssd"),), taints=("gpu=true:NoSchedule",)),
    )
    assert plan_install(desired, observed(desired, members=("cp1", "w1"))).is_empty


@pytest.mark.parametrize(
    ("wanted", "present", "expected"),
    [
        (None, (str(CONTROL_PLANE_TAINT),), None),
        ((), (), None),
        ((), ("theirs:NoExecute",), None),
        ((), (str(CONTROL_PLANE_TAINT), "theirs:NoExecute"), ((), (str(CONTROL_PLANE_TAINT),))),
        ((GPU,), (str(CONTROL_PLANE_TAINT),), ((str(GPU),), (str(CONTROL_PLANE_TAINT),))),
        ((GPU, CONTROL_PLANE_TAINT), (str(CONTROL_PLANE_TAINT), str(GPU)), None),
        (
            (replace(CONTROL_PLANE_TAINT, value="x"),),
            (str(CONTROL_PLANE_TAINT),),
            ((str(replace(CONTROL_PLANE_TAINT, value="x")),), ()),
        ),
    ],
    ids=["no list", "none", "others'", "one too many", "another", "listed", "listed with a value"],
)
def test_a_list_of_taints_is_without_kubeadms_own_unless_it_names_it(
    wanted: tuple[Taint, ...] | None,
    present: tuple[str, ...],
    expected: tuple[tuple[str, ...], tuple[str, ...]] | None,
) -> None:
    desired = tainted(cluster(1, 1), "cp1", wanted)
    facts = observed(desired, members=("cp1", "w1"))
    assert facts.api is not None
    nodes = (replace(facts.api.nodes[0], taints=present), *facts.api.nodes[1:])
    plan = plan_install(desired, replace(facts, api=replace(facts.api, nodes=nodes)))
    found = [step.action for step in plan.steps if isinstance(step.action, DescribeNode)]
    assert [(one.node, (one.taints, one.untaint)) for one in found] == (
        [("cp1", expected)] if expected else []
    )


def test_a_workers_empty_list_takes_nothing_off() -> None:
    """kubeadm gives workers no taint, so whatever one has was set by somebody else."""
    desired = tainted(cluster(1, 1), "w1", ())
    facts = observed(desired, members=("cp1", "w1"))
    assert facts.api is not None
    plane, worker = facts.api.nodes
    nodes = (plane, replace(worker, taints=(str(CONTROL_PLANE_TAINT),)))
    assert plan_install(desired, replace(facts, api=replace(facts.api, nodes=nodes))).is_empty


def test_a_label_that_was_taken_off_by_hand_is_put_back() -> None:
    desired = cluster(1, 1)
    labelled = replace(desired.hosts[1], labels={"disk": "ssd"})
    facts = observed(desired, members=("cp1", "w1"))
    desired = replace(desired, hosts=(desired.hosts[0], labelled))
    assert ids(plan_install(desired, facts), "nodes") == ["/nodes/w1/describe"]


def test_an_unready_cluster_is_waited_for() -> None:
    desired = cluster(1, 1)
    facts = observed(desired, members=("cp1", "w1"))
    assert facts.api is not None
    nodes = tuple(replace(node, ready=node.name != "w1") for node in facts.api.nodes)
    plan = plan_install(desired, replace(facts, api=replace(facts.api, nodes=nodes)))
    assert names(plan) == ["cluster"]


def test_a_manifest_is_applied_once_and_again_when_it_changes() -> None:
    desired = cluster(1, 0, cni=replace(cluster().cni, name="flannel"))
    source = ManifestSource(name="flannel", source="https://example.org/f.yml", digest="d1")
    facts = observed(desired, members=("cp1",))
    first = plan_install(desired, facts, manifests=(source,))
    assert ids(first, "network") == ["/network/flannel/apply"]
    assert facts.api is not None
    noted = replace(facts, api=replace(facts.api, applied={"flannel": "d1"}))
    assert plan_install(desired, noted, manifests=(source,)).is_empty
    changed = replace(source, digest="d2")
    again = plan_install(desired, noted, manifests=(changed,))
    assert ids(again, "network") == ["/network/flannel/apply"]


def test_bridge_configuration_that_was_edited_is_written_again() -> None:
    desired = cluster(1, 1)
    facts = observed(desired, members=("cp1", "w1"))
    path = "/etc/cni/net.d/10-kubeops-bridge.conflist"
    edited = replace(facts.hosts["w1"].files[path], sha256="edited")
    broken = replace(facts.hosts["w1"], files={**facts.hosts["w1"].files, path: edited})
    plan = plan_install(desired, replace(facts, hosts={**facts.hosts, "w1": broken}))
    assert {step.host for step in plan.steps if isinstance(step.action, ConfigureBridge)} == {
        "cp1",
        "w1",
    }


def test_every_step_has_its_own_id() -> None:
    desired = cluster()
    found = [step.id for step in plan_install(desired, observed(desired)).steps]
    assert len(found) == len(set(found))


def test_the_same_facts_give_the_same_digest_and_other_hosts_another() -> None:
    desired = cluster()
    facts = observed(desired)
    later = ClusterFacts(at=NOON.replace(hour=13), hosts=facts.hosts)
    assert plan_install(desired, facts).digest == plan_install(desired, later).digest
    ready = {**facts.hosts, "w1": prepared(desired.host("w1"), desired)}
    other = plan_install(desired, replace(facts, hosts=ready))
    assert other.digest != plan_install(desired, facts).digest


@pytest.mark.parametrize(("name", "step"), [("cp1", "init"), ("cp2", "join"), ("w1", "join")])
def test_the_taints_a_node_registers_with_are_in_the_plan(name: str, step: str) -> None:
    for taints, texts in ((None, None), ((), ()), ((GPU,), ("gpu=true:NoSchedule",))):
        desired = tainted(cluster(), name, taints)
        plan = plan_install(desired, observed(desired))
        (found,) = [one.action for one in plan.steps if one.id.endswith(f"/{name}/{step}")]
        assert isinstance(found, InitCluster | JoinControlPlane | JoinWorker)
        assert found.taints == texts


@pytest.mark.parametrize("name", ALL)
def test_no_list_of_taints_and_an_empty_one_are_two_digests(name: str) -> None:
    desired = cluster()
    other = tainted(desired, name, ())
    facts = observed(desired)
    assert plan_install(desired, facts).digest != plan_install(other, facts).digest


def test_the_names_of_the_certificate_are_in_the_digest() -> None:
    """Also those of control planes that the run does not touch otherwise."""
    desired = cluster()
    *first, last, w1, w2 = desired.hosts
    other = replace(desired, hosts=(*first, replace(last, address="10.0.0.99"), w1, w2))
    facts = observed(desired)
    plan, moved = (plan_install(each, facts, limit=("cp1",)) for each in (desired, other))
    (init,) = [step.action for step in plan.steps if isinstance(step.action, InitCluster)]
    assert init.certificate_names == ("10.0.0.10", "10.0.0.11", "10.0.0.12", "10.0.0.13")
    assert plan.digest != moved.digest


def test_rehearsal_is_named() -> None:
    desired = cluster(1, 0)
    facts = observed(desired, members=("cp1",))
    assert facts.api is not None
    server = replace(facts.api.server, build="rehearsal")
    assert plan_install(desired, replace(facts, api=replace(facts.api, server=server))).rehearsal
