"""Each check finds what it is for, names it, and says what to type."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from kubeops.model.observed import (
    ClusterFacts,
    FileFacts,
    Listener,
    Package,
    Reach,
    StaticPod,
    Unit,
    Unreachable,
)
from kubeops.model.version import KubeVersion
from kubeops.plan.hosts import CONTAINERD_CONFIG
from kubeops.plan.install import plan_install
from kubeops.plan.model import Finding, Severity
from kubeops.plan.network import bridge_files
from kubeops.plan.preflight import preflight
from tests.unit.plan.values import GIB, cluster, observed

BLOCKING, ACCEPTABLE, WARNING = Severity.BLOCKING, Severity.ACCEPTABLE, Severity.WARNING
FREE = {"/var/lib/containerd": 50 * GIB, "/var/lib/kubelet": 50 * GIB, "/etc/kubernetes": GIB}


def there(*paths: str) -> dict[str, FileFacts]:
    return {path: FileFacts(path=path, mode=0o600, owner="root:root") for path in paths}


CASES: Mapping[str, tuple[dict[str, Any], str, Severity, str]] = {
    "another system": ({"os_id": "rocky", "os_pretty": "Rocky Linux 9"}, "os", BLOCKING, "Rocky"),
    "another architecture": ({"architecture": "riscv64"}, "architecture", BLOCKING, "riscv64"),
    "one CPU": ({"cpus": 1}, "cpu", BLOCKING, "has 1 CPU"),
    "little memory": ({"memory": 1024 * 2**20}, "memory", BLOCKING, "1024 MiB"),
    "little disk": (
        {"disk_free": {**FREE, "/var/lib/etcd": 2**20}},
        "disk",
        ACCEPTABLE,
        "/var/lib/etcd has 1 MiB",
    ),
    "cgroup v1": ({"cgroup": "tmpfs"}, "cgroup-v2", BLOCKING, "tmpfs"),
    "swap": ({"swap": GIB}, "swap", WARNING, "1024 MiB of swap"),
    "swap at boot": ({"swap_at_boot": True}, "swap", WARNING, "/etc/fstab turns it on at boot"),
    "a taken port": (
        {"listeners": (Listener(port=6443, address="0.0.0.0", program="haproxy"),)},  # noqa: S104
        "port",
        BLOCKING,
        "port 6443 is taken by haproxy",
    ),
    "a wrong clock": ({"clock_skew": -90.0}, "clock-skew", ACCEPTABLE, "-90 s off"),
    "another address": ({"addresses": ("192.0.2.7",)}, "address", BLOCKING, "192.0.2.7"),
    "an address of the pods": (
        {"addresses": ("10.0.0.11", "10.244.3.4")},
        "network-overlap",
        ACCEPTABLE,
        "holds 10.244.3.4, which lies in the network of pods, 10.244.0.0/16",
    ),
    "an address of the services": (
        {"addresses": ("10.0.0.11", "fd00::1", "10.96.0.1")},
        "network-overlap",
        ACCEPTABLE,
        "network of services, 10.96.0.0/12",
    ),
    "no package source": (
        {"repository_status": "Could not resolve host"},
        "package-source",
        BLOCKING,
        "Could not resolve host",
    ),
    "a package source nobody can ask yet": (
        {"programs": frozenset(), "repository_status": "neither curl nor wget is installed"},
        "package-source",
        WARNING,
        "curl is not installed",
    ),
    "a package source without that version": (
        {"repository_offers": tuple(map(KubeVersion.parse, ("1.35.2", "1.35.3")))},
        "package-source",
        BLOCKING,
        "has no kubeadm 1.35.4; its newest are 1.35.3, 1.35.2",
    ),
    "no kernel module": (
        {"loadable": frozenset({"overlay"})},
        "kernel-modules",
        BLOCKING,
        "br_netfilter",
    ),
    "a slow package source": ({"repository_seconds": 9.5}, "package-source", WARNING, "9.5 s"),
    "apt at work": ({"apt_locked": True}, "apt-lock", WARNING, "another apt"),
    "another version": (
        {"packages": {"kubelet": Package(name="kubelet", version="1.33.1-1.1")}},
        "package-version",
        WARNING,
        "kubelet 1.33.1-1.1",
    ),
    "leftover kubelet.conf": (
        {"kubelet_server": "https://192.0.2.1:6443"},
        "leftovers",
        BLOCKING,
        "https://192.0.2.1:6443",
    ),
    "leftover data": ({"etcd_data": True}, "leftovers", BLOCKING, "/var/lib/etcd"),
    "leftover CA": ({"cluster_ca": "sha"}, "leftovers", BLOCKING, "ca.crt"),
    "leftover manifest": (
        {"static_pods": {"etcd": StaticPod(name="etcd", image="etcd:3")}},
        "leftovers",
        BLOCKING,
        "static pod etcd",
    ),
    "an old admin.conf": (
        {"files": there("/etc/kubernetes/admin.conf")},
        "leftovers",
        BLOCKING,
        "/etc/kubernetes/admin.conf",
    ),
    "a join that ended half-way": (
        {"files": there("/etc/kubernetes/bootstrap-kubelet.conf")},
        "leftovers",
        BLOCKING,
        "/etc/kubernetes/bootstrap-kubelet.conf",
    ),
    "another network for pods": (
        {"files": there("/etc/cni/net.d/87-podman-bridge.conflist", "/etc/cni/net.d/README")},
        "cni",
        ACCEPTABLE,
        "already has a network for pods: /etc/cni/net.d/87-podman-bridge.conflist;",
    ),
    "a firewall": (
        {"units": {"ufw.service": Unit(name="ufw.service", enabled="enabled", active="active")}},
        "firewall",
        WARNING,
        "ufw is active",
    ),
}


def test_good_hosts_have_no_findings() -> None:
    desired = cluster()
    assert preflight(desired, observed(desired)) == ()


@pytest.mark.parametrize("case", CASES)
def test_each_check_finds_its_own(case: str) -> None:
    changed, check, severity, words = CASES[case]
    desired = cluster(1, 0)
    facts = observed(desired)
    broken = replace(facts.hosts["cp1"], **changed)
    (finding,) = preflight(desired, replace(facts, hosts={"cp1": broken}))
    assert (finding.check, finding.severity, finding.host) == (check, severity, "cp1")
    assert words in finding.text
    assert finding.cure


class TestLeftovers:
    """Files of another cluster, of which `reset` takes care where it sees a cluster."""

    def found(self, wanted: str, *, files: tuple[str, ...], **changed: Any) -> list[Finding]:
        desired = cluster(1, 1)
        host = replace(observed(desired).hosts[wanted], files=there(*files), **changed)
        return list(preflight(desired, observed(desired, changed={wanted: host})))

    def test_a_worker_may_hold_an_admin_conf(self) -> None:
        files = ("/etc/kubernetes/admin.conf",)
        assert self.found("w1", files=files) == []

    def test_a_host_whose_join_goes_on_holds_its_own(self) -> None:
        files = ("/etc/kubernetes/bootstrap-kubelet.conf", "/etc/cni/net.d/10-flannel.conflist")
        addresses = ("10.0.0.31", "10.244.1.1")
        assert self.found("w1", files=files, addresses=addresses, unfinished="join") == []

    def test_our_own_bridge_is_written_anew(self) -> None:
        conflist, _unit = bridge_files(subnet="10.244.0.0/24", routes=())
        assert self.found("w1", files=(conflist.path,)) == []

    def test_files_alone_are_moved_by_hand(self) -> None:
        files = ("/etc/kubernetes/admin.conf", "/etc/cni/net.d/my net.conf")
        leftovers, cni = self.found("cp1", files=files)
        assert leftovers.cure.endswith("mv /etc/kubernetes/admin.conf /root/")
        assert cni.cure.endswith("mv '/etc/cni/net.d/my net.conf' /root/")

    def test_with_a_cluster_they_are_resets_to_move(self) -> None:
        files = ("/etc/kubernetes/admin.conf", "/etc/cni/net.d/05-cilium.conflist")
        leftovers, cni = self.found("cp1", files=files, cluster_ca="sha")
        assert leftovers.text.endswith("/etc/kubernetes/pki/ca.crt, /etc/kubernetes/admin.conf")
        assert leftovers.cure == cni.cure == "When nobody needs them: invoke reset --limit cp1"


@pytest.mark.parametrize(("program", "words"), [("curl", "curl -v"), ("wget", "wget -O /dev/null")])
def test_the_package_source_is_tried_with_what_is_there(program: str, words: str) -> None:
    desired = cluster(1, 0)
    host = observed(desired).hosts["cp1"]
    host = replace(host, programs=frozenset({program}), repository_status="404")
    (finding,) = preflight(desired, observed(desired, changed={"cp1": host}))
    assert finding.cure.startswith(f"From the host: {words} https://")


def test_workers_need_less() -> None:
    desired = cluster(1, 1)
    facts = observed(desired)
    small = replace(facts.hosts["w1"], cpus=1, memory=800 * 10**6)
    assert preflight(desired, replace(facts, hosts={**facts.hosts, "w1": small})) == ()


def test_containerd_1_is_refused_where_kubernetes_needs_2() -> None:
    desired = cluster(1, 0, kubernetes=KubeVersion.parse("1.37.0"))
    facts = observed(desired)
    old = replace(facts.hosts["cp1"], container_runtime="1.7.24")
    (finding,) = preflight(desired, replace(facts, hosts={"cp1": old}))
    assert (finding.check, finding.severity) == ("containerd", BLOCKING)


@pytest.mark.parametrize(
    ("attribute", "check"), [("hostname", "hostname"), ("machine_id", "machine-id")]
)
def test_cloned_hosts_are_found(attribute: str, check: str) -> None:
    desired = cluster()
    facts = observed(desired)
    cloned: dict[str, Any] = {attribute: "same"}
    clones = {
        name: replace(found, **cloned) if name in {"cp1", "w2"} else found
        for name, found in facts.hosts.items()
    }
    (finding,) = preflight(desired, replace(facts, hosts=clones))
    assert finding.check == check
    assert "cp1, w2" in finding.text


def changed_hosts(members: tuple[str, ...], **changes: dict[str, Any]) -> ClusterFacts:
    facts = observed(cluster(), members=members)
    changed = {name: replace(facts.hosts[name], **change) for name, change in changes.items()}
    return replace(facts, hosts={**facts.hosts, **changed})


@pytest.mark.parametrize(("holder", "owner"), [("w2", "cp1"), ("cp1", "w2")])
def test_an_address_of_another_host_is_found(holder: str, owner: str) -> None:
    addresses = {"cp1": "10.0.0.11", "w2": "10.0.0.32"}
    both = {"addresses": (addresses[holder], addresses[owner])}
    members = ("cp1", "cp2", "cp3", "w1")
    facts = changed_hosts(members, **{holder: both})
    (finding,) = preflight(cluster(), facts)
    assert (finding.check, finding.severity, finding.host) == ("address", BLOCKING, holder)
    assert f"holds {addresses[owner]}, which the inventory says is {owner}'s" in finding.text
    assert f"hosts.{owner}.address" in finding.cure
    assert preflight(cluster(), changed_hosts((*members, "w2"), **{holder: both})) == ()


class TestClocksOfHosts:
    def test_two_that_are_near_ours_may_be_far_apart(self) -> None:
        facts = changed_hosts((), cp2={"clock_skew": -4.9}, w1={"clock_skew": 4.9})
        (finding,) = preflight(cluster(), facts)
        assert (finding.check, finding.severity) == ("clock-skew", ACCEPTABLE)
        assert finding.host == "w1"
        assert "its clock is 9.8 s off cp2's" in finding.text
        assert "w1 and cp2: timedatectl" in finding.cure

    def test_one_that_is_off_by_itself_is_told_once(self) -> None:
        facts = changed_hosts((), cp2={"clock_skew": -90.0}, w1={"clock_skew": 4.9})
        assert [one.host for one in preflight(cluster(), facts)] == ["cp2"]

    def test_only_one_that_joins_is_compared(self) -> None:
        members = ("cp1", "cp2", "cp3", "w1")
        apart = {"cp2": {"clock_skew": -4.9}, "w1": {"clock_skew": 4.9}}
        assert preflight(cluster(), changed_hosts(members, **apart)) == ()
        facts = changed_hosts(members, **apart, w2={"clock_skew": -0.5})
        (finding,) = preflight(cluster(), facts)
        assert "its clock is 5.4 s off w1's" in finding.text
        assert finding.host == "w2"

    def test_hosts_that_agree_are_no_finding(self) -> None:
        assert preflight(cluster(), changed_hosts((), cp2={"clock_skew": 4.9})) == ()


@pytest.mark.parametrize(
    ("programs", "why", "cure"),
    [
        ({"curl", "timeout"}, "it lacks bash", "apt-get install bash"),
        ({"curl"}, "it lacks bash, timeout", "apt-get install bash coreutils"),
        ({"curl", "bash", "timeout"}, "cp2: connection lost", "Type it again"),
    ],
)
def test_a_host_that_could_not_knock_is_told_of(programs: set[str], why: str, cure: str) -> None:
    facts = changed_hosts((), cp2={"programs": frozenset(programs)})
    reach = (Reach(source="cp2", untested="cp2: connection lost"),)
    (finding,) = preflight(cluster(), facts, reach=reach, limit=("cp1",))
    assert (finding.check, finding.severity, finding.host) == ("reachability", WARNING, "cp2")
    assert finding.text.endswith(f"could not be tested: {why}")
    assert finding.cure.startswith(cure)


def test_members_that_have_always_been_alike_are_let_be() -> None:
    desired = cluster()
    facts = observed(desired, members=("cp1", "cp2", "cp3", "w1"))
    hosts = {
        name: replace(found, machine_id="same") if name in {"cp1", "cp2"} else found
        for name, found in facts.hosts.items()
    }
    assert preflight(desired, replace(facts, hosts=hosts)) == ()
    hosts["w2"] = replace(hosts["w2"], machine_id="same")
    (finding,) = preflight(desired, replace(facts, hosts=hosts))
    assert "cp1, cp2, w2" in finding.text
    assert preflight(desired, replace(facts, hosts=hosts), limit=("w1",)) == ()


@pytest.mark.parametrize(
    ("wanted", "there", "said"),
    [("2.1.4", "2.1.9", True), ("2.1", "2.1.9", False), ("2.1.9-0ubuntu1", "2.1.9", False)],
)
def test_a_containerd_that_is_there_already_stays(wanted: str, there: str, *, said: bool) -> None:
    desired = cluster(1, 0)
    desired = replace(desired, runtime=replace(desired.runtime, version=wanted))
    for members in ((), ("cp1",)):
        facts = observed(desired, members=members)
        host = replace(facts.hosts["cp1"], container_runtime=there)
        found = preflight(desired, replace(facts, hosts={"cp1": host}))
        assert [(one.check, one.severity) for one in found if one.check != "drift"] == [
            ("containerd-version", WARNING)
        ] * said


class TestEtcd:
    """A control plane joins an etcd that is whole, whatever its own last try left in there."""

    def joined(self, **changed: object) -> ClusterFacts:
        """cp1 and cp2 have joined, and cp2's member is another one."""
        facts = observed(cluster(), members=("cp1", "cp2", "w1"))
        assert facts.etcd is not None
        first, second = facts.etcd.members
        second = replace(second, **changed)  # type: ignore[arg-type]  # by name
        return replace(facts, etcd=replace(facts.etcd, members=(first, second)))

    def test_a_whole_one_is(self) -> None:
        assert preflight(cluster(), self.joined()) == ()

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"healthy": False}, "etcd member cp2 is not healthy"),
            ({"learner": True}, "etcd member cp2 is a learner"),
            ({"name": "cp9"}, "etcd member cp9 belongs to no control plane"),
        ],
    )
    def test_another_is_not(self, changed: dict[str, object], said: str) -> None:
        (finding,) = preflight(cluster(), self.joined(**changed))
        assert (finding.check, finding.severity) == ("etcd", BLOCKING)
        assert said in finding.text
        assert "invoke status" in finding.cure

    def test_one_that_does_not_answer_is_not(self) -> None:
        silent = replace(self.joined(), etcd=None, etcd_error="no leader")
        (finding,) = preflight(cluster(), silent)
        assert "it does not answer: no leader" in finding.text

    def test_a_control_plane_out_of_reach_counts(self) -> None:
        facts = self.joined(healthy=False)
        hosts = {name: found for name, found in facts.hosts.items() if name != "cp2"}
        gone = {"cp2": Unreachable(host="cp2", reason="cp2: no route", hint="")}
        facts = replace(facts, hosts=hosts, unreachable=gone)
        (finding,) = preflight(cluster(), facts, limit=("cp3",))
        assert "etcd member cp2 is not healthy" in finding.text

    @pytest.mark.parametrize("name", ["cp3", ""])
    def test_what_its_own_last_try_left_does_not_count(self, name: str) -> None:
        facts = self.joined()
        assert facts.etcd is not None
        own = replace(
            facts.etcd.members[1],
            name=name,
            peer_urls=("https://10.0.0.13:2380",),
            learner=True,
            healthy=False,
        )
        etcd = replace(facts.etcd, members=(*facts.etcd.members, own))
        half = replace(facts.hosts["cp3"], unfinished="join")
        facts = replace(facts, etcd=etcd, hosts={**facts.hosts, "cp3": half})
        assert preflight(cluster(), facts) == ()

    def test_its_own_node_of_a_last_try_does_not_count(self) -> None:
        facts = observed(cluster(), members=("cp1", "cp2", "cp3", "w1"))
        assert facts.etcd is not None
        etcd = replace(facts.etcd, members=facts.etcd.members[:2])
        half = replace(facts.hosts["cp3"], unfinished="join")
        facts = replace(facts, etcd=etcd, hosts={**facts.hosts, "cp3": half})
        assert preflight(cluster(), facts, limit=("cp3",)) == ()

    def test_a_member_whose_node_was_deleted_is_one_of_the_inventorys(self) -> None:
        facts = self.joined()
        assert facts.api is not None
        nodes = tuple(node for node in facts.api.nodes if node.name != "cp2")
        facts = replace(facts, api=replace(facts.api, nodes=nodes))
        assert preflight(cluster(), facts, limit=("cp3",)) == ()

    def test_a_worker_joins_all_the_same(self) -> None:
        facts = self.joined(healthy=False)
        assert preflight(cluster(), facts, limit=("w2",)) == ()


