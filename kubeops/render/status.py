"""A cluster on one screen: nodes, etcd members, certificates that end soon, what is wrong."""

from collections.abc import Container, Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kubeops.model.backup import Freshness
from kubeops.model.desired import Cluster, Host
from kubeops.model.observed import ApiFacts, ClusterFacts, EtcdMember, HostFacts, NodeFacts
from kubeops.plan.replacing import Stage, note, replacements
from kubeops.render.backup import newest
from kubeops.render.plan import REHEARSAL
from kubeops.render.units import days_until, size

SOON_DAYS = 30
_SKEW_SECONDS = 1.0
_WHOLE = frozenset({"NODE", "ROLE", "READY", "ETCD", "HEALTHY"})


def status(
    facts: ClusterFacts, cluster: Cluster, *, backup: Freshness | str = ""
) -> RenderableType:
    """Return what is, beside what `cluster` wants; whatever differs is named.

    `backup` is what is known of backups, or why nothing is.
    """
    parts: list[RenderableType] = [_heading(facts, cluster)]
    if facts.rehearsal:
        parts.append(Text(REHEARSAL, style="bold yellow"))
    parts += [Text(), _nodes(facts, cluster), Text(), *_etcd(facts)]
    parts += _backup(backup)
    parts += _section("certificates", _certificates(facts))
    parts += _section("unreachable", _unreachable(facts))
    parts += _section("notes", notes(facts, cluster))
    return Group(*parts)


def notes(facts: ClusterFacts, cluster: Cluster) -> tuple[str, ...]:
    """Return what differs from the inventory or from what is healthy, one line each."""
    replacing = replacements(cluster, facts)
    absent = {one.absent.name for one in replacing if one.absent is not None}
    found = [*_drift(facts, cluster, absent), *_health(facts)]
    return (*found, *(note(one, cluster) for one in replacing))


def _heading(facts: ClusterFacts, cluster: Cluster) -> Text:
    api = facts.api
    lines: list[str | tuple[str, str]] = [
        (cluster.name, "bold"),
        f"   {_version(api, cluster)}   endpoint {cluster.endpoint}",
        f"   {facts.at:%Y-%m-%d %H:%M:%S}Z",
    ]
    if api is not None:
        lines.append(f"\nAPI answers on {api.asked}: {api.server.tag}   cluster UID {api.uid}")
    else:
        lines.append(
            (f"\nAPI does not answer: {facts.api_error or 'nobody was asked'}", "bold red")
        )
    return Text.assemble(*lines)


def _version(api: ApiFacts | None, cluster: Cluster) -> str:
    observed = api.kubernetes if api is not None else None
    if observed is None or observed == cluster.kubernetes:
        return cluster.kubernetes.tag
    return f"{observed.tag} (inventory: {cluster.kubernetes.tag})"


def _nodes(facts: ClusterFacts, cluster: Cluster) -> RenderableType:
    table = _table("NODE", "ROLE", "READY", "VERSION", "RUNTIME", "SYSTEM", "FLAGS")
    nodes = {node.name: node for node in facts.api.nodes} if facts.api else {}
    absent = _absent(facts, cluster)
    for host in cluster.hosts:
        row = _node_row(host, facts, nodes.get(host.name), cluster, absent.get(host.name, ""))
        table.add_row(host.name, host.role.value, *row)
    known = {host.name for host in cluster.hosts}
    for node in nodes.values():
        if node.name not in known:
            role = "control-plane" if node.control_plane else "worker"
            flags = " ".join(["not in inventory", *_flags(node)])
            version = node.kubelet.tag
            runtime = _runtime(node, None)
            table.add_row(node.name, role, _ready(node), version, runtime, "-", flags)
    return table


def _node_row(
    host: Host, facts: ClusterFacts, node: NodeFacts | None, cluster: Cluster, absent: str
) -> tuple[str | Text, ...]:
    observed = facts.hosts.get(host.name)
    version = node.kubelet if node else observed.kubelet if observed else None
    shown = version.tag if version else "-"
    drifted = version is not None and version != cluster.kubernetes and not absent
    if drifted:
        shown += f" (want {cluster.kubernetes.tag})"
    flags = _flags(node) if node else []
    if host.name in facts.unreachable:
        flags.append("unreachable")
    if drifted:
        flags.append("drift")
    ready = Text(absent, style="dim") if absent else _ready(node, asked=facts.api is not None)
    return (ready, shown, _runtime(node, observed), _system(observed), " ".join(flags))


def _absent(facts: ClusterFacts, cluster: Cluster) -> Mapping[str, str]:
    """Return in a word why hosts are not to be nodes, by name."""
    return {
        one.absent.name: "waiting" if one.stage is Stage.WAITING else "replaced"
        for one in replacements(cluster, facts)
        if one.absent is not None
    }


