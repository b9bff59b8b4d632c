"""A reset's plan: leave through those who stay, never below quorum, all of it at once otherwise."""

from dataclasses import replace

from kubeops.model.observed import Unreachable
from kubeops.plan.model import Severity
from kubeops.plan.reset import plan_reset
from tests.unit.plan.values import cluster, observed

ALL = ("cp1", "cp2", "cp3", "w1", "w2")


def test_a_worker_is_drained_and_deleted_before_it_is_reset() -> None:
    desired = cluster()
    plan = plan_reset(desired, observed(desired, members=ALL), hosts=("w1",))
    assert [(step.id, step.host) for step in plan.steps] == [
        ("/hosts/w1/drain", "cp1"),
        ("/hosts/w1/node", "cp1"),
        ("/hosts/w1/reset", "w1"),
    ]


def test_a_control_plane_leaves_etcd_through_another_one() -> None:
    desired = cluster()
    plan = plan_reset(desired, observed(desired, members=ALL), hosts=("cp1",))
    assert [(step.id, step.host) for step in plan.steps] == [
        ("/hosts/cp1/drain", "cp2"),
        ("/hosts/cp1/etcd-member", "cp2"),
        ("/hosts/cp1/node", "cp2"),
        ("/hosts/cp1/reset", "cp1"),
    ]


def test_hosts_leave_one_at_a_time() -> None:
    desired = cluster()
    plan = plan_reset(desired, observed(desired, members=ALL), hosts=("w1", "w2", "cp3"))
    assert [wave.at_once for wave in plan.waves] == [1]


def test_the_whole_cluster_goes_workers_first() -> None:
    desired = cluster()
    plan = plan_reset(desired, observed(desired, members=ALL))
    assert [wave.name for wave in plan.waves] == ["workers", "control-planes"]
    assert [step.id.rsplit("/", 1)[-1] for step in plan.steps] == ["reset"] * 5


def test_bare_hosts_need_no_reset() -> None:
    desired = cluster()
    plan = plan_reset(desired, observed(desired))
    assert plan.is_empty
    assert plan.done[0] == "cp1: belongs to no cluster"


def test_the_last_control_plane_cannot_leave_its_workers() -> None:
    desired = cluster(1, 2)
    plan = plan_reset(desired, observed(desired, members=("cp1", "w1", "w2")), hosts=("cp1",))
    assert [finding.check for finding in plan.refusals] == ["last-control-plane"]


def test_a_dead_host_blocks_its_own_leave_but_not_the_end_of_the_cluster() -> None:
    desired = cluster()
    facts = observed(desired, members=ALL)
    gone = {"w2": Unreachable(host="w2", reason="w2: no route to host")}
    facts = replace(
        facts,
        hosts={name: found for name, found in facts.hosts.items() if name != "w2"},
        unreachable=gone,
    )
    (one,) = plan_reset(desired, facts, hosts=("w2",)).findings
    assert one.severity is Severity.BLOCKING
    (whole,) = plan_reset(desired, facts).findings
    assert whole.severity is Severity.ACCEPTABLE


def test_without_the_api_nobody_can_take_leave() -> None:
    desired = cluster()
    facts = replace(observed(desired, members=ALL), api=None, api_error="refused")
    assert [finding.check for finding in plan_reset(desired, facts, hosts=("w1",)).refusals] == [
        "api"
    ]


def test_a_host_that_half_left_is_left_wholly() -> None:
    """Data aside and kubeadm not yet reset: the mark is the only trace."""
    desired = cluster()
    facts = observed(desired)
    half = replace(facts.hosts["w1"], unfinished="reset")
    plan = plan_reset(desired, replace(facts, hosts={**facts.hosts, "w1": half}))
    assert [step.id for step in plan.steps] == ["/hosts/w1/reset"]


def test_without_the_api_and_accepted_only_the_host_itself_is_reset() -> None:
    desired = cluster()
    facts = replace(observed(desired, members=ALL), api=None, api_error="refused")
    plan = plan_reset(desired, facts, hosts=("cp2",))
    assert [step.id for step in plan.steps] == ["/hosts/cp2/reset"]
    (finding,) = plan.findings
    assert finding.text == "the API does not answer (refused); the hosts cannot take leave"


def test_leaving_while_no_other_control_plane_is_reached_is_told() -> None:
    """The API answers, through the one that leaves: its member would stay behind unnoticed."""
    desired = cluster()
    facts = observed(desired, members=ALL)
    lost = {name: Unreachable(host=name, reason=f"{name}: no route") for name in ("cp2", "cp3")}
    hosts = {name: found for name, found in facts.hosts.items() if name not in lost}
    plan = plan_reset(desired, replace(facts, hosts=hosts, unreachable=lost), hosts=("cp1",))
    (finding,) = plan.refusals
    assert (finding.check, finding.severity) == ("api", Severity.ACCEPTABLE)
    assert "no control plane that stays is reached" in finding.text
    assert [step.id for step in plan.steps] == ["/hosts/cp1/reset"]


def test_hosts_that_leave_together_do_not_take_leave_of_each_other() -> None:
    desired = cluster()
    plan = plan_reset(desired, observed(desired, members=ALL), hosts=("cp1", "cp2"))
    assert {step.host for step in plan.steps if step.host not in {"cp1", "cp2"}} == {"cp3"}
    assert [step.id for step in plan.steps if step.host == "cp1"] == ["/hosts/cp1/reset"]
