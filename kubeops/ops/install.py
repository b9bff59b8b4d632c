"""`install`: gather, plan; the plan is then approved and run like any other."""

import hashlib
from dataclasses import replace
from pathlib import Path

from kubeops.errors import UsageError
from kubeops.facts.reach import gather_reach
from kubeops.model.desired import Cluster
from kubeops.ops.run import observe_idle
from kubeops.ops.session import Session
from kubeops.plan.install import Membership, plan_install
from kubeops.plan.manifests import manifest_sources
from kubeops.plan.model import Plan
from kubeops.plan.network import ManifestSource
from kubeops.plan.preflight import preflight
from kubeops.plan.replacing import notes, present


def plan(session: Session, *, accepted: tuple[str, ...], limit: tuple[str, ...]) -> Plan:
    """Observe the hosts and plan what makes them the cluster the inventory describes.

    Hosts that wait to replace others are not joined, and those that were replaced not again.

    Raises:
        LockedError: another run is at work on the cluster.
        FactsError: a host answered something that cannot be understood.
        UsageError: a manifest of the inventory cannot be read.
    """
    facts = observe_idle(session, ask_source=True)
    desired = present(session.desired, facts)
    membership = Membership.of(desired, facts)
    there = tuple(host.name for host in desired.hosts if host.name in facts.hosts)
    joining = [name for name in there if name not in membership.members]
    reach = gather_reach(desired, session.transport, hosts=there) if joining else ()
    planned = plan_install(
        desired,
        facts,
        findings=preflight(desired, facts, reach=reach, limit=limit),
        accepted=accepted,
        limit=limit,
        manifests=manifests_of(desired),
    )
    return replace(planned, done=(*planned.done, *notes(session.desired, facts)))


def manifests_of(desired: Cluster) -> tuple[ManifestSource, ...]:
    """The manifests the inventory asks for; a file's digest is its content's, a URL's its own."""
    return tuple(
        ManifestSource(name=name, source=source, digest=_digest(name, source))
        for name, source in manifest_sources(desired)
    )


def _digest(name: str, source: str) -> str:
    if "://" in source:
        return hashlib.sha256(source.encode()).hexdigest()
    try:
        return hashlib.sha256(Path(source).read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(
            f"the manifest of {name} cannot be read: {source}: {error.strerror}",
            hint="Correct its path in the inventory.",
        ) from error
