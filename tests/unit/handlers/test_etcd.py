"""A member leaves through a healthy peer and never takes quorum along."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from kubeops.engine.context import DONE, NEEDED, Check, State
from kubeops.errors import CommandError, GateError, StepError
from kubeops.handlers.etcd import _ETCDCTL, REMOVE_ETCD_MEMBER, quorum_trouble
from kubeops.model.observed import ClusterFacts, EtcdFacts, EtcdMember
from kubeops.plan.actions import RemoveEtcdMember
from tests.unit.handlers.values import Bench, script
from tests.unit.plan.values import observed

REMOVE = RemoveEtcdMember(node="cp3")


def etcd(healthy: str, *, learners: Sequence[int] = (), leader: int = 1) -> EtcdFacts:
    """Members 1, 2, ...: `+` is healthy, `-` is not; 0 leads nobody."""
    return EtcdFacts(
        asked="cp1",
        members=tuple(
            EtcdMember(
                id=f"id{number}",
                name=f"cp{number}",
                peer_urls=(f"https://10.0.0.{10 + number}:2380",),
                client_urls=(),
                learner=number in learners,
                healthy=sign == "+",
                leader=number == leader,
            )
            for number, sign in enumerate(healthy, 1)
        ),
    )


@pytest.mark.parametrize(
    ("healthy", "leaving", "trouble"),
    [
        ("+", 1, "cp1 is the only member"),
        ("++", 2, ""),
        ("+-", 2, ""),
        ("+-", 1, "0 of the 1 other members are healthy, 1 must be"),
        ("+++", 3, ""),
        ("++-", 3, ""),
        ("+-+", 3, "1 of the 2 other members are healthy, 2 must be"),
        ("+--", 3, "1 of the 2 other members are healthy, 2 must be"),
        ("++++", 4, ""),
        ("++-+", 4, ""),
        ("+--+", 4, "1 of the 3 other members are healthy, 2 must be"),
        ("++--+", 5, "2 of the 4 other members are healthy, 3 must be"),
        ("+++--", 5, ""),
    ],
)
def test_a_majority_of_those_who_stay_must_be_healthy(
    healthy: str, leaving: int, trouble: str
) -> None:
    found = etcd(healthy)
    assert quorum_trouble(found, found.members[leaving - 1]) == trouble


def test_learners_have_no_vote() -> None:
    found = etcd("++-", learners=[3])
    assert quorum_trouble(found, found.members[1]) == ""
    assert quorum_trouble(etcd("+-+", learners=[3]), etcd("+-+").members[0]) != ""


def seen(bench: Bench, found: EtcdFacts | None) -> ClusterFacts:
    return replace(
        observed(bench.desired, members=("cp1",)), etcd=found, etcd_error="" if found else "silent"
    )


def test_the_member_is_removed_by_its_id_through_the_steps_host(bench: Bench) -> None:
    bench.clusters["cp1"] = [
        seen(bench, etcd("+++")),
        seen(bench, etcd("+++")),
        seen(bench, etcd("++", leader=0)),
        seen(bench, etcd("++")),
    ]
    host = bench.runner("cp1")
    host.on(script(_ETCDCTL))
    host.on(("kubectl",), status=1, stderr="leader changed", times=1)
    host.on(("kubectl",))
    assert REMOVE_ETCD_MEMBER.check(REMOVE, bench.context("cp1")) == NEEDED

    REMOVE_ETCD_MEMBER.apply(REMOVE, bench.context("cp1"))

    assert bench.done("cp1")[0] == "etcdctl member remove id3"
    assert all(line.endswith("get --raw /readyz") for line in bench.done("cp1")[1:])
    assert [line.rpartition("member: ")[2] for line in bench.said] == [
        "removing cp3's etcd member id3",
        "its API server: leader changed",
        "etcd has no leader",
        "etcd has a leader",
    ]


def test_others_that_do_not_serve_again_are_an_error(bench: Bench) -> None:
    bench.clusters["cp1"] = [seen(bench, etcd("++", leader=0))]
    bench.runner("cp1").on(("kubectl",))
    with pytest.raises(GateError, match="last seen: etcd has no leader"):
        bench.await_gate(REMOVE_ETCD_MEMBER.gate(REMOVE, bench.context("cp1")))


def test_a_member_that_was_dead_before_does_not_hold_up_those_who_serve(bench: Bench) -> None:
    bench.clusters["cp1"] = [seen(bench, etcd("+++-"))]
    bench.runner("cp1").on(("kubectl",))
    bench.await_gate(REMOVE_ETCD_MEMBER.gate(REMOVE, bench.context("cp1")))


def test_a_member_that_is_gone_is_done(bench: Bench) -> None:
    bench.clusters["cp1"] = [seen(bench, etcd("++"))]
    assert REMOVE_ETCD_MEMBER.check(REMOVE, bench.context("cp1")) == DONE
    REMOVE_ETCD_MEMBER.apply(REMOVE, bench.context("cp1"))
    assert bench.done("cp1") == []


def test_without_an_answer_nothing_is_decided(bench: Bench) -> None:
    bench.clusters["cp1"] = [seen(bench, None)]
    assert REMOVE_ETCD_MEMBER.check(REMOVE, bench.context("cp1")) == Check(
        State.UNKNOWN, "etcd does not answer: silent"
    )


def test_a_removal_that_would_cost_quorum_is_refused(bench: Bench) -> None:
    bench.clusters["cp1"] = [seen(bench, etcd("+-+"))]
    with pytest.raises(StepError, match="cannot remove cp3's etcd member id3") as raised:
        REMOVE_ETCD_MEMBER.apply(REMOVE, bench.context("cp1"))
    assert "invoke status" in raised.value.hint
    assert bench.done("cp1") == []


def test_etcds_refusal_is_the_steps_failure(bench: Bench) -> None:
    bench.clusters["cp1"] = [seen(bench, etcd("+++"))]
    bench.runner("cp1").on(script(_ETCDCTL), status=1, stderr="Error: unhealthy cluster")
    with pytest.raises(CommandError) as raised:
        REMOVE_ETCD_MEMBER.apply(REMOVE, bench.context("cp1"))
    assert raised.value.output == "Error: unhealthy cluster"
