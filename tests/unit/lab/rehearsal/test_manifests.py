from pathlib import Path
from typing import Any

import pytest
import yaml
from rehearsal import manifests, version
from rehearsal.manifests import Node

CASES = Path(__file__).with_name("cases") / "manifests"
NODE = Node(name="node1", address="172.30.77.11")


def cluster(**more: Any) -> dict[str, Any]:
    return {
        "apiServer": {},
        "certificatesDir": "/etc/kubernetes/pki",
        "clusterName": "kubernetes",
        "etcd": {"local": {"dataDir": "/var/lib/etcd"}},
        "imageRepository": "registry.k8s.io",
        "networking": {
            "dnsDomain": "cluster.local",
            "podSubnet": "10.244.0.0/16",
            "serviceSubnet": "10.96.0.0/12",
        },
    } | more


def command(text: str) -> list[str]:
    found: list[str] = yaml.safe_load(text)["spec"]["containers"][0]["command"]
    return found


@pytest.mark.parametrize("name", manifests.COMPONENTS)
def test_components_are_those_of_a_real_kubeadm(name: str) -> None:
    made = manifests.control_plane(version=version.parse("1.35.4"), cluster=cluster(), node=NODE)
    assert made[name] == (CASES / f"{name}.yaml").read_text()


def test_etcd_is_that_of_a_real_kubeadm() -> None:
    made = manifests.etcd(version=version.parse("1.35.4"), cluster=cluster(), node=NODE)
    assert made == (CASES / "etcd.yaml").read_text()


def test_a_joining_etcd_names_every_member() -> None:
    members = [("node1", "https://172.30.77.11:2380"), ("node2", "https://172.30.77.12:2380")]
    made = manifests.etcd(
        version=version.parse("1.35.4"),
        cluster=cluster(),
        node=Node(name="node2", address="172.30.77.12"),
        members=members,
    )
    at = command(made).index("--initial-cluster-state=existing")
    assert command(made)[at - 1] == (
        "--initial-cluster=node1=https://172.30.77.11:2380,node2=https://172.30.77.12:2380"
    )


def test_the_flexvolume_mount_goes_with_1_36() -> None:
    old, new = (
        manifests.control_plane(version=version.parse(text), cluster=cluster(), node=NODE)
        for text in ("1.35.6", "1.36.1")
    )
    assert "flexvolume-dir" in old["kube-controller-manager"]
    assert "flexvolume-dir" not in new["kube-controller-manager"]


def test_etcd_3_5_gets_its_own_flags() -> None:
    made = command(manifests.etcd(version=version.parse("1.33.6"), cluster=cluster(), node=NODE))
    assert "--experimental-initial-corrupt-check=true" in made
    assert not [flag for flag in made if flag.startswith("--feature-gates")]


def test_extra_arguments_replace_and_add() -> None:
    extra = [{"name": "profiling", "value": "false"}, {"name": "secure-port", "value": "7443"}]
    volume = {"name": "audit", "hostPath": "/var/log/audit", "mountPath": "/audit"}
    made = manifests.control_plane(
        version=version.parse("1.35.4"),
        cluster=cluster(apiServer={"extraArgs": extra, "extraVolumes": [volume]}),
        node=NODE,
    )["kube-apiserver"]
    assert "--profiling=false" in command(made)
    assert [flag for flag in command(made) if "secure-port" in flag] == ["--secure-port=7443"]
    assert {"mountPath": "/audit", "name": "audit"} in yaml.safe_load(made)["spec"]["containers"][
        0
    ]["volumeMounts"]