def test_an_unreachable_host_is_a_finding_with_its_hint() -> None:
    desired = cluster(1, 1)
    facts = observed(desired)
    gone = Unreachable(host="w1", reason="w1: connection refused", hint="Is sshd running?")
    facts = replace(facts, hosts={"cp1": facts.hosts["cp1"]}, unreachable={"w1": gone})
    (finding,) = preflight(desired, facts)
    assert (finding.check, finding.severity, finding.cure) == (
        "unreachable",
        BLOCKING,
        "Is sshd running? (or leave the host out: --limit)",
    )
    assert preflight(desired, facts, limit=("cp1",)) == ()


def test_blocked_ports_between_hosts_are_named_once_per_pair() -> None:
    desired = cluster(3, 0)
    reach = [
        Reach(source="cp1", target="cp2", port=port, reached=port == 6443)
        for port in (6443, 2379, 2380, 10250)
    ]
    (finding,) = preflight(desired, observed(desired), reach=reach)
    assert (finding.check, finding.host) == ("reachability", "cp1")
    assert "cp2 on port 2379, 2380, 10250" in finding.text


def test_a_cluster_whose_api_is_down_is_not_touched() -> None:
    desired = cluster()
    facts = observed(desired, members=("cp1", "cp2"))
    facts = replace(facts, api=None, api_error="connection refused")
    found = {finding.check: finding for finding in preflight(desired, facts)}
    assert found["api"].severity is BLOCKING
    assert "connection refused" in found["api"].text


