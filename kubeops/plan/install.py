"""Plans an install: from bare hosts, a half-done install or a grown inventory to the whole cluster.

The order, one wave after the other:

1. hosts: every host is prepared, all at once (plan/hosts.py).
2. init: `kubeadm init` on the first control plane, when no control plane has a cluster yet.
3. control-planes: the others join one at a time, each gated on etcd membership (kubeadm#2005).
4. workers: join all at once.
5. network: the network plugin.
6. nodes: labels and taints of the inventory. A list of taints, be it empty, also says that a
   control plane is not to have kubeadm's own, unless it is one of them.
7. cluster: nothing is changed; nodes Ready, CoreDNS available, etcd members == control planes.

A host that already is what its steps would make of it gets none, so a finished cluster's plan is
empty and an interrupted one's is the rest.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kubeops.model.desired import Cluster, Host, Taint
from kubeops.model.observed import ClusterFacts, NodeFacts
from kubeops.plan.actions import (
    AwaitCluster,
    DescribeNode,
    InitCluster,
    JoinControlPlane,
    JoinWorker,
)
from kubeops.plan.convergence import not_yet
from kubeops.plan.hosts import host_steps
from kubeops.plan.model import Finding, Lane, Plan, Step, Wave
from kubeops.plan.network import ManifestSource, network_lanes

HOSTS_AT_ONCE = 32
WORKERS_AT_ONCE = 16
CONTROL_PLANE_TAINT = Taint(
    key="node-role.kubernetes.io/control-plane", value="", effect="NoSchedule"
)
"""What kubeadm gives a control plane that it is told no taints of."""


@dataclass(frozen=True, kw_only=True)
class Membership:
    """Who belongs to the cluster already, and through whom new hosts join."""

    members: frozenset[str]
    via: str
    exists: bool

    @classmethod
    def of(cls, desired: Cluster, facts: ClusterFacts) -> "Membership":
        """Read the membership from what the hosts and the API say."""
        members = frozenset(name for name in facts.hosts if is_member(name, desired, facts))
        control_planes = [host.name for host in desired.control_planes]
        standing = [name for name in control_planes if name in members]
        return cls(
            members=members,
            via=standing[0] if standing else control_planes[0],
            exists=bool(standing),
        )


def is_member(name: str, desired: Cluster, facts: ClusterFacts) -> bool:
    """Whether host `name` has joined, wholly, as far as the host and the API can tell.

    While the API is silent a host counts when its kubelet points to an address of this cluster.
    """
    host = facts.hosts.get(name)
    if host is None or host.kubelet_server is None or host.unfinished is not None:
        return False
    if facts.api is None:
        return host.kubelet_server in _servers(desired)
    return any(node.name == name for node in facts.api.nodes)


def _servers(desired: Cluster) -> frozenset[str]:
    """Where kubeadm points kubelets: the endpoint, or a control plane's own API server."""
    own = (
        f"[{host.address}]" if ":" in host.address else host.address
        for host in desired.control_planes
    )
    return frozenset(
        (f"https://{desired.endpoint}", *(f"https://{address}:6443" for address in own))
    )


