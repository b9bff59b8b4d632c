"""Restores onto fresh hosts, as plans: values in, values out."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any, TypeVar

import pytest

from kubeops.model.bundle import Bundle, ControlPlane
from kubeops.model.desired import Cluster
from kubeops.model.observed import ClusterFacts, Listener, StaticPod, Unreachable
from kubeops.model.pki import REQUIRED, Pki
from kubeops.model.restoring import Disk, Mark, Phase, RestoreFacts, attempt_id
from kubeops.model.version import KubeVersion
from kubeops.plan.actions import InstallPackages, JoinControlPlane, JoinWorker
from kubeops.plan.model import Plan, Severity
from kubeops.plan.restore import plan_undo
from kubeops.plan.restore_actions import (
    AwaitMembers,
    AwaitRestored,
    ForgetNodes,
    PlaceRestored,
    RestoreData,
    ResyncNode,
    ReviveCluster,
    StagePki,
    StageSnapshot,
)
from kubeops.plan.restore_fresh import plan_fresh_restore
from kubeops.plan.restore_targets import is_fresh
from tests.bundles import UID
from tests.certificates import ENDS, SETTINGS, authority
from tests.unit.plan import restore_values
from tests.unit.plan.restore_values import ATTEMPT, BEGINS, BUNDLE, plane, restore_host
from tests.unit.plan.values import NOON, cluster, joined, observed

T = TypeVar("T")

ONE = cluster(1, 1)
THREE = cluster(3, 2)
PKI = Pki(
    authority=sha256(authority()).hexdigest(),
    expires={"etc/kubernetes/pki/ca.crt": ENDS},
    paths=(*REQUIRED, "etc/kubernetes/pki/apiserver.key", "cluster/kubeadm-config.yaml"),
    settings=SETTINGS,
)
WHOLE = replace(
    BUNDLE,
    control_planes=tuple(
        ControlPlane(name=name, address="10.0.0.9") for name in ("cp1", "cp2", "cp3")
    ),
)
REVIVAL = ["place", "init", "members", "identity"]


def mark(phase: Phase, *, attempt: str = ATTEMPT, fresh: bool = True) -> Mark:
    return replace(restore_values.mark(phase, attempt=attempt), fresh=fresh)


def lost(desired: Cluster, *, workers: Iterable[str] = ("w1",), **changed: Any) -> ClusterFacts:
    """All control planes are fresh machines; `workers` are still those of the cluster."""
    seen = {
        name: replace(joined(desired.host(name), desired, None), cluster_ca=PKI.authority)
        for name in workers
    }
    return observed(desired, changed={**seen, **changed})


def more(desired: Cluster, **marks: Mark) -> RestoreFacts:
    hosts = {
        host.name: restore_host(
            host.name, *([marks[host.name]] if host.name in marks else []), etcdutl=""
        )
        for host in desired.control_planes
    }
    return RestoreFacts(hosts=hosts)


def planned(
    desired: Cluster = ONE,
    facts: ClusterFacts | None = None,
    found: RestoreFacts | None = None,
    *,
    bundle: Bundle = BUNDLE,
    pki: Pki = PKI,
    answer: str = "",
) -> Plan:
    return plan_fresh_restore(
        desired,
        facts or lost(desired),
        found or more(desired),
        bundle=bundle,
        pki=pki,
        answer=answer,
    )


def waves(plan: Plan) -> list[str]:
    return [wave.name for wave in plan.waves]


def actions(plan: Plan, kind: type[T]) -> list[T]:
    return [step.action for step in plan.steps if isinstance(step.action, kind)]


def refusals(plan: Plan) -> set[str]:
    return {finding.check for finding in plan.refusals}


def warnings(plan: Plan) -> set[str]:
    return {one.check for one in plan.findings if one.severity is Severity.WARNING}


class TestProcedure:
    def test_one_control_plane_is_made_and_its_worker_goes_on(self) -> None:
        plan = planned()
        assert not plan.refusals
        assert waves(plan) == [
            *("hosts", "fetch", "prepare", "forget", *REVIVAL, "tokens"),
            *("resync", "network", "cluster", "close"),
        ]
        assert [step.action for step in plan.steps if step.id == "/resync/w1"] == [
            ResyncNode(node="w1", via="cp1", always=False)
        ]
        assert not actions(plan, JoinWorker)
        assert {step.host for step in plan.steps if step.id.startswith("/hosts/")} == {"cp1"}

    def test_the_others_join_one_after_the_other_and_new_workers_after_them(self) -> None:
        plan = planned(THREE, lost(THREE), bundle=WHOLE)
        assert waves(plan)[-8:] == [
            *("lost", "tokens", "control-planes", "workers"),
            *("resync", "network", "cluster", "close"),
        ]
        joins = next(wave for wave in plan.waves if wave.name == "control-planes")
        assert joins.at_once == 1
        assert [lane.name for lane in joins.lanes] == ["cp2", "cp3"]
        assert [one.via for one in actions(plan, JoinControlPlane)] == ["cp1", "cp1"]
        assert [step.host for step in plan.steps if isinstance(step.action, JoinWorker)] == ["w2"]

    def test_the_data_is_that_of_one_member_with_the_hosts_own_name_and_address(self) -> None:
        (data,) = actions(planned(THREE, bundle=WHOLE), RestoreData)
        assert (data.member, data.members) == ("cp1", "cp1=https://10.0.0.11:2380")
        assert data.token == f"kubeops-restore-{ATTEMPT}"
        assert data.bump == 10**9

    def test_its_mark_says_that_the_host_was_fresh(self) -> None:
        (staged,) = actions(planned(), StageSnapshot)
        assert staged.fresh
        assert staged.begins == BEGINS

    def test_the_pki_is_there_before_the_mark_says_staged(self) -> None:
        steps = [step.id for step in planned().steps]
        assert steps.index("/prepare/cp1/pki") < steps.index("/prepare/cp1/stage")
        (staged,) = actions(planned(), StagePki)
        assert staged.sha256 == BUNDLE.pki.plain_sha256

    def test_what_kubeadm_makes_anew_is_not_put_back(self) -> None:
        (place,) = actions(planned(), PlaceRestored)
        assert place.files == tuple(sorted(REQUIRED))

    def test_identity_and_revision_are_seen_before_anything_is_deleted(self) -> None:
        plan = planned(THREE, bundle=WHOLE)
        names = waves(plan)
        assert names.index("members") < names.index("identity") < names.index("lost")
        (members,) = actions(plan, AwaitMembers)
        assert (members.control_planes, members.revision) == (("cp1",), BEGINS)
        assert actions(plan, AwaitRestored)[0].uid == UID

    def test_nodes_of_lost_hosts_are_forgotten_but_not_those_that_go_on(self) -> None:
        (forget,) = actions(planned(THREE, bundle=WHOLE), ForgetNodes)
        assert forget.nodes == ("cp2", "cp3", "w2")
        renamed = cluster(1, 1)
        (forget,) = actions(planned(renamed, bundle=WHOLE), ForgetNodes)
        assert forget.nodes == ("cp2", "cp3")

    def test_the_version_is_the_bundles(self) -> None:
        newer = replace(ONE, kubernetes=KubeVersion.parse("1.35.9"))
        plan = planned(newer, lost(newer))
        assert not plan.refusals
        assert {one.version for one in actions(plan, InstallPackages)} == {"1.35.4"}
        assert {one.version for one in actions(plan, ReviveCluster)} == {"1.35.4"}
        assert "restores-version" in warnings(plan)

    def test_addons_are_as_restored_unless_the_endpoint_is_another(self) -> None:
        assert not actions(planned(), ReviveCluster)[0].addons
        moved = replace(ONE, endpoint="10.0.0.99:6443")
        assert actions(planned(moved, lost(moved)), ReviveCluster)[0].addons

    def test_other_files_of_the_control_plane_are_brought_to_all(self) -> None:
        audit = "etc/kubernetes/audit.yaml"
        plan = planned(THREE, bundle=WHOLE, pki=replace(PKI, paths=(*PKI.paths, audit)))
        assert [one.files for one in actions(plan, JoinControlPlane)] == [(audit,)] * 2
        assert audit in actions(plan, PlaceRestored)[0].files


class TestResume:
    def begun(self, phase: Phase, **changed: Any) -> Plan:
        host = replace(observed(THREE).hosts["cp1"], **changed)
        return planned(THREE, lost(THREE, cp1=host), more(THREE, cp1=mark(phase)), bundle=WHOLE)

    def test_what_is_staged_is_not_fetched_again(self) -> None:
        plan = self.begun(Phase.RESTORED)
        assert waves(plan)[:3] == ["hosts", "prepare", "forget"]
        assert not plan.refusals

    @pytest.mark.parametrize("phase", [Phase.RESTORED, Phase.SWAPPED])
    def test_what_a_killed_run_left_is_moved_aside_first(self, phase: Phase) -> None:
        plan = self.begun(phase, unfinished="restore", cluster_ca="x", etcd_data=True)
        assert waves(plan)[:6] == ["hosts", "aside", "prepare", "forget", "place", "init"]
        assert not plan.refusals

    def test_so_it_is_when_the_host_was_cleared_and_the_mark_does_not_know(self) -> None:
        assert "aside" in waves(self.begun(Phase.SWAPPED))

    def up(self, phase: Phase, **marks: Mark) -> Plan:
        """cp1 is up again, and cp2 has joined."""
        facts = restore_values.whole(THREE)
        assert facts.api is not None
        assert facts.etcd is not None
        nodes = tuple(node for node in facts.api.nodes if node.name != "cp3")
        etcd = replace(facts.etcd, members=facts.etcd.members[:2])
        hosts = {**facts.hosts, "cp3": observed(THREE).hosts["cp3"]}
        for name in ("cp1", "cp2", "w1", "w2"):
            hosts[name] = replace(hosts[name], cluster_ca=PKI.authority)
        facts = replace(facts, hosts=hosts, api=replace(facts.api, nodes=nodes), etcd=etcd)
        found = more(THREE, cp1=mark(phase), **marks)
        assert is_fresh(THREE, facts, found)
        return planned(THREE, facts, found, bundle=WHOLE, answer="200")

    def test_who_has_joined_is_not_forgotten(self) -> None:
        plan = self.up(Phase.SWAPPED)
        assert not plan.refusals
        assert actions(plan, ForgetNodes) == [ForgetNodes(nodes=("cp3",))]
        assert not actions(plan, ReviveCluster)

    def test_nothing_is_forgotten_twice(self) -> None:
        plan = self.up(Phase.CONTROLLERS)
        assert not {"members", "lost", "tokens", "init"} & set(waves(plan))
        assert [one.via for one in actions(plan, JoinControlPlane)] == ["cp1"]
        assert waves(plan)[-1] == "close"

    def test_it_goes_on_where_it_was_begun(self) -> None:
        facts = lost(THREE)
        plan = planned(THREE, facts, more(THREE, cp2=mark(Phase.RESTORED)), bundle=WHOLE)
        assert [step.host for step in plan.steps if step.id.startswith("/init")] == ["cp2"]
        assert {one.via for one in actions(plan, JoinControlPlane)} == {"cp2"}


class TestWhich:
    def test_one_etcd_that_is_left_makes_it_an_ordinary_restore(self) -> None:
        assert is_fresh(THREE, lost(THREE), more(THREE))
        assert not is_fresh(THREE, lost(THREE, cp3=plane(THREE, "cp3")), more(THREE))

    def test_so_does_one_that_an_ordinary_restore_has_stopped(self) -> None:
        stopped = more(THREE, cp3=mark(Phase.SWAPPED, fresh=False))
        assert not is_fresh(THREE, lost(THREE), stopped)

    def test_what_is_finished_does_not_matter(self) -> None:
        over = more(THREE, cp1=mark(Phase.DONE))
        assert is_fresh(THREE, lost(THREE), over)
        assert not is_fresh(THREE, restore_values.whole(THREE), over)

    def test_hosts_that_are_not_reached_are_not_fresh(self) -> None:
        assert not is_fresh(THREE, observed(THREE), RestoreFacts())


class TestRefused:
    def test_a_control_plane_that_does_not_answer(self) -> None:
        facts = lost(THREE)
        gone = {"cp2": Unreachable(host="cp2", reason="no route to host")}
        hosts = {name: host for name, host in facts.hosts.items() if name != "cp2"}
        found = RestoreFacts(hosts={n: h for n, h in more(THREE).hosts.items() if n != "cp2"})
        plan = planned(THREE, replace(facts, hosts=hosts, unreachable=gone), found)
        assert refusals(plan) == {"unreachable"}

    def test_an_unreachable_worker_is_no_reason(self) -> None:
        facts = lost(ONE)
        gone = {"w1": Unreachable(host="w1", reason="no route to host")}
        hosts = {"cp1": facts.hosts["cp1"]}
        plan = planned(ONE, replace(facts, hosts=hosts, unreachable=gone))
        assert not plan.refusals
        assert "unreachable-worker" in warnings(plan)

    @pytest.mark.parametrize(
        ("answer", "refused"), [("200", True), ("401", True), ("403", True), ("503", False)]
    )
    def test_an_api_server_that_answers_elsewhere(self, answer: str, *, refused: bool) -> None:
        assert refusals(planned(answer=answer)) == ({"endpoint-answers"} if refused else set())

    def test_leftovers_of_another_cluster(self) -> None:
        used = replace(observed(ONE).hosts["cp1"], cluster_ca="of-another")
        assert refusals(planned(facts=lost(ONE, cp1=used))) == {"leftovers"}

    def test_a_port_that_is_taken(self) -> None:
        used = replace(
            observed(ONE).hosts["cp1"],
            listeners=(Listener(port=6443, address="0.0.0.0"),),  # noqa: S104
        )
        assert refusals(planned(facts=lost(ONE, cp1=used))) == {"port"}

    def test_a_worker_of_another_cluster(self) -> None:
        other = replace(joined(ONE.host("w1"), ONE, None), cluster_ca="of-another")
        plan = planned(facts=lost(ONE, w1=other))
        assert refusals(plan) == {"other-ca"}
        assert "invoke reset --limit w1" in plan.refusals[0].cure

    def test_a_worker_that_knows_another_endpoint(self) -> None:
        other = replace(joined(ONE.host("w1"), ONE, None), kubelet_server="https://10.9.9.9:6443")
        assert refusals(planned(facts=lost(ONE, w1=other))) == {"leftovers"}

    def test_a_bundle_without_keys(self) -> None:
        paths = tuple(path for path in REQUIRED if path != "etc/kubernetes/pki/ca.key")
        plan = planned(pki=replace(PKI, paths=paths))
        assert refusals(plan) == {"pki-incomplete"}
        assert "pki/ca.key" in plan.refusals[0].text

    @pytest.mark.parametrize(
        ("left", "refused", "warned"),
        [
            (timedelta(0), {"ca-expired"}, set()),
            (timedelta(days=29), set(), {"ca-expires"}),
            (timedelta(days=31), set(), set()),
        ],
    )
    def test_an_authority_that_has_ended(
        self, left: timedelta, refused: set[str], warned: set[str]
    ) -> None:
        plan = planned(pki=replace(PKI, expires={"etc/kubernetes/pki/ca.crt": NOON + left}))
        assert refusals(plan) == refused
        assert warnings(plan) & {"ca-expires"} == warned

    def test_another_minor_release(self) -> None:
        other = replace(ONE, kubernetes=KubeVersion.parse("1.36.1"))
        plan = planned(other, lost(other))
        assert refusals(plan) == {"version"}
        assert 'kubernetes: "1.35.4"' in plan.refusals[0].cure

    def test_other_networks(self) -> None:
        networking = {"podSubnet": "10.1.0.0/16", "serviceSubnet": "10.96.0.0/12"}
        pki = replace(PKI, settings={**SETTINGS, "networking": networking})
        assert refusals(planned(pki=pki)) == {"networks"}

    def test_another_endpoint_has_to_be_accepted(self) -> None:
        moved = replace(ONE, endpoint="10.0.0.99:6443")
        assert refusals(planned(moved, lost(moved))) == {"other-endpoint"}

    def test_settings_that_are_not_known_have_to_be_accepted(self) -> None:
        assert refusals(planned(pki=replace(PKI, settings={}))) == {"settings-unknown"}

    def test_an_unproven_bundle_has_to_be_accepted(self) -> None:
        failed = replace(BUNDLE.proof, full=False)
        assert refusals(planned(bundle=BUNDLE.with_proof(failed))) == {"unproven-bundle"}

    def test_a_full_disk(self) -> None:
        tiny = restore_host("cp1", data=Disk(device="/dev/vdb1", free=1 << 20))
        assert refusals(planned(found=RestoreFacts(hosts={"cp1": tiny}))) == {"disk"}

    def test_another_restore_that_is_under_way(self) -> None:
        other = attempt_id(1, "20200101T000000Z-aaaaaa")
        begun = replace(observed(ONE).hosts["cp1"], unfinished="restore")
        found = more(ONE, cp1=mark(Phase.SWAPPED, attempt=other))
        assert refusals(planned(facts=lost(ONE, cp1=begun), found=found)) == {"unfinished-restore"}
        given_up = planned(found=found)
        assert not given_up.refusals
        assert actions(given_up, StageSnapshot)[0].attempt == attempt_id(2, BUNDLE.name)

    def test_there_is_no_way_back(self) -> None:
        facts = restore_values.whole(ONE)
        for phase in (Phase.SWAPPED, Phase.DONE):
            plan = plan_undo(ONE, facts, more(ONE, cp1=mark(phase)))
            assert refusals(plan) == {"fresh-restore"}
            assert "invoke reset" in plan.refusals[0].cure

    def test_what_was_only_prepared_can_be_removed(self) -> None:
        plan = plan_undo(ONE, lost(ONE), more(ONE, cp1=mark(Phase.RESTORED)))
        assert not plan.refusals
        assert waves(plan) == ["forget", "close"]


def test_static_pods_of_others_count_as_leftovers_only() -> None:
    vip = {"kube-vip": StaticPod(name="kube-vip", image="kube-vip:1")}
    used = replace(observed(ONE).hosts["cp1"], static_pods=vip)
    facts = lost(ONE, cp1=used)
    assert is_fresh(ONE, facts, more(ONE))
    assert refusals(planned(facts=facts)) == {"leftovers"}
