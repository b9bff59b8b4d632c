from dataclasses import replace

import pytest

from kubeops.errors import StepError
from kubeops.handlers.runtime import (
    _KUBEADM_OF,
    _PULL,
    _START,
    INSTALL_RUNTIME,
    PULL_IMAGES,
    containerd_version,
    images,
)
from kubeops.model.observed import Package
from kubeops.plan.actions import InstallRuntime, PullImages
from kubeops.plan.hosts import runtime_file
from kubeops.transport import files
from kubeops.transport.fake import checking, reading, writing
from tests.unit.handlers.values import Bench, check, put, script, spoken

CONFIG, CRICTL = "/etc/containerd/config.toml", "/etc/crictl.yaml"
LISTED = """registry.k8s.io/kube-apiserver:v1.35.4
registry.k8s.io/kube-controller-manager:v1.35.4
registry.k8s.io/kube-scheduler:v1.35.4
registry.k8s.io/kube-proxy:v1.35.4
registry.k8s.io/coredns/coredns:v1.13.1
registry.k8s.io/pause:3.10.1
registry.k8s.io/etcd:3.6.6-0
"""
LIST = (
    "kubeadm-of 1.35.4 config images list --kubernetes-version=v1.35.4 "
    "--image-repository=registry.k8s.io"
)
RUNTIME = InstallRuntime(image_repository="registry.k8s.io", version="1.35.4")
PULL = PullImages(version="1.35.4", image_repository="registry.k8s.io")
APT = (
    "env DEBIAN_FRONTEND=noninteractive apt-get --yes --quiet -o DPkg::Lock::Timeout=300 "
    "-o Dpkg::Options::=--force-confold"
)


def host_with(bench: Bench, *, same: bool) -> None:
    host = bench.runner("w1")
    host.on(script(_KUBEADM_OF), stdout=LISTED)
    host.on(checking(CONFIG), stdout="same" if same else "differs")
    host.on(writing(CRICTL, CONFIG), stdout="changed\nsame" if same else "changed\nchanged")
    host.on(("systemctl", "stop"))
    host.on(script(_START))
    host.on(("env",))


def written(bench: Bench) -> str:
    (one,) = (c for c in bench.runner("w1").commands if spoken(c) == put(CRICTL, CONFIG))
    return (one.stdin or b"").decode()


def test_containerd_is_stopped_while_its_configuration_changes(bench: Bench) -> None:
    """Killed between the file and a restart, an old configuration would run on, looking new."""
    bench.hosts["w1"] = [bench.prepared("w1")]
    host_with(bench, same=False)

    INSTALL_RUNTIME.apply(RUNTIME, bench.context("w1"))

    assert bench.done("w1") == [
        LIST,
        check(CONFIG),
        "systemctl stop containerd.service",
        put(CRICTL, CONFIG),
        "start containerd.service",
    ]


def test_a_containerd_that_is_configured_is_not_stopped(bench: Bench) -> None:
    bench.hosts["w1"] = [bench.prepared("w1")]
    host_with(bench, same=True)
    INSTALL_RUNTIME.apply(RUNTIME, bench.context("w1"))
    assert "systemctl stop containerd.service" not in bench.done("w1")
    assert bench.done("w1")[-1] == "start containerd.service"


@pytest.mark.parametrize(
    ("pinned", "package"), [("", "containerd"), ("2.1.4", "'containerd=2.1.4*'")]
)
def test_a_missing_containerd_is_installed(bench: Bench, pinned: str, package: str) -> None:
    there = bench.prepared("w1")
    containerd = Package(name="containerd", version="1:1.7.24~ds1-1")
    packages = {**there.packages, "containerd": containerd}
    bench.hosts["w1"] = [
        replace(there, container_runtime=None),
        replace(there, packages=packages),
    ]
    host_with(bench, same=False)

    INSTALL_RUNTIME.apply(replace(RUNTIME, runtime_version=pinned), bench.context("w1"))

    assert bench.done("w1")[:3] == [
        f"{APT} update",
        "env DEBIAN_FRONTEND=noninteractive dpkg --force-confold --configure -a",
        f"{APT} install --no-install-recommends {package}",
    ]
    assert check(CONFIG) not in bench.done("w1")
    assert "version = 2" in written(bench).splitlines()  # dpkg's word: the program is not asked


