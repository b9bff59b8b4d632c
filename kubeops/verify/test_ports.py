"""What has to listen listens, and control plane ports are open on control planes only."""

import pytest
from testinfra.host import Host as Remote

from kubeops.verify.expect import expect, expect_none
from kubeops.verify.suite import control_planes, says, workers

CONTROL_PLANE = {
    6443: "kube-apiserver",
    2379: "etcd",
    2380: "etcd",
    10257: "kube-controller-manager",
    10259: "kube-scheduler",
}


def listening(host: Remote) -> set[int]:
    """The TCP ports anything listens on."""
    rows = host.check_output("ss -Hltn").splitlines()
    return {int(row.split()[3].rpartition(":")[2]) for row in rows}


@says("kubelet listens on port 10250")
def test_kubelet(host: Remote) -> None:
    expect(
        "listening" if 10250 in listening(host) else "nothing listens",
        "listening",
        cure="journalctl -u kubelet -n 50",
    )


@says("the control plane listens on port {port}", of=control_planes)
@pytest.mark.parametrize("port", CONTROL_PLANE)
def test_control_plane(host: Remote, port: int) -> None:
    expect(
        "listening" if port in listening(host) else "nothing listens",
        "listening",
        cure=f"crictl ps -a --name {CONTROL_PLANE[port]}; crictl logs CONTAINER",
    )


@says("no control plane port is open", of=workers)
def test_worker(host: Remote) -> None:
    open_ports = sorted(listening(host) & set(CONTROL_PLANE))
    expect_none(
        (f"{port} ({CONTROL_PLANE[port]})" for port in open_ports),
        expected="none",
        cure="; ".join(f"ss -ltnp sport = :{port}" for port in open_ports),
    )