def _ready(node: NodeFacts | None, *, asked: bool = True) -> Text:
    if node is None:
        return Text("not joined", style="yellow") if asked else Text("unknown", style="dim")
    return Text("yes", style="green") if node.ready else Text("NO", style="bold red")


def _runtime(node: NodeFacts | None, observed: HostFacts | None) -> str:
    if node:
        return node.container_runtime.replace("://", " ")
    return (
        f"containerd {observed.container_runtime}"
        if observed and observed.container_runtime
        else "-"
    )


def _system(observed: HostFacts | None) -> str:
    return f"{observed.os_id} {observed.os_version}" if observed else "-"


def _flags(node: NodeFacts) -> list[str]:
    return ["cordoned"] if node.unschedulable else []


def _etcd(facts: ClusterFacts) -> list[RenderableType]:
    if facts.etcd is None:
        return [
            Text(f"etcd does not answer: {facts.etcd_error or 'nobody was asked'}", style="red")
        ]
    table = _table("ETCD", "HEALTHY", "VERSION", "DB SIZE", "REVISION", "FLAGS")
    for member in facts.etcd.members:
        table.add_row(*_member(member))
    alarms = [Text(f"etcd alarm: {alarm}", style="bold red") for alarm in facts.etcd.alarms]
    return [table, *alarms]


def _member(member: EtcdMember) -> tuple[str | Text, ...]:
    healthy = Text("yes", style="green") if member.healthy else Text("NO", style="bold red")
    flags = [name for name, on in (("leader", member.leader), ("learner", member.learner)) if on]
    return (
        member.name or f"({member.id}, not started)",
        healthy,
        member.version or "-",
        size(member.db_size) if member.healthy else "-",
        str(member.revision) if member.healthy else "-",
        " ".join(flags),
    )


def _backup(backup: Freshness | str) -> list[RenderableType]:
    if not backup:
        return []
    shown = Text(backup) if isinstance(backup, str) else newest(backup)
    return [Text(), Text.assemble(("backup", "bold"), "   ", shown)]


def _certificates(facts: ClusterFacts) -> Iterator[str]:
    for host, observed in facts.hosts.items():
        for certificate in observed.certificates:
            days = days_until(certificate.expires, now=facts.at)
            if days < SOON_DAYS:
                when = f"ends in {_days(days)}" if days >= 0 else f"ENDED {_days(-days)} ago"
                yield f"{host}: {certificate.name} {when} ({certificate.expires:%Y-%m-%d})"


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def _unreachable(facts: ClusterFacts) -> Iterator[str]:
    for host in facts.unreachable.values():
        yield f"{host.host}: {host.reason}"
        if host.hint:
            yield f"  {host.hint}"


def _drift(facts: ClusterFacts, cluster: Cluster, absent: Container[str]) -> Iterator[str]:
    """Yield where cluster and inventory differ; `absent` are hosts that are not to be nodes."""
    api = facts.api
    if api is None:
        return
    known = {host.name for host in cluster.hosts}
    joined = {node.name for node in api.nodes}
    for name in sorted(joined - known):
        yield f"node {name} is in the cluster and not in the inventory"
    missing = [
        host.name for host in cluster.hosts if host.name not in joined and host.name not in absent
    ]
    if missing:
        yield f"not joined: {', '.join(missing)}; install joins them"
    versions = {node.kubelet for node in api.nodes}
    if len(versions) > 1:
        yield f"kubelets run {', '.join(version.tag for version in sorted(versions))}"
    if api.kubernetes is not None and api.kubernetes != cluster.kubernetes:
        yield f"the cluster runs {api.kubernetes.tag}, the inventory wants {cluster.kubernetes.tag}"
    if api.endpoint and api.endpoint != cluster.endpoint:
        yield f"the cluster's endpoint is {api.endpoint}, the inventory's {cluster.endpoint}"


def _health(facts: ClusterFacts) -> Iterator[str]:
    for node in facts.api.nodes if facts.api else ():
        if not node.ready:
            yield f"{node.name} is not Ready: {node.ready_message or 'its kubelet says nothing'}"
    for workload in facts.api.system if facts.api else ():
        if workload.ready < workload.wanted:
            yield (
                f"{workload.kind} {workload.namespace}/{workload.name}: "
                f"{workload.ready} of {workload.wanted} ready"
            )
    for host, observed in facts.hosts.items():
        if abs(observed.clock_skew) >= _SKEW_SECONDS:
            yield f"{host}: its clock is {observed.clock_skew:+.1f} s from ours"


def _section(title: str, lines: Iterator[str] | Sequence[str]) -> list[RenderableType]:
    shown = list(lines)
    if not shown:
        return []
    return [Text(), Text(title, style="bold"), *(Text(f"  {line}") for line in shown)]


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in _WHOLE)
    return table