@pytest.mark.parametrize(
    ("containerd", "version", "sandbox"),
    [
        ("1.6.20", "version = 2", "sandbox_image = 'registry.k8s.io/pause:3.10.1'"),
        ("1.7.24", "version = 2", "sandbox_image = 'registry.k8s.io/pause:3.10.1'"),
        ("2.1.9", "version = 3", "sandbox = 'registry.k8s.io/pause:3.10.1'"),
    ],
)
def test_the_configuration_is_in_containerds_own_words(
    bench: Bench, containerd: str, version: str, sandbox: str
) -> None:
    bench.hosts["w1"] = [replace(bench.prepared("w1"), container_runtime=containerd)]
    host_with(bench, same=False)
    INSTALL_RUNTIME.apply(RUNTIME, bench.context("w1"))
    text = written(bench)
    assert version in text.splitlines()
    assert sandbox in text
    assert "SystemdCgroup = true" in text


def test_an_apt_that_installs_no_containerd_is_an_error_of_the_host(bench: Bench) -> None:
    bench.hosts["w1"] = [replace(bench.prepared("w1"), container_runtime=None)]
    bench.runner("w1").on(("env",))
    with pytest.raises(StepError, match="has not installed containerd"):
        INSTALL_RUNTIME.apply(RUNTIME, bench.context("w1"))


def test_a_kubeadm_that_lists_no_sandbox_image_is_an_error_of_the_host(bench: Bench) -> None:
    bench.hosts["w1"] = [bench.prepared("w1")]
    bench.runner("w1").on(script(_KUBEADM_OF), stdout="registry.k8s.io/etcd:3.6.6-0\n")
    with pytest.raises(StepError, match=r"no sandbox \(pause\) image for v1.35.4"):
        INSTALL_RUNTIME.apply(RUNTIME, bench.context("w1"))


def test_images_are_those_kubeadm_lists(bench: Bench) -> None:
    bench.runner("w1").on(script(_KUBEADM_OF), stdout=f"a warning\n{LISTED}")
    listed = images(version="1.35.4", repository="registry.k8s.io", context=bench.context("w1"))
    assert listed == tuple(LISTED.split())


def test_a_worker_pulls_what_runs_on_workers(bench: Bench) -> None:
    """The sandbox image is the one containerd uses: kubeadm was asked when that was written."""
    host = bench.runner("w1")
    configuration = runtime_file(containerd="2.1.9", sandbox_image="registry.k8s.io/pause:3.10.1")
    host.on(reading(CONFIG), stdout=configuration.content.decode())
    host.on(script(_PULL))
    PULL_IMAGES.apply(PULL, bench.context("w1"))
    assert bench.done("w1") == [
        f"{files.READ} {CONFIG}",
        "pull registry.k8s.io/kube-proxy:v1.35.4 registry.k8s.io/pause:3.10.1",
    ]


@pytest.mark.parametrize("configuration", ["version = 3\n", "version = \n", None])
def test_kubeadm_is_asked_where_the_configuration_does_not_tell(
    bench: Bench, configuration: str | None
) -> None:
    host = bench.runner("w1")
    host.on(reading(CONFIG), stdout=configuration or "", status=44 if configuration is None else 0)
    host.on(script(_KUBEADM_OF), stdout=LISTED)
    host.on(script(_PULL))
    PULL_IMAGES.apply(PULL, bench.context("w1"))
    assert bench.done("w1")[1:] == [
        LIST,
        "pull registry.k8s.io/kube-proxy:v1.35.4 registry.k8s.io/pause:3.10.1",
    ]


def test_a_control_plane_pulls_everything(bench: Bench) -> None:
    bench.runner("cp1").on(script(_KUBEADM_OF))
    PULL_IMAGES.apply(PULL, bench.context("cp1"))
    assert bench.done("cp1") == [LIST.replace(" list ", " pull ")]


def test_containerd_tells_its_version_or_is_not_there(bench: Bench) -> None:
    told = "containerd github.com/containerd/containerd/v2 v2.1.9 abcdef\n"
    bench.runner("w1").on(("containerd", "--version"), stdout=told)
    bench.runner("w2").on(("containerd", "--version"), status=127)
    assert containerd_version(bench.context("w1")) == "2.1.9"
    assert containerd_version(bench.context("w2")) is None
