"""What forbids a restore onto fresh hosts, or has to be known before one."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from kubeops.model.bundle import Bundle
from kubeops.model.desired import Cluster
from kubeops.model.observed import ClusterFacts, Reach
from kubeops.model.pki import Pki
from kubeops.model.restoring import RestoreFacts
from kubeops.model.version import KubeVersion
from kubeops.plan.findings import acceptable, blocking, warning
from kubeops.plan.install import Membership
from kubeops.plan.model import Finding
from kubeops.plan.preflight import preflight
from kubeops.plan.restore_checks import check_age, check_reachable, check_space, check_trust
from kubeops.plan.restore_targets import Attempt, open_attempt

API_ANSWERS = frozenset({"200", "401", "403"})
"""What an API server says to who asks for its version; a load balancer says other things."""

NEARLY_OVER = timedelta(days=30)
_ANSWERED_HERE = frozenset(
    {"unreachable", "second-cluster", "lost-control-planes", "unfinished-restore"}
)
"""Checks of an install that a restore has its own answer to."""


def check_fresh(
    wanted: Cluster,
    facts: ClusterFacts,
    more: RestoreFacts,
    attempt: Attempt,
    *,
    bundle: Bundle,
    pki: Pki,
    answer: str,
    reach: Sequence[Reach],
    asked_for: KubeVersion,
) -> tuple[Finding, ...]:
    """Return what is to be known of restoring onto fresh hosts.

    `wanted` has the bundle's version, `asked_for` is that of the inventory; the other arguments
    are those of `plan_fresh_restore`.
    """
    membership = Membership.of(wanted, facts)
    install = preflight(wanted, facts, reach=reach)
    return (
        *_other_attempt(facts, more, attempt),
        *check_reachable(wanted, facts, more),
        *(() if membership.exists else _elsewhere(wanted, answer)),
        *check_trust(bundle),
        *_pki(facts, bundle, pki),
        *_workers(wanted, facts, membership, pki),
        *_settings(wanted, bundle, pki),
        *_version(bundle, asked_for),
        *(finding for finding in install if finding.check not in _ANSWERED_HERE),
        *check_space(more, attempt, bundle),
        *check_age(facts, bundle),
        *_loss(facts, bundle),
    )


def _other_attempt(facts: ClusterFacts, more: RestoreFacts, attempt: Attempt) -> Iterator[Finding]:
    """One of another backup that was begun on hosts: one that was reset since is over."""
    other = open_attempt(more)
    if not other or other == attempt.id:
        return
    for name in more.hosts:
        host = facts.hosts[name]
        begun = host.unfinished is not None or host.kubelet_server is not None
        if begun and more.mark(name, other) is not None:
            yield blocking(
                "unfinished-restore",
                f"restore {other} is under way",
                f"Finish it: invoke restore --from {other.partition('-')[2]}, or give it up: "
                f"invoke reset --limit {name}",
                host=name,
            )


def _elsewhere(wanted: Cluster, answer: str) -> Iterator[Finding]:
    if answer in API_ANSWERS:
        yield blocking(
            "endpoint-answers",
            f"an API server answers at {wanted.endpoint}, on a host that is not in the inventory: "
            "restoring would make a second cluster",
            "If control planes are left, put them into the inventory. If not, turn off what "
            "answers there.",
        )


def _pki(facts: ClusterFacts, bundle: Bundle, pki: Pki) -> Iterator[Finding]:
    if pki.missing:
        yield blocking(
            "pki-incomplete",
            f"{bundle.name} lacks {', '.join(pki.missing)}: nobody would trust what is built "
            "without it",
            "Use another backup: invoke backup.list",
        )
    for path, expires in pki.expires.items():
        if expires <= facts.at:
            yield blocking(
                "ca-expired",
                f"{path} in {bundle.name} ended on {expires:%Y-%m-%d}: nothing it signs is valid",
                "Use a backup that was taken after it was replaced: invoke backup.list",
            )
        elif expires - facts.at < NEARLY_OVER:
            text = f"{path} in {bundle.name} ends on {expires:%Y-%m-%d}"
            yield warning("ca-expires", text, "Replace it soon after the restore.")


def _workers(
    wanted: Cluster, facts: ClusterFacts, membership: Membership, pki: Pki
) -> Iterator[Finding]:
    for host in wanted.workers:
        found = facts.hosts[host.name].cluster_ca if host.name in membership.members else None
        if found and pki.authority and found != pki.authority:
            yield blocking(
                "other-ca",
                "its CA is not that of the backup: it would never come back by itself",
                f"It joins anew after: invoke reset --limit {host.name}",
                host=host.name,
            )


def _settings(wanted: Cluster, bundle: Bundle, pki: Pki) -> Iterator[Finding]:
    """What the cluster was built with, as far as it cannot be another afterwards."""
    if not pki.settings:
        yield acceptable(
            "settings-unknown",
            f"{bundle.name} does not hold kubeadm's settings (the API did not answer when it was "
            "taken): extra arguments and volumes of the control plane are lost",
            "Use another backup, or accept it and see in pki.tar what its manifests had.",
        )
        return
    networks = {
        "podSubnet": str(wanted.networks.pods),
        "serviceSubnet": str(wanted.networks.services),
        "dnsDomain": wanted.networks.dns_domain,
    }
    for name, ours in networks.items():
        theirs = pki.networks.get(name)
        if theirs and theirs != ours:
            text = f"{name} was {theirs} when {bundle.name} was taken, the inventory says {ours}"
            yield blocking("networks", text, "Write under cluster.networks what it was.")
    if pki.endpoint and pki.endpoint != wanted.endpoint:
        yield acceptable(
            "other-endpoint",
            f"the cluster's endpoint was {pki.endpoint}, the inventory says {wanted.endpoint}: "
            "workers and kubeconfigs that know the old one find nobody there",
            f"Give {pki.endpoint} to a control plane or load balancer again, or reset the workers "
            "so that they join anew, and fetch the kubeconfig again.",
        )


def _version(bundle: Bundle, asked_for: KubeVersion) -> Iterator[Finding]:
    then = KubeVersion.parse(bundle.kubernetes)
    if then.minor != asked_for.minor:
        yield blocking(
            "version",
            f"{bundle.name} is of Kubernetes {then}, the inventory says {asked_for}: a control "
            "plane reads data of its own minor release",
            f'Write kubernetes: "{then}" into the inventory, and upgrade after the restore.',
        )
    elif then != asked_for:
        yield warning(
            "restores-version",
            f"{then} is installed, as the backup has it, not {asked_for} of the inventory",
            f"When the restore is done: invoke upgrade --to {asked_for}, or write {then}.",
        )


def _loss(facts: ClusterFacts, bundle: Bundle) -> Iterator[Finding]:
    hours = (facts.at - bundle.taken).total_seconds() / 3600
    yield warning(
        "newer-objects",
        f"the cluster will be what it was {hours:.1f} hours ago; nodes that joined since then, "
        "and tokens of then, will not be known",
        "There is no undo: nothing is left to go back to.",
    )
