"""Restores and their undo, as plans: values in, values out."""

from dataclasses import replace
from typing import TypeVar

import pytest

from kubeops.model.bundle import Bundle, ControlPlane, Member
from kubeops.model.desired import Cluster
from kubeops.model.observed import ClusterFacts, Unreachable
from kubeops.model.restoring import Disk, Phase, RestoreFacts, attempt_id
from kubeops.plan.actions import WORKSTATION
from kubeops.plan.model import Plan, Severity
from kubeops.plan.restore import plan_restore, plan_undo
from kubeops.plan.restore_actions import (
    AwaitMembers,
    AwaitRestored,
    CloseAttempt,
    ForgetNodes,
    KeepPresent,
    RestoreData,
    ResyncNode,
    StageSnapshot,
    StartStaticPods,
    StopControlPlane,
)
from kubeops.plan.restore_targets import BUMP, beginning
from tests.bundles import UID, bundle
from tests.unit.plan.restore_values import (
    ATTEMPT,
    BEGINS,
    BUNDLE,
    PRESENT,
    mark,
    more,
    plane,
    restore_host,
    whole,
    with_member,
)
from tests.unit.plan.values import bare, cluster, host, member

T = TypeVar("T")

THREE = cluster(3, 2)
ONE = cluster(1, 0)
ALL = ("cp1", "cp2", "cp3")
MIB = 2**20


def planned(
    desired: Cluster = THREE,
    facts: ClusterFacts | None = None,
    found: RestoreFacts | None = None,
    *,
    of: Bundle = BUNDLE,
    authority: str = "",
) -> Plan:
    return plan_restore(
        desired,
        facts or whole(desired),
        found or more(desired),
        bundle=of,
        authority=authority,
    )


def undone(
    desired: Cluster = THREE, facts: ClusterFacts | None = None, found: RestoreFacts | None = None
) -> Plan:
    return plan_undo(desired, facts or whole(desired), found or more(desired))


def waves(plan: Plan) -> list[str]:
    return [wave.name for wave in plan.waves]


def actions(plan: Plan, kind: type[T]) -> list[T]:
    return [step.action for step in plan.steps if isinstance(step.action, kind)]


def checks(plan: Plan, severity: Severity) -> set[str]:
    return {finding.check for finding in plan.findings if finding.severity is severity}


def refusals(plan: Plan) -> dict[str, str]:
    return {finding.check: finding.host for finding in plan.refusals}


class TestProcedure:
    def test_everything_is_verified_before_anything_is_touched(self) -> None:
        assert waves(planned()) == [
            *("fetch", "prepare", "forget", "keep"),
            *("stop", "swap", "etcd", "members", "api", "controllers"),
            *("resync", "verify", "close"),
        ]

    def test_what_concerns_all_control_planes_happens_on_all_at_once(self) -> None:
        for wave in planned().waves:
            if wave.name in {"prepare", "stop", "swap", "etcd", "api", "controllers", "close"}:
                assert tuple(lane.name for lane in wave.lanes) == ALL, wave.name
                assert wave.at_once == 3, wave.name

    def test_hosts_without_a_kubelet_are_not_waited_for(self) -> None:
        """One that waits to replace a worker, or one that was replaced."""
        facts = whole(THREE, w2=bare(THREE.host("w2")))
        assert "w2" not in [one.node for one in actions(planned(facts=facts), ResyncNode)]

    def test_nodes_of_control_planes_that_are_no_more_are_forgotten(self) -> None:
        plane = ControlPlane(name="cp9", address="10.0.0.99")
        plan = planned(of=replace(BUNDLE, control_planes=(*BUNDLE.control_planes, plane)))
        assert actions(plan, ForgetNodes) == [ForgetNodes(nodes=("cp9",))]
        names = waves(plan)
        assert names.index("controllers") < names.index("lost") < names.index("resync")

    def test_one_control_plane_takes_the_same_way(self) -> None:
        assert waves(planned(ONE)) == waves(planned())
        assert all(len(wave.lanes) == 1 for wave in planned(ONE).waves)

    def test_members_are_told_of_each_other_and_none_by_a_manifest(self) -> None:
        made = actions(planned(), RestoreData)
        assert [one.member for one in made] == list(ALL)
        assert {one.members for one in made} == {
            "cp1=https://10.0.0.11:2380,cp2=https://10.0.0.12:2380,cp3=https://10.0.0.13:2380"
        }
        assert [one.peers for one in made] == [f"https://10.0.0.1{n}:2380" for n in (1, 2, 3)]

    def test_the_token_is_new_for_each_attempt(self) -> None:
        again = planned(found=more(THREE, dict.fromkeys(ALL, Phase.UNDONE)))
        tokens = {one.token for plan in (planned(), again) for one in actions(plan, RestoreData)}
        assert len(tokens) == 2

    def test_the_revision_is_bumped_and_waited_for(self) -> None:
        assert {one.bump for one in actions(planned(), RestoreData)} == {BUMP}
        (members,) = actions(planned(), AwaitMembers)
        assert members == AwaitMembers(control_planes=ALL, revision=BEGINS)

    def test_the_identity_and_every_node_are_looked_at(self) -> None:
        (verify,) = actions(planned(), AwaitRestored)
        assert verify == AwaitRestored(uid=UID, nodes=(*ALL, "w1", "w2"))
        kubelets = actions(planned(), ResyncNode)
        assert [one.node for one in kubelets] == [*ALL, "w1", "w2"]
        assert not any(one.always for one in kubelets)

    def test_the_snapshot_is_compared_with_its_manifest_on_every_host(self) -> None:
        staged = actions(planned(), StageSnapshot)
        assert len(staged) == 3
        assert {(one.sha256, one.revision) for one in staged} == {
            (BUNDLE.snapshot.plain_sha256, BUNDLE.revision)
        }

    def test_the_local_copy_is_made_and_removed_on_this_machine(self) -> None:
        hosts = {w.name: w.lanes[0].steps[0].host for w in planned().waves}
        assert hosts["fetch"] == hosts["forget"] == WORKSTATION

    def test_the_same_state_gives_the_same_plan_later(self) -> None:
        later = replace(whole(THREE), at=whole(THREE).at.replace(hour=13))
        assert planned().digest == planned(facts=later).digest


