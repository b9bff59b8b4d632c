"""What only a restore asks of control planes, and what is made of the answers."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from kubeops.errors import FactsError, TransportError
from kubeops.facts.restore import gather_endpoint, gather_restore, parse_hashes
from kubeops.model.observed import ClusterFacts
from kubeops.model.restoring import Disk, Phase, RestoreFacts
from kubeops.transport.fake import FakeTransport
from tests.unit.plan.restore_values import plane
from tests.unit.plan.values import cluster

THREE = cluster(3, 1)
FACTS = ClusterFacts(
    at=datetime(2026, 11, 21, tzinfo=UTC),
    hosts={host.name: plane(THREE, host.name) for host in THREE.control_planes},
)
MARKS = (
    "002-20261121T023000Z-abc123\tstopping\t20261121T120000Z\t2000004597\t/data/etcd\tno\n"
    "001-20261120T023000Z-zzz999\tundone\t20261120T120000Z\t1000004000\t/data/etcd\tyes\n"
)


def answer(*, marks: str = "", etcdutl: str = "", status: int = 0, serving: int = 1) -> str:
    sections = (
        ("marks", marks, 0),
        ("etcdutl", etcdutl, status),
        ("database", "3772416\n", 0),
        ("state", "/dev/vda1 2048\n", 0),
        ("data", "/dev/vdb1 1024\n", 0),
        ("serving", "", serving),
        ("ended", "", 0),
    )
    body = "".join(f"{text}\n@@boundary {code} {name}\n" for name, text, code in sections)
    return "@@facts boundary\n" + body


def asked(*answers: str) -> tuple[RestoreFacts, FakeTransport]:
    transport = FakeTransport(["cp1", "cp2", "cp3"])
    for name, said in zip(("cp1", "cp2", "cp3"), answers, strict=True):
        transport.runner(name).on(("sh", "-s"), stdout=said)
    return gather_restore(THREE, FACTS, transport), transport


def test_every_control_plane_tells_how_far_it_is() -> None:
    found, transport = asked(
        answer(marks=MARKS, etcdutl="etcdutl version: 3.5.16\nAPI version: 3.5\n", serving=0),
        answer(etcdutl="registry.k8s.io/etcd:3.6.6-0\n"),
        answer(status=127),
    )
    first = found.hosts["cp1"]
    assert [mark.number for mark in first.marks] == [1, 2]
    assert first.newest is not None
    assert first.newest.phase is Phase.STOPPING
    assert (first.newest.revision, first.newest.data) == (2000004597, "/data/etcd")
    assert [mark.fresh for mark in first.marks] == [True, False]
    assert first.newest.bundle == "20261121T023000Z-abc123"
    assert (first.state, first.data) == (
        Disk(device="/dev/vda1", free=2048),
        Disk(device="/dev/vdb1", free=1024),
    )
    assert (first.database, first.serving, first.etcdutl) == (3772416, True, "3.5.16")
    assert [found.hosts[name].etcdutl for name in ("cp2", "cp3")] == ["3.6.6", ""]
    assert not found.hosts["cp2"].serving
    assert found.newest == "002-20261121T023000Z-abc123"
    assert transport.runner("cp1").commands[0].argv[3:] == (
        "/var/lib/kubeops/restore",
        "/var/lib/kubeops",
        "/var/lib/etcd",
    )


def test_who_does_not_answer_any_more_is_left_out() -> None:
    transport = FakeTransport(["cp1", "cp2", "cp3"])
    for name in ("cp1", "cp3"):
        transport.runner(name).on(("sh", "-s"), stdout=answer())
    transport.runner("cp2").on(("sh", "-s"), error=TransportError("cp2: lost", host="cp2"))
    assert set(gather_restore(THREE, FACTS, transport).hosts) == {"cp1", "cp3"}


@pytest.mark.parametrize(
    "line",
    [
        "001-20261121T023000Z-abc123\tflying\t20261121T120000Z\t1\t/data\tno\n",
        "lost+found\tstaged\t20261121T120000Z\t1\t/data\tno\n",
        "001-20261121T023000Z-abc123\tstaged\t20261121T120000Z\tmany\t/data\tno\n",
    ],
)
def test_a_mark_that_says_something_else_is_a_surprise(line: str) -> None:
    with pytest.raises(FactsError, match="marks"):
        asked(answer(marks=line), answer(), answer())


CURL = ("curl", "--silent", "--insecure")


@pytest.mark.parametrize(
    ("status", "said", "expected"), [(0, "403", "403"), (0, "200\n", "200"), (35, "000", "")]
)
def test_the_endpoint_is_asked_by_a_host_that_can(status: int, said: str, expected: str) -> None:
    transport = FakeTransport(["cp1", "cp2", "cp3"])
    transport.runner("cp2").on(CURL, status=status, stdout=said)
    bare = replace(FACTS.hosts["cp1"], programs=frozenset())
    facts = replace(FACTS, hosts={**FACTS.hosts, "cp1": bare})
    assert gather_endpoint(THREE, facts, transport) == expected
    (asked,) = transport.runner("cp2").commands
    assert asked.argv[-1] == "https://10.0.0.10:6443/version"


def test_an_endpoint_that_nobody_can_ask_is_silent() -> None:
    transport = FakeTransport(["cp1", "cp2", "cp3"])
    assert gather_endpoint(THREE, replace(FACTS, hosts={}), transport) == ""
    transport.runner("cp1").on(CURL, error=TransportError("cp1: lost", host="cp1"))
    assert gather_endpoint(THREE, FACTS, transport) == ""


def test_hashes_are_told_with_the_revision_they_are_of() -> None:
    text = (
        '[{"Endpoint":"https://10.0.0.11:2379","HashKV":{"header":{"cluster_id":1,"revision":7},'
        '"hash":3377727847,"compact_revision":5}}]'
    )
    assert parse_hashes(text) == {"https://10.0.0.11:2379": (3377727847, 7)}
