"""Everything that must be true before an upgrade changes anything, for all hops and hosts.

Each check is a function that yields findings; all run, all findings are shown at once. A check's
name is what `--accept` takes. Those of single hosts are in plan/upgrade_host_checks.py, those of
draining in plan/upgrade_drain_checks.py.
"""

from collections.abc import Iterator

from kubeops.model.desired import Host
from kubeops.model.observed import HostFacts, StaticPod
from kubeops.model.version import KubeVersion, Minor
from kubeops.plan.actions import FetchPackages, UpgradeApply
from kubeops.plan.convergence import members_not_yet
from kubeops.plan.findings import acceptable, blocking, warning
from kubeops.plan.model import Finding
from kubeops.plan.skew import Components, violations
from kubeops.plan.upgrade_drain_checks import drain_checks
from kubeops.plan.upgrade_exchange_checks import exchange_checks, is_lost
from kubeops.plan.upgrade_hop import Hop, applier
from kubeops.plan.upgrade_host_checks import host_checks, readiness
from kubeops.plan.upgrade_situation import Situation

ETCD_36_SINCE = Minor(1, 34)
"""kubeadm's etcd is 3.6 from here on, and it was 3.5 before."""
ETCD_36 = KubeVersion(3, 6, 0)
ETCD_35_SAFE = KubeVersion(3, 5, 26)
"""From here on members take the way to 3.6 without becoming zombies (etcd#20967)."""
ETCD_35_LEAST = KubeVersion(3, 5, 24)
"""Before it learners that were promoted come back as learners (etcd#20793)."""
REMOVED_GATES = {"ControlPlaneKubeletLocalMode": Minor(1, 36)}
"""Feature gates of kubeadm, and the release that refuses a configuration that names them."""
ETCD_QUOTA = 2 * 2**30
ETCD_FULL = 0.75


def upgrade_checks(situation: Situation) -> tuple[Finding, ...]:
    """Return everything the checks find. Where nothing is to be done, little can be in the way."""
    found = [*_unreachable(situation), *_api(situation)]
    if not situation.waves:
        found += readiness(situation)
    else:
        found += [
            *_limit(situation),
            *_skew(situation),
            *_packages_missing(situation),
            *_etcd(situation),
            *_etcd_version(situation),
            *_feature_gates(situation),
            *_deprecated(situation),
            *_strangers(situation),
            *_single_control_plane(situation),
            *exchange_checks(situation),
            *host_checks(situation),
            *drain_checks(situation),
        ]
    return tuple(dict.fromkeys(found))


def _unreachable(situation: Situation) -> Iterator[Finding]:
    for host in situation.desired.hosts:
        unreachable = situation.facts.unreachable.get(host.name)
        concerned = host.is_control_plane or situation.within(host.name)
        if unreachable is not None and concerned and not is_lost(host.name, situation):
            yield blocking(
                "unreachable",
                unreachable.reason,
                unreachable.hint or _unreachable_cure(host, situation),
                host=host.name,
            )


def _unreachable_cure(host: Host, situation: Situation) -> str:
    if host.is_control_plane:
        return "Mend the host; no control plane may be left behind."
    if host.name in situation.exchange.leaving:
        return f"Mend the host; if it is lost for good: kubectl delete node {host.name}"
    return "Mend the host or leave it out with --limit."


def _api(situation: Situation) -> Iterator[Finding]:
    api = situation.facts.api
    if api is None:
        yield blocking(
            "api",
            f"the API does not answer: {situation.facts.api_error}",
            "Bring a control plane back first; see: invoke status",
        )
        return
    if api.kubernetes is None:
        yield blocking(
            "kubeadm-config",
            "the cluster has no kubeadm-config with a kubernetesVersion; kubeadm cannot upgrade it",
            "kubeadm init phase upload-config kubeadm --config FILE",
        )
    if api.endpoint and api.endpoint != situation.desired.endpoint:
        yield blocking(
            "endpoint",
            f"the cluster's endpoint is {api.endpoint}, the inventory says "
            f"{situation.desired.endpoint}",
            f"Write cluster.endpoint: {api.endpoint}",
        )


def _limit(situation: Situation) -> Iterator[Finding]:
    """A limit may not break kubeadm's order: a control plane before others, all before workers."""
    if not situation.limit:
        return
    last = situation.hops[-1]
    left = [
        one.host.name
        for one in last.standing.control_planes
        if one.host.name not in last.settings.names and not one.runs(last.version)
    ]
    beyond = [step.id for step in situation.steps if "/workers/" in step.id]
    if left and (beyond or len(situation.hops) > 1 or not _applied_within(situation.hops[0])):
        yield blocking(
            "limit",
            f"{', '.join(left)} would be left behind, and what follows needs every control plane "
            f"at {last.version}",
            f"Name them too: --limit {','.join((*left, *situation.limit))}",
        )


def _applied_within(hop: Hop) -> bool:
    first = applier(hop)
    return first is None or first.host.name in hop.settings.names


def _skew(situation: Situation) -> Iterator[Finding]:
    """The policy holds after every step; what breaks it now is healed on the way, or blocks."""
    components = Components.of(situation.desired, situation.facts)
    now = violations(components)
    known = set(now)
    for step in situation.steps:
        components = components.after(step.action, step.host)
        for text in violations(components):
            if text not in known and not _same_trouble(text, known):
                yield blocking(
                    "skew-policy",
                    f"after {step.id}: {text}",
                    "Upgrade what is behind first, or name it under --limit too.",
                )
            known.add(text)
    healed = not violations(components)
    for text in now:
        yield (warning if healed else blocking)(
            "skew-policy",
            text + ("; this upgrade ends it" if healed else ""),
            "Nothing." if healed else "Bring them together first: invoke status shows all versions",
        )