class TestPresentState:
    def test_a_member_that_answers_saves_it(self) -> None:
        (keep,) = actions(planned(), KeepPresent)
        assert keep == KeepPresent(attempt=ATTEMPT, required=True)

    def test_without_quorum_one_that_listens_tries(self) -> None:
        (keep,) = actions(planned(facts=replace(whole(THREE), etcd=None)), KeepPresent)
        assert not keep.required

    def test_when_none_listens_the_directories_must_do(self) -> None:
        silent = more(THREE, changed=[restore_host(name, serving=False) for name in ALL])
        assert "keep" not in waves(planned(facts=replace(whole(THREE), etcd=None), found=silent))


class TestContinued:
    def test_what_is_behind_a_host_is_not_planned_again(self) -> None:
        phases = {"cp1": Phase.SWAPPED, "cp2": Phase.STOPPING, "cp3": Phase.SWAPPED}
        out = {name: plane(THREE, name, etcd=False) for name in ALL}
        facts = replace(whole(THREE, **out), api=None, etcd=None)
        plan = planned(facts=facts, found=more(THREE, phases))
        assert waves(plan)[:4] == ["forget", "stop", "swap", "etcd"]
        assert [lane.name for lane in plan.waves[1].lanes] == ["cp2"]
        assert {one.attempt for one in actions(plan, StartStaticPods)} == {ATTEMPT}
        assert not plan.refusals

    def test_a_step_that_was_done_is_planned_again_for_its_gate(self) -> None:
        out = {name: plane(THREE, name, etcd=False) for name in ALL}
        stopped = more(THREE, dict.fromkeys(ALL, Phase.STOPPING))
        plan = planned(facts=replace(whole(THREE, **out), api=None, etcd=None), found=stopped)
        assert len(actions(plan, StopControlPlane)) == 3

    def test_a_copy_that_is_there_is_looked_at_again(self) -> None:
        staged = more(THREE, {"cp1": Phase.RESTORED, "cp2": Phase.STAGED})
        plan = planned(found=staged)
        assert [step.host for step in plan.steps if isinstance(step.action, StageSnapshot)] == [
            "cp2",
            "cp3",
        ]
        assert waves(plan)[0] == "fetch"

    def test_the_bump_stays_what_it_was(self) -> None:
        twice = mark(Phase.STAGED, revision=BUNDLE.revision + 2 * BUMP)
        found = more(THREE, changed=[restore_host("cp1", twice)])
        assert {one.bump for one in actions(planned(found=found), RestoreData)} == {2 * BUMP}

    def test_a_finished_restore_is_done_again_only_when_that_is_meant(self) -> None:
        plan = planned(found=more(THREE, dict.fromkeys(ALL, Phase.DONE)))
        assert refusals(plan) == {"restored-already": ""}
        assert not planned(found=more(THREE, dict.fromkeys(ALL, Phase.UNDONE))).refusals
        assert {one.attempt for one in actions(plan, CloseAttempt)} == {attempt_id(2, BUNDLE.name)}

    def test_another_attempt_under_way_comes_first(self) -> None:
        other = mark(Phase.STAGED, attempt=attempt_id(1, "20261120T023000Z-zzz999"))
        found = more(THREE, changed=[restore_host("cp1", other)])
        assert "unfinished-restore" in refusals(planned(found=found))

    def test_what_is_being_undone_does_not_go_on(self) -> None:
        phases = {"cp1": Phase.UNDONE, "cp2": Phase.UNDO_SWAPPED, "cp3": Phase.UNDONE}
        assert "unfinished-undo" in refusals(planned(found=more(THREE, phases)))


