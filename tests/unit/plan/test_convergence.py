"""A whole cluster lacks nothing; everything it can lack is named, with whose it is."""

from dataclasses import replace

import pytest

from kubeops.model.observed import ApiFacts, ClusterFacts, EtcdFacts, WorkloadFacts
from kubeops.plan.convergence import members_not_yet, not_yet, restored_not_yet
from tests.unit.plan.values import cluster, observed

DESIRED = cluster(3, 1)
EVERYONE = ("cp1", "cp2", "cp3", "w1")
PLANES = EVERYONE[:3]
WHOLE = observed(DESIRED, members=EVERYONE)


def missing(facts: ClusterFacts) -> tuple[str, ...]:
    return not_yet(
        facts.api or facts.api_error,
        facts.etcd or facts.etcd_error,
        nodes=EVERYONE,
        control_planes=PLANES,
    )


def api(**changed: object) -> ClusterFacts:
    assert WHOLE.api is not None
    return replace(WHOLE, api=replace(WHOLE.api, **changed))  # type: ignore[arg-type]  # by name


def etcd(**changed: object) -> ClusterFacts:
    """cp3's member is another one."""
    assert WHOLE.etcd is not None
    *others, last = WHOLE.etcd.members
    changed_last = replace(last, **changed)  # type: ignore[arg-type]  # by name
    return replace(WHOLE, etcd=replace(WHOLE.etcd, members=(*others, changed_last)))


def workload(name: str, ready: int) -> WorkloadFacts:
    return WorkloadFacts(
        kind="DaemonSet", namespace="kube-system", name=name, wanted=4, ready=ready, images=()
    )


def test_a_whole_cluster_lacks_nothing() -> None:
    assert missing(WHOLE) == ()


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (
            replace(WHOLE, api=None, api_error="cp1: connection refused"),
            "the API does not answer: cp1: connection refused",
        ),
        (replace(WHOLE, api=None), "the API does not answer: no control plane was asked"),
        (
            replace(WHOLE, etcd=None, etcd_error="cp1: no leader"),
            "etcd does not answer: cp1: no leader",
        ),
        (api(system=()), "CoreDNS is not deployed"),
        (
            api(system=(workload("coredns", 3),)),
            "coredns has 3 of 4 pods ready",
        ),
        (
            api(system=(workload("coredns", 4), workload("kube-proxy", 0))),
            "kube-proxy has 0 of 4 pods ready",
        ),
        (etcd(learner=True), "etcd member cp3 is a learner"),
        (etcd(healthy=False), "etcd member cp3 is not healthy"),
    ],
)
def test_what_is_missing_is_named(facts: ClusterFacts, said: str) -> None:
    assert missing(facts) == (said,)


def test_other_workloads_are_not_waited_for() -> None:
    assert missing(api(system=(workload("coredns", 4), workload("backup", 0)))) == ()


def test_nodes_are_told_apart_by_what_they_lack() -> None:
    assert WHOLE.api is not None
    first, second, *_ = WHOLE.api.nodes
    sick = replace(second, ready=False, ready_message="container runtime is down")
    assert missing(api(nodes=(first, sick))) == (
        "node cp3 is not registered",
        "node w1 is not registered",
        "node cp2 is not Ready: container runtime is down",
    )


def test_nodes_nobody_asked_for_may_be_sick() -> None:
    assert isinstance(WHOLE.api, ApiFacts)
    stranger = replace(WHOLE.api.nodes[0], name="stranger", ready=False)
    assert missing(api(nodes=(*WHOLE.api.nodes, stranger))) == ()


def test_members_are_exactly_the_control_planes() -> None:
    assert isinstance(WHOLE.etcd, EtcdFacts)
    assert members_not_yet(WHOLE.etcd, PLANES) == ()
    assert members_not_yet(WHOLE.etcd, ("cp1", "cp2", "cp4")) == (
        "etcd has no member cp4",
        "etcd member cp3 belongs to no control plane",
    )
    unstarted = etcd(name="", healthy=False).etcd
    assert unstarted is not None
    assert "etcd member id-cp3 belongs to no control plane" in members_not_yet(unstarted, PLANES)


def test_alarms_are_not_healthy() -> None:
    assert WHOLE.etcd is not None
    alarmed = replace(WHOLE, etcd=replace(WHOLE.etcd, alarms=("NOSPACE 1f2e",)))
    assert missing(alarmed) == ("etcd alarm NOSPACE 1f2e",)


class TestRestored:
    """What is asked of a cluster that was restored: less, for it is of another day."""

    def missing(self, facts: ClusterFacts, *, nodes: tuple[str, ...] = EVERYONE) -> tuple[str, ...]:
        return restored_not_yet(facts, uid="uid-of-kube-system", nodes=nodes)

    def test_a_whole_cluster_lacks_nothing(self) -> None:
        assert self.missing(WHOLE) == ()

    def test_without_the_api_nothing_is_known(self) -> None:
        assert (
            "does not answer: down" in self.missing(replace(WHOLE, api=None, api_error="down"))[0]
        )

    def test_another_cluster_is_not_the_one(self) -> None:
        assert self.missing(api(uid="other")) == ("this is cluster other, not uid-of-kube-system",)

    def test_a_node_that_joined_after_the_backup_is_not_waited_for(self) -> None:
        assert WHOLE.api is not None
        assert self.missing(api(nodes=WHOLE.api.nodes[:-1])) == ()

    def test_registered_nodes_have_to_be_ready(self) -> None:
        assert WHOLE.api is not None
        last = replace(WHOLE.api.nodes[-1], ready=False, ready_message="unknown")
        facts = api(nodes=(*WHOLE.api.nodes[:-1], last))
        assert self.missing(facts) == ("node w1 is not Ready: unknown",)
        assert self.missing(facts, nodes=PLANES) == ()

    def test_pods_have_to_be_ready_unless_a_node_is_gone(self) -> None:
        assert WHOLE.api is not None
        half = api(system=tuple(replace(one, ready=1) for one in WHOLE.api.system))
        assert self.missing(half) == ("coredns has 1 of 2 pods ready",)
        assert self.missing(half, nodes=PLANES) == ()
