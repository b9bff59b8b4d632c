"""Hosts and clusters as they are observed at different moments of their life, for planning."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_network

from kubeops.model.desired import Cluster, Host, Networks, Role
from kubeops.model.file import File
from kubeops.model.observed import (
    ApiFacts,
    ClusterFacts,
    EtcdFacts,
    EtcdMember,
    FileFacts,
    HostFacts,
    NodeFacts,
    Package,
    Unit,
    WorkloadFacts,
)
from kubeops.model.version import KubeVersion
from kubeops.plan.actions import AddPackageSource, ConfigureKernel
from kubeops.plan.hosts import (
    HELD_PACKAGES,
    KEYRING,
    MODULES,
    PREREQUISITES,
    SYSCTLS,
    crictl_file,
    kernel_files,
    runtime_file,
    source_file,
)
from kubeops.plan.network import bridge_files, pod_routes

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
VERSION = KubeVersion.parse("1.35.4")
CONTAINERD = "2.1.9"
SANDBOX = "registry.k8s.io/pause:3.10.1"
GIB = 2**30


def cluster(control_planes: int = 3, workers: int = 2, **changed: object) -> Cluster:
    """An inventory of that shape with the bridge network; `changed` replaces attributes."""
    hosts = (
        *(host(f"cp{n}", n, Role.CONTROL_PLANE) for n in range(1, control_planes + 1)),
        *(host(f"w{n}", 20 + n, Role.WORKER) for n in range(1, workers + 1)),
    )
    made = Cluster(
        name="prod",
        kubernetes=VERSION,
        endpoint="10.0.0.10:6443",
        networks=Networks(pods=ip_network("10.244.0.0/16"), services=ip_network("10.96.0.0/12")),
        hosts=hosts,
    )
    bridge = replace(made, cni=replace(made.cni, name="bridge"))
    return replace(bridge, **changed)  # type: ignore[arg-type]  # attributes by name


def host(name: str, number: int, role: Role) -> Host:
    return Host(name=name, address=f"10.0.0.{10 + number}", role=role)


def files(*wanted: File) -> Mapping[str, FileFacts]:
    return {
        file.path: FileFacts(path=file.path, mode=file.mode, owner=file.owner, sha256=file.sha256)
        for file in wanted
    }


def bare(wanted: Host) -> HostFacts:
    """A host fresh from the installer, good enough for any role."""
    return HostFacts(
        host=wanted.name,
        hostname=wanted.name,
        os_id="debian",
        os_version="13",
        os_pretty="Debian GNU/Linux 13 (trixie)",
        kernel="6.12.0",
        architecture="x86_64",
        machine_id=f"id-of-{wanted.name}",
        boot_id=f"boot-of-{wanted.name}",
        cpus=4,
        memory=8 * GIB,
        swap=0,
        disk_free={
            "/": 50 * GIB,
            "/var/lib/etcd": 50 * GIB,
            "/var/lib/containerd": 50 * GIB,
            "/var/lib/kubelet": 50 * GIB,
            "/etc/kubernetes": 50 * GIB,
        },
        addresses=(wanted.address,),
        cgroup="cgroup2fs",
        clock=NOON,
        clock_skew=0.0,
        sysctls={"net.ipv4.ip_forward": "0"},
        modules=frozenset(),
        loadable=frozenset(MODULES),
        packages={},
        units={},
        listeners=(),
        files={},
        programs=frozenset({"curl"}),
        repository_status="200",
        repository_seconds=0.1,
    )


def prepared(wanted: Host, desired: Cluster) -> HostFacts:
    """A host that kubeadm can work on."""
    minor = desired.kubernetes.minor
    url = desired.package_repository.format(minor=minor)
    version = f"{desired.kubernetes}-1.1"
    return replace(
        bare(wanted),
        sysctls=dict(SYSCTLS),
        modules=frozenset(MODULES),
        packages={
            **{name: Package(name=name, version="1") for name in PREREQUISITES},
            **{name: Package(name=name, version=version, held=True) for name in HELD_PACKAGES},
        },
        units={
            "containerd.service": Unit(
                name="containerd.service", enabled="enabled", active="active"
            )
        },
        files={
            **files(
                *kernel_files(ConfigureKernel(modules=MODULES, sysctls=SYSCTLS)),
                source_file(AddPackageSource(url=url, minor=str(minor))),
                runtime_file(containerd=CONTAINERD, sandbox_image=SANDBOX),
                crictl_file(),
            ),
            KEYRING: FileFacts(path=KEYRING, mode=0o644, owner="root:root", sha256="key"),
        },
        container_runtime=CONTAINERD,
        sandbox_image=SANDBOX,
    )


def joined(wanted: Host, desired: Cluster, api: ApiFacts | None) -> HostFacts:
    """A host that is a node of the cluster."""
    ready = prepared(wanted, desired)
    extra: Mapping[str, FileFacts] = {}
    if api is not None:
        subnet, routes = pod_routes(wanted.name, api.nodes)
        extra = files(*bridge_files(subnet=subnet, routes=routes))
    return replace(
        ready,
        files={**ready.files, **extra},
        kubelet_server=f"https://{desired.endpoint}",
        cluster_ca="sha-of-ca",
        etcd_data=wanted.is_control_plane,
    )


def node(wanted: Host, number: int) -> NodeFacts:
    return NodeFacts(
        name=wanted.name,
        ready=True,
        ready_message="kubelet is posting ready status",
        kubelet=VERSION,
        container_runtime=f"containerd://{CONTAINERD}",
        addresses=(wanted.address,),
        unschedulable=False,
        control_plane=wanted.is_control_plane,
        labels=dict(wanted.labels),
        taints=tuple(str(taint) for taint in wanted.taints or ()),
        pod_cidr=f"10.244.{number}.0/24",
    )


def api_of(desired: Cluster, members: Iterable[str]) -> ApiFacts:
    names = list(members)
    return ApiFacts(
        asked=names[0],
        server=VERSION,
        uid="uid-of-kube-system",
        nodes=tuple(node(desired.host(name), number) for number, name in enumerate(names)),
        system=(
            WorkloadFacts(
                kind="Deployment",
                namespace="kube-system",
                name="coredns",
                wanted=2,
                ready=2,
                images=("registry.k8s.io/coredns/coredns:v1.13.1",),
            ),
        ),
        endpoint=desired.endpoint,
        kubernetes=desired.kubernetes,
    )


def member(wanted: Host) -> EtcdMember:
    return EtcdMember(
        id=f"id-{wanted.name}",
        name=wanted.name,
        peer_urls=(f"https://{wanted.address}:2380",),
        client_urls=(f"https://{wanted.address}:2379",),
        learner=False,
        healthy=True,
    )


def observed(
    desired: Cluster,
    *,
    members: Iterable[str] = (),
    ready: Iterable[str] = (),
    changed: Mapping[str, HostFacts] | None = None,
) -> ClusterFacts:
    """What is seen when `members` have joined, `ready` hosts are prepared, and the rest is bare."""
    names = list(members)
    api = api_of(desired, names) if names else None
    hosts = {}
    for wanted in desired.hosts:
        if wanted.name in names:
            hosts[wanted.name] = joined(wanted, desired, api)
        elif wanted.name in ready:
            hosts[wanted.name] = prepared(wanted, desired)
        else:
            hosts[wanted.name] = bare(wanted)
    etcd = (
        EtcdFacts(
            asked=names[0],
            members=tuple(
                member(wanted) for wanted in desired.control_planes if wanted.name in names
            ),
        )
        if names
        else None
    )
    return ClusterFacts(at=NOON, hosts={**hosts, **(changed or {})}, api=api, etcd=etcd)
