"""Each check of an upgrade finds what it is for, names it, and says what to type."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from kubeops.model.desired import Cluster, Drain, UpgradePolicy
from kubeops.model.observed import (
    Certificate,
    ClusterFacts,
    HostFacts,
    StaticPod,
    Unit,
    Unreachable,
)
from kubeops.model.upgrading import BlockedPod, DeprecatedApi, Drainability, Offer, UpgradeFacts
from kubeops.model.version import KubeVersion, Minor
from kubeops.plan.actions import DrainNode
from kubeops.plan.model import Finding, Plan, Severity
from kubeops.plan.upgrade import Choices, Strategy, plan_upgrade
from kubeops.plan.upgrade_path import Wish
from tests.unit.plan.upgrade_values import At, Seen, more, seen, static_pods
from tests.unit.plan.values import GIB, NOON, cluster, node

BLOCKING, ACCEPTABLE, WARNING = Severity.BLOCKING, Severity.ACCEPTABLE, Severity.WARNING

Change = Callable[[ClusterFacts], ClusterFacts]


def planned(
    facts: Change | None = None,
    *,
    what: Seen | None = None,
    to: str = "1.36",
    asked: Callable[[UpgradeFacts], UpgradeFacts] | None = None,
    desired: Cluster | None = None,
    choices: Choices | None = None,
) -> Plan:
    """The plan of a cluster of three control planes and two workers, with something changed."""
    wanted = desired or cluster()
    found = seen(wanted, what or Seen(version="1.35.4"))
    known = more(wanted)
    return plan_upgrade(
        wanted,
        facts(found) if facts else found,
        asked(known) if asked else known,
        wish=Wish.parse(to),
        choices=choices,
    )


def on(name: str, **changed: object) -> Change:
    """Another answer of one host."""

    def change(facts: ClusterFacts) -> ClusterFacts:
        host: HostFacts = replace(facts.hosts[name], **changed)  # type: ignore[arg-type]
        return replace(facts, hosts={**facts.hosts, name: host})

    return change


def of_api(**changed: object) -> Change:
    def change(facts: ClusterFacts) -> ClusterFacts:
        assert facts.api is not None
        return replace(facts, api=replace(facts.api, **changed))  # type: ignore[arg-type]

    return change


def of_member(name: str, **changed: object) -> Change:
    def change(facts: ClusterFacts) -> ClusterFacts:
        assert facts.etcd is not None
        members = tuple(
            replace(member, **changed) if member.name == name else member  # type: ignore[arg-type]
            for member in facts.etcd.members
        )
        return replace(facts, etcd=replace(facts.etcd, members=members))

    return change


def without(name: str) -> Change:
    """A host that was not reached."""

    def change(facts: ClusterFacts) -> ClusterFacts:
        hosts = {host: found for host, found in facts.hosts.items() if host != name}
        gone = {name: Unreachable(host=name, reason="no route to host")}
        return replace(facts, hosts=hosts, unreachable=gone)

    return change


def pods(**images: str) -> Mapping[str, StaticPod]:
    named = {name.replace("_", "-"): image for name, image in images.items()}
    return {**static_pods("1.35.4"), **{n: StaticPod(name=n, image=i) for n, i in named.items()}}


def certificate(days: float, *, authority: bool = False) -> tuple[Certificate, ...]:
    expires = NOON + timedelta(days=days)
    return (Certificate(name="apiserver", expires=expires, authority=authority),)


def no_api(facts: ClusterFacts) -> ClusterFacts:
    return replace(facts, api=None, api_error="cp1: connection refused")


def no_etcd(facts: ClusterFacts) -> ClusterFacts:
    return replace(facts, etcd=None, etcd_error="cp1: context deadline exceeded")


def lost_member(facts: ClusterFacts) -> ClusterFacts:
    assert facts.etcd is not None
    return replace(facts, etcd=replace(facts.etcd, members=facts.etcd.members[:2]))


def alarm(facts: ClusterFacts) -> ClusterFacts:
    assert facts.etcd is not None
    return replace(facts, etcd=replace(facts.etcd, alarms=("memberID:1 alarm:NOSPACE",)))


def stranger(*, control_plane: bool) -> Change:
    def change(facts: ClusterFacts) -> ClusterFacts:
        assert facts.api is not None
        found = replace(node(cluster().hosts[0], 9), name="old", control_plane=control_plane)
        return replace(facts, api=replace(facts.api, nodes=(*facts.api.nodes, found)))

    return change


def absent_node(facts: ClusterFacts) -> ClusterFacts:
    assert facts.api is not None
    nodes = tuple(found for found in facts.api.nodes if found.name != "w1")
    return replace(facts, api=replace(facts.api, nodes=nodes))


EXPIRED = certificate(-1)
HELD_ON = Unit(name="unattended-upgrades.service", enabled="enabled", active="active")

FACTS: Mapping[str, tuple[Change, str, Severity, str, str]] = {
    "an unreachable worker": (without("w1"), "unreachable", BLOCKING, "w1", "no route"),
    "an unreachable control plane": (without("cp2"), "unreachable", BLOCKING, "cp2", "no route"),
    "no API": (no_api, "api", BLOCKING, "", "connection refused"),
    "no kubeadm-config": (of_api(kubernetes=None), "kubeadm-config", BLOCKING, "", "no kubeadm-c"),
    "another endpoint": (of_api(endpoint="10.9.9.9:6443"), "endpoint", BLOCKING, "", "10.9.9.9"),
    "no etcd": (no_etcd, "etcd", BLOCKING, "", "context deadline exceeded"),
    "a member less": (lost_member, "etcd", BLOCKING, "", "no member cp3"),
    "a learner": (of_member("cp2", learner=True), "etcd", BLOCKING, "", "cp2 is a learner"),
    "a sick member": (of_member("cp2", healthy=False), "etcd", BLOCKING, "", "cp2 is not healthy"),
    "an alarm": (alarm, "etcd", BLOCKING, "", "NOSPACE"),
    "a full etcd": (
        of_member("cp3", db_size=1900 * 2**20),
        "etcd-size",
        WARNING,
        "cp3",
        "1900 of 2048 MiB",
    ),
    "a removed feature gate": (
        of_api(feature_gates={"ControlPlaneKubeletLocalMode": True}),
        "feature-gates",
        BLOCKING,
        "",
        "ControlPlaneKubeletLocalMode",
    ),
    "a strange worker": (stranger(control_plane=False), "unknown-node", WARNING, "", "node old"),
    "a strange control plane": (
        stranger(control_plane=True),
        "unknown-node",
        BLOCKING,
        "",
        "node old",
    ),
    "a host that has not joined": (
        on("w1", kubelet_server=None),
        "not-joined",
        BLOCKING,
        "w1",
        "belongs to no cluster",
    ),
    "a join that was stopped": (
        on("w1", unfinished="join"),
        "not-joined",
        BLOCKING,
        "w1",
        "not joined wholly",
    ),
    "a deleted node": (absent_node, "not-joined", BLOCKING, "w1", "no node w1"),
    "a manifest that is gone": (
        on("cp2", static_pods={"etcd": static_pods("1.35.4")["etcd"]}),
        "static-pods",
        BLOCKING,
        "cp2",
        "no kube-apiserver.yaml",
    ),
    "an image without a version": (
        on("cp2", static_pods=pods(kube_scheduler="mirror/kube-scheduler:latest")),
        "static-pods",
        BLOCKING,
        "cp2",
        "mirror/kube-scheduler:latest",
    ),
    "cgroup v1": (on("w1", cgroup="tmpfs"), "cgroup-v2", BLOCKING, "w1", "tmpfs"),
    "no room for kubeadm's copies": (
        on("cp1", disk_free={"/etc/kubernetes": 299 * 2**20}),
        "disk",
        ACCEPTABLE,
        "cp1",
        "299 MiB free; 300 are needed",
    ),
    "no room for images": (
        on("w1", disk_free={"/var/lib/containerd": 255 * 2**20}),
        "disk",
        ACCEPTABLE,
        "w1",
        "256 are needed for images",
    ),
    "no room for packages": (
        on("w1", disk_free={"/var/cache/apt": 2**20}),
        "disk",
        ACCEPTABLE,
        "w1",
        "for packages",
    ),
    "a wrong clock": (on("w1", clock_skew=-90.0), "clock-skew", ACCEPTABLE, "w1", "-90 s"),
    "an expired certificate": (
        on("cp1", certificates=EXPIRED),
        "certificates",
        BLOCKING,
        "cp1",
        "apiserver expired on 2026-11-20",
    ),
    "a certificate that soon expires": (
        on("cp1", certificates=certificate(29)),
        "certificates",
        ACCEPTABLE,
        "cp1",
        "apiserver expires in 29 days, on 2026-12-20",
    ),
    "a CA that soon expires": (
        on("cp1", certificates=certificate(5, authority=True)),
        "certificates",
        ACCEPTABLE,
        "cp1",
        "CA certificate",
    ),
    "apt at work": (on("w1", apt_locked=True), "apt-lock", WARNING, "w1", "another apt"),
    "dpkg stopped": (
        on("w1", half_installed=frozenset({"kubelet"})),
        "half-installed",
        WARNING,
        "w1",
        "in the middle of kubelet",
    ),
    "kubeadm at work": (on("cp1", kubeadm_running=True), "kubeadm-running", WARNING, "cp1", "kub"),
    "an edited manifest": (
        on("cp1", drifted=("/etc/kubernetes/manifests/etcd.yaml: --quota-backend-bytes",)),
        "drift",
        WARNING,
        "cp1",
        "etcd.yaml: --quota-backend-bytes",
    ),
}


def found(plan: Plan, check: str, host: str = "") -> list[Finding]:
    return [one for one in plan.findings if (one.check, one.host) == (check, host)]


def test_a_good_cluster_has_no_findings() -> None:
    assert planned().findings == ()


@pytest.mark.parametrize("name", FACTS)
def test_check(name: str) -> None:
    change, check, severity, host, text = FACTS[name]
    findings = found(planned(change), check, host)
    assert [one.severity for one in findings] == [severity] * len(findings) != []
    assert any(text in one.text for one in findings)
    assert all(one.cure for one in findings)


@pytest.mark.parametrize("name", FACTS)
def test_a_check_finds_nothing_else_to_stop_for(name: str) -> None:
    """One trouble is one kind of finding, but for what follows from it."""
    change, check, *_ = FACTS[name]
    others = {one.check for one in planned(change).refusals} - {check}
    assert others <= {"not-joined", "limit"}


def test_a_limit_leaves_unreachable_workers_out_but_no_control_plane() -> None:
    limit = Choices(limit=("cp1", "cp3", "w2"))
    assert found(planned(without("w1"), choices=limit), "unreachable", "w1") == []
    (finding,) = found(planned(without("cp2"), choices=limit), "unreachable", "cp2")
    assert finding.severity is BLOCKING


def test_a_finished_cluster_is_not_checked_further() -> None:
    """Nothing is going to change, so nothing is in the way."""
    plan = planned(on("w1", cgroup="tmpfs"), what=Seen(version="1.36.1"), desired=_at("1.36.1"))
    assert plan.is_empty
    assert plan.findings == ()


def _at(version: str) -> Cluster:
    return replace(cluster(), kubernetes=KubeVersion.parse(version))


def test_cgroup_v1_is_fine_before_1_35() -> None:
    plan = planned(on("w1", cgroup="tmpfs"), what=Seen(version="1.33.9"), to="1.34")
    assert found(plan, "cgroup-v2", "w1") == []


@pytest.mark.parametrize(("to", "count"), [("1.36", 0), ("1.37", 1)])
def test_containerd_1_ends_with_1_37(to: str, count: int) -> None:
    plan = planned(on("w1", container_runtime="1.7.24"), to=to)
    assert len(found(plan, "containerd", "w1")) == count


@pytest.mark.parametrize(
    ("etcd", "severities"),
    [("3.5.21-0", [BLOCKING]), ("3.5.24-0", [ACCEPTABLE]), ("3.5.26-0", []), ("3.6.5-0", [])],
)
def test_etcd_3_5_has_to_be_late_to_become_3_6(etcd: str, severities: list[Severity]) -> None:
    images = {**static_pods("1.33.9"), "etcd": StaticPod(name="etcd", image=f"r/etcd:{etcd}")}
    plan = planned(on("cp2", static_pods=images), what=Seen(version="1.33.9"), to="1.34")
    assert [one.severity for one in found(plan, "etcd-version", "cp2")] == severities


def test_an_upgrade_that_keeps_etcd_3_5_has_no_gate() -> None:
    images = {**static_pods("1.33.9"), "etcd": StaticPod(name="etcd", image="r/etcd:3.5.21-0")}
    plan = planned(on("cp2", static_pods=images), what=Seen(version="1.33.9"), to="1.33")
    assert found(plan, "etcd-version", "cp2") == []


def test_the_feature_gate_may_stay_before_the_release_without_it() -> None:
    gates = of_api(feature_gates={"ControlPlaneKubeletLocalMode": True})
    assert found(planned(gates, to="1.35"), "feature-gates") == []


@pytest.mark.parametrize(
    ("removed", "severity", "text"),
    [
        ("1.36", ACCEPTABLE, "gone from 1.36 on"),
        ("1.37", WARNING, "gone from 1.37 on"),
        (None, WARNING, "is deprecated"),
    ],
)
def test_deprecated_apis(removed: str | None, severity: Severity, text: str) -> None:
    api = DeprecatedApi(
        group="flowcontrol.apiserver.k8s.io",
        version="v1beta3",
        resource="flowschemas",
        removed=Minor.parse(removed) if removed else None,
    )
    (finding,) = found(
        planned(asked=lambda known: replace(known, deprecated=(api,))), "deprecated-apis"
    )
    assert finding.severity is severity
    assert "flowschemas flowcontrol.apiserver.k8s.io/v1beta3" in finding.text
    assert text in finding.text


@pytest.mark.parametrize(
    ("offer", "text"),
    [
        (Offer(host="w1", minor=Minor(1, 36), error="curl: (6) no host"), "curl: (6) no host"),
        (Offer(host="w1", minor=Minor(1, 36), versions=(KubeVersion(1, 36, 0),)), "1.36.0"),
        (None, "was not asked"),
    ],
)
def test_packages_that_one_host_lacks(offer: Offer | None, text: str) -> None:
    def asked(known: UpgradeFacts) -> UpgradeFacts:
        others = tuple(one for one in known.offers if one.host != "w1")
        return replace(known, offers=(*others, offer) if offer else others)

    (finding,) = found(planned(asked=asked, to="1.36.1"), "packages-missing", "w1")
    assert finding.severity is BLOCKING
    assert text in finding.text


def drainability(**attributes: object) -> Callable[[UpgradeFacts], UpgradeFacts]:
    """What draining w1 meets."""
    one = Drainability(node="w1", **attributes)  # type: ignore[arg-type]  # attributes by name

    def asked(known: UpgradeFacts) -> UpgradeFacts:
        others = tuple(found for found in known.drainability if found.node != "w1")
        return replace(known, drainability=(*others, one))

    return asked


REFUSED = drainability(
    blocked=(
        BlockedPod(
            pod="shop/web-0",
            budgets=("shop/web",),
            message="Cannot evict pod as it would violate the pod's disruption budget.",
        ),
    )
)


def policy(pdb: str) -> Cluster:
    return replace(cluster(), upgrade=UpgradePolicy(drain=Drain(pdb=pdb)))


@pytest.mark.parametrize(
    ("pdb", "severity"), [("wait", ACCEPTABLE), ("fail", BLOCKING), ("force", WARNING)]
)
def test_a_budget_that_forbids_an_eviction(pdb: str, severity: Severity) -> None:
    plan = planned(asked=REFUSED, desired=policy(pdb))
    (finding,) = found(plan, "drainability", "w1")
    assert finding.severity is severity
    assert "shop/web-0" in finding.text
    assert "PodDisruptionBudget shop/web" in finding.text


def test_a_drain_that_is_under_way_already_goes_on() -> None:
    what = Seen(version="1.36.1", hosts={"w1": At(kubelet="1.35.4", cordon="ours")})
    plan = planned(asked=REFUSED, what=what)
    assert [one.severity for one in found(plan, "drainability", "w1")] == [WARNING]
    assert plan.refusals == ()


def test_nodes_that_are_not_drained_are_not_asked_about() -> None:
    what = Seen(version="1.35.4", hosts={"w1": At(kubelet="1.36.1", kubeadm="1.36.1")})
    assert found(planned(asked=REFUSED, what=what), "drainability", "w1") == []


def test_evictions_that_could_not_be_tried() -> None:
    plan = planned(asked=drainability(error="the server is busy"))
    (finding,) = found(plan, "drainability", "w1")
    assert finding.severity is ACCEPTABLE
    assert "the server is busy" in finding.text


def test_bare_pods_are_deleted_only_when_accepted() -> None:
    bare = drainability(bare=tuple(f"shop/job-{n}" for n in range(7)))
    plan = planned(asked=bare)
    (finding,) = found(plan, "bare-pods", "w1")
    assert finding.severity is ACCEPTABLE
    assert "shop/job-4 and 2 more" in finding.text
    assert not any(drain.bare_pods for drain in drains(plan).values())
    accepted = planned(asked=bare, choices=Choices(accepted=("bare-pods",)))
    assert accepted.refusals == ()
    assert all(drain.bare_pods for drain in drains(accepted).values())


def test_data_in_an_empty_dir_is_named() -> None:
    (finding,) = found(planned(asked=drainability(empty_dir=("shop/cache",))), "empty-dir", "w1")
    assert finding.severity is WARNING
    assert "pod shop/cache:" in finding.text


def drains(plan: Plan) -> Mapping[str, DrainNode]:
    return {
        step.action.node: step.action for step in plan.steps if isinstance(step.action, DrainNode)
    }


def test_drains_are_as_the_inventory_says() -> None:
    drain = Drain(timeout=77, grace=7, pdb="fail")
    desired = replace(cluster(), upgrade=UpgradePolicy(drain=drain))
    assert drains(planned(desired=desired))["cp2"] == DrainNode(
        node="cp2", timeout=77, grace=7, pdb="fail", bare_pods=False
    )


def test_force_has_to_be_accepted() -> None:
    plan = planned(desired=policy("force"))
    assert [one.severity for one in found(plan, "pdb-force")] == [ACCEPTABLE]
    assert {drain.pdb for drain in drains(plan).values()} == {"force"}


def test_all_at_once_deletes_the_pods_of_workers_only() -> None:
    plan = planned(
        asked=REFUSED,
        choices=Choices(strategy=Strategy.ALL_AT_ONCE, accepted=("all-at-once",)),
    )
    assert plan.refusals == ()
    assert {node: drain.pdb for node, drain in drains(plan).items()} == {
        "cp1": "wait",
        "cp2": "wait",
        "cp3": "wait",
        "w1": "force",
        "w2": "force",
    }


@pytest.mark.parametrize(("cordon", "severity"), [("none", ACCEPTABLE), ("ours", WARNING)])
def test_a_node_that_is_not_ready(cordon: str, severity: Severity) -> None:
    what = Seen(version="1.35.4", hosts={"w1": At(ready=False, cordon=cordon)})
    (finding,) = found(planned(what=what), "node-not-ready", "w1")
    assert finding.severity is severity
    assert "container runtime is down" in finding.text


def test_a_node_that_is_not_ready_does_not_stop_what_does_nothing() -> None:
    what = Seen(version="1.36.1", hosts={"w1": At(ready=False)})
    plan = planned(what=what, desired=_at("1.36.1"))
    assert plan.is_empty
    assert [one.severity for one in found(plan, "node-not-ready", "w1")] == [WARNING]


def test_packages_that_are_not_held() -> None:
    what = Seen(version="1.35.4", hosts={"w1": At(held=False)})
    units = on("w1", units={HELD_ON.name: HELD_ON})
    (finding,) = found(planned(units, what=what), "not-held", "w1")
    assert finding.severity is WARNING
    assert "unattended-upgrades.service is active" in finding.text
    assert "kubeadm, kubectl, kubelet" in finding.text


def test_etcds_own_quota_counts() -> None:
    quota = {"quota-backend-bytes": str(8 * GIB)}
    etcd = replace(static_pods("1.35.4")["etcd"], flags=quota)

    def change(facts: ClusterFacts) -> ClusterFacts:
        changed = on("cp3", static_pods={**static_pods("1.35.4"), "etcd": etcd})(facts)
        return of_member("cp3", db_size=3 * GIB)(changed)

    assert found(planned(change), "etcd-size", "cp3") == []
