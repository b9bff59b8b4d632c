from dataclasses import replace

import pytest

from kubeops.model.backup import Freshness
from kubeops.model.version import KubeVersion
from kubeops.render.status import notes, status
from tests.conftest import Golden
from tests.unit.render.values import cluster, facts, silent, text_of


@pytest.mark.parametrize("width", [80, 120])
def test_one_screen_says_it_all(golden: Golden, width: int) -> None:
    golden(f"status-{width}.txt", text_of(status(facts(), cluster()), width=width))


def test_a_cluster_that_is_not_there(golden: Golden) -> None:
    golden("status-silent-120.txt", text_of(status(silent(), cluster()), width=120))


def test_rehearsal_is_said() -> None:
    rehearsed = facts()
    assert rehearsed.api is not None
    api = replace(rehearsed.api, server=KubeVersion.parse("1.35.4+rehearsal"))
    shown = text_of(status(replace(rehearsed, api=api), cluster()), width=120)
    assert "REHEARSAL" in shown


def test_every_difference_has_a_note() -> None:
    joined = "\n".join(notes(facts(), cluster()))
    for expected in (
        "node stray is in the cluster and not in the inventory",
        "not joined: w2",
        "kubelets run v1.35.3, v1.35.4",
        "w1 is not Ready: Kubelet stopped posting node status.",
        "Deployment kube-system/coredns: 1 of 2 ready",
        "w1: its clock is -3.2 s from ours",
    ):
        assert expected in joined


def test_a_healthy_cluster_has_no_notes() -> None:
    healthy = facts()
    assert healthy.api is not None
    first = healthy.api.nodes[0]
    api = replace(healthy.api, nodes=(first,), system=())
    wanted = replace(cluster(), hosts=cluster().hosts[:1])
    hosts = {"cp1": healthy.hosts["cp1"]}
    assert notes(replace(healthy, api=api, hosts=hosts), wanted) == ()


def test_the_newest_backup_is_a_line_and_never_an_error() -> None:
    shown = text_of(status(facts(), cluster(), backup="the store is gone"), width=120)
    assert "backup   the store is gone" in shown
    at = facts().at
    none = Freshness(cluster="prod", store="file:///b", at=at, newest=None, max_age=1.0)
    assert "backup   no proven backup" in text_of(
        status(facts(), cluster(), backup=none), width=120
    )


@pytest.mark.parametrize(
    ("old", "new", "word", "note"),
    [
        ("w1", "w2", "waiting", "w2: waits to replace w1"),
        ("w2", "w1", "replaced", "w2: replaced by w1; take w2, and the replaces: of w1, out"),
    ],
)
def test_hosts_that_are_not_to_be_nodes_are_not_missed(
    old: str, new: str, word: str, note: str
) -> None:
    made = cluster()
    hosts = tuple(replace(host, replaces=old) if host.name == new else host for host in made.hosts)
    made = replace(made, hosts=hosts)
    seen = facts()
    joined = replace(seen.hosts["w1"], kubelet_server="https://10.0.0.10:6443")
    seen = replace(seen, hosts={**seen.hosts, "w1": joined})
    said = "\n".join(notes(seen, made))
    assert note in said
    assert "not joined" not in said
    (row,) = (
        line
        for line in text_of(status(seen, made), width=160).splitlines()
        if line.startswith("w2 ")
    )
    assert word in row
    assert "drift" not in row
