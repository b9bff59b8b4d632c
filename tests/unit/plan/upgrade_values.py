"""Clusters on their way from one version to another, for planning upgrades."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from kubeops.model.desired import Cluster, Host
from kubeops.model.observed import (
    ApiFacts,
    ClusterFacts,
    EtcdFacts,
    FileFacts,
    HostFacts,
    NodeFacts,
    Package,
    StaticPod,
    Unreachable,
    WorkloadFacts,
)
from kubeops.model.upgrading import Drainability, Offer, UpgradeFacts
from kubeops.model.version import KubeVersion, Minor
from kubeops.plan.actions import AddPackageSource
from kubeops.plan.hosts import HELD_PACKAGES, source_file
from tests.unit.plan.values import GIB, NOON, api_of, bare, files, joined, member

PATCHES = ("1.33.9", "1.34.7", "1.35.4", "1.35.6", "1.36.0", "1.36.1", "1.37.0")
ETCD = {33: "3.5.26-0", 34: "3.6.5-0", 35: "3.6.6-0", 36: "3.6.8-0", 37: "3.6.11-0"}


@dataclass(frozen=True, kw_only=True)
class At:
    """Where a host is; None means: where its cluster is.

    `kubelet` is the version of the packages, `running` that of the process. `place` is `node`,
    `bare` (it has never joined), `half` (it was joining), `left` (its Node was deleted), `lost`
    (not reached, still a Node) or `gone` (neither).
    """

    control_plane: str | None = None
    kubeadm: str | None = None
    kubelet: str | None = None
    running: str | None = None
    source: str | None = None
    cordon: str = "none"
    unfinished: str | None = None
    held: bool = True
    ready: bool = True
    backups: tuple[str, ...] = ()
    place: str = "node"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What is observed of a cluster at `version`, but for the hosts in `hosts`.

    `configured` (kubeadm-config) and `kube_proxy` are at `version` unless said; `kube_proxy` may be
    `none`.
    """

    version: str
    hosts: Mapping[str, At] = field(default_factory=dict)
    configured: str | None = None
    kube_proxy: str | None = None


def seen(desired: Cluster, what: Seen) -> ClusterFacts:
    """The facts of a cluster that stands as `what` says."""
    places = {host.name: what.hosts.get(host.name, At()).place for host in desired.hosts}
    api = api_of(desired, [name for name, place in places.items() if place in {"node", "lost"}])
    nodes = tuple(_node(node, what.hosts.get(node.name, At()), what.version) for node in api.nodes)
    version = KubeVersion.parse(what.configured or what.version)
    etcd = EtcdFacts(
        asked="cp1",
        members=tuple(
            replace(member(host), db_size=100 * 2**20) for host in desired.control_planes
        ),
    )
    return ClusterFacts(
        at=NOON,
        hosts={
            host.name: _host(host, desired, what.hosts.get(host.name, At()), what.version)
            for host in desired.hosts
            if places[host.name] not in {"lost", "gone"}
        },
        unreachable={
            name: Unreachable(host=name, reason=f"{name}: no route to host")
            for name, place in places.items()
            if place in {"lost", "gone"}
        },
        api=replace(
            api,
            nodes=nodes,
            kubernetes=version,
            server=version,
            system=with_proxy(api, what.kube_proxy or what.version),
        ),
        etcd=etcd,
    )


def with_proxy(api: ApiFacts, version: str) -> tuple[WorkloadFacts, ...]:
    """The workloads of kube-system with kube-proxy at `version`; without it when that is none."""
    others = tuple(workload for workload in api.system if workload.name != "kube-proxy")
    if version == "none":
        return others
    count = len(api.nodes)
    proxy = WorkloadFacts(
        kind="DaemonSet",
        namespace="kube-system",
        name="kube-proxy",
        wanted=count,
        ready=count,
        images=(f"registry.k8s.io/kube-proxy:v{version}",),
    )
    return (*others, proxy)


def static_pods(version: str) -> Mapping[str, StaticPod]:
    """The manifests kubeadm of `version` writes."""
    etcd = ETCD[KubeVersion.parse(version).minor_number]
    return {
        "etcd": StaticPod(name="etcd", image=f"registry.k8s.io/etcd:{etcd}"),
        **{
            name: StaticPod(name=name, image=f"registry.k8s.io/{name}:v{version}")
            for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
        },
    }


def packages(*names: str, version: str, held: bool = True) -> dict[str, Package]:
    """Debian packages of Kubernetes, by name."""
    return {name: Package(name=name, version=f"{version}-1.1", held=held) for name in names}


def source_files(desired: Cluster, minor: str) -> dict[str, FileFacts]:
    """The apt source of one minor release, as a host holds it."""
    url = desired.package_repository.format(minor=minor)
    return dict(files(source_file(AddPackageSource(url=url, minor=minor))))


def _host(host: Host, desired: Cluster, at: At, version: str) -> HostFacts:
    if at.place == "bare":
        return bare(host)
    minor = str(KubeVersion.parse(at.source or version).minor)
    begun = joined(host, desired, None)
    kubelet = at.kubelet or version
    return replace(
        begun,
        disk_free={**begun.disk_free, "/var/cache/apt": GIB},
        files={**begun.files, **source_files(desired, minor)},
        packages={
            **{n: p for n, p in begun.packages.items() if n not in HELD_PACKAGES},
            **packages("cri-tools", "kubernetes-cni", version=version, held=at.held),
            **packages("kubeadm", version=at.kubeadm or version, held=at.held),
            **packages("kubelet", "kubectl", version=kubelet, held=at.held),
        },
        static_pods=static_pods(at.control_plane or version) if host.is_control_plane else {},
        unfinished="join" if at.place == "half" else None,
        unfinished_upgrade=at.unfinished,
        kubeadm_backups=at.backups,
    )


def _node(node: NodeFacts, at: At, version: str) -> NodeFacts:
    return replace(
        node,
        kubelet=KubeVersion.parse(at.running or at.kubelet or version),
        unschedulable=at.cordon != "none",
        cordoned_by_us=at.cordon == "ours",
        ready=at.ready,
        ready_message=node.ready_message if at.ready else "container runtime is down",
    )


def offers(desired: Cluster, patches: Iterable[str] = PATCHES) -> tuple[Offer, ...]:
    """Package sources that offer `patches` to every host."""
    versions = [KubeVersion.parse(text) for text in patches]
    return tuple(
        Offer(host=host.name, minor=minor, versions=tuple(v for v in versions if v.minor == minor))
        for host in desired.hosts
        for minor in sorted({*(v.minor for v in versions), *map(Minor.parse, ("1.33", "1.37"))})
    )


def more(desired: Cluster, patches: Iterable[str] = PATCHES) -> UpgradeFacts:
    """Offers for every host, nodes that can all be drained, and no deprecated API."""
    return UpgradeFacts(
        offers=offers(desired, patches),
        drainability=tuple(Drainability(node=host.name) for host in desired.hosts),
    )
