"""A cluster at work that is upgraded, as the tests of upgrades share it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kubeops.inventory import load
from kubeops.lab.model import Lab
from kubeops.transport.base import Result
from tests.lab.clients import Client, Span
from tests.lab.verbs import Operator, Running, becomes_true, calls, is_whole

MakeLab = Callable[..., Lab]
Ssh = Callable[..., Result]

KUBECTL = "sudo kubectl --kubeconfig /etc/kubernetes/admin.conf"


@dataclass(frozen=True, kw_only=True)
class Busy:
    """A cluster with Deployments: `replicas` says how many pods each of them has."""

    lab: Lab
    operator: Operator
    ssh: Ssh
    replicas: Mapping[str, int] = field(default_factory=lambda: {"web": 4})

    def kubectl(self, command: str) -> str:
        return self.ssh(self.lab, "cp1", f"{KUBECTL} {command}").must().stdout

    def deploy(self) -> None:
        for app, replicas in self.replicas.items():
            self.kubectl(f"create deployment {app} --image=nginx --replicas={replicas}")
        self.workload_is_whole()

    def budget(self, app: str, limit: str) -> None:
        """Give an app a budget in place of the one it has; `limit` such as `min-available=3`."""
        self.kubectl(f"delete pdb {app} --ignore-not-found")
        self.kubectl(f"create pdb {app} --selector=app={app} --{limit}")

    def node_is(self, name: str, ready: str) -> None:
        path = '{.status.conditions[?(@.type=="Ready")].status}'
        wanted = f"get node {name} -o 'jsonpath={path}'"
        becomes_true(f"{name} to be {ready}", lambda: self.kubectl(wanted) == ready)

    def workload_is_whole(self) -> None:
        for app, replicas in self.replicas.items():
            wanted = f"get deployment {app} -o 'jsonpath={{.status.availableReplicas}}'"
            becomes_true(
                f"{replicas} pods of {app}",
                lambda wanted=wanted, replicas=replicas: self.kubectl(wanted) == str(replicas),  # type: ignore[misc]
            )

    def client(self) -> Client:
        """Somebody who uses the cluster meanwhile, with a `with`."""
        kubeconfig = self.ssh(self.lab, "cp1", "sudo cat /etc/kubernetes/admin.conf").must().stdout
        return Client(kubeconfig, self.operator.directory)

    def kubeadm_windows(self) -> list[Span]:
        """When kubeadm upgraded control planes, as their own records tell."""
        return [
            (call["start"], call["end"])
            for node in self.lab.control_planes
            for call in calls(self.ssh, self.lab, node.name)
            if call["command"] == "kubeadm"
            and call["argv"][:2] in (["upgrade", "apply"], ["upgrade", "node"])
        ]

    @contextmanager
    def upgrading(self, to: str, *arguments: str) -> Iterator[Running]:
        with self.operator.under_way("upgrade", "--to", to, "--yes", *arguments) as running:
            yield running

    def is_at(self, version: str, *, cordoned: tuple[str, ...] = ()) -> None:
        """Assert that the whole cluster is at `version`, and nothing of the upgrade is left."""
        status = self.operator.json("status")
        is_whole(status, self.lab)
        nodes = status["api"]["nodes"]
        assert {_version(node["kubelet"]) for node in nodes} == {version}
        assert tuple(node["name"] for node in nodes if node["unschedulable"]) == cordoned
        assert [node["name"] for node in nodes if node["cordoned_by_us"]] == []
        proxy = next(one for one in status["api"]["system"] if one["name"] == "kube-proxy")
        assert proxy["images"] == [f"registry.k8s.io/kube-proxy:v{version}"]
        for name, host in status["hosts"].items():
            assert host["unfinished_upgrade"] is None, name
            kinds = [backup.rstrip("-0123456789") for backup in host["kubeadm_backups"]]
            assert len(kinds) == len(set(kinds)), name
            for package in ("kubeadm", "kubelet", "kubectl"):
                assert host["packages"][package]["version"].startswith(f"{version}-"), name
        assert str(load(self.operator.inventory).kubernetes) == version

    def has_nothing_to_do(self, version: str) -> None:
        ended = self.operator.on_cluster("upgrade", "--to", version, "--yes").must()
        assert "nothing to do" in ended.text


def make_busy(
    operator: Operator, ssh: Ssh, *, policy: Mapping[str, Any], replicas: Mapping[str, int]
) -> Busy:
    """Install the lab's cluster with this policy of upgrades, and give it work."""
    operator.describe(cluster={"upgrade": policy})
    operator.install().must()
    cluster = Busy(lab=operator.lab, operator=operator, ssh=ssh, replicas=replicas)
    cluster.deploy()
    return cluster


def _version(document: Any) -> str:
    if isinstance(document, str):
        return document.removeprefix("v").partition("+")[0]
    return f"{document['major']}.{document['minor_number']}.{document['patch']}"
