"""Observing a whole cluster: who is asked what, and what is made of hosts that do not answer."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

import pytest

from kubeops.errors import FactsError, HostKeyError, TransportError, UnknownOutcomeError
from kubeops.facts.gather import (
    gather_answers,
    gather_cluster,
    gather_etcd,
    gather_from,
    gather_host,
    gather_hosts,
    gather_objects,
)
from kubeops.model.desired import Cluster, Host, Networks, Role
from kubeops.model.observed import ApiObjects, EtcdFacts, HostFacts, Unreachable
from kubeops.model.version import KubeVersion
from kubeops.transport.fake import FakeTransport

CASES = Path(__file__).parent / "cases"
URL = "https://mirror.example/v1.35/deb/Packages"
HOST = ("sh", "-s", "--", URL)
MEMBER = (CASES / "host/control-plane.txt").read_text()
FRESH = (CASES / "host/fresh-behind-a-banner.txt").read_text()
BOUNDARY = "3f1c2a4e-0d5b-4a6f-9c7e-8b1d2e3f4a5b"
NOW = datetime(2026, 11, 21, 0, 7, tzinfo=UTC)


def cluster(control_planes: int = 1, workers: int = 0) -> Cluster:
    names = [(f"cp{n}", Role.CONTROL_PLANE) for n in range(1, control_planes + 1)]
    names += [(f"w{n}", Role.WORKER) for n in range(1, workers + 1)]
    return Cluster(
        name="test",
        kubernetes=KubeVersion.parse("1.35.4"),
        endpoint="10.0.0.1:6443",
        networks=Networks(pods=ip_network("10.244.0.0/16"), services=ip_network("10.96.0.0/12")),
        package_repository="https://mirror.example/v{minor}/deb/",
        hosts=tuple(
            Host(name=name, address=f"10.0.0.{n}", role=role)
            for n, (name, role) in enumerate(names, start=1)
        ),
    )


def answer(api: str, etcd: str) -> str:
    """What cluster.sh prints when API and etcd answer as in these cases."""
    ended = f"\n@@{BOUNDARY} 0 ended\n"
    first = (CASES / f"etcd/{etcd}.txt").read_text().removesuffix(ended)
    second = (CASES / f"api/{api}.txt").read_text().split("\n", 1)[1]
    return first + second


def without(output: str, *names: str) -> str:
    """What a script prints, but for some sections: each is a body, and the line that names it."""
    first, *rest = re.split(r"(^@@.*\n)", output, flags=re.MULTILINE)[1:]
    sections = zip(rest[::2], rest[1::2], strict=False)
    kept = (body + name for body, name in sections if name.split()[-1] not in names)
    return first + "".join(kept)


def clock(*moments: datetime) -> Callable[[], datetime]:
    left = list(moments)
    return lambda: left.pop(0)


def still() -> datetime:
    return NOW


def test_hosts_are_read_in_one_round_trip_each() -> None:
    desired = cluster(1, 2)
    transport = FakeTransport(["cp1", "w1", "w2"])
    transport.runners["cp1"].on(HOST, stdout=MEMBER)
    transport.runners["w1"].on(HOST, stdout=FRESH)
    transport.runners["w2"].on(HOST, stdout=FRESH)

    hosts, unreachable = gather_hosts(desired, transport, now=still, at_once=2)

    assert list(hosts) == ["cp1", "w1", "w2"]
    assert hosts["cp1"].static_pods["etcd"].image == "registry.k8s.io/etcd:3.6.6-0"
    assert hosts["w1"].repository_status == "curl: (6) Could not resolve host: pkgs.k8s.io"
    assert unreachable == {}
    assert [len(runner.commands) for runner in transport.runners.values()] == [1, 1, 1]
    assert all(runner.commands[0].root for runner in transport.runners.values())


def test_the_package_source_is_left_alone_when_not_asked_for() -> None:
    transport = FakeTransport(["cp1"])
    transport.runners["cp1"].on(("sh", "-s", "--"), stdout=FRESH)

    gather_hosts(cluster(), transport, now=still, ask_source=False)

    assert transport.runners["cp1"].commands[0].argv == ("sh", "-s", "--")


@pytest.mark.parametrize(
    "error",
    [
        TransportError("cp1: no route to 10.0.0.1", host="cp1", hint="ping 10.0.0.1"),
        HostKeyError("cp1: the key has changed", host="cp1", hint="ssh-keygen -R 10.0.0.1"),
        UnknownOutcomeError("cp1: `sh -s --` was ended after 30 s", host="cp1"),
    ],
)
def test_a_host_that_does_not_answer_is_part_of_the_answer(
    error: TransportError | UnknownOutcomeError,
) -> None:
    transport = FakeTransport(["cp1", "w1"])
    transport.runners["cp1"].on(HOST, error=error)
    transport.runners["w1"].on(HOST, stdout=FRESH)

    hosts, unreachable = gather_hosts(cluster(1, 1), transport, now=still)

    assert list(hosts) == ["w1"]
    assert unreachable == {"cp1": Unreachable(host="cp1", reason=error.message, hint=error.hint)}


def test_a_host_that_cannot_run_the_script_is_part_of_the_answer() -> None:
    transport = FakeTransport(["cp1"])
    transport.runners["cp1"].on(HOST, status=126, stderr="sh: Input/output error\n")

    _, unreachable = gather_hosts(cluster(), transport, now=still)

    assert unreachable["cp1"].reason == (
        f"cp1: `sh -s -- {URL}` ended with status 126: sh: Input/output error"
    )


def test_one_control_plane_is_asked_without_reading_the_others() -> None:
    transport = FakeTransport(["cp1", "cp2"])
    transport.runners["cp2"].on(("sh", "-s", "--", "cp2"), stdout=answer("whole", "three-healthy"))
    transport.runners["cp2"].on(("sh", "-s", "--"), stdout=MEMBER)

    facts = gather_from("cp2", transport, now=still)

    assert facts.etcd is not None
    assert list(facts.hosts) == ["cp2"]


def test_one_control_plane_that_does_not_answer_says_why() -> None:
    transport = FakeTransport(["cp1"])
    transport.runners["cp1"].on(("sh", "-s", "--"), error=TransportError("cp1: gone", host="cp1"))

    facts = gather_from("cp1", transport, now=still)

    assert (facts.api_error, facts.etcd_error) == ("cp1: gone", "cp1: gone")
    assert facts.unreachable["cp1"].reason == "cp1: gone"


def test_an_answer_that_cannot_be_understood_names_host_and_section() -> None:
    transport = FakeTransport(["cp1"])
    transport.runners["cp1"].on(HOST, stdout=(CASES / "host/broken-manifest.txt").read_text())

    with pytest.raises(FactsError) as info:
        gather_hosts(cluster(), transport, now=still)

    assert info.value.host == "cp1"
    assert info.value.section == "/etc/kubernetes/manifests/etcd.yaml"
    assert info.value.exit_status == 5


def test_clock_skew_leaves_the_round_trip_out() -> None:
    """The host read its clock 0.4 s apart; the way there and back took 0.3 s each."""
    transport = FakeTransport(["cp1"])
    transport.runners["cp1"].on(HOST, stdout=MEMBER)
    host_start = datetime.fromtimestamp(1795219620.1, UTC)
    sent, received = (datetime.fromtimestamp(1795219620.1 + d - 100, UTC) for d in (-0.3, 0.7))

    facts = gather_host("cp1", transport, now=clock(sent, received), source=URL)

    assert isinstance(facts, HostFacts)
    assert facts.clock_skew == pytest.approx(100)
    assert facts.clock > host_start


def test_api_and_etcd_are_asked_on_the_first_control_plane_that_has_joined() -> None:
    transport = FakeTransport(["cp1", "cp2", "cp3", "w1"])
    transport.runners["cp1"].on(HOST, stdout=FRESH)
    transport.runners["cp2"].on(HOST, stdout=MEMBER)
    transport.runners["cp2"].on(
        ("sh", "-s", "--", "cp2", "all"), stdout=answer("whole", "three-healthy")
    )
    transport.runners["cp3"].on(HOST, stdout=MEMBER)
    transport.runners["w1"].on(HOST, stdout=FRESH)

    facts = gather_cluster(cluster(3, 1), transport, now=still)

    assert facts.api is not None
    assert facts.etcd is not None
    assert (facts.api.asked, facts.etcd.asked) == ("cp2", "cp2")
    assert (facts.api_error, facts.etcd_error) == ("", "")
    assert len(facts.etcd.members) == 3
    assert facts.at == NOW
    transport.assert_all_used()


def test_the_next_control_plane_is_asked_for_what_the_first_could_not_say() -> None:
    transport = FakeTransport(["cp1", "cp2", "cp3"])
    for name in ("cp1", "cp2", "cp3"):
        transport.runners[name].on(HOST, stdout=MEMBER)
    transport.runners["cp1"].on(
        ("sh", "-s", "--", "cp1"), stdout=answer("refused", "three-healthy")
    )
    transport.runners["cp2"].on(("sh", "-s", "--", "cp2"), stdout=answer("whole", "not-answering"))

    facts = gather_cluster(cluster(3), transport, now=still)

    assert facts.api is not None
    assert facts.etcd is not None
    assert (facts.api.asked, facts.etcd.asked) == ("cp2", "cp1")
    assert (facts.api_error, facts.etcd_error) == ("", "")
    transport.assert_all_used()


def test_when_nobody_answers_the_last_words_are_kept() -> None:
    transport = FakeTransport(["cp1", "cp2"])
    for name in ("cp1", "cp2"):
        transport.runners[name].on(HOST, stdout=MEMBER)
    transport.runners["cp1"].on(("sh", "-s", "--", "cp1"), stdout=answer("refused", "silent"))
    transport.runners["cp2"].on(
        ("sh", "-s", "--", "cp2"), error=TransportError("cp2: connection lost", host="cp2")
    )

    facts = gather_cluster(cluster(2), transport, now=still)

    assert (facts.api, facts.etcd) == (None, None)
    assert facts.api_error == "cp2: connection lost"
    assert facts.etcd_error == "cp2: connection lost"


def test_before_there_is_a_cluster_nobody_is_asked() -> None:
    transport = FakeTransport(["cp1", "w1"])
    transport.runners["cp1"].on(HOST, stdout=FRESH)
    transport.runners["w1"].on(HOST, stdout=FRESH)

    facts = gather_cluster(cluster(1, 1), transport, now=still)

    assert (facts.api, facts.etcd) == (None, None)
    assert facts.api_error == "no control plane that was read has /etc/kubernetes/admin.conf"
    assert [len(runner.commands) for runner in transport.runners.values()] == [1, 1]


def test_answers_are_had_without_reading_the_host() -> None:
    transport = FakeTransport(["cp2"])
    transport.runners["cp2"].on(
        ("sh", "-s", "--", "cp2", "all"), stdout=answer("whole", "three-healthy")
    )
    facts = gather_answers("cp2", transport, now=still)
    assert facts.hosts == {}
    assert facts.api is not None
    assert facts.etcd is not None
    assert len(facts.etcd.members) == 3


def test_what_tells_whether_the_cluster_works_is_asked_alone() -> None:
    transport = FakeTransport(["cp2"])
    objects = without(answer("whole", "three-healthy"), "version", "named")
    transport.runners["cp2"].on(("sh", "-s", "--", "cp2", "objects"), stdout=objects)
    api, etcd = gather_objects("cp2", transport)
    assert isinstance(api, ApiObjects)
    assert isinstance(etcd, EtcdFacts)
    assert [workload.name for workload in api.system] == ["coredns", "kube-proxy"]
    assert len(etcd.members) == 3


def test_what_tells_whether_the_cluster_works_may_not_answer() -> None:
    transport = FakeTransport(["cp2"])
    about = ("sh", "-s", "--", "cp2", "objects")
    transport.runners["cp2"].on(about, stdout=answer("refused", "silent"))
    api, etcd = gather_objects("cp2", transport)
    assert isinstance(api, str)
    assert isinstance(etcd, str)
    assert api.startswith("cp2: ")


def test_etcd_is_asked_alone() -> None:
    transport = FakeTransport(["cp2"])
    transport.runners["cp2"].on(
        ("sh", "-s", "--", "cp2", "etcd"), stdout=answer("refused", "three-healthy")
    )
    etcd = gather_etcd("cp2", transport)
    assert isinstance(etcd, EtcdFacts)
    assert len(etcd.members) == 3


def test_a_control_plane_that_is_lost_says_why_it_did_not_answer() -> None:
    transport = FakeTransport(["cp2"])
    lost = TransportError("cp2: connection lost", host="cp2")
    transport.runners["cp2"].on(("sh", "-s", "--", "cp2"), error=lost)
    assert gather_etcd("cp2", transport) == "cp2: connection lost"
    assert gather_objects("cp2", transport) == ("cp2: connection lost",) * 2
    facts = gather_answers("cp2", transport, now=still)
    assert (facts.api_error, facts.etcd_error) == ("cp2: connection lost",) * 2
