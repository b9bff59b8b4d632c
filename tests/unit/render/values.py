"""Values to be shown: a plan of an install, a run of it, a cluster with something wrong."""

import io
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

from rich.console import RenderableType

from kubeops.model.desired import Cluster, Host, Networks, Role
from kubeops.model.event import Event, Kind
from kubeops.model.observed import (
    ApiFacts,
    Certificate,
    ClusterFacts,
    EtcdFacts,
    EtcdMember,
    HostFacts,
    NodeFacts,
    Unreachable,
    WorkloadFacts,
)
from kubeops.model.run import Failure, Outcome, RunState
from kubeops.model.version import KubeVersion
from kubeops.plan.actions import (
    Action,
    AwaitCluster,
    DisableSwap,
    InitCluster,
    InstallPackages,
    JoinControlPlane,
    JoinWorker,
)
from kubeops.plan.model import Finding, Lane, Plan, Severity, Step, Wave
from kubeops.render.screen import console

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
VERSION = KubeVersion.parse("1.35.4")


class Terminal(io.StringIO):
    """A stream that says it is a terminal, in whatever encoding."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]  # StringIO's is None and cannot be set
        return self._encoding

    def isatty(self) -> bool:
        return True


def text_of(shown: RenderableType, *, width: int) -> str:
    """Print `shown` as on a pipe of that width."""
    stream = io.StringIO()
    console(stream, width=width).print(shown, crop=False)
    return stream.getvalue()


def step(path: str, host: str, title: str, action: Action, gate: str = "") -> Step:
    return Step(id=path, host=host, title=title, action=action, gate=gate)


def host_lane(host: str) -> Lane:
    return Lane(
        name=host,
        steps=(
            step(f"/hosts/{host}/swap", host, "turn swap off", DisableSwap()),
            step(
                f"/hosts/{host}/packages",
                host,
                "install kubeadm, kubelet, kubectl 1.35.4 and hold them",
                InstallPackages(version="1.35.4"),
            ),
        ),
    )


def control_plane_lane(host: str) -> Lane:
    action = JoinControlPlane(address="10.0.0.12", endpoint="10.0.0.10:6443", via="cp1")
    gate = "API ready, etcd has its member, healthy x3"
    join = step(f"/control-planes/{host}/join", host, "join as control plane", action, gate)
    return Lane(name=host, steps=(join,))


def worker_lane(host: str) -> Lane:
    action = JoinWorker(address="10.0.0.21", endpoint="10.0.0.10:6443", via="cp1")
    join = step(f"/workers/{host}/join", host, f"join {host} as worker", action, "node registered")
    return Lane(name=host, steps=(join,))


def install(*, workers: int = 5, rehearsal: bool = False) -> Plan:
    names = [f"w{number}" for number in range(1, workers + 1)]
    init = InitCluster(
        version="1.35.4",
        endpoint="10.0.0.10:6443",
        address="10.0.0.11",
        pods="10.244.0.0/16",
        services="10.96.0.0/12",
        dns_domain="cluster.local",
        image_repository="registry.k8s.io",
        certificate_names=("10.0.0.10", "10.0.0.11"),
    )
    wait = AwaitCluster(nodes=("cp1", *names), control_planes=("cp1",))
    first = step("/init", "cp1", "kubeadm init v1.35.4", init, "API ready x3")
    last = step("/cluster/await", "cp1", "wait for the whole cluster", wait, "all nodes Ready")
    return Plan(
        kind="install",
        cluster="prod",
        summary="v1.35.4, 3 control planes, 5 workers",
        waves=(
            Wave(
                name="hosts",
                title="prepare the hosts",
                lanes=tuple(host_lane(name) for name in ("cp1", "cp2", *names)),
                at_once=32,
            ),
            Wave(
                name="init", title="create the cluster", lanes=(Lane(name="cp1", steps=(first,)),)
            ),
            Wave(
                name="control-planes",
                title="join the control planes",
                lanes=(control_plane_lane("cp2"), control_plane_lane("cp3")),
            ),
            Wave(
                name="workers",
                title="join the workers",
                lanes=tuple(worker_lane(name) for name in names),
                at_once=2,
            ),
            Wave(name="cluster", title="converge", lanes=(Lane(name="cluster", steps=(last,)),)),
        ),
        findings=(
            Finding(
                check="clock-skew",
                severity=Severity.WARNING,
                host="cp2",
                text="its clock is 0.8 s from ours",
                cure="",
            ),
        ),
        done=("cp3: prepared",),
        rehearsal=rehearsal,
    )


REFUSED = (
    Finding(
        check="disk-space",
        severity=Severity.BLOCKING,
        host="cp1",
        text="/var/lib/etcd has 1.2 GiB free and needs 8 GiB",
        cure="make room: df -h /var/lib/etcd",
    ),
    Finding(
        check="memory",
        severity=Severity.ACCEPTABLE,
        host="w1",
        text="0.9 GiB of memory, kubeadm asks for 1.7 GiB",
        cure="give it more memory",
    ),
)


def events() -> tuple[Event, ...]:
    """A run that fails when cp2 joins; w1's packages were there already."""

    def at(offset: float, kind: Kind, path: str = "", text: str = "", **data: object) -> Event:
        parts = path.split("/")
        host = parts[2] if len(parts) > 3 else ("cp1" if path else "")
        when = NOON + timedelta(seconds=offset)
        return Event(at=when, kind=kind, step=path, host=host, text=text, data=data)

    return (
        at(0, Kind.RUN_STARTED, text="install prod: v1.35.4"),
        at(0, Kind.WAVE_STARTED, text="prepare the hosts"),
        at(0, Kind.STEP_STARTED, "/hosts/cp1/swap", "turn swap off"),
        at(0, Kind.STEP_STARTED, "/hosts/w1/swap", "turn swap off"),
        at(0.5, Kind.COMMAND, "/hosts/cp1/swap", "swapoff --all", status=0, seconds=0.4),
        at(1, Kind.STEP_DONE, "/hosts/cp1/swap", "turn swap off", seconds=1.0),
        at(1.5, Kind.STEP_DONE, "/hosts/w1/swap", "turn swap off", seconds=1.5),
        at(1.6, Kind.STEP_SKIPPED, "/hosts/w1/packages", "install kubeadm", seconds=0.1),
        at(2, Kind.STEP_STARTED, "/hosts/cp1/packages", "install kubeadm"),
        at(20, Kind.STEP_DONE, "/hosts/cp1/packages", "install kubeadm", seconds=18.0),
        at(20, Kind.WAVE_ENDED, text="prepare the hosts"),
        at(21, Kind.STEP_STARTED, "/init", "kubeadm init v1.35.4"),
        at(70, Kind.STEP_DONE, "/init", "kubeadm init v1.35.4", seconds=49.0),
        at(71, Kind.STEP_STARTED, "/control-planes/cp2/join", "join as control plane"),
        at(80, Kind.STEP_WAITING, "/control-planes/cp2/join", "waiting for etcd: 1 of 2 members"),
        at(95, Kind.STEP_FAILED, "/control-planes/cp2/join", "cp2: `kubeadm join`\nended badly"),
        at(95, Kind.NOTE, text="no further lane starts"),
    )


