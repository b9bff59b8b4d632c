"""`install`: gather, plan; the plan is then approved and run like any other."""

import hashlib
from pathlib import Path

from kubeops.errors import UsageError
from kubeops.facts.reach import gather_reach
from kubeops.model.desired import Cluster
from kubeops.ops.run import refuse_if_running
from kubeops.ops.session import Session
from kubeops.plan.install import Membership, plan_install
from kubeops.plan.manifests import manifest_sources
from kubeops.plan.model import Plan
from kubeops.plan.network import ManifestSource
from kubeops.plan.preflight import preflight


def plan(session: Session, *, accepted: tuple[str, ...], limit: tuple[str, ...]) -> Plan:
    """Observe the hosts and plan what makes them the cluster the inventory describes.

    Raises:
        LockedError: another run is at work on the cluster.
        FactsError: a host answered something that cannot be understood.
        UsageError: a manifest of the inventory cannot be read.
    """
    refuse_if_running(session)
    facts = session.observe(ask_source=True)
    membership = Membership.of(session.desired, facts)
    joining = [name for name in facts.hosts if name not in membership.members]
    reach = (
        gather_reach(session.desired, session.transport, hosts=tuple(facts.hosts))
        if joining
        else ()
    )
    return plan_install(
        session.desired,
        facts,
        findings=preflight(session.desired, facts, reach=reach, limit=limit),
        accepted=accepted,
        limit=limit,
        manifests=_manifests(session.desired),
    )


def _manifests(desired: Cluster) -> tuple[ManifestSource, ...]:
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
