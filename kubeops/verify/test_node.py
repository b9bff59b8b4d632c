"""The cluster knows the host as the inventory describes it."""

from typing import Any

import pytest
import yaml
from testinfra.host import Host as Remote

from kubeops.model.desired import Cluster, Host
from kubeops.model.version import KubeVersion
from kubeops.verify.api import Api
from kubeops.verify.expect import expect, expect_none, expect_that
from kubeops.verify.suite import says

KUBELET_CONF = "/etc/kubernetes/kubelet.conf"
OWN_TAINTS = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")
"""Taints that Kubernetes sets and takes away by itself."""


def labelled(host: Host, _cluster: Cluster) -> bool:
    """Whether the inventory speaks of the node's labels."""
    return bool(host.labels)


def tainted(host: Host, _cluster: Cluster) -> bool:
    """Whether the inventory speaks of the node's taints; else kubeadm decides on them."""
    return host.taints is not None


def node_of(wanted: Host, api: Api) -> Any:
    """The host's Node object; the test is skipped when the API does not tell."""
    if wanted.name not in api.nodes:
        pytest.skip("the API tells nothing about this node")
    return api.nodes[wanted.name]


@says("its node is Ready")
def test_ready(wanted: Host, api: Api) -> None:
    expect_that(
        not api.error, expected="an API that answers", found=api.error, cure="invoke status"
    )
    expect_that(
        wanted.name in api.nodes,
        expected="a node of this name",
        found=f"nodes {', '.join(sorted(api.nodes)) or 'none'}",
        cure="install joins it",
    )
    conditions = {item["type"]: item for item in api.nodes[wanted.name]["status"]["conditions"]}
    ready = conditions.get("Ready", {})
    expect_that(
        ready.get("status") == "True",
        expected="Ready",
        found=f"not Ready: {ready.get('message', 'it never said so')}",
        cure=f"kubectl describe node {wanted.name}",
    )


@says("its node runs the inventory's version")
def test_version(wanted: Host, api: Api, cluster: Cluster) -> None:
    found = KubeVersion.parse(node_of(wanted, api)["status"]["nodeInfo"]["kubeletVersion"])
    expect(found, cluster.kubernetes, cure="systemctl daemon-reload; systemctl restart kubelet")


@says("its node has the inventory's labels", of=labelled)
def test_labels(wanted: Host, api: Api) -> None:
    labels = node_of(wanted, api)["metadata"].get("labels", {})
    pairs = [f"{key}={value}" for key, value in wanted.labels.items() if labels.get(key) != value]
    expect_none(
        (f"no {pair}" for pair in pairs),
        expected=", ".join(f"{key}={value}" for key, value in wanted.labels.items()),
        cure=f"kubectl label node {wanted.name} --overwrite {' '.join(pairs)}",
    )


@says("its node has the inventory's taints", of=tainted)
def test_taints(wanted: Host, api: Api) -> None:
    found = {_spelled(taint) for taint in node_of(wanted, api)["spec"].get("taints", ())}
    expect(
        ", ".join(sorted(taint for taint in found if not taint.startswith(OWN_TAINTS))) or "none",
        ", ".join(sorted(str(taint) for taint in wanted.taints or ())) or "none",
        cure=f"kubectl edit node {wanted.name}",
    )


@says("kubelet talks to the inventory's endpoint")
def test_endpoint(host: Remote, wanted: Host, cluster: Cluster) -> None:
    found = host.run("grep server: %s", KUBELET_CONF)
    server = yaml.safe_load(found.stdout)["server"] if found.succeeded else "nobody"
    endpoint = f"https://{cluster.endpoint}"
    # ControlPlaneKubeletLocalMode, GA in 1.35: there the API server beside it is asked.
    own = f"https://{wanted.address}:6443"
    allowed = (endpoint, own) if wanted.is_control_plane else (endpoint,)
    expect_that(
        server in allowed,
        expected=" or ".join(allowed),
        found=server,
        cure=f"correct `endpoint` in the inventory, or {KUBELET_CONF} and restart the kubelet",
    )


@says("pods get their network from a CNI configuration")
def test_cni(host: Remote) -> None:
    names = host.run("ls /etc/cni/net.d").stdout.split()
    expect_that(
        any(name.endswith((".conf", ".conflist", ".json")) for name in names),
        expected="a configuration in /etc/cni/net.d",
        found=", ".join(names) or "nothing there",
        cure="install puts the network plugin there",
    )


def _spelled(taint: dict[str, str]) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"
