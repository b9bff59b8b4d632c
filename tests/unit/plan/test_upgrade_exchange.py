"""An upgrade that replaces workers: its steps in full, and what is checked before."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from kubeops.model.desired import Cluster, Cni, Drain, UpgradePolicy
from kubeops.model.observed import (
    ClusterFacts,
    Reach,
)
from kubeops.model.upgrading import UpgradeFacts
from kubeops.model.version import KubeVersion
from kubeops.plan.actions import (
    Action,
    AwaitNode,
    CordonNode,
    DeleteNode,
    DrainNode,
    FinishUpgrade,
    InstallPackages,
    JoinWorker,
    PullImages,
    ResetHost,
)
from kubeops.plan.model import Finding, Plan, Severity, Step
from kubeops.plan.network import bridge_files, pod_routes
from kubeops.plan.skew import Components, violations
from kubeops.plan.upgrade import Choices, Strategy, plan_upgrade
from kubeops.plan.upgrade_path import Wish
from tests.unit.plan.upgrade_values import At, Seen, more, seen
from tests.unit.plan.values import cluster, files

V = "1.36.1"
NEW = Seen(version="1.35.4", hosts={"w2": At(place="bare")})
REPLACE = Choices(strategy=Strategy.REPLACE, accepted=("bare-pods",))


def desired(**upgrade: object) -> Cluster:
    """Two control planes, w1, and w2 which replaces it."""
    policy = UpgradePolicy(drain=Drain(timeout=90.0, grace=9.0, pdb="fail"))
    made = cluster(2, 2, upgrade=replace(policy, **upgrade))  # type: ignore[arg-type]
    made = replace(made, cni=replace(made.cni, name="flannel"))
    return replace(made, hosts=(*made.hosts[:3], replace(made.hosts[3], replaces="w1")))


def planned(
    what: Seen = NEW,
    *,
    wanted: Cluster | None = None,
    asked: UpgradeFacts | None = None,
    facts: ClusterFacts | None = None,
    choices: Choices = REPLACE,
) -> Plan:
    made = wanted or desired()
    return plan_upgrade(
        made,
        facts or seen(made, what),
        asked or more(made),
        wish=Wish.parse("1.36"),
        choices=choices,
    )


def steps(plan: Plan) -> Mapping[str, Step]:
    return {step.id: step for step in plan.steps}


def grave(plan: Plan) -> list[Finding]:
    return [one for one in plan.findings if one.severity is not Severity.WARNING]


@pytest.mark.parametrize(
    ("step", "host", "action"),
    [
        ("/hosts/w2/packages", "w2", InstallPackages(version=V)),
        (
            "/hosts/w2/images",
            "w2",
            PullImages(version=V, image_repository="registry.k8s.io"),
        ),
        (
            "/workers/w2/join",
            "w2",
            JoinWorker(address="10.0.0.32", endpoint="10.0.0.10:6443", via="cp1", version=V),
        ),
        ("/1.36/workers/w2/await", "cp1", AwaitNode(node="w2", version=V)),
        ("/1.36/workers/w1/cordon", "cp1", CordonNode(node="w1")),
        ("/1.36/workers/w1/replacement", "cp1", AwaitNode(node="w2", version=V)),
        (
            "/hosts/w1/drain",
            "cp1",
            DrainNode(node="w1", timeout=90.0, grace=9.0, pdb="fail", bare_pods=True),
        ),
        ("/hosts/w1/node", "cp1", DeleteNode(node="w1")),
        ("/hosts/w1/reset", "w1", ResetHost()),
        (
            "/1.36/finish",
            "cp1",
            FinishUpgrade(version=V, nodes=("cp1", "cp2", "w2"), control_planes=("cp1", "cp2")),
        ),
    ],
)
def test_the_steps(step: str, host: str, action: Action) -> None:
    found = steps(planned())[step]
    assert (found.host, found.action) == (host, action)


def test_only_the_last_hop_waits_for_the_new_host() -> None:
    old = replace(NEW, version="1.34.7")
    nodes = [
        step.action.nodes for step in planned(old).steps if isinstance(step.action, FinishUpgrade)
    ]
    assert nodes == [("cp1", "cp2"), ("cp1", "cp2", "w2")]


def test_the_failure_budget_counts() -> None:
    plan = planned(wanted=desired(failure_budget=3))
    (leaving,) = (wave for wave in plan.waves if wave.name == "1.36/replace")
    assert leaving.failure_budget == 3


def test_labels_of_the_new_host_are_set_when_it_joins_and_when_they_are_missing() -> None:
    made = desired()
    labelled = replace(made.hosts[3], labels={"disk": "ssd"})
    made = replace(made, hosts=(*made.hosts[:3], labelled))
    assert "/nodes/w2/describe" in steps(planned(wanted=made))
    bare = Seen(version=V)
    facts = seen(made, bare)
    assert "/nodes/w2/describe" not in steps(planned(wanted=made, facts=facts))
    assert facts.api is not None
    nodes = tuple(replace(node, labels={}) for node in facts.api.nodes)
    facts = replace(facts, api=replace(facts.api, nodes=nodes))
    assert "/nodes/w2/describe" in steps(planned(wanted=made, facts=facts))


def test_a_machine_that_serves_another_cluster_keeps_what_it_has() -> None:
    """Its Node is still there, its host is somebody else's by now."""
    facts = seen(desired(), Seen(version=V))
    elsewhere = replace(facts.hosts["w1"], cluster_ca="sha-of-another-ca")
    plan = planned(facts=replace(facts, hosts={**facts.hosts, "w1": elsewhere}))
    leaving = [step.id for step in plan.steps if step.id.startswith("/hosts/w1")]
    assert leaving == ["/hosts/w1/node"]


