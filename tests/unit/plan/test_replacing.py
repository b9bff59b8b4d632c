"""Who replaces whom, as far as hosts and API tell."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from kubeops.model.desired import Cluster
from kubeops.model.observed import ClusterFacts
from kubeops.plan.install import plan_install
from kubeops.plan.replacing import COMMAND, Stage, is_of_cluster, notes, present, replacements
from tests.unit.plan.upgrade_values import At, Seen, seen
from tests.unit.plan.values import cluster


def replacing() -> Cluster:
    """One control plane, w1, and w2 which replaces it."""
    desired = cluster(1, 2)
    return replace(desired, hosts=(*desired.hosts[:2], replace(desired.hosts[2], replaces="w1")))


def facts(places: Mapping[str, str]) -> ClusterFacts:
    hosts = {name: At(place=place) for name, place in places.items()}
    return seen(replacing(), Seen(version="1.35.4", hosts=hosts))


@pytest.mark.parametrize(
    ("places", "stage", "nodes"),
    [
        ({"w2": "bare"}, Stage.WAITING, ["cp1", "w1"]),
        ({"w2": "half"}, Stage.WAITING, ["cp1", "w1"]),
        ({"w2": "gone"}, Stage.WAITING, ["cp1", "w1"]),
        ({"w1": "gone", "w2": "bare"}, Stage.WAITING, ["cp1", "w1"]),
        ({}, Stage.JOINED, ["cp1", "w1", "w2"]),
        ({"w2": "lost"}, Stage.JOINED, ["cp1", "w1", "w2"]),
        ({"w1": "lost"}, Stage.JOINED, ["cp1", "w1", "w2"]),
        ({"w1": "left"}, Stage.LEAVING, ["cp1", "w2"]),
        ({"w1": "bare"}, Stage.REPLACED, ["cp1", "w2"]),
        ({"w1": "gone"}, Stage.REPLACED, ["cp1", "w2"]),
    ],
)
def test_how_far_it_is_follows_from_what_is_seen(
    places: Mapping[str, str], stage: Stage, nodes: list[str]
) -> None:
    found = facts(places)
    assert [one.stage for one in replacements(replacing(), found)] == [stage]
    assert [host.name for host in present(replacing(), found).hosts] == nodes


def test_a_node_whose_host_was_reset_by_hand_is_still_a_node() -> None:
    found = facts({})
    reset = replace(found.hosts["w1"], kubelet_server=None, cluster_ca=None)
    found = replace(found, hosts={**found.hosts, "w1": reset})
    assert [one.stage for one in replacements(replacing(), found)] == [Stage.JOINED]


def test_while_the_api_is_silent_the_hosts_words_count() -> None:
    silent = replace(facts({}), api=None)
    assert [one.stage for one in replacements(replacing(), silent)] == [Stage.JOINED]
    silent = replace(facts({"w1": "bare"}), api=None)
    assert [one.stage for one in replacements(replacing(), silent)] == [Stage.REPLACED]


def test_a_machine_that_serves_another_cluster_by_now_is_not_touched() -> None:
    found = facts({"w1": "left"})
    elsewhere = replace(found.hosts["w1"], cluster_ca="sha-of-another-ca")
    found = replace(found, hosts={**found.hosts, "w1": elsewhere})
    assert not is_of_cluster("w1", replacing(), found)
    assert [one.stage for one in replacements(replacing(), found)] == [Stage.REPLACED]


def test_a_reset_that_was_stopped_half_way_is_one_of_ours() -> None:
    found = facts({"w1": "bare"})
    half = replace(found.hosts["w1"], unfinished="reset")
    found = replace(found, hosts={**found.hosts, "w1": half})
    assert [one.stage for one in replacements(replacing(), found)] == [Stage.LEAVING]


@pytest.mark.parametrize(
    ("places", "note"),
    [
        (
            {"w2": "bare"},
            f"w2: waits to replace w1; what joins it: {COMMAND}",
        ),
        (
            {},
            f"w2: replaces w1, which is still a node; to go on: {COMMAND}",
        ),
        (
            {"w1": "left"},
            f"w1: replaced by w2, and not reset yet; to go on: {COMMAND}",
        ),
        (
            {"w1": "bare"},
            "w1: replaced by w2; take w1, and the replaces: of w2, out of inventory.yaml",
        ),
    ],
)
def test_each_stage_says_what_comes_next(places: Mapping[str, str], note: str) -> None:
    assert notes(replacing(), facts(places)) == (note,)


@pytest.mark.parametrize("places", [{"w2": "bare"}, {"w1": "bare"}, {"w1": "left"}])
def test_install_joins_nobody_while_one_of_two_is_a_node(places: Mapping[str, str]) -> None:
    found = facts(places)
    desired = present(replacing(), found)
    desired = replace(desired, cni=replace(desired.cni, name="flannel"))
    assert [step.id for step in plan_install(desired, found).steps] == []


def test_an_inventory_that_replaces_nobody_is_as_it_is() -> None:
    desired = cluster()
    found = seen(desired, Seen(version="1.35.4"))
    assert replacements(desired, found) == ()
    assert present(desired, found) == desired
