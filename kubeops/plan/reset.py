"""Plans a reset: some hosts leave the cluster, or the cluster is taken down.

A host that leaves is drained, its etcd member is removed through a healthy peer while it still can
be (never below quorum), its Node is deleted, then the host itself is reset. Where the whole cluster
goes there is nobody to take leave of: workers first, then the control planes.
"""

from collections.abc import Sequence

from kubeops.model.desired import Cluster, Host
from kubeops.model.observed import ClusterFacts, HostFacts
from kubeops.plan.actions import Action, DeleteNode, DrainNode, RemoveEtcdMember, ResetHost
from kubeops.plan.findings import acceptable, blocking
from kubeops.plan.install import Membership
from kubeops.plan.model import Finding, Lane, Plan, Severity, Step, Wave

HOSTS_AT_ONCE = 32


def plan_reset(desired: Cluster, facts: ClusterFacts, *, hosts: Sequence[str] = ()) -> Plan:
    """Return the plan that takes `hosts` out of the cluster, or all of it when none is named."""
    leaving = [host for host in desired.hosts if not hosts or host.name in hosts]
    present = [host for host in leaving if _is_present(host, facts)]
    whole = len(leaving) == len(desired.hosts)
    via = _through(leaving, desired, facts)
    waves = _whole(present) if whole else _some(present, desired, via)
    return Plan(
        kind="reset",
        cluster=desired.name,
        summary="the whole cluster" if whole else ", ".join(host.name for host in leaving),
        waves=tuple(wave for wave in waves if wave.lanes),
        findings=_whole_findings(leaving, facts)
        if whole
        else _some_findings(leaving, facts, desired, via=via),
        done=tuple(
            f"{host.name}: belongs to no cluster"
            for host in leaving
            if host.name in facts.hosts and host not in present
        ),
        rehearsal=facts.rehearsal,
    )


def has_traces(facts: HostFacts) -> bool:
    """Whether the host belongs, or half belongs, to a cluster."""
    return bool(
        facts.kubelet_server
        or facts.cluster_ca
        or facts.unfinished
        or facts.etcd_data
        or facts.static_pods
    )


def _is_present(host: Host, facts: ClusterFacts) -> bool:
    found = facts.hosts.get(host.name)
    return found is not None and has_traces(found)


def _whole(hosts: Sequence[Host]) -> tuple[Wave, ...]:
    workers = [host for host in hosts if not host.is_control_plane]
    control_planes = [host for host in hosts if host.is_control_plane]
    return (
        Wave(
            name="workers",
            title="reset the workers",
            lanes=tuple(Lane(name=host.name, steps=(reset_step(host),)) for host in workers),
            at_once=HOSTS_AT_ONCE,
            failure_budget=HOSTS_AT_ONCE,
        ),
        Wave(
            name="control-planes",
            title="reset the control planes",
            lanes=tuple(Lane(name=host.name, steps=(reset_step(host),)) for host in control_planes),
            at_once=HOSTS_AT_ONCE,
            failure_budget=HOSTS_AT_ONCE,
        ),
    )


def _through(leaving: Sequence[Host], desired: Cluster, facts: ClusterFacts) -> str:
    """Return the control plane that hosts take leave through; empty when there is none."""
    if facts.api is None:
        return ""
    members = Membership.of(desired, facts).members
    staying = (host.name for host in desired.control_planes if host not in leaving)
    return next((name for name in staying if name in members), "")


def _some(hosts: Sequence[Host], desired: Cluster, via: str) -> tuple[Wave, ...]:
    return (
        Wave(
            name="leave",
            title="leave the cluster, one host at a time",
            lanes=tuple(_leave(host, desired, via) for host in hosts),
        ),
    )


def _leave(host: Host, desired: Cluster, via: str) -> Lane:
    drain = desired.upgrade.drain
    action = DrainNode(node=host.name, timeout=drain.timeout, grace=drain.grace)
    steps = farewell(host, via=via, drain=action) if via else ()
    return Lane(name=host.name, steps=(*steps, reset_step(host)))


def farewell(host: Host, *, via: str, drain: DrainNode | None) -> tuple[Step, ...]:
    """Return the steps with which `host` leaves its cluster, done on the control plane `via`.

    Without `drain` nothing runs on it any more.
    """
    leave: list[tuple[str, str, Action]] = []
    if drain is not None:
        leave.append(("drain", f"drain {host.name}", drain))
    if host.is_control_plane:
        leave.append(
            (
                "etcd-member",
                f"remove {host.name}'s etcd member",
                RemoveEtcdMember(node=host.name),
            )
        )
    leave.append(("node", f"delete node {host.name}", DeleteNode(node=host.name)))
    return tuple(
        Step(id=f"/hosts/{host.name}/{name}", host=via, title=title, action=action)
        for name, title, action in leave
    )


def reset_step(host: Host) -> Step:
    """Return the step after which `host` belongs to no cluster."""
    return Step(
        id=f"/hosts/{host.name}/reset",
        host=host.name,
        title="move data aside, kubeadm reset",
        action=ResetHost(),
    )


def _unreachable(
    leaving: Sequence[Host], facts: ClusterFacts, severity: Severity
) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            check="unreachable",
            severity=severity,
            text=facts.unreachable[host.name].reason,
            cure=facts.unreachable[host.name].hint or "Mend the host, or accept that it is left.",
            host=host.name,
        )
        for host in leaving
        if host.name in facts.unreachable
    )


def _whole_findings(leaving: Sequence[Host], facts: ClusterFacts) -> tuple[Finding, ...]:
    return _unreachable(leaving, facts, Severity.ACCEPTABLE)


def _some_findings(
    leaving: Sequence[Host], facts: ClusterFacts, desired: Cluster, *, via: str
) -> tuple[Finding, ...]:
    found = _unreachable(leaving, facts, Severity.BLOCKING)
    if all(host in leaving for host in desired.control_planes):
        last = blocking(
            "last-control-plane",
            "no control plane would be left, but workers would",
            "invoke reset (without --limit) takes the whole cluster down.",
        )
        return (*found, last)
    if via or not any(_is_present(host, facts) for host in leaving):
        return found
    why = (
        f"the API does not answer ({facts.api_error})"
        if facts.api is None
        else "no control plane that stays is reached"
    )
    silent = acceptable(
        "api",
        f"{why}; the hosts cannot take leave",
        "Bring a control plane back first, or accept: nodes and etcd members stay listed.",
    )
    return (*found, silent)
