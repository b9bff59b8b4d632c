"""A step's surroundings for tests of handlers: scripted hosts, scripted facts, our own clock."""

import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from kubeops.engine.context import StepContext
from kubeops.engine.gates import Gate, wait_until
from kubeops.handlers import etcd, hosts, kubeadm, network, observe, packages, reset, runtime
from kubeops.handlers.observe import KubeadmState
from kubeops.model.desired import Cluster
from kubeops.model.observed import (
    ApiFacts,
    ClusterFacts,
    EtcdFacts,
    HostFacts,
    Package,
    Unreachable,
)
from kubeops.transport import files
from kubeops.transport.base import Command
from kubeops.transport.fake import FakeRunner, FakeTransport
from kubeops.transport.pool import Shared
from tests.unit.engine.support import FakeClock
from tests.unit.plan.values import cluster, prepared

T = TypeVar("T")

SCRIPTS = {
    etcd._ETCDCTL: "etcdctl",
    hosts._SWAP_OFF: "swap-off",
    observe._KUBEADM_STATE: "kubeadm-state",
    kubeadm._MARKED: "marked",
    kubeadm._PIPED: "piped",
    network._ROUTE: "route",
    packages._FETCH_KEY: "fetch-key",
    packages._HOLD: "hold",
    reset._MANIFESTS_ASIDE: "manifests-aside",
    reset._RUNNING: "running",
    reset._ROOM: "room",
    reset._STOP_ORPHANS: "stop-orphans",
    reset._DATA_ASIDE: "data-aside",
    reset._NETWORK: "network",
    runtime._KUBEADM_OF: "kubeadm-of",
    runtime._PULL: "pull",
    runtime._START: "start",
}


@dataclass
class Bench:
    """Everything a handler may touch.

    `hosts` and `clusters` hold what is seen of a host, and from a control plane, one look after the
    other; the last one stays.
    """

    desired: Cluster = field(default_factory=cluster)
    clock: FakeClock = field(default_factory=FakeClock)
    said: list[str] = field(default_factory=list)
    remembered: dict[str, object] = field(default_factory=dict)
    hosts: dict[str, list[HostFacts | Unreachable]] = field(default_factory=dict)
    clusters: dict[str, list[ClusterFacts]] = field(default_factory=dict)
    transport: FakeTransport = field(init=False)

    def __post_init__(self) -> None:
        self.transport = FakeTransport([host.name for host in self.desired.hosts])

    def runner(self, host: str) -> FakeRunner:
        return self.transport.runner(host)

    def context(self, host: str) -> StepContext:
        return StepContext(
            desired=self.desired,
            host=host,
            transport=self.transport,
            progress=self.said.append,
            remember=self.remembered.__setitem__,
            recall=self.remembered.get,
            clock=self.clock,
            shared=Shared(),
        )

    def prepared(self, host: str) -> HostFacts:
        """The facts of a host on which kubeadm may start."""
        return prepared(self.desired.host(host), self.desired)

    def done(self, host: str) -> list[str]:
        """What was done on the host, one line per command."""
        return [spoken(command) for command in self.runner(host).commands]

    def await_gate(self, gate: Gate | None, *, timeout: float = 3.0) -> None:
        """Wait for a handler's gate, not for as long as it would."""
        assert gate is not None
        short = Gate(
            name=gate.name,
            look=gate.look,
            timeout=timeout,
            successes=gate.successes,
            interval=gate.interval,
        )
        wait_until(short, clock=self.clock, progress=self.said.append)

    def see_host(self, name: str) -> HostFacts | Unreachable:
        return _next(self.hosts[name])

    def see_cluster(self, name: str) -> ClusterFacts:
        return _next(self.clusters[name])

    def see_packages(self, names: Iterable[str], context: StepContext) -> dict[str, Package]:
        found = self.hosts[context.host][0]
        assert isinstance(found, HostFacts)
        return {name: found.packages[name] for name in names if name in found.packages}

    def see_containerd(self, context: StepContext) -> str | None:
        found = self.see_host(context.host)
        assert isinstance(found, HostFacts)
        return found.container_runtime

    def see_kubeadm(self, context: StepContext) -> KubeadmState:
        found = self.see_host(context.host)
        assert isinstance(found, HostFacts)
        return KubeadmState(
            pid=4711 if found.kubeadm_running else None,
            joined=found.kubelet_server is not None,
            unfinished=found.unfinished,
        )

    def see_objects(self, name: str) -> tuple[ApiFacts | str, EtcdFacts | str]:
        seen = self.see_cluster(name)
        return seen.api or seen.api_error, seen.etcd or seen.etcd_error


def _next(looks: list[T]) -> T:
    return looks.pop(0) if len(looks) > 1 else looks[0]


def spoken(command: Command) -> str:
    """The command on one line; constant scripts by the names they have here."""
    argv = command.argv
    if argv[:2] == ("sh", "-c"):
        return shlex.join((argv[3], *files.paths(argv)))
    if argv[:2] == ("sh", "-euc"):
        return shlex.join((SCRIPTS[argv[2]], *argv[4:]))
    return shlex.join(argv)


def script(text: str) -> Callable[[Command], bool]:
    """Fits a command that runs the constant script `text`."""

    def fits(command: Command) -> bool:
        return command.argv[:3] == ("sh", "-euc", text)

    fits.__doc__ = f"the script {SCRIPTS[text]}"
    return fits


def put(*paths: str) -> str:
    """What `spoken` says of files that are written."""
    return " ".join((files.PUT, *paths))


def check(path: str) -> str:
    """What `spoken` says of a file that is compared."""
    return f"{files.CHECK} {path}"