def plan_install(
    desired: Cluster,
    facts: ClusterFacts,
    *,
    findings: tuple[Finding, ...] = (),
    accepted: tuple[str, ...] = (),
    limit: Sequence[str] = (),
    manifests: Sequence[ManifestSource] = (),
) -> Plan:
    """Return the plan that makes the cluster what `desired` says.

    Args:
        desired: the inventory.
        facts: what was observed of hosts, API and etcd.
        findings: what the preflight checks found (plan/preflight.py).
        accepted: names of checks the operator accepts.
        limit: only these hosts are prepared and joined; empty means all.
        manifests: the manifests of network plugin and addons, in the order they are applied.
    """
    hosts = [host for host in desired.hosts if host.name in facts.hosts and _within(host, limit)]
    membership = Membership.of(desired, facts)
    joining = [host for host in hosts if host.name not in membership.members]
    candidates = (
        hosts_wave(joining, desired, facts),
        _init_wave(joining, desired, membership),
        _control_planes_wave(joining, desired, membership),
        workers_wave(joining, desired, membership),
        Wave(
            name="network",
            title=f"network: {desired.cni.name}",
            lanes=network_lanes(
                desired,
                facts,
                hosts=[host for host in desired.hosts if _will_be_member(host, hosts, membership)],
                via=membership.via,
                manifests=manifests,
            ),
            at_once=HOSTS_AT_ONCE,
        ),
        nodes_wave(hosts, facts, joining, membership),
    )
    waves = tuple(wave for wave in candidates if wave.lanes)
    last = _await(desired, hosts, membership)
    missing = not_yet(
        facts.api or facts.api_error,
        facts.etcd or facts.etcd_error,
        nodes=last.nodes,
        control_planes=last.control_planes,
        left_out=[desired.host(name) for name in last.left_out],
    )
    if waves or missing:
        waves = (*waves, _cluster_wave(last, membership))
    return Plan(
        kind="install",
        cluster=desired.name,
        summary=_summary(desired),
        waves=waves,
        findings=findings,
        accepted=accepted,
        done=tuple(f"{host.name}: {host.role}, joined" for host in hosts if host not in joining),
        rehearsal=facts.rehearsal,
    )


def _within(host: Host, limit: Sequence[str]) -> bool:
    return not limit or host.name in limit


def _will_be_member(host: Host, hosts: Sequence[Host], membership: Membership) -> bool:
    return host in hosts or host.name in membership.members


def _summary(desired: Cluster) -> str:
    control_planes, workers = len(desired.control_planes), len(desired.workers)
    return (
        f"{desired.kubernetes.tag}, "
        f"{control_planes} control plane{'s' if control_planes != 1 else ''}, "
        f"{workers} worker{'s' if workers != 1 else ''}"
    )


def hosts_wave(hosts: Iterable[Host], desired: Cluster, facts: ClusterFacts) -> Wave:
    """Return the wave that prepares `hosts` for the release that `desired` names."""
    lanes = [
        Lane(
            name=host.name,
            steps=host_steps(host, desired=desired, facts=facts.hosts[host.name]),
        )
        for host in hosts
    ]
    return Wave(
        name="hosts",
        title="prepare the hosts",
        lanes=tuple(lane for lane in lanes if lane.steps),
        at_once=HOSTS_AT_ONCE,
    )


def _init_wave(joining: Sequence[Host], desired: Cluster, membership: Membership) -> Wave:
    first = next((host for host in joining if host.name == membership.via), None)
    if membership.exists or first is None:
        return Wave(name="init", title="create the cluster", lanes=())
    step = Step(
        id=f"/control-planes/{first.name}/init",
        host=first.name,
        title=f"kubeadm init {desired.kubernetes.tag}",
        gate="API and etcd ready",
        action=init_cluster(desired, first),
    )
    return Wave(
        name="init",
        title="create the cluster",
        lanes=(Lane(name=first.name, steps=(step,)),),
    )


def init_cluster(desired: Cluster, host: Host) -> InitCluster:
    """The action that creates the cluster `desired` on `host`."""
    return InitCluster(
        version=str(desired.kubernetes),
        endpoint=desired.endpoint,
        address=host.address,
        pods=str(desired.networks.pods),
        services=str(desired.networks.services),
        dns_domain=desired.networks.dns_domain,
        image_repository=desired.image_repository,
        certificate_names=_certificate_names(desired),
        taints=_taints(host),
    )


def _certificate_names(desired: Cluster) -> tuple[str, ...]:
    endpoint = desired.endpoint.rsplit(":", 1)[0].strip("[]")
    return tuple(dict.fromkeys((endpoint, *(host.address for host in desired.control_planes))))


def _taints(host: Host) -> tuple[str, ...] | None:
    return None if host.taints is None else tuple(str(taint) for taint in host.taints)


