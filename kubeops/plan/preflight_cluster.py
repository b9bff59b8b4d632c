"""What must be true of the hosts together, and of the cluster they join; see plan/preflight.py."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from ipaddress import ip_address

from kubeops.model.desired import Cluster, Host
from kubeops.model.observed import ClusterFacts, Reach
from kubeops.plan.common_checks import CLOCK_SKEW
from kubeops.plan.convergence import members_not_yet, without_members
from kubeops.plan.findings import acceptable, blocking, warning
from kubeops.plan.install import Membership
from kubeops.plan.model import Finding

KNOCKING_PROGRAMS = {"bash": "bash", "timeout": "coreutils"}
"""What a host knocks at ports with (facts/reach.py), and the packages they come in."""


def between_hosts(
    desired: Cluster, facts: ClusterFacts, joining: Sequence[Host]
) -> Iterator[Finding]:
    """What is wrong between a host that joins and another one.

    Members that have always been like that are none of an install's business.
    """
    new = {host.name for host in joining}
    yield from _copies(facts, new)
    yield from _same_address(desired, facts, new)
    yield from _clocks_apart(facts, new)


def _copies(facts: ClusterFacts, new: AbstractSet[str]) -> Iterator[Finding]:
    """A host that is the copy of another: kubelets and CNIs need these to be unique."""
    for check, what, attribute in (
        ("hostname", "hostname", "hostname"),
        ("machine-id", "/etc/machine-id", "machine_id"),
    ):
        by_value: defaultdict[str, list[str]] = defaultdict(list)
        for name, host in facts.hosts.items():
            by_value[getattr(host, attribute)].append(name)
        for value, names in by_value.items():
            if value and len(names) > 1 and not new.isdisjoint(names):
                yield blocking(
                    check,
                    f"{', '.join(names)} have the same {what} {value}",
                    "hostnamectl set-hostname NAME"
                    if check == "hostname"
                    else "On all but one: rm /etc/machine-id && systemd-machine-id-setup",
                )


def _same_address(
    desired: Cluster, facts: ClusterFacts, new: AbstractSet[str]
) -> Iterator[Finding]:
    holders: defaultdict[object, list[str]] = defaultdict(list)
    for name, host in facts.hosts.items():
        for text in host.addresses:
            holders[ip_address(text)].append(name)
    for owner in desired.hosts:
        for name in holders[ip_address(owner.address)]:
            if name != owner.name and not new.isdisjoint((name, owner.name)):
                yield blocking(
                    "address",
                    f"holds {owner.address}, which the inventory says is {owner.name}'s",
                    "Take it off one of them (see: ip -br addr), or correct "
                    f"hosts.{owner.name}.address.",
                    host=name,
                )


def _clocks_apart(facts: ClusterFacts, new: AbstractSet[str]) -> Iterator[Finding]:
    """The two that are furthest apart; one that is off by itself has its finding already."""
    skews = {
        name: host.clock_skew
        for name, host in facts.hosts.items()
        if abs(host.clock_skew) <= CLOCK_SKEW
    }
    pairs = [
        (abs(skews[one] - skews[other]), one, other)
        for one in skews
        for other in skews
        if one in new
    ]
    apart, one, other = max(pairs, default=(0.0, "", ""))
    if apart > CLOCK_SKEW:
        yield acceptable(
            "clock-skew",
            f"its clock is {apart:.1f} s off {other}'s; certificates and etcd need clocks that "
            "agree",
            f"Synchronise both, {one} and {other}: timedatectl set-ntp true",
            host=one,
        )


def reachability(
    facts: ClusterFacts, reach: Sequence[Reach], limit: Sequence[str]
) -> Iterator[Finding]:
    """Ports that Kubernetes needs between two hosts, and that one does not reach on the other."""
    blocked: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for knock in reach:
        if knock.untested:
            yield _untested(knock, facts)
            continue
        concerned = not limit or knock.source in limit or knock.target in limit
        if concerned and not knock.reached:
            blocked[knock.source, knock.target].append(knock.port)
    for (source, target), ports in blocked.items():
        yield blocking(
            "reachability",
            f"cannot reach {target} on port {', '.join(map(str, sorted(ports)))}",
            f"Open it in the firewalls between them; try: nc -vz -w 2 {target} {min(ports)}",
            host=source,
        )


def _untested(knock: Reach, facts: ClusterFacts) -> Finding:
    missing = sorted(KNOCKING_PROGRAMS.keys() - facts.hosts[knock.source].programs)
    return warning(
        "reachability",
        "whether it reaches the other hosts could not be tested: "
        + (f"it lacks {', '.join(missing)}" if missing else knock.untested),
        f"apt-get install {' '.join(KNOCKING_PROGRAMS[name] for name in missing)}"
        if missing
        else "Type it again, or test by hand: kubernetes.io/docs/reference/networking/"
        "ports-and-protocols/",
        host=knock.source,
    )


def no_cluster_yet(
    desired: Cluster, facts: ClusterFacts, membership: Membership, limit: Sequence[str]
) -> Iterator[Finding]:
    """What forbids `kubeadm init`: a cluster that may exist all the same, or nowhere to begin."""
    silent = [host.name for host in desired.control_planes if host.name in facts.unreachable]
    for name in silent:
        if limit and name not in limit:
            yield blocking(
                "second-cluster",
                f"{name} is not reached and may run the cluster; beginning one elsewhere would "
                "make two",
                f"Make {name} reachable, or take it out of the inventory when it is gone for good.",
                host=name,
            )
    for host in desired.control_planes:
        known = facts.hosts.get(host.name)
        if known is not None and known.unfinished == "restore":
            yield blocking(
                "unfinished-restore",
                "a restore onto it is under way; installing would begin an empty cluster there",
                "Finish it: type the same invoke restore again, or give it up: "
                f"invoke reset --limit {host.name}",
                host=host.name,
            )
    if limit and membership.via not in limit:
        yield blocking(
            "limit",
            f"there is no cluster to join yet; it begins on {membership.via}, which --limit "
            "leaves out",
            f"invoke install --limit {','.join((membership.via, *limit))}",
        )
    if membership.members:
        orphans = ", ".join(host.name for host in desired.hosts if host.name in membership.members)
        yield blocking(
            "lost-control-planes",
            f"{orphans} belong to a cluster that no control plane runs any more; installing would "
            "begin another one without them",
            "Restore its backup: invoke restore --from latest, or give it up: "
            f"invoke reset --limit {orphans.replace(', ', ',')}",
        )


def existing_cluster(
    desired: Cluster, facts: ClusterFacts, membership: Membership, joining: Sequence[Host]
) -> Iterator[Finding]:
    """What forbids that `joining` hosts are added to the cluster there is."""
    if facts.api is None:
        yield blocking(
            "api",
            f"a cluster exists but its API does not answer: {facts.api_error}",
            "Bring a control plane back first; see: invoke status",
        )
        return
    if facts.api.endpoint and facts.api.endpoint != desired.endpoint:
        yield blocking(
            "endpoint",
            f"the cluster's endpoint is {facts.api.endpoint}, the inventory says "
            f"{desired.endpoint}",
            f"Write cluster.endpoint: {facts.api.endpoint}",
        )
    running = facts.api.kubernetes or facts.api.server
    if running != desired.kubernetes:
        yield blocking(
            "version",
            f"the cluster runs {running}, the inventory says {desired.kubernetes}",
            f'invoke upgrade --to {desired.kubernetes}, or write kubernetes: "{running}"',
        )
    identities = {
        facts.hosts[name].cluster_ca for name in membership.members if facts.hosts[name].cluster_ca
    }
    if len(identities) > 1:
        yield blocking(
            "identity",
            "the hosts hold certificates of different clusters",
            "Compare: sha256sum /etc/kubernetes/pki/ca.crt; reset the hosts that do not belong",
        )
    if any(host.is_control_plane for host in joining):
        yield from _etcd(desired, facts, joining)


def _etcd(desired: Cluster, facts: ClusterFacts, joining: Sequence[Host]) -> Iterator[Finding]:
    """A member is added to a whole etcd only: each one more raises what is needed for quorum."""
    if facts.etcd is None or facts.api is None:
        missing: tuple[str, ...] = (f"it does not answer: {facts.etcd_error}",)
    else:
        etcd = without_members(facts.etcd, joining)
        new = {host.name for host in joining}
        listed = {node.name for node in facts.api.nodes if node.control_plane} - new
        known = {host.name for host in desired.control_planes}
        listed |= known & {member.name for member in etcd.members}
        missing = members_not_yet(etcd, tuple(sorted(listed)))
    if missing:
        yield blocking(
            "etcd",
            f"etcd is not whole, and no control plane may join before it is: {'; '.join(missing)}",
            "See: invoke status. Bring the member back, or take its host out for good: "
            "invoke reset --limit HOST",
        )
