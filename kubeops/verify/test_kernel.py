"""The kernel does what pods need: kubernetes.io, "Container Runtimes" and "Installing kubeadm"."""

import pytest
from testinfra.host import Host as Remote

from kubeops.verify.expect import expect, expect_none, expect_that
from kubeops.verify.suite import says

BRIDGED = "/proc/sys/net/bridge/bridge-nf-call-iptables"


@says("swap is off")
def test_swap(host: Remote) -> None:
    areas = [line.split()[0] for line in host.check_output("cat /proc/swaps").splitlines()[1:]]
    expect_none(areas, expected="no swap", cure="swapoff -a")


@says("swap stays off after a reboot")
def test_swap_at_boot(host: Remote) -> None:
    entries = [line.split() for line in host.check_output("cat /etc/fstab").splitlines()]
    areas = [
        entry[0]
        for entry in entries
        if len(entry) > 2 and entry[2] == "swap" and not entry[0].startswith("#")
    ]
    expect_none(areas, expected="no swap in /etc/fstab", cure="comment the line out in /etc/fstab")


@says("the kernel has overlay file systems")
def test_overlay(host: Remote) -> None:
    names = host.check_output("cat /proc/filesystems").split()
    expect_that("overlay" in names, expected="overlay", found="none", cure="modprobe overlay")


@says("the kernel shows bridged traffic to iptables")
def test_bridge_netfilter(host: Remote) -> None:
    there = host.file(BRIDGED).exists
    expect_that(there, expected=BRIDGED, found="no such sysctl", cure="modprobe br_netfilter")


@says("{module} is loaded at boot")
@pytest.mark.parametrize("module", ["overlay", "br_netfilter"])
def test_modules_at_boot(host: Remote, module: str) -> None:
    listed = host.run("cat /etc/modules /etc/modules-load.d/*.conf").stdout.split()
    expect_that(
        module in listed,
        expected=f"{module} in /etc/modules-load.d",
        found="not there",
        cure=f"echo {module} >> /etc/modules-load.d/kubernetes.conf",
    )


@says("{sysctl} is 1")
@pytest.mark.parametrize(
    "sysctl",
    [
        "net.bridge.bridge-nf-call-ip6tables",
        "net.bridge.bridge-nf-call-iptables",
        "net.ipv4.ip_forward",
    ],
)
def test_sysctl(host: Remote, sysctl: str) -> None:
    found = host.run("cat /proc/sys/%s", sysctl.replace(".", "/"))
    expect(
        found.stdout.strip() if found.succeeded else "no such sysctl",
        "1",
        cure=f"sysctl -w {sysctl}=1",
    )


@says("control groups are version 2")
def test_cgroups(host: Remote) -> None:
    expect(
        host.check_output("stat -f -c %T /sys/fs/cgroup"),
        "cgroup2fs",
        cure="boot with systemd.unified_cgroup_hierarchy=1",
    )
