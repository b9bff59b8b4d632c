"""Packages come from the right place, are the inventory's versions and stay so."""

import pytest
from testinfra.host import Host as Remote

from kubeops.model.desired import Cluster, Host
from kubeops.verify.expect import expect, expect_that
from kubeops.verify.suite import says

SOURCE = "/etc/apt/sources.list.d/kubernetes.list"


def pinned(_host: Host, cluster: Cluster) -> bool:
    """Whether the inventory speaks of containerd's version."""
    return cluster.runtime.version is not None


def version(host: Remote, package: str) -> str:
    """The version of `package` without Debian's revision; `not installed`."""
    found = host.package(package)
    return str(found.version).split("-", 1)[0] if found.is_installed else "not installed"


@says("{package} is the inventory's version")
@pytest.mark.parametrize("package", ["kubeadm", "kubelet", "kubectl"])
def test_version(host: Remote, cluster: Cluster, package: str) -> None:
    expect(
        version(host, package),
        str(cluster.kubernetes),
        cure="upgrade or install, or correct `kubernetes` in the inventory",
    )


@says("{package} is held")
@pytest.mark.parametrize(
    "package", ["kubeadm", "kubelet", "kubectl", "cri-tools", "kubernetes-cni"]
)
def test_held(host: Remote, package: str) -> None:
    held = package in host.check_output("apt-mark showhold").split()
    expect("held" if held else "not held", "held", cure=f"apt-mark hold {package}")


@says("containerd is the inventory's version", of=pinned)
def test_containerd(host: Remote, cluster: Cluster) -> None:
    wanted = cluster.runtime.version or ""
    containerd = host.package("containerd")
    found = str(containerd.version) if containerd.is_installed else "not installed"
    expect_that(
        found.startswith(wanted) and not found.removeprefix(wanted)[:1].isdigit(),
        expected=wanted,
        found=found,
        cure="correct `runtime.version` in the inventory, or install",
    )


@says("apt takes Kubernetes from the inventory's source, of the right minor release")
def test_source(host: Remote, cluster: Cluster) -> None:
    url = cluster.package_repository.format(minor=cluster.kubernetes.minor)
    entries = _entries(host)
    expect_that(
        len(entries) == 1 and url in entries[0].split(),
        expected=f"one entry, of {url}, in {SOURCE}",
        found="; ".join(entries) or "none",
        cure=f"correct {SOURCE}, then apt-get update",
    )


@says("apt trusts that source by a key of its own")
def test_source_is_signed(host: Remote) -> None:
    keyrings = [
        option.strip("[]").removeprefix("signed-by=")
        for entry in _entries(host)
        for option in entry.split()
        if option.strip("[]").startswith("signed-by=")
    ]
    missing = [path for path in keyrings if not host.file(path).exists]
    expect_that(
        keyrings and not missing,
        expected=f"[signed-by=KEYRING] in {SOURCE}, and that keyring",
        found=f"{missing[0]} is missing" if missing else "no signed-by",
        cure="install puts both back",
    )


def _entries(host: Remote) -> list[str]:
    source = host.file(SOURCE)
    lines = source.content_string.splitlines() if source.exists else []
    return [line for line in lines if line.startswith("deb ")]
