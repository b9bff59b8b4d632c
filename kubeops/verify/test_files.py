"""What must not be read or changed by others is root's alone."""

from dataclasses import dataclass

from testinfra.host import Host as Remote

from kubeops.model.desired import Host, Role
from kubeops.verify.expect import expect_none, expect_that
from kubeops.verify.suite import control_planes, says

KUBECONFIGS = {
    Role.CONTROL_PLANE: ("admin", "controller-manager", "kubelet", "scheduler"),
    Role.WORKER: ("kubelet",),
}


@dataclass(frozen=True)
class Found:
    """A file of the host."""

    mode: int
    owner: str
    path: str


def found(host: Remote, *patterns: str) -> list[Found]:
    """The files that match, links followed."""
    listed = host.run(f"stat -L -c '%a %U:%G %n' {' '.join(patterns)}").stdout
    rows = [line.split(" ", 2) for line in listed.splitlines()]
    return [Found(int(mode, 8), owner, path) for mode, owner, path in rows]


def expect_modes(files: list[Found], *, mode: int) -> None:
    """Pass when there are files, all of them root's and of no wider mode than `mode`."""
    wrong = [file for file in files if file.mode & ~mode or file.owner != "root:root"]
    expect_that(
        files, expected=f"mode {mode:04o}, root:root", found="no such file", cure="invoke status"
    )
    expect_none(
        (f"{file.path} {file.mode:04o} {file.owner}" for file in wrong),
        expected=f"mode {mode:04o}, root:root",
        cure="; ".join(
            f"chown root:root {file.path} && chmod {mode:04o} {file.path}" for file in wrong
        ),
    )


@says("kubeconfigs are for root alone")
def test_kubeconfigs(host: Remote) -> None:
    expect_modes(found(host, "/etc/kubernetes/*.conf"), mode=0o600)


@says("the kubeconfigs of its role are there")
def test_kubeconfigs_are_there(host: Remote, wanted: Host) -> None:
    there = {file.path for file in found(host, "/etc/kubernetes/*.conf")}
    paths = [f"/etc/kubernetes/{name}.conf" for name in KUBECONFIGS[wanted.role]]
    expect_none(
        (f"{path} is missing" for path in paths if path not in there),
        expected=", ".join(paths),
        cure="if it has not joined: install",
    )


@says("kubelet's key is for root alone")
def test_kubelet_key(host: Remote) -> None:
    expect_modes(found(host, "/var/lib/kubelet/pki/kubelet-client-current.pem"), mode=0o600)


@says("kubelet's configuration can be written by root alone")
def test_kubelet_configuration(host: Remote) -> None:
    expect_modes(found(host, "/var/lib/kubelet/config.yaml"), mode=0o644)


@says("the cluster's private keys are for root alone", of=control_planes)
def test_keys(host: Remote) -> None:
    keys = found(host, "/etc/kubernetes/pki/*.key", "/etc/kubernetes/pki/etcd/*.key")
    expect_modes(keys, mode=0o600)


@says("static pods' manifests are for root alone", of=control_planes)
def test_manifests(host: Remote) -> None:
    expect_modes(found(host, "/etc/kubernetes/manifests/*.yaml"), mode=0o600)


@says("etcd's data are for root alone", of=control_planes)
def test_etcd_data(host: Remote) -> None:
    expect_modes(found(host, "/var/lib/etcd"), mode=0o700)


@says("no install was left unfinished")
def test_unfinished(host: Remote) -> None:
    marker = "/var/lib/kubeops/unfinished"
    expect_none(
        [marker] if host.file(marker).exists else [],
        expected=f"no {marker}",
        cure="install goes on with it",
    )