def test_a_cluster_of_another_version_is_upgraded_not_installed() -> None:
    desired = cluster(1, 1, kubernetes=KubeVersion.parse("1.35.4"))
    facts = observed(desired, members=("cp1",))
    wanted = replace(desired, kubernetes=KubeVersion.parse("1.36.1"))
    found = {finding.check: finding for finding in preflight(wanted, facts)}
    assert found["version"].severity is BLOCKING
    assert "invoke upgrade --to 1.36.1" in found["version"].cure


def test_another_endpoint_than_the_clusters_is_refused() -> None:
    desired = cluster(1, 1)
    facts = observed(desired, members=("cp1",))
    moved = replace(desired, endpoint="10.0.0.99:6443")
    assert [finding.check for finding in preflight(moved, facts)] == ["endpoint"]


def test_hosts_of_different_clusters_are_refused() -> None:
    desired = cluster(3, 0)
    facts = observed(desired, members=("cp1", "cp2", "cp3"))
    other = replace(facts.hosts["cp3"], cluster_ca="another")
    hosts = {**facts.hosts, "cp3": other}
    assert [finding.check for finding in preflight(desired, replace(facts, hosts=hosts))] == [
        "identity"
    ]


def test_an_unfinished_host_is_no_leftover_of_another_cluster() -> None:
    desired = cluster(1, 0)
    facts = observed(desired)
    half = replace(
        facts.hosts["cp1"],
        unfinished="init",
        kubelet_server="https://10.0.0.10:6443",
        etcd_data=True,
        listeners=(Listener(port=2379, address="127.0.0.1", program="etcd"),),
    )
    assert preflight(desired, replace(facts, hosts={"cp1": half})) == ()