@pytest.mark.parametrize(
    ("revision", "highest", "bumps"),
    [(5000, 6000, 1), (5000, BUMP + 6000, 2), (BUMP + 5000, BUMP + 6000, 1), (5000, 0, 1)],
)
def test_the_new_revision_is_higher_than_any_seen(revision: int, highest: int, bumps: int) -> None:
    begins = beginning(revision, highest)
    assert begins == revision + bumps * BUMP
    assert begins > highest


class TestFindings:
    def test_a_whole_cluster_is_only_warned(self) -> None:
        plan = planned(authority="sha-of-ca")
        assert not plan.refusals
        assert checks(plan, Severity.WARNING) == {"newer-objects"}

    def test_how_much_is_lost_is_said(self) -> None:
        (finding,) = planned().findings
        assert f"{PRESENT - BUNDLE.revision} revisions" in finding.text
        assert "9.5 hours ago" in finding.text

    def test_an_old_bundle_is_warned_of(self) -> None:
        old = bundle(BUNDLE.taken.replace(month=10))
        assert "old-bundle" in checks(planned(of=old), Severity.WARNING)

    def test_an_unproven_bundle_has_to_be_accepted(self) -> None:
        plan = planned(of=bundle(failed="identity"))
        assert refusals(plan) == {"unproven-bundle": ""}
        assert not replace(plan, accepted=("unproven-bundle",)).refusals

    def test_another_cluster_has_to_be_accepted(self) -> None:
        assert refusals(planned(of=replace(BUNDLE, kube_system_uid="another"))) == {
            "other-cluster": ""
        }

    def test_without_the_api_the_authority_tells_the_cluster(self) -> None:
        down = replace(whole(THREE), api=None)
        assert "other-cluster" in refusals(planned(facts=down, authority="of another"))
        assert not planned(facts=down, authority="sha-of-ca").refusals

    def test_another_minor_release_has_to_be_accepted(self) -> None:
        assert refusals(planned(of=replace(BUNDLE, kubernetes="1.34.7"))) == {"other-version": ""}
        assert not planned(of=replace(BUNDLE, kubernetes="1.35.9")).refusals

    def test_an_older_etcd_cannot_read_the_snapshot(self) -> None:
        newer = replace(BUNDLE, etcd="3.7.0")
        assert set(refusals(planned(of=newer))) == {"etcd-older", "etcdutl"}
        silent = replace(whole(THREE), etcd=None)
        assert "etcd-older" in refusals(planned(facts=silent, of=newer))

    def test_a_host_without_etcdutl_is_refused(self) -> None:
        found = more(THREE, changed=[restore_host("cp2", etcdutl="")])
        assert refusals(planned(found=found)) == {"etcdutl": "cp2"}

    @pytest.mark.parametrize("place", ["state", "data"])
    def test_a_full_disk_is_refused(self, place: str) -> None:
        tight = Disk(device="/dev/vdb1", free=100 * MIB)
        found = more(THREE, changed=[restore_host("cp3", **{place: tight})])
        plan = planned(found=found)
        assert refusals(plan) == {"disk": "cp3"}
        assert "100 MiB" in plan.refusals[0].text

    def test_a_lost_control_plane_is_refused(self) -> None:
        facts = whole(THREE)
        hosts = {name: found for name, found in facts.hosts.items() if name != "cp2"}
        lost = {"cp2": Unreachable(host="cp2", reason="no route to host")}
        found = more(THREE)
        left = RestoreFacts(hosts={n: one for n, one in found.hosts.items() if n != "cp2"})
        plan = planned(facts=replace(facts, hosts=hosts, unreachable=lost), found=left)
        assert refusals(plan) == {"unreachable": "cp2"}
        assert "out of the inventory" in plan.refusals[0].cure

    def test_a_lost_worker_is_only_warned_of(self) -> None:
        facts = whole(THREE)
        hosts = {name: found for name, found in facts.hosts.items() if name != "w1"}
        lost = {"w1": Unreachable(host="w1", reason="no route to host")}
        plan = planned(facts=replace(facts, hosts=hosts, unreachable=lost))
        assert "unreachable-worker" in checks(plan, Severity.WARNING)
        assert "w1" not in [one.node for one in actions(plan, ResyncNode)]

    def test_a_member_outside_the_inventory_is_dropped_only_when_accepted(self) -> None:
        gone = member(host("cp4", 4, THREE.hosts[0].role))
        assert refusals(planned(facts=with_member(whole(THREE), gone))) == {"member-dropped": ""}

    def test_a_member_without_a_name_yet_is_known_by_its_url(self) -> None:
        facts = whole(THREE)
        assert facts.etcd is not None
        *others, last = facts.etcd.members
        etcd = replace(facts.etcd, members=(*others, replace(last, name="")))
        assert not planned(facts=replace(facts, etcd=etcd)).refusals

    def test_when_etcd_is_silent_the_bundle_tells_who_was_a_member(self) -> None:
        gone = Member(id="9", name="cp9", peer_urls=("https://10.0.0.99:2380",), client_urls=())
        silent = replace(whole(THREE), etcd=None, etcd_error="no leader")
        plan = planned(facts=silent, of=replace(BUNDLE, members=(*BUNDLE.members, gone)))
        assert refusals(plan) == {"member-dropped": ""}

    def test_members_are_not_asked_about_once_it_is_decided(self) -> None:
        gone = member(host("cp4", 4, THREE.hosts[0].role))
        started = more(THREE, dict.fromkeys(ALL, Phase.ETCD))
        assert not planned(facts=with_member(whole(THREE), gone), found=started).refusals

    def test_a_control_plane_without_etcd_joins_later(self) -> None:
        plan = planned(facts=whole(THREE, cp3=plane(THREE, "cp3", etcd=False)))
        assert "joins-later" in checks(plan, Severity.WARNING)
        assert "cp3" not in {step.host for step in plan.steps if step.id.startswith("/stop")}

    def test_there_must_be_an_etcd_somewhere(self) -> None:
        out = {name: plane(THREE, name, etcd=False) for name in ALL}
        plan = planned(facts=replace(whole(THREE, **out), etcd=None))
        assert "no-etcd" in refusals(plan)

    def test_a_log_that_lies_apart_is_refused(self) -> None:
        apart = plane(THREE, "cp2")
        pod = apart.static_pods["etcd"]
        apart = replace(
            apart,
            static_pods={"etcd": replace(pod, flags={**pod.flags, "wal-dir": "/fast/wal"})},
        )
        assert refusals(planned(facts=whole(THREE, cp2=apart))) == {"wal-dir": "cp2"}