FAILURE = Failure(
    step="/control-planes/cp2/join",
    host="cp2",
    title="join as control plane",
    message="cp2: `kubeadm join --config /run/kubeops/join.yaml` ended with status 1",
    code="KO-51",
    exit_status=5,
    hint="look at the kubelet: journalctl -u kubelet",
    command="kubeadm join --config /run/kubeops/join.yaml",
    status=1,
    output=("[preflight] Running pre-flight checks", "error execution phase control-plane-join"),
)


def failed() -> Outcome:
    return Outcome(
        status=RunState.FAILED,
        seconds=95.2,
        run_id="20261121T120000-install-3f2a",
        log=Path("/state/prod/20261121T120000-install-3f2a.log"),
        steps_done=4,
        steps_skipped=1,
        failures=(FAILURE,),
        unfinished=("/hosts/cp2/packages on cp2",),
    )


def cluster() -> Cluster:
    def host(name: str, last: int, role: Role) -> Host:
        return Host(name=name, address=f"10.0.0.{last}", role=role)

    return Cluster(
        name="prod",
        kubernetes=VERSION,
        endpoint="10.0.0.10:6443",
        networks=Networks(pods=ip_network("10.244.0.0/16"), services=ip_network("10.96.0.0/12")),
        hosts=(
            host("cp1", 11, Role.CONTROL_PLANE),
            host("cp2", 12, Role.CONTROL_PLANE),
            host("w1", 21, Role.WORKER),
            host("w2", 22, Role.WORKER),
        ),
        source=Path("inventories/prod.yaml"),
        warnings=("inventories/prod.yaml:9: hosts: 2 control planes survive no failure",),
    )


