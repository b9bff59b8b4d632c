"""What a whole cluster is: asked by the planner before a run and by the last gate after it."""

from collections.abc import Sequence
from dataclasses import replace

from kubeops.model.desired import Host
from kubeops.model.observed import ApiObjects, ClusterFacts, EtcdFacts

_SYSTEM = frozenset({"coredns", "kube-proxy"})


def not_yet(
    api: ApiObjects | str,
    etcd: EtcdFacts | str,
    *,
    nodes: tuple[str, ...],
    control_planes: tuple[str, ...],
    left_out: Sequence[Host] = (),
) -> tuple[str, ...]:
    """Return what is missing from a whole cluster, one line each; empty when it is whole.

    Args:
        api: what was observed just now; a text says why the API did not answer.
        etcd: the same of etcd.
        nodes: the nodes that must be Ready.
        control_planes: the nodes that must have a healthy, voting etcd member, and nobody else.
        left_out: control planes that may have a member or none.
    """
    if isinstance(api, str):
        return (f"the API does not answer: {api or 'no control plane was asked'}",)
    if isinstance(etcd, str):
        return (f"etcd does not answer: {etcd or 'no control plane was asked'}",)
    return (
        *_nodes(api, nodes),
        *_system(api),
        *members_not_yet(without_members(etcd, left_out), control_planes),
    )


def restored_not_yet(facts: ClusterFacts, *, uid: str, nodes: tuple[str, ...]) -> tuple[str, ...]:
    """Return what is missing from a cluster that was restored, one line each.

    Unlike `not_yet` it takes the cluster as the snapshot has it: nodes that joined later are not
    registered in it, and there may be no CoreDNS.

    Args:
        facts: what was observed just now.
        uid: what the kube-system namespace must have; empty when it is not known.
        nodes: of these, those that are registered must be Ready.
    """
    if facts.api is None:
        return (f"the API does not answer: {facts.api_error or 'no control plane was asked'}",)
    if uid and facts.api.uid != uid:
        return (f"this is cluster {facts.api.uid}, not {uid}",)
    registered = {node.name for node in facts.api.nodes}
    # Pods on a node that nobody answers for stay unready, and are replaced after minutes only.
    system = _unready(facts.api) if registered <= set(nodes) else ()
    return (
        *_nodes(facts.api, tuple(name for name in nodes if name in registered)),
        *system,
    )


def members_not_yet(etcd: EtcdFacts, control_planes: tuple[str, ...]) -> tuple[str, ...]:
    """Return how etcd's members differ from healthy, voting ones of exactly `control_planes`."""
    found = {member.name for member in etcd.members}
    return (
        *(f"etcd has no member {name}" for name in control_planes if name not in found),
        *(
            f"etcd member {member.name or member.id} belongs to no control plane"
            for member in etcd.members
            if member.name not in control_planes
        ),
        *(f"etcd member {member.name} is a learner" for member in etcd.members if member.learner),
        *(
            f"etcd member {member.name} is not healthy"
            for member in etcd.members
            if not member.healthy
        ),
        *(f"etcd alarm {alarm}" for alarm in etcd.alarms),
    )


def without_members(etcd: EtcdFacts, hosts: Sequence[Host]) -> EtcdFacts:
    """Return what etcd said, the members of `hosts` left out."""
    return replace(
        etcd,
        members=tuple(
            member for member in etcd.members if not any(member.is_of(host) for host in hosts)
        ),
    )


def _nodes(api: ApiObjects, wanted: tuple[str, ...]) -> tuple[str, ...]:
    found = {node.name: node for node in api.nodes}
    missing = tuple(f"node {name} is not registered" for name in wanted if name not in found)
    unready = tuple(
        f"node {name} is not Ready: {found[name].ready_message}"
        for name in wanted
        if name in found and not found[name].ready
    )
    return missing + unready


def _system(api: ApiObjects) -> tuple[str, ...]:
    coredns = next((workload for workload in api.system if workload.name == "coredns"), None)
    if coredns is None:
        return ("CoreDNS is not deployed",)
    return _unready(api)


def _unready(api: ApiObjects) -> tuple[str, ...]:
    return tuple(
        f"{workload.name} has {workload.ready} of {workload.wanted} pods ready"
        for workload in api.system
        if workload.name in _SYSTEM and workload.ready < workload.wanted
    )
