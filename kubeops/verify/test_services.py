"""Kubelet and containerd run, come back after a reboot, and agree on how pods are run."""

import re
import tomllib
from typing import Any

import pytest
from testinfra.host import Host as Remote

from kubeops.model.desired import Cluster
from kubeops.verify.expect import expect, expect_that
from kubeops.verify.suite import says

CONTAINERD = "/etc/containerd/config.toml"
KUBELET = "/var/lib/kubelet/config.yaml"
UNITS = pytest.mark.parametrize("unit", ["containerd", "kubelet"])


@says("{unit} is running")
@UNITS
def test_running(host: Remote, unit: str) -> None:
    running = host.service(unit).is_running
    expect(
        "running" if running else "not running",
        "running",
        cure=f"systemctl restart {unit}; journalctl -u {unit} -n 50",
    )


@says("{unit} starts at boot")
@UNITS
def test_enabled(host: Remote, unit: str) -> None:
    found = host.run("systemctl is-enabled %s", unit)
    expect(
        found.stdout.strip() or found.stderr.strip(),
        "enabled",
        cure=f"systemctl enable {unit}",
    )


@says("crictl talks to containerd")
def test_crictl(host: Remote) -> None:
    answer = host.run("crictl version")
    expect_that(
        answer.succeeded,
        expected="an answer",
        found=(answer.stderr or answer.stdout).strip(),
        cure="look at /etc/crictl.yaml and systemctl status containerd",
    )


@says("containerd leaves control groups to systemd")
def test_containerd_cgroups(host: Remote) -> None:
    runtimes = _cri(host, "runtime").get("containerd", {}).get("runtimes", {})
    options = runtimes.get("runc", {}).get("options", {})
    expect_that(
        options.get("SystemdCgroup") is True,
        expected="SystemdCgroup = true",
        found="it is not set, or false",
        cure=f"set it in {CONTAINERD}, then systemctl restart containerd",
    )


@says("kubelet leaves control groups to systemd")
def test_kubelet_cgroups(host: Remote) -> None:
    found = host.file(KUBELET)
    if not found.exists:
        pytest.skip(f"{KUBELET} is missing")
    driver = re.search(r"^cgroupDriver: *(\S+)", found.content_string, re.MULTILINE)
    expect(
        f"cgroupDriver: {driver[1] if driver else 'not set'}",
        "cgroupDriver: systemd",
        cure=f"set it in {KUBELET}, then systemctl restart kubelet",
    )


@says("containerd's sandbox image comes from the cluster's images")
def test_sandbox_image(host: Remote, cluster: Cluster) -> None:
    # Its tag stays what it was at the install: an upgrade does not restart containerd for it.
    configured = _cri(host, "images")
    sandbox = configured.get("sandbox_image") or configured.get("pinned_images", {}).get("sandbox")
    expect(
        str(sandbox).rpartition(":")[0],
        f"{cluster.image_repository}/pause",
        cure=f"set it in {CONTAINERD}, then systemctl restart containerd",
    )


def _cri(host: Remote, part: str) -> Any:
    """The `part` (images or runtime) of the CRI plugin's configuration, of either generation."""
    plugins = tomllib.loads(host.file(CONTAINERD).content_string).get("plugins", {})
    return plugins.get(f"io.containerd.cri.v1.{part}") or plugins.get(
        "io.containerd.grpc.v1.cri", {}
    )