def host_facts(name: str, *, skew: float = 0.0, days: int = 300) -> HostFacts:
    return HostFacts(
        host=name,
        hostname=name,
        os_id="debian",
        os_version="12",
        os_pretty="Debian GNU/Linux 12 (bookworm)",
        kernel="6.1.0",
        architecture="amd64",
        machine_id=f"machine-{name}",
        boot_id=f"boot-{name}",
        cpus=2,
        memory=4 << 30,
        swap=0,
        disk_free={"/": 20 << 30},
        addresses=("10.0.0.11",),
        cgroup="cgroup2fs",
        clock=NOON,
        clock_skew=skew,
        sysctls={},
        modules=frozenset({"overlay", "br_netfilter"}),
        packages={},
        units={},
        listeners=(),
        files={},
        programs=frozenset({"kubeadm"}),
        container_runtime="2.1.4",
        kubelet=VERSION,
        certificates=(Certificate(name="apiserver", expires=NOON + timedelta(days=days)),),
    )


def node(
    name: str, *, version: str = "1.35.4", ready: bool = True, cordoned: bool = False
) -> NodeFacts:
    return NodeFacts(
        name=name,
        ready=ready,
        ready_message="" if ready else "Kubelet stopped posting node status.",
        kubelet=KubeVersion.parse(version),
        container_runtime="containerd://2.1.4",
        addresses=("10.0.0.11",),
        unschedulable=cordoned,
        control_plane=name.startswith("cp"),
        labels={},
        taints=(),
    )


def facts() -> ClusterFacts:
    """A cluster with a node behind, one cordoned, one unknown, one unreachable, one to expire."""
    urls = ("https://10.0.0.11:2380",)
    return ClusterFacts(
        at=NOON,
        hosts={
            "cp1": host_facts("cp1", days=12),
            "cp2": host_facts("cp2", days=-1),
            "w1": host_facts("w1", skew=-3.2),
        },
        unreachable={
            "w2": Unreachable(host="w2", reason="no route to host", hint="is it switched on?")
        },
        api=ApiFacts(
            asked="cp1",
            server=VERSION,
            uid="0b5c0d0e-3c1f-4c0a-9f51-6f0a4b8c2d11",
            nodes=(
                node("cp1"),
                node("cp2", version="1.35.3", cordoned=True),
                node("w1", ready=False),
                node("stray"),
            ),
            system=(
                WorkloadFacts(
                    kind="Deployment",
                    namespace="kube-system",
                    name="coredns",
                    wanted=2,
                    ready=1,
                    images=("coredns:v1.13.1",),
                ),
            ),
            endpoint="10.0.0.10:6443",
            kubernetes=VERSION,
        ),
        etcd=EtcdFacts(
            asked="cp1",
            members=(
                EtcdMember(
                    id="8e9e05c52164694d",
                    name="cp1",
                    peer_urls=urls,
                    client_urls=urls,
                    learner=False,
                    healthy=True,
                    version="3.6.5",
                    db_size=20 << 20,
                    leader=True,
                    revision=4211,
                ),
                EtcdMember(
                    id="91bc3c398fb3c146",
                    name="cp2",
                    peer_urls=urls,
                    client_urls=urls,
                    learner=True,
                    healthy=False,
                ),
            ),
            alarms=("NOSPACE on cp2",),
        ),
    )


def silent() -> ClusterFacts:
    """Hosts without a cluster."""
    return ClusterFacts(
        at=NOON,
        hosts={"cp1": host_facts("cp1")},
        api_error="cp1: connection to 10.0.0.10:6443 refused",
        etcd_error="cp1: no etcd here",
    )
