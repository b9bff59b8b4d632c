"""One upgrade over two minor releases, killed at ten of its steps and resumed to its end."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pytest

from tests.lab.clients import outside
from tests.lab.upgrades import Busy, MakeLab, Ssh, make_busy
from tests.lab.verbs import Operator, Running, becomes_true

pytestmark = [pytest.mark.lab, pytest.mark.timeout(3600)]

REPLACING = "sudo ls /etc/kubernetes/tmp | grep -q kubeadm-backup-manifests"


@dataclass(frozen=True)
class Point:
    """Where a run is killed: its journal says `text` of `step`, which was started at least."""

    step: str
    text: str = ""

    def wait(self, running: Running) -> None:
        running.reaches(self.step, "step-waiting" if self.text else "step-started", self.text)


POINTS = (
    Point("/snapshot", "saving a snapshot"),
    Point("/1.36/prefetch/w1/packages", "downloading"),
    Point("/1.36/control-planes/cp1/kubeadm", "apt-get install"),
    Point("/1.36/control-planes/cp1/apply", "kubeadm upgrade apply"),
    Point("/1.36/workers/w1/drain", "waiting for w1 to be drained"),
    Point("/1.36/finish"),
    Point("/1.37/control-planes/cp2/node", "kubeadm upgrade node"),
    Point("/1.37/control-planes/cp2/kubelet", "restarting the kubelet"),
    Point("/1.37/workers/w1/kubelet", "apt-get install"),
    Point("/1.37/workers/w2/uncordon"),
    Point("/1.37/finish"),
)
HALF_WAY = POINTS[3]
RESUMED = POINTS[4]


@pytest.fixture(scope="module")
def busy(lab_factory: MakeLab, tmp_path_factory: pytest.TempPathFactory, ssh: Ssh) -> Busy:
    cluster = make_busy(
        Operator(lab=lab_factory(3, 2), directory=tmp_path_factory.mktemp("operator")),
        ssh,
        policy={"drain": {"timeout": "120s", "grace": "5s"}},
        replicas={"web": 4},
    )
    cluster.budget("web", "min-available=3")
    return cluster


def test_an_upgrade_killed_ten_times_is_resumed_to_its_end(busy: Busy, ssh: Ssh) -> None:
    operator = busy.operator

    def typed_again() -> AbstractContextManager[Running]:
        return busy.upgrading("1.37")

    def resumed() -> AbstractContextManager[Running]:
        return operator.under_way("runs.resume", "--yes", inventory=False)

    with busy.client() as client:
        for point in POINTS:
            go_on: Callable[[], AbstractContextManager[Running]] = (
                resumed if point is RESUMED else typed_again
            )
            with go_on() as running:
                point.wait(running)
                if point is HALF_WAY:
                    becomes_true("kubeadm to be at it", lambda: ssh(busy.lab, "cp1", REPLACING).ok)
                running.killed()
        operator.on_cluster("upgrade", "--to", "1.37", "--yes").must()
    assert outside(client.gaps(), busy.kubeadm_windows()) == []
    assert client.least("web") >= 3
    assert client.away_together(node.name for node in busy.lab.nodes) == 1
    upgrades = [run for run in operator.runs() if run["kind"] == "upgrade"]
    assert [run["state"] for run in upgrades] == ["done", *["killed"] * len(POINTS)]
    assert any("snapshot" in run["remembered"] for run in upgrades)
    busy.is_at("1.37.1")
    busy.has_nothing_to_do("1.37")
