from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from kubeops.errors import UsageError
from kubeops.lab import model
from kubeops.lab.model import Lab, Node, Source, Wish
from kubeops.model.desired import Role


def test_nodes_are_named_by_role_and_addressed_in_order(lab: Lab) -> None:
    assert [(node.name, node.address) for node in lab.nodes] == [
        ("cp1", "10.231.4.11"),
        ("cp2", "10.231.4.12"),
        ("cp3", "10.231.4.13"),
        ("w1", "10.231.4.14"),
        ("w2", "10.231.4.15"),
    ]
    assert [node.name for node in lab.control_planes] == ["cp1", "cp2", "cp3"]
    assert [node.name for node in lab.workers] == ["w1", "w2"]


def test_what_is_unique_on_the_machine_comes_from_name_and_subnet(lab: Lab) -> None:
    assert lab.hub == "kubeops-practice"
    assert lab.link == "kubeops-lab4"
    assert lab.gateway == "10.231.4.1"
    assert lab.host_address == "10.231.4.254"
    last = replace(lab, subnet=IPv4Network("10.231.255.0/24"))
    assert len(last.link) <= 15


def test_a_further_node_takes_the_first_free_name_and_address(lab: Lab) -> None:
    without = replace(lab, nodes=tuple(node for node in lab.nodes if node.name != "w1"))
    assert model.next_node(without.subnet, nodes=without.nodes, role=Role.WORKER) == Node(
        name="w1", role=Role.WORKER, address="10.231.4.14"
    )
    named = model.next_node(lab.subnet, nodes=lab.nodes, role=Role.CONTROL_PLANE, name="new")
    assert (named.name, named.address) == ("new", "10.231.4.16")


def test_a_name_is_given_once(lab: Lab) -> None:
    with pytest.raises(UsageError, match="already has a node w1"):
        model.next_node(lab.subnet, nodes=lab.nodes, role=Role.WORKER, name="w1")


def test_a_full_subnet_is_said_to_be_full() -> None:
    subnet = IPv4Network("10.231.0.0/24")
    nodes = model.first_nodes(subnet, control_planes=1, workers=242)
    assert nodes[-1].address == "10.231.0.253"
    with pytest.raises(UsageError, match="no address is left"):
        model.next_node(subnet, nodes=nodes, role=Role.WORKER)


def test_an_unknown_node_is_an_error_that_names_the_known_ones(lab: Lab) -> None:
    assert lab.node("w2").address == "10.231.4.15"
    with pytest.raises(UsageError, match="no node 'w9'") as caught:
        lab.node("w9")
    assert caught.value.hint == "its nodes are cp1, cp2, cp3, w1, w2"


def test_a_lab_is_compared_with_what_is_asked_for(lab: Lab, wish: Wish) -> None:
    assert model.differences(lab, wish) == ()
    other = replace(wish, workers=4, source=Source.REAL, kubernetes="1.36.1")
    assert model.differences(lab, other) == (
        "workers: it has 2, asked for 4",
        "kubernetes: it has 1.35.4, asked for 1.36.1",
        "source: it has rehearsal, asked for real",
    )