class TestSecondCluster:
    """`kubeadm init` is for hosts that belong to no cluster, not for those that cannot be seen."""

    def test_a_control_plane_that_is_left_out_and_silent_may_run_the_cluster(self) -> None:
        desired = cluster()
        facts = observed(desired)
        lost = {name: Unreachable(host=name, reason=f"{name}: gone") for name in ("cp2", "cp3")}
        hosts = {name: found for name, found in facts.hosts.items() if name not in lost}
        found = preflight(desired, replace(facts, hosts=hosts, unreachable=lost), limit=("cp1",))
        assert [(one.check, one.host, one.severity) for one in found] == [
            ("second-cluster", "cp2", BLOCKING),
            ("second-cluster", "cp3", BLOCKING),
        ]

    def test_one_that_is_not_left_out_is_told_once(self) -> None:
        desired = cluster()
        facts = observed(desired)
        lost = {"cp2": Unreachable(host="cp2", reason="cp2: gone")}
        hosts = {name: found for name, found in facts.hosts.items() if name != "cp2"}
        found = preflight(desired, replace(facts, hosts=hosts, unreachable=lost))
        assert [one.check for one in found] == ["unreachable"]

    def test_an_unreachable_worker_that_is_left_out_does_not_matter(self) -> None:
        desired = cluster()
        facts = observed(desired)
        lost = {"w1": Unreachable(host="w1", reason="w1: gone")}
        hosts = {name: found for name, found in facts.hosts.items() if name != "w1"}
        seen = replace(facts, hosts=hosts, unreachable=lost)
        assert preflight(desired, seen, limit=("cp1",)) == ()

    def test_there_is_nothing_to_join_before_the_first(self) -> None:
        desired = cluster()
        (found,) = preflight(desired, observed(desired), limit=("cp2", "w1"))
        assert (found.check, found.severity) == ("limit", BLOCKING)
        assert found.cure == "invoke install --limit cp1,cp2,w1"

    def test_workers_of_a_cluster_whose_control_planes_are_gone_are_not_abandoned(self) -> None:
        desired = cluster(1, 2)
        facts = observed(desired, members=("cp1", "w1", "w2"))
        fresh = observed(desired).hosts["cp1"]
        seen = replace(facts, hosts={**facts.hosts, "cp1": fresh}, api=None, etcd=None)
        (found,) = preflight(desired, seen)
        assert (found.check, found.severity) == ("lost-control-planes", BLOCKING)
        assert found.text.startswith("w1, w2 belong to a cluster")
        assert "invoke reset --limit w1,w2" in found.cure

    def test_no_empty_cluster_is_begun_where_a_restore_is_under_way(self) -> None:
        desired = cluster(1, 0)
        half = replace(observed(desired).hosts["cp1"], unfinished="restore")
        (found,) = preflight(desired, observed(desired, changed={"cp1": half}))
        assert (found.check, found.severity) == ("unfinished-restore", BLOCKING)
        assert "invoke reset --limit cp1" in found.cure


