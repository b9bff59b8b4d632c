from dataclasses import replace
from typing import Any

import pytest

from kubeops.engine.context import DONE, NEEDED
from kubeops.errors import GateError, StepError
from kubeops.handlers.reset import (
    _DATA_ASIDE,
    _MANIFESTS_ASIDE,
    _NETWORK,
    _ROOM,
    _RUNNING,
    _STOP_ORPHANS,
    RESET_HOST,
)
from kubeops.model.observed import StaticPod
from kubeops.plan.actions import ResetHost
from tests.unit.handlers.values import Bench, script

ASIDE = "/var/lib/kubeops/aside/20261121T073000Z"
ROOM = "room /var/lib/etcd/member /var/lib/kubeops/aside"
BEGUN = [ROOM, f"manifests-aside {ASIDE}", "stop-orphans"]
ENDED = [f"data-aside {ASIDE}", "kubeadm reset --force", f"network {ASIDE}"]


def resettable(bench: Bench, *, running: str = "", status: int = 0) -> None:
    host = bench.runner("cp1")
    for constant in (_ROOM, _MANIFESTS_ASIDE, _STOP_ORPHANS, _DATA_ASIDE, _NETWORK):
        host.on(script(constant))
    if running or status:
        host.on(script(_RUNNING), stdout=running, status=status, times=2)
    host.on(script(_RUNNING))
    host.on(("kubeadm", "reset", "--force"))


def test_containers_end_before_data_moves_and_kubeadm_comes_last(bench: Bench) -> None:
    resettable(bench)
    RESET_HOST.apply(ResetHost(), bench.context("cp1"))
    assert bench.done("cp1") == [*BEGUN, "running", *ENDED]
    assert f"kubeadm reset; the data is kept in {ASIDE}" in bench.said


@pytest.mark.parametrize(
    ("running", "status", "said"),
    [("a1\nb2\n", 0, "2 containers still run"), ("", 1, "ended with status 1")],
    ids=["running", "unknown"],
)
def test_data_stays_while_containers_run_or_nobody_knows(
    bench: Bench, running: str, status: int, said: str
) -> None:
    resettable(bench, running=running, status=status)
    RESET_HOST.apply(ResetHost(), bench.context("cp1"))
    assert bench.done("cp1") == [*BEGUN, *["running"] * 3, *ENDED]
    assert any(said in line for line in bench.said)


def test_a_control_plane_that_does_not_stop_keeps_its_data(bench: Bench) -> None:
    host = bench.runner("cp1")
    for constant in (_ROOM, _MANIFESTS_ASIDE, _STOP_ORPHANS):
        host.on(script(constant))
    host.on(script(_RUNNING), stdout="a1\n")
    with pytest.raises(GateError, match="control plane's containers: not within 120 s"):
        RESET_HOST.apply(ResetHost(), bench.context("cp1"))
    assert set(bench.done("cp1")) == {*BEGUN, "running"}


def test_data_that_has_no_room_aside_stops_before_anything_is_touched(bench: Bench) -> None:
    bench.runner("cp1").on(script(_ROOM), stdout="3145728\n1048576\n")
    with pytest.raises(StepError, match=r"etcd's data \(3072 MiB\).* has 1024 MiB free") as raised:
        RESET_HOST.apply(ResetHost(), bench.context("cp1"))
    assert "free space" in raised.value.hint
    assert bench.done("cp1") == [ROOM]


def test_data_that_has_room_is_given_the_time_to_be_copied(bench: Bench) -> None:
    bench.runner("cp1").on(script(_ROOM), stdout="1048576\n1048576\n")
    resettable(bench)
    RESET_HOST.apply(ResetHost(), bench.context("cp1"))
    (copied,) = (c for c in bench.runner("cp1").commands if _DATA_ASIDE in c.argv)
    assert copied.timeout == 3600


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, DONE),
        ({"kubelet_server": "https://10.0.0.10:6443"}, NEEDED),
        ({"cluster_ca": "sha"}, NEEDED),
        ({"unfinished": "reset"}, NEEDED),
        ({"etcd_data": True}, NEEDED),
        ({"static_pods": {"etcd": StaticPod(name="etcd", image="etcd:3")}}, NEEDED),
    ],
)
def test_every_trace_of_a_cluster_is_a_reason(
    bench: Bench, changed: dict[str, Any], expected: object
) -> None:
    bench.hosts["cp1"] = [replace(bench.prepared("cp1"), **changed)]
    assert RESET_HOST.check(ResetHost(), bench.context("cp1")) == expected
