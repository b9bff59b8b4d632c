"""The control plane's static pods run on control planes, and there only."""

import json
import re

import pytest
from testinfra.host import Host as Remote

from kubeops.model.desired import Cluster
from kubeops.verify.expect import expect, expect_none
from kubeops.verify.images import images
from kubeops.verify.suite import control_planes, says, workers

NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
MANIFESTS = "/etc/kubernetes/manifests"
IMAGE = re.compile(r"^ +image: *(\S+)", re.MULTILINE)
PODS = pytest.mark.parametrize("pod", NAMES)


@says("{pod}'s image is of the inventory's version", of=control_planes)
@PODS
def test_image(host: Remote, cluster: Cluster, pod: str) -> None:
    path = f"{MANIFESTS}/{pod}.yaml"
    manifest = host.file(path)
    image = IMAGE.search(manifest.content_string) if manifest.exists else None
    expect(
        image[1] if image else "no manifest",
        images(host, cluster).get(pod),
        cure=f"look at {path}; upgrade, or correct `kubernetes` in the inventory",
    )


@says("{pod} is running", of=control_planes)
@PODS
def test_running(host: Remote, pod: str) -> None:
    answer = host.run("crictl ps -o json")
    if answer.failed:
        pytest.skip("crictl does not answer")
    running = {
        container["labels"].get("io.kubernetes.container.name")
        for container in json.loads(answer.stdout)["containers"]
    }
    expect(
        "running" if pod in running else "not running",
        "running",
        cure=f"crictl ps -a --name {pod}; crictl logs CONTAINER",
    )


@says("no part of a control plane is there", of=workers)
def test_none_on_workers(host: Remote) -> None:
    there = host.run("ls %s", MANIFESTS).stdout.split()
    expect_none(
        (f"{MANIFESTS}/{name}.yaml" for name in NAMES if f"{name}.yaml" in there),
        expected="none",
        cure="if it was a control plane before: reset it, then install",
    )