def _same_trouble(text: str, known: set[str]) -> bool:
    """Whether the same component is named already, at other versions."""
    return text.partition(" ")[0] in {other.partition(" ")[0] for other in known}


def _packages_missing(situation: Situation) -> Iterator[Finding]:
    offers = {(offer.host, str(offer.minor)): offer for offer in situation.more.offers}
    for step in situation.steps:
        if not isinstance(step.action, FetchPackages):
            continue
        offer = offers.get((step.host, step.action.minor))
        wanted = KubeVersion.parse(step.action.version)
        if offer is not None and wanted in offer.versions:
            continue
        if offer is None or offer.error:
            reason = "was not asked" if offer is None else f"cannot be read: {offer.error}"
        else:
            newest = max(offer.versions, default=None)
            reason = f"does not offer {wanted}; its newest is {newest or 'nothing'}"
        yield blocking(
            "packages-missing",
            f"{step.action.url} {reason}",
            f"From the host: curl -v {step.action.url}Packages; a mirror goes under "
            "packages.repository.",
            host=step.host,
        )


def _etcd(situation: Situation) -> Iterator[Finding]:
    etcd = situation.facts.etcd
    if etcd is None:
        yield blocking(
            "etcd",
            f"etcd does not answer: {situation.facts.etcd_error}",
            "Bring its members back first; see: invoke status",
        )
        return
    planes = tuple(host.name for host in situation.desired.control_planes)
    for text in members_not_yet(etcd, planes):
        yield blocking("etcd", text, "Mend it first; an upgrade restarts every member once.")
    for member in etcd.members:
        quota = _quota(situation.facts.hosts.get(member.name))
        if member.db_size > ETCD_FULL * quota:
            yield warning(
                "etcd-size",
                f"its etcd database has {member.db_size // 2**20} of {quota // 2**20} MiB",
                "Compact and defragment it: etcdctl defrag",
                host=member.name,
            )


def _quota(facts: HostFacts | None) -> int:
    flag = facts.static_pods["etcd"].flags if facts and "etcd" in facts.static_pods else {}
    return int(flag.get("quota-backend-bytes", "0")) or ETCD_QUOTA


def _etcd_version(situation: Situation) -> Iterator[Finding]:
    """With the first hop to 1.34 or later etcd 3.5 becomes 3.6; only late 3.5 does it well."""
    if situation.last_minor is None or situation.last_minor < ETCD_36_SINCE:
        return
    for host in situation.desired.control_planes:
        facts = situation.facts.hosts.get(host.name)
        version = _etcd_image(facts.static_pods.get("etcd")) if facts is not None else None
        if version is None or version >= ETCD_35_SAFE:
            continue
        yield (blocking if version < ETCD_35_LEAST else acceptable)(
            "etcd-version",
            f"etcd {version} goes to {ETCD_36.major}.{ETCD_36.minor_number} on the way; members "
            f"before {ETCD_35_SAFE} may come back with a membership that is long gone",
            f"Set etcd.local.imageTag: {ETCD_35_SAFE}-0 in kubeadm-config and roll etcd first.",
            host=host.name,
        )


def _etcd_image(pod: StaticPod | None) -> KubeVersion | None:
    """The version in the tag of etcd's image, such as `3.5.24-0`."""
    if pod is None:
        return None
    tag = pod.image.partition("@")[0].rpartition(":")[2]
    try:
        return KubeVersion.from_package(tag)
    except ValueError:
        return None


def _feature_gates(situation: Situation) -> Iterator[Finding]:
    api, last = situation.facts.api, situation.last_minor
    for gate in sorted(api.feature_gates) if api is not None else ():
        removed = REMOVED_GATES.get(gate)
        if removed is not None and last is not None and last >= removed:
            yield blocking(
                "feature-gates",
                f"kubeadm-config names feature gate {gate}, which kubeadm {removed} does not know",
                "Take it out of featureGates: kubectl -n kube-system edit configmap kubeadm-config",
            )


def _deprecated(situation: Situation) -> Iterator[Finding]:
    for api in situation.more.deprecated:
        name = f"{api.resource} {'/'.join(part for part in (api.group, api.version) if part)}"
        removed, last = api.removed, situation.last_minor
        gone = removed is not None and last is not None and removed <= last
        yield (acceptable if gone else warning)(
            "deprecated-apis",
            f"{name} is still requested, and "
            + ("is deprecated" if removed is None else f"is gone from {removed} on"),
            "Find who asks: the API server's audit log, annotation k8s.io/deprecated; then update "
            "it.",
        )


def _strangers(situation: Situation) -> Iterator[Finding]:
    """Nodes that the inventory does not name are not upgraded."""
    known = {host.name for host in situation.exchange.desired.hosts}
    for node in situation.facts.api.nodes if situation.facts.api is not None else ():
        if node.name not in known:
            yield (blocking if node.control_plane else warning)(
                "unknown-node",
                f"node {node.name} ({node.kubelet}) is not in the inventory"
                + (
                    "; a control plane that is left behind holds the addons back"
                    if node.control_plane
                    else " and is not upgraded"
                ),
                "Write it under hosts, or take it out: kubectl delete node " + node.name,
            )


def _single_control_plane(situation: Situation) -> Iterator[Finding]:
    applies = any(isinstance(step.action, UpgradeApply) for step in situation.steps)
    if len(situation.desired.control_planes) == 1 and applies:
        yield warning(
            "single-control-plane",
            "there is one control plane: the API is away for a minute or two at each hop",
            "Nothing; what runs on the nodes goes on running.",
        )
