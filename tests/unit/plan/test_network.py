"""Bridge: a configuration and routes per node. Everything else: manifests, applied once."""

from dataclasses import replace

import pytest

from kubeops.model.desired import Cluster
from kubeops.model.observed import ClusterFacts
from kubeops.plan.actions import ApplyManifest, ConfigureBridge
from kubeops.plan.model import Lane
from kubeops.plan.network import (
    ManifestSource,
    PodRoute,
    bridge_files,
    network_lanes,
    pod_routes,
)
from tests.unit.plan.values import cluster, node, observed

DESIRED = cluster(1, 2)
ALL = ("cp1", "w1", "w2")
ADDON = ManifestSource(name="addon", source="/srv/addon.yaml", digest="1")


def lanes(
    facts: ClusterFacts,
    *manifests: ManifestSource,
    desired: Cluster = DESIRED,
) -> tuple[Lane, ...]:
    return network_lanes(desired, facts, hosts=desired.hosts, via="cp1", manifests=manifests)


def test_routes_lead_to_all_others_in_a_fixed_order() -> None:
    found = [node(host, number) for number, host in enumerate(DESIRED.hosts)]
    routes = (
        PodRoute(subnet="10.244.0.0/24", address="10.0.0.11"),
        PodRoute(subnet="10.244.2.0/24", address="10.0.0.32"),
    )
    assert pod_routes("w1", found) == ("10.244.1.0/24", routes)
    assert pod_routes("w1", found[::-1]) == ("10.244.1.0/24", routes)


def test_nodes_without_a_subnet_or_address_have_no_route_yet() -> None:
    first, second, third = (node(host, number) for number, host in enumerate(DESIRED.hosts))
    found = (first, replace(second, pod_cidr=""), replace(third, addresses=()))
    assert pod_routes("cp1", found) == ("10.244.0.0/24", ())
    assert pod_routes("w1", found)[0] == ""
    assert pod_routes("w9", found)[0] == ""


@pytest.mark.parametrize(
    ("subnet", "default"), [("10.244.1.0/24", b'"0.0.0.0/0"'), ("fd00:1::/64", b'"::/0"')]
)
def test_the_default_route_is_of_the_subnets_family(subnet: str, default: bytes) -> None:
    conflist, _ = bridge_files(subnet=subnet, routes=())
    assert default in conflist.content


def test_a_whole_network_needs_nothing() -> None:
    assert lanes(observed(DESIRED, members=ALL)) == ()


def test_one_node_without_its_files_has_all_nodes_looked_at() -> None:
    facts = observed(DESIRED, members=ALL)
    hosts = {**facts.hosts, "w2": replace(facts.hosts["w2"], files={})}
    found = lanes(replace(facts, hosts=hosts))
    assert [lane.steps[0].id for lane in found] == [f"/network/{name}/bridge" for name in ALL]
    assert found[1].steps[0].action == ConfigureBridge(node="w1", via="cp1")


def test_a_new_node_changes_the_routes_of_all() -> None:
    facts = observed(DESIRED, members=("cp1", "w1"))
    assert len(lanes(facts)) == 3


def test_without_the_api_nobody_knows_and_everything_is_planned() -> None:
    assert len(lanes(replace(observed(DESIRED, members=ALL), api=None))) == 3


def test_manifests_are_applied_in_their_order_by_one_hand() -> None:
    other = ManifestSource(name="other", source="https://example.org/x.yaml", digest="2")
    (lane,) = lanes(observed(DESIRED, members=ALL), ADDON, other)
    assert [step.host for step in lane.steps] == ["cp1", "cp1"]
    assert [step.action for step in lane.steps] == [
        ApplyManifest(name="addon", source="/srv/addon.yaml", digest="1"),
        ApplyManifest(name="other", source="https://example.org/x.yaml", digest="2"),
    ]


@pytest.mark.parametrize(("applied", "again"), [({"addon": "1"}, 0), ({"addon": "0"}, 1), ({}, 1)])
def test_what_has_not_changed_is_not_applied_again(applied: dict[str, str], again: int) -> None:
    facts = observed(DESIRED, members=ALL)
    assert facts.api is not None
    facts = replace(facts, api=replace(facts.api, applied=applied))
    assert len(lanes(facts, ADDON)) == again


def test_other_plugins_have_no_bridge() -> None:
    desired = replace(DESIRED, cni=replace(DESIRED.cni, name="flannel"))
    assert lanes(observed(desired), desired=desired) == ()
