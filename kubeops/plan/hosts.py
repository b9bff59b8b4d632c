"""What every host needs before kubeadm can work on it, and whether it has it.

The order (kubeadm doc "Installing kubeadm", kubernetes.io): swap off, kernel modules and sysctls,
prerequisites, package source of the minor release, packages pinned and held, container runtime,
images.
"""

from functools import singledispatch
from ipaddress import IPv6Network

from kubeops.model.desired import Cluster, Host
from kubeops.model.file import File
from kubeops.model.observed import HostFacts
from kubeops.model.version import Minor
from kubeops.plan.actions import (
    Action,
    AddPackageSource,
    ConfigureKernel,
    DisableSwap,
    InstallPackages,
    InstallPrerequisites,
    InstallRuntime,
    PullImages,
)
from kubeops.plan.model import Step
from kubeops.templating import render

MODULES = ("overlay", "br_netfilter")
SYSCTLS = (
    ("net.bridge.bridge-nf-call-ip6tables", "1"),
    ("net.bridge.bridge-nf-call-iptables", "1"),
    ("net.ipv4.ip_forward", "1"),
)
IPV6_SYSCTLS = (("net.ipv6.conf.all.forwarding", "1"),)
PREREQUISITES = ("ca-certificates", "conntrack", "curl", "ethtool", "iptables", "socat")
PINNED_PACKAGES = ("kubeadm", "kubectl", "kubelet")
HELD_PACKAGES = (*PINNED_PACKAGES, "cri-tools", "kubernetes-cni")
KEYRING = "/etc/apt/keyrings/kubernetes.asc"
SOURCE_LIST = "/etc/apt/sources.list.d/kubernetes.list"
CONTAINERD_CONFIG = "/etc/containerd/config.toml"


def kernel_sysctls(desired: Cluster) -> tuple[tuple[str, str], ...]:
    """The sysctls a node of the cluster needs; kubeadm asks for IPv6's where IPv6 is used."""
    networks = (desired.networks.pods, desired.networks.services)
    if any(isinstance(network, IPv6Network) for network in networks):
        return SYSCTLS + IPV6_SYSCTLS
    return SYSCTLS


def kernel_files(action: ConfigureKernel) -> tuple[File, File]:
    """The files that load the modules and set the sysctls at every boot."""
    return (
        File(
            path="/etc/modules-load.d/kubernetes.conf",
            content=render("modules.conf.j2", modules=action.modules).encode(),
        ),
        File(
            path="/etc/sysctl.d/90-kubernetes.conf",
            content=render("sysctl.conf.j2", sysctls=action.sysctls).encode(),
        ),
    )


def source_file(action: AddPackageSource) -> File:
    """The apt source of one minor release."""
    text = render("kubernetes.list.j2", minor=action.minor, url=action.url, keyring=KEYRING)
    return File(path=SOURCE_LIST, content=text.encode())


def runtime_file(*, containerd: str, sandbox_image: str) -> File:
    """The configuration of containerd version `containerd` with `sandbox_image`."""
    generation = "1" if containerd.startswith("1.") else "2"
    text = render(f"containerd-{generation}.toml.j2", sandbox_image=sandbox_image)
    return File(path=CONTAINERD_CONFIG, content=text.encode())


def crictl_file() -> File:
    """The configuration that points crictl at containerd."""
    return File(path="/etc/crictl.yaml", content=render("crictl.yaml.j2").encode())


def has_file(facts: HostFacts, file: File) -> bool:
    """Whether the host holds `file` with its content, mode and owner."""
    found = facts.files.get(file.path)
    return (
        found is not None
        and (found.mode, found.owner, found.sha256) == (file.mode, file.owner, file.sha256)
    )  # fmt: skip


@singledispatch
def satisfied(action: Action, facts: HostFacts) -> bool:
    """Whether the host already is as a preparing `action` would leave it.

    The planner and the handlers ask this same function, before the run and at the step's turn.

    Raises:
        TypeError: `action` prepares no host.
    """
    raise TypeError(f"{type(action).__name__} does not prepare a host; asked of {facts.host}")


@satisfied.register
def _(action: ConfigureKernel, facts: HostFacts) -> bool:
    return (
        set(action.modules) <= facts.modules
        and all(facts.sysctls.get(key) == value for key, value in action.sysctls)
        and all(has_file(facts, file) for file in kernel_files(action))
    )


@satisfied.register
def _(_action: DisableSwap, facts: HostFacts) -> bool:
    return facts.swap == 0 and not facts.swap_at_boot


@satisfied.register
def _(action: InstallPrerequisites, facts: HostFacts) -> bool:
    return set(action.packages) <= set(facts.packages)


@satisfied.register
def _(action: AddPackageSource, facts: HostFacts) -> bool:
    return KEYRING in facts.files and has_file(facts, source_file(action))


@satisfied.register
def _(action: InstallPackages, facts: HostFacts) -> bool:
    installed = facts.packages
    return all(name in installed and installed[name].held for name in HELD_PACKAGES) and all(
        installed[name].version.split("-", 1)[0] == action.version for name in PINNED_PACKAGES
    )


@satisfied.register
def _(action: InstallRuntime, facts: HostFacts) -> bool:
    unit = facts.units.get("containerd.service")
    if facts.container_runtime is None or facts.sandbox_image is None or unit is None:
        return False
    wanted = runtime_file(containerd=facts.container_runtime, sandbox_image=facts.sandbox_image)
    return (
        facts.sandbox_image.startswith(f"{action.image_repository}/pause:")
        and has_file(facts, wanted)
        and has_file(facts, crictl_file())
        and (unit.enabled, unit.active) == ("enabled", "active")
    )


@satisfied.register
def _(_action: PullImages, facts: HostFacts) -> bool:
    return facts.kubelet_server is not None and facts.unfinished is None


def host_steps(host: Host, *, desired: Cluster, facts: HostFacts) -> tuple[Step, ...]:
    """The steps that prepare `host`, without those that are done already."""
    version = desired.kubernetes
    return tuple(
        Step(id=f"/hosts/{host.name}/{name}", host=host.name, title=title, action=action)
        for name, title, action in _preparation(desired, version.minor)
        if not satisfied(action, facts)
    )


def _preparation(desired: Cluster, minor: Minor) -> tuple[tuple[str, str, Action], ...]:
    version = str(desired.kubernetes)
    images = desired.image_repository
    return (
        ("swap", "turn swap off", DisableSwap()),
        (
            "kernel",
            "load kernel modules, set sysctls",
            ConfigureKernel(modules=MODULES, sysctls=kernel_sysctls(desired)),
        ),
        (
            "prerequisites",
            "install prerequisites",
            InstallPrerequisites(packages=PREREQUISITES),
        ),
        (
            "package-source",
            f"add the package source of {minor}",
            AddPackageSource(url=desired.package_repository.format(minor=minor), minor=str(minor)),
        ),
        (
            "packages",
            f"install and hold kubeadm, kubelet, kubectl {version}",
            InstallPackages(version=version),
        ),
        (
            "runtime",
            "install and configure containerd",
            InstallRuntime(
                image_repository=images,
                version=version,
                runtime_version=desired.runtime.version or "",
            ),
        ),
        (
            "images",
            f"pull the images of v{version}",
            PullImages(version=version, image_repository=images),
        ),
    )
