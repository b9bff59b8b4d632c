"""`reset`: some hosts leave the cluster, or the cluster is taken down."""

from dataclasses import replace

from kubeops.ops.run import observe_idle
from kubeops.ops.session import Session
from kubeops.plan.model import Plan
from kubeops.plan.reset import plan_reset


def plan(session: Session, *, accepted: tuple[str, ...], limit: tuple[str, ...]) -> Plan:
    """Observe the hosts and plan their reset; all of them when `limit` is empty.

    Raises:
        LockedError: another run is at work on the cluster.
        FactsError: a host answered something that cannot be understood.
    """
    found = plan_reset(session.desired, observe_idle(session), hosts=limit)
    return replace(found, accepted=accepted)
