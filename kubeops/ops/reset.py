"""`reset`: some hosts leave the cluster, or the cluster is taken down."""

from dataclasses import replace

from kubeops.ops.run import refuse_if_running
from kubeops.ops.session import Session
from kubeops.plan.model import Plan
from kubeops.plan.reset import plan_reset


def plan(session: Session, *, accepted: tuple[str, ...], limit: tuple[str, ...]) -> Plan:
    """Observe the hosts and plan their reset; all of them when `limit` is empty.

    Raises:
        LockedError: another run is at work on the cluster.
        FactsError: a host answered something that cannot be understood.
    """
    refuse_if_running(session)
    found = plan_reset(session.desired, session.observe(), hosts=limit)
    return replace(found, accepted=accepted)