def test_ports_between_hosts_that_are_left_out_do_not_matter() -> None:
    desired = cluster()
    facts = observed(desired, members=("cp1", "cp2", "cp3", "w1"))
    blocked = tuple(
        Reach(source=source, target=target, port=2380, reached=False)
        for source, target in (("cp1", "cp2"), ("cp1", "w2"), ("w2", "cp1"))
    )
    found = preflight(desired, facts, reach=blocked, limit=("w2",))
    assert [(one.check, one.host) for one in found] == [
        ("reachability", "cp1"),
        ("reachability", "w2"),
    ]


def test_a_member_that_drifted_is_told_of_and_left_alone() -> None:
    desired = cluster(1, 1)
    facts = observed(desired, members=("cp1", "w1"))
    edited = {**facts.hosts["w1"].files}
    edited[CONTAINERD_CONFIG] = replace(edited[CONTAINERD_CONFIG], sha256="edited")
    drifted = replace(facts.hosts["w1"], files=edited)
    facts = replace(facts, hosts={**facts.hosts, "w1": drifted})
    (finding,) = preflight(desired, facts)
    assert (finding.check, finding.severity, finding.host) == ("drift", WARNING, "w1")
    assert finding.text.endswith(": runtime")
    assert plan_install(desired, facts).is_empty