class TestUndo:
    def test_what_was_restored_is_put_back(self) -> None:
        plan = undone(found=more(THREE, dict.fromkeys(ALL, Phase.DONE)))
        assert waves(plan) == [
            *("forget", "stop", "swap", "start", "members", "resync", "verify", "close"),
        ]
        assert checks(plan, Severity.WARNING) == {"undo-loses"}
        assert all(one.always for one in actions(plan, ResyncNode))
        assert {one.phase for one in actions(plan, CloseAttempt)} == {Phase.UNDONE}
        assert actions(plan, AwaitMembers) == [AwaitMembers(control_planes=ALL, revision=0)]

    def test_what_was_only_prepared_is_removed(self) -> None:
        phases = {"cp1": Phase.RESTORED, "cp2": Phase.STAGED}
        plan = undone(found=more(THREE, phases))
        assert waves(plan) == ["forget", "close"]
        assert [lane.name for lane in plan.waves[1].lanes] == ["cp1", "cp2"]

    def test_an_undo_goes_on(self) -> None:
        phases = {"cp1": Phase.UNDO_STARTED, "cp2": Phase.UNDO_STARTED, "cp3": Phase.UNDO_SWAPPED}
        plan = undone(found=more(THREE, phases))
        assert waves(plan)[:4] == ["forget", "swap", "start", "members"]
        assert not plan.refusals

    def test_removing_what_was_only_prepared_goes_on(self) -> None:
        phases = {"cp1": Phase.UNDONE, "cp2": Phase.RESTORED, "cp3": None}
        plan = undone(found=more(THREE, phases))
        assert [step.id for step in plan.steps] == ["/forget/workstation", "/close/cp2"]
        assert not plan.refusals

    def test_a_host_that_was_not_stopped_yet_is_stopped_with_the_others(self) -> None:
        phases = {"cp1": Phase.UNDO_STOPPING, "cp2": Phase.RESTORED, "cp3": Phase.STOPPING}
        plan = undone(found=more(THREE, phases))
        assert [lane.name for lane in plan.waves[1].lanes] == list(ALL)
        assert not plan.refusals

    def test_there_is_something_to_undo_only_once(self) -> None:
        for found in (more(THREE), more(THREE, dict.fromkeys(ALL, Phase.UNDONE))):
            plan = undone(found=found)
            assert plan.is_empty
            assert "nothing-to-undo" in refusals(plan)

    def test_a_host_without_old_data_cannot_be_put_back(self) -> None:
        plan = undone(found=more(THREE, {"cp1": Phase.DONE, "cp2": Phase.DONE}))
        assert refusals(plan) == {"joined-since": "cp3"}