def _control_planes_wave(joining: Sequence[Host], desired: Cluster, membership: Membership) -> Wave:
    lanes = tuple(
        Lane(
            name=host.name,
            steps=(
                Step(
                    id=f"/control-planes/{host.name}/join",
                    host=host.name,
                    title="kubeadm join as control plane",
                    gate="etcd member votes",
                    action=JoinControlPlane(
                        address=host.address,
                        endpoint=desired.endpoint,
                        via=membership.via,
                        taints=_taints(host),
                    ),
                ),
            ),
        )
        for host in joining
        if host.is_control_plane and host.name != membership.via
    )
    return Wave(name="control-planes", title="join the control planes", lanes=lanes)


def workers_wave(
    joining: Sequence[Host], desired: Cluster, membership: Membership, *, version: str = ""
) -> Wave:
    """Return the wave that joins the workers of `joining`; `version` as in `JoinWorker`."""
    lanes = tuple(
        Lane(
            name=host.name,
            steps=(
                Step(
                    id=f"/workers/{host.name}/join",
                    host=host.name,
                    title="kubeadm join as worker",
                    gate="node registered",
                    action=JoinWorker(
                        address=host.address,
                        endpoint=desired.endpoint,
                        via=membership.via,
                        version=version,
                        taints=_taints(host),
                    ),
                ),
            ),
        )
        for host in joining
        if not host.is_control_plane
    )
    return Wave(name="workers", title="join the workers", lanes=lanes, at_once=WORKERS_AT_ONCE)


def nodes_wave(
    hosts: Sequence[Host],
    facts: ClusterFacts,
    joining: Sequence[Host],
    membership: Membership,
) -> Wave:
    """Return the wave that gives the nodes of `hosts` their labels and taints."""
    found = {node.name: node for node in facts.api.nodes} if facts.api else {}
    lanes = tuple(
        Lane(
            name=host.name,
            steps=(
                Step(
                    id=f"/nodes/{host.name}/describe",
                    host=membership.via,
                    title="set labels and taints",
                    action=action,
                ),
            ),
        )
        for host in hosts
        for action in (_description(host),)
        if action.labels or action.taints or action.untaint
        if host in joining or not is_described(action, found.get(host.name))
    )
    return Wave(name="nodes", title="labels and taints", lanes=lanes, at_once=WORKERS_AT_ONCE)


def _description(host: Host) -> DescribeNode:
    own = CONTROL_PLANE_TAINT
    listed = {(taint.key, taint.effect) for taint in host.taints or ()}
    unlisted = host.taints is not None and (own.key, own.effect) not in listed
    return DescribeNode(
        node=host.name,
        labels=tuple(sorted(host.labels.items())),
        taints=_taints(host) or (),
        untaint=(str(own),) if host.is_control_plane and unlisted else (),
    )


def is_described(action: DescribeNode, node: NodeFacts | None) -> bool:
    """Whether the node is there and `action` would change nothing of it."""
    return (
        node is not None
        and all(node.labels.get(key) == value for key, value in action.labels)
        and set(action.taints) <= set(node.taints)
        and set(action.untaint).isdisjoint(node.taints)
    )


def _await(desired: Cluster, hosts: Sequence[Host], membership: Membership) -> AwaitCluster:
    """What is waited for in the end: nothing of control planes that the run does not concern.

    One that is not reached, or that --limit leaves out half-joined, may have a member all the same.
    """
    members = [host for host in desired.hosts if _will_be_member(host, hosts, membership)]
    return AwaitCluster(
        nodes=tuple(host.name for host in members),
        control_planes=tuple(host.name for host in members if host.is_control_plane),
        left_out=tuple(host.name for host in desired.control_planes if host not in members),
    )


def _cluster_wave(action: AwaitCluster, membership: Membership) -> Wave:
    step = Step(
        id="/cluster/await",
        host=membership.via,
        title="wait for the whole cluster",
        gate="nodes Ready, etcd whole",
        action=action,
    )
    return Wave(
        name="cluster",
        title="the whole cluster",
        lanes=(Lane(name="cluster", steps=(step,)),),
    )
