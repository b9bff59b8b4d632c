"""Who must reach whom, and what is made of the knocks."""

import shutil
from pathlib import Path

import pytest

from kubeops.errors import TransportError
from kubeops.facts.reach import gather_reach, needed_ports
from kubeops.model.desired import Host, Role
from kubeops.model.observed import Reach
from kubeops.transport.base import Command
from kubeops.transport.fake import FakeTransport
from kubeops.transport.local import LocalRunner
from tests.unit.facts.test_gather import cluster

PLANE = Host(name="cp", address="10.0.0.1", role=Role.CONTROL_PLANE)
WORKER = Host(name="w", address="10.0.0.2", role=Role.WORKER)


def test_needed_ports() -> None:
    assert set(needed_ports(PLANE, PLANE)) == {6443, 2379, 2380, 10250}
    assert needed_ports(PLANE, WORKER) == (10250,)
    assert needed_ports(WORKER, PLANE) == (6443,)
    assert needed_ports(WORKER, WORKER) == ()


def test_every_host_knocks_at_the_others() -> None:
    transport = FakeTransport(["cp1", "w1", "w2"])
    transport.runners["cp1"].on(
        ("sh", "-c"), stdout="10.0.0.2 10250 reached\n10.0.0.3 10250 blocked\n"
    )
    transport.runners["w1"].on(("sh", "-c"), stdout="10.0.0.1 6443 reached\n")
    transport.runners["w2"].on(("sh", "-c"), error=TransportError("w2: connection lost", host="w2"))

    reach = gather_reach(cluster(1, 2), transport, hosts=["cp1", "w1", "w2"])

    assert reach == (
        Reach(source="cp1", target="w1", port=10250, reached=True),
        Reach(source="cp1", target="w2", port=10250, reached=False),
        Reach(source="w1", target="cp1", port=6443, reached=True),
        Reach(source="w2", untested="w2: connection lost"),
    )
    asked = {name: runner.commands[0].argv[4:] for name, runner in transport.runners.items()}
    assert asked["cp1"] == ("10.0.0.2 10250", "10.0.0.3 10250")
    assert asked["w1"] == ("10.0.0.1 6443",)
    assert not any(runner.commands[0].root for runner in transport.runners.values())


@pytest.mark.parametrize("missing", ["bash", "timeout"])
def test_without_its_programs_a_host_says_nothing_of_others(missing: str, tmp_path: Path) -> None:
    transport = FakeTransport(["cp1", "w1"])
    for runner in transport.runners.values():
        runner.on(("sh", "-c"))
    gather_reach(cluster(1, 1), transport, hosts=["cp1", "w1"])
    for program in {"sh", "bash", "timeout"} - {missing}:
        (tmp_path / program).symlink_to(shutil.which(program) or program)
    argv = ("env", f"PATH={tmp_path}", *transport.runners["w1"].commands[0].argv)
    ended = LocalRunner().run(Command(argv=argv))
    assert (ended.status, ended.stdout) == (127, "")
