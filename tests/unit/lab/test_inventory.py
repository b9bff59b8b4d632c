from dataclasses import replace
from ipaddress import IPv4Network

import pytest
import yaml

from kubeops.errors import UsageError
from kubeops.inventory import load
from kubeops.lab import inventory, model
from kubeops.lab.model import Lab, Source
from kubeops.model.desired import Role


def test_the_inventory_says_how_to_reach_every_node(lab: Lab) -> None:
    written = yaml.safe_load(inventory.text(lab))
    assert written["cluster"]["endpoint"] == "10.231.4.1:6443"
    assert written["cluster"]["packages"] == {
        "repository": "http://10.231.4.1/core:/stable:/v{minor}/deb/"
    }
    assert written["cluster"]["kubernetes"] == "1.35.4"
    assert written["ssh"] == {
        "user": "ops",
        "key": str(lab.key),
        "known_hosts": str(lab.known_hosts),
        "host_keys": "strict",
        "sudo": True,
    }
    assert written["hosts"] == {
        node.name: {"address": node.address, "role": node.role.value} for node in lab.nodes
    }


def test_the_cluster_networks_do_not_overlap_the_lab(lab: Lab) -> None:
    networks = yaml.safe_load(inventory.text(lab))["cluster"]["networks"]
    pods, services = (IPv4Network(networks[name]) for name in ("pods", "services"))
    assert not pods.overlaps(services)
    assert not pods.overlaps(lab.subnet)
    assert not services.overlaps(lab.subnet)


def test_it_loads_without_a_warning(lab: Lab) -> None:
    lab.key.touch()
    lab.known_hosts.touch()
    inventory.write(lab)
    cluster = load(lab.inventory)
    assert cluster.warnings == ()
    assert [(host.name, host.address, host.role) for host in cluster.hosts] == [
        (node.name, node.address, node.role) for node in lab.nodes
    ]
    assert cluster.endpoint == "10.231.4.1:6443"


def test_real_packages_come_from_the_real_repository(lab: Lab) -> None:
    real = replace(lab, source=Source.REAL)
    assert inventory.packages_repository(real) == inventory.REAL_REPOSITORY


def test_written_again_it_keeps_what_was_changed_and_adds_what_is_new(lab: Lab) -> None:
    inventory.write(lab)
    upgraded = lab.inventory.read_text().replace("1.35.4", "1.36.1").rstrip("\n")
    lab.inventory.write_text(upgraded)
    node = model.next_node(lab.subnet, nodes=lab.nodes, role=Role.WORKER)
    inventory.write(lab.with_node(node))
    assert lab.inventory.read_text() == (
        f"{upgraded}\n  w3: {{address: 10.231.4.16, role: worker}}\n"
    )


def test_only_the_own_inventory_is_overwritten_and_removed(lab: Lab) -> None:
    inventory.write(lab)
    inventory.check(lab.inventory, lab=lab.name)
    with pytest.raises(UsageError, match="does not belong to lab other"):
        inventory.check(lab.inventory, lab="other")
    inventory.remove(replace(lab, name="other"))
    assert lab.inventory.exists()
    inventory.remove(lab)
    assert not lab.inventory.exists()
    inventory.remove(lab)
