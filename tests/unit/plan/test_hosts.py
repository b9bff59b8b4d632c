"""What makes a host ready for kubeadm, and each thing whose lack makes it unready."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network

import pytest

from kubeops.model.desired import Networks, Runtime
from kubeops.model.file import File
from kubeops.model.observed import HostFacts
from kubeops.plan.actions import (
    AddPackageSource,
    ConfigureKernel,
    DeleteNode,
    DisableSwap,
    InstallPackages,
    InstallPrerequisites,
    InstallRuntime,
    PullImages,
)
from kubeops.plan.hosts import (
    CONTAINERD_CONFIG,
    KEYRING,
    crictl_file,
    has_file,
    host_steps,
    kernel_sysctls,
    runtime_file,
    satisfied,
)
from tests.unit.plan.values import bare, cluster, files, prepared

DESIRED = cluster(1, 0)
HOST = DESIRED.hosts[0]
READY = prepared(HOST, DESIRED)

Change = Callable[[HostFacts], HostFacts]


def without_file(path: str) -> Change:
    return lambda facts: replace(
        facts, files={name: found for name, found in facts.files.items() if name != path}
    )


def with_package(name: str, **changed: object) -> Change:
    def change(facts: HostFacts) -> HostFacts:
        package = replace(facts.packages[name], **changed)  # type: ignore[arg-type]  # by name
        return replace(facts, packages={**facts.packages, name: package})

    return change


def without_package(name: str) -> Change:
    return lambda facts: replace(
        facts, packages={other: it for other, it in facts.packages.items() if other != name}
    )


def with_unit(**changed: str) -> Change:
    def change(facts: HostFacts) -> HostFacts:
        unit = replace(facts.units["containerd.service"], **changed)
        return replace(facts, units={"containerd.service": unit})

    return change


def steps(facts: HostFacts) -> list[str]:
    found = host_steps(HOST, desired=DESIRED, facts=facts)
    assert all(step.id == f"/hosts/cp1/{step.id.rsplit('/', 1)[-1]}" for step in found)
    return [step.id.rsplit("/", 1)[-1] for step in found]


JOINED = replace(READY, kubelet_server="https://10.0.0.10:6443")
LACKS: dict[str, tuple[str, Change]] = {
    "swap": ("swap", lambda facts: replace(facts, swap=1)),
    "swap that comes back": ("swap", lambda facts: replace(facts, swap_at_boot=True)),
    "a module": ("kernel", lambda facts: replace(facts, modules=frozenset({"overlay"}))),
    "a sysctl": (
        "kernel",
        lambda facts: replace(facts, sysctls={**facts.sysctls, "net.ipv4.ip_forward": "0"}),
    ),
    "modules at boot": ("kernel", without_file("/etc/modules-load.d/kubernetes.conf")),
    "sysctls at boot": ("kernel", without_file("/etc/sysctl.d/90-kubernetes.conf")),
    "a prerequisite": ("prerequisites", without_package("socat")),
    "the source": ("package-source", without_file("/etc/apt/sources.list.d/kubernetes.list")),
    "the key": ("package-source", without_file(KEYRING)),
    "a package": ("packages", without_package("kubelet")),
    "a version": ("packages", with_package("kubectl", version="1.35.3-1.1")),
    "a longer version": ("packages", with_package("kubeadm", version="1.35.40-1.1")),
    "a hold": ("packages", with_package("cri-tools", held=False)),
    "the runtime": ("runtime", lambda facts: replace(facts, container_runtime=None)),
    "its configuration": ("runtime", without_file(CONTAINERD_CONFIG)),
    "its sandbox image": ("runtime", lambda facts: replace(facts, sandbox_image=None)),
    "our sandbox image": (
        "runtime",
        lambda facts: replace(facts, sandbox_image="mirror.example/pause:3.10.1"),
    ),
    "crictl's configuration": ("runtime", without_file("/etc/crictl.yaml")),
    "its unit": ("runtime", lambda facts: replace(facts, units={})),
    "its start": ("runtime", with_unit(active="inactive")),
    "its start at boot": ("runtime", with_unit(enabled="disabled")),
    "the images": ("images", lambda facts: replace(facts, kubelet_server=None)),
    "the images of an unfinished join": (
        "images",
        lambda facts: replace(facts, unfinished="join"),
    ),
}


def test_a_node_lacks_nothing() -> None:
    assert steps(JOINED) == []


@pytest.mark.parametrize("what", LACKS)
def test_what_it_lacks_is_the_one_step(what: str) -> None:
    step, change = LACKS[what]
    assert steps(change(JOINED)) == [step]


def test_a_bare_host_lacks_everything_but_swap() -> None:
    assert steps(bare(HOST)) == [
        "kernel",
        "prerequisites",
        "package-source",
        "packages",
        "runtime",
        "images",
    ]


def test_the_steps_are_of_the_inventorys_versions() -> None:
    desired = replace(
        DESIRED,
        image_repository="mirror.example/k8s",
        package_repository="https://mirror.example/v{minor}/",
        runtime=Runtime(version="2.1.4"),
    )
    actions = [step.action for step in host_steps(HOST, desired=desired, facts=bare(HOST))]
    assert AddPackageSource(url="https://mirror.example/v1.35/", minor="1.35") in actions
    assert InstallPackages(version="1.35.4") in actions
    assert PullImages(version="1.35.4", image_repository="mirror.example/k8s") in actions
    assert (
        InstallRuntime(
            image_repository="mirror.example/k8s", version="1.35.4", runtime_version="2.1.4"
        )
        in actions
    )


@pytest.mark.parametrize(
    ("pods", "services", "forwarding"),
    [
        ("10.244.0.0/16", "10.96.0.0/12", False),
        ("fd00:1::/48", "fd00:2::/112", True),
        ("10.244.0.0/16", "fd00:2::/112", True),
    ],
)
def test_ipv6_is_forwarded_where_it_is_used(pods: str, services: str, *, forwarding: bool) -> None:
    networks = Networks(pods=ip_network(pods), services=ip_network(services))
    found = dict(kernel_sysctls(replace(DESIRED, networks=networks)))
    assert found.get("net.ipv6.conf.all.forwarding") == ("1" if forwarding else None)
    assert found["net.ipv4.ip_forward"] == "1"


@pytest.mark.parametrize(
    "changed",
    [{"mode": 0o600}, {"owner": "ops:ops"}, {"sha256": "0" * 64}],
    ids=["mode", "owner", "content"],
)
def test_a_file_is_content_mode_and_owner(changed: dict[str, object]) -> None:
    file = File(path="/etc/crictl.yaml", content=b"x\n")
    there = replace(READY, files=files(file))
    assert has_file(there, file)
    other = replace(there.files[file.path], **changed)  # type: ignore[arg-type]  # by name
    assert not has_file(replace(READY, files={file.path: other}), file)
    assert not has_file(replace(READY, files={}), file)


@pytest.mark.parametrize(
    ("containerd", "version"),
    [("1.7.24", "version = 2"), ("2.0.0", "version = 3"), ("10.1.0", "version = 3")],
)
def test_containerds_generations_have_their_own_words(containerd: str, version: str) -> None:
    file = runtime_file(containerd=containerd, sandbox_image="registry.k8s.io/pause:3.10.1")
    assert version in file.content.decode().splitlines()
    assert (file.path, crictl_file().path) == (CONTAINERD_CONFIG, "/etc/crictl.yaml")


def test_only_what_prepares_a_host_is_answered() -> None:
    with pytest.raises(TypeError, match="DeleteNode does not prepare a host; asked of cp1"):
        satisfied(DeleteNode(node="w1"), READY)
    assert satisfied(DisableSwap(), READY)
    assert not satisfied(InstallPrerequisites(packages=("nano",)), READY)
    assert not satisfied(ConfigureKernel(modules=("ip_vs",), sysctls=()), READY)
