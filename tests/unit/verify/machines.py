"""Hosts that answer the suite: as healthy ones did (cases/), or with one thing broken.

cases/ROLE.json holds what a node of a lab answered to every command of the suite after an install,
with other addresses. Certificates in it end in November 2027.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from kubeops.model.desired import Cluster, Host, Networks, Role, Runtime, Taint
from kubeops.model.version import KubeVersion
from kubeops.transport.fake import FakeRunner, FakeTransport
from kubeops.verify.api import NODES

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
CASES = Path(__file__).parent / "cases"
CLOCK = "date +%s.%N"
LABELS = {"disk": "ssd"}
TAINT = Taint(key="gpu", value="true", effect="NoSchedule")
CONTAINERD = "dpkg-query -f '${Status} ${Version}' -W containerd"
INSTALLED = "dpkg-query -f '${Status}' -W containerd"

Answer = tuple[int, str]
"""Exit status and what is printed; on stderr when the status is not 0."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A host of role `role`, healthy but for what is given.

    Attributes:
        answers: other answers, by the beginning of the command.
        error: raised instead of any answer.
        labels: other labels of its node.
        taints: other taints of its node.
        ready: whether its node is.
        kubelet: the version its node reports.
        known: whether the cluster has a node of its name.
    """

    name: str
    role: Role
    answers: Mapping[str, Answer] = field(default_factory=dict)
    error: Exception | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: LABELS)
    taints: Sequence[Taint] = (TAINT,)
    ready: bool = True
    kubelet: str = "v1.35.4+rehearsal"
    known: bool = True

    @property
    def host(self) -> Host:
        """What the inventory says of it."""
        return Host(
            name=self.name,
            address="10.0.0.11" if self.role is Role.CONTROL_PLANE else "10.0.0.12",
            role=self.role,
            labels=LABELS,
            taints=(TAINT,),
        )

    @property
    def node(self) -> dict[str, Any]:
        """Its node in the API."""
        ready = {"type": "Ready", "status": str(self.ready), "message": "kubelet is posting"}
        own = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
        taints = [{"key": one.key, "value": one.value, "effect": one.effect} for one in self.taints]
        return {
            "metadata": {"name": self.name, "labels": dict(self.labels)},
            "spec": {"taints": [*taints, own]},
            "status": {"conditions": [ready], "nodeInfo": {"kubeletVersion": self.kubelet}},
        }

    def script(self, runner: FakeRunner, *, nodes: str) -> None:
        """Tell `runner` everything this machine answers."""
        if self.error is not None:
            runner.on((), error=self.error)
            return
        healthy: dict[str, Answer] = {
            script: (answer["status"], answer["stdout"])
            for script, answer in json.loads(
                (CASES / f"{self.role}.json").read_text(encoding="utf-8")
            ).items()
        }
        healthy[CLOCK] = (0, f"{NOW.timestamp():.9f}\n")
        healthy[NODES] = (0, nodes)
        healthy[INSTALLED] = (0, "install ok installed")
        healthy[CONTAINERD] = (0, "install ok installed 2.1.9-1")
        for beginning in self.answers:
            assert any(script.startswith(beginning) for script in healthy), beginning
        for script, answer in healthy.items():
            changed = [self.answers[one] for one in self.answers if script.startswith(one)]
            status, text = changed[0] if changed else answer
            out, err = ("", text) if status else (text, "")
            runner.on(("sh", "-c", script), status=status, stdout=out, stderr=err)


def cluster(machines: Sequence[Machine]) -> Cluster:
    """The inventory of `machines`."""
    return Cluster(
        name="prod",
        kubernetes=KubeVersion.parse("1.35.4"),
        endpoint="10.0.0.10:6443",
        networks=Networks(pods=ip_network("10.244.0.0/16"), services=ip_network("10.96.0.0/16")),
        hosts=tuple(machine.host for machine in machines),
        runtime=Runtime(version="2.1.9"),
        package_repository="http://10.0.0.10/core:/stable:/v{minor}/deb/",
    )


def transport(machines: Sequence[Machine]) -> FakeTransport:
    """The machines, each answering for itself; control planes tell of all nodes."""
    fake = FakeTransport(machine.name for machine in machines)
    nodes = json.dumps({"items": [machine.node for machine in machines if machine.known]})
    for machine in machines:
        machine.script(fake.runner(machine.name), nodes=nodes)
    return fake