@pytest.mark.parametrize("cgroup", ["tmpfs", "cgroup2fs"])
def test_what_the_new_release_refuses_is_a_reason_to_replace_and_no_obstacle(cgroup: str) -> None:
    facts = seen(desired(), NEW)
    old = replace(facts.hosts["w1"], cgroup=cgroup, disk_free={"/": 0})
    assert grave(planned(facts=replace(facts, hosts={**facts.hosts, "w1": old}))) == []


@pytest.mark.parametrize(
    ("changed", "check"),
    [
        ({"cgroup": "tmpfs"}, "cgroup-v2"),
        ({"os_id": "fedora"}, "os"),
        ({"machine_id": "id-of-cp1"}, "machine-id"),
        ({"cluster_ca": "sha-of-another-ca"}, "leftovers"),
    ],
)
def test_a_new_host_is_looked_at_as_install_would(changed: dict[str, str], check: str) -> None:
    facts = seen(desired(), NEW)
    new = replace(facts.hosts["w2"], **changed)  # type: ignore[arg-type]  # attributes by name
    (finding,) = grave(planned(facts=replace(facts, hosts={**facts.hosts, "w2": new})))
    assert (finding.check, finding.severity) == (check, Severity.BLOCKING)


def test_a_firewall_between_the_new_host_and_the_others_is_found() -> None:
    reach = (Reach(source="w2", target="cp1", port=6443, reached=False),)
    (finding,) = grave(planned(asked=replace(more(desired()), reach=reach)))
    assert (finding.check, finding.host) == ("reachability", "w2")


def test_a_version_that_the_new_host_is_not_offered_is_found() -> None:
    known = more(desired())
    offers = tuple(replace(one, versions=()) if one.host == "w2" else one for one in known.offers)
    (finding,) = grave(planned(asked=replace(known, offers=offers)))
    assert (finding.check, finding.host) == ("packages-missing", "w2")
    assert "does not offer 1.36.1" in finding.text


def test_a_new_host_without_curl_cannot_tell_yet_what_it_is_offered() -> None:
    facts = seen(desired(), NEW)
    new = replace(facts.hosts["w2"], programs=frozenset())
    known = more(desired())
    offers = tuple(
        replace(one, versions=(), error="curl: not found") if one.host == "w2" else one
        for one in known.offers
    )
    plan = planned(
        facts=replace(facts, hosts={**facts.hosts, "w2": new}), asked=replace(known, offers=offers)
    )
    assert grave(plan) == []
    assert "package-source" in [one.check for one in plan.findings]


def test_a_node_that_has_half_joined_is_no_stranger() -> None:
    facts = seen(desired(), Seen(version="1.35.4"))
    half = replace(facts.hosts["w2"], unfinished="join")
    plan = planned(facts=replace(facts, hosts={**facts.hosts, "w2": half}))
    assert "unknown-node" not in [one.check for one in plan.findings]


def test_what_would_be_right_is_told_at_every_stage_of_another_strategy() -> None:
    def told(what: Seen) -> list[str]:
        found = planned(what, choices=Choices()).findings
        return [one.text for one in found if one.check == "replacements"]

    half = {"w1": At(place="left")}
    done = {"w1": At(place="bare")}
    assert told(NEW) == ["w2, which is to replace w1, goes on waiting"]
    assert told(Seen(version="1.35.4")) == ["w1 stays, though w2 has joined to replace it"]
    assert told(Seen(version="1.35.4", hosts=half)) == ["w1 was replaced by w2, but not reset yet"]
    assert told(Seen(version="1.35.4", hosts=done)) == []


def test_a_replaced_host_leaves_the_skew_policy_with_its_node() -> None:
    """And one that joins comes into it, at the version of the control plane it joins."""
    before = Components.of(desired(), seen(desired(), NEW))
    join = JoinWorker(address="10.0.0.32", endpoint="x", via="cp1", version=V)
    assert before.after(join, "w2").kubelets["w2"] == KubeVersion.parse(V)
    assert violations(before.after(join, "w2")) != ()
    assert "w1" not in before.after(DeleteNode(node="w1"), "cp1").kubelets


def test_what_two_checks_find_is_told_once() -> None:
    facts = seen(desired(), NEW)
    assert facts.api is not None
    elsewhere = replace(facts, api=replace(facts.api, endpoint="10.0.0.99:6443"))
    assert [one.check for one in grave(planned(facts=elsewhere))] == ["endpoint"]


def test_routes_that_are_right_before_are_written_anew_when_a_node_has_left() -> None:
    made = replace(desired(), cni=Cni(name="bridge"))
    facts = seen(made, Seen(version=V))
    assert facts.api is not None
    nodes = facts.api.nodes
    hosts = {
        name: replace(
            found,
            files={**found.files, **files(*bridge_files(subnet=subnet, routes=routes))},
        )
        for name, found in facts.hosts.items()
        for subnet, routes in (pod_routes(name, nodes),)
    }
    written = [step.id for step in planned(wanted=made, facts=replace(facts, hosts=hosts)).steps]
    assert [step for step in written if step.endswith("/bridge")] == [
        "/1.36/routes/cp1/bridge",
        "/1.36/routes/cp2/bridge",
        "/1.36/routes/w2/bridge",
    ]


def test_an_old_host_that_is_out_of_the_cluster_already_is_no_obstacle() -> None:
    plan = planned(Seen(version=V, hosts={"w1": At(place="bare"), "w2": At(place="bare")}))
    assert grave(plan) == []
    assert "/workers/w2/join" in steps(plan)
    assert [step.id for step in plan.steps if "w1" in step.id] == []
