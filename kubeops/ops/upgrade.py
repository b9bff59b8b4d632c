"""`upgrade`: gather, plan for all hops; the run is measured, and the endpoint watched meanwhile."""

from collections.abc import Mapping
from dataclasses import replace

from kubeops.facts.reach import gather_reach
from kubeops.facts.upgrade import gather_upgrade
from kubeops.model.desired import Cluster
from kubeops.model.event import Event, Sink
from kubeops.model.observed import ClusterFacts, Reach
from kubeops.model.report import UpgradeReport
from kubeops.model.run import RunState
from kubeops.ops.run import observe_idle
from kubeops.ops.run import run as carry_out
from kubeops.ops.session import Session
from kubeops.ops.stopwatch import Stopwatch
from kubeops.ops.watch import EndpointWatch
from kubeops.plan.actions import DeleteNode, ResetHost
from kubeops.plan.model import Plan
from kubeops.plan.replacing import present, take_out
from kubeops.plan.standing import ClusterStanding
from kubeops.plan.upgrade import Choices, exchange_of, plan_upgrade
from kubeops.plan.upgrade_path import Wish, sources_to_ask


def plan(session: Session, *, wish: Wish, choices: Choices) -> Plan:
    """Observe the cluster and plan its way to `wish`; changes nothing.

    Raises:
        LockedError: another run is at work on the cluster.
        FactsError: a host answered something that cannot be understood.
    """
    facts = observe_idle(session)
    minors = sources_to_ask(ClusterStanding.of(session.desired, facts), wish)
    facts, more = gather_upgrade(session.desired, facts, session.transport, minors=minors)
    more = replace(more, reach=_reach(session, facts, choices))
    return plan_upgrade(session.desired, facts, more, wish=wish, choices=choices)


def _reach(session: Session, facts: ClusterFacts, choices: Choices) -> tuple[Reach, ...]:
    """Have hosts knock at each other's ports, if any of them is to join."""
    joining = exchange_of(session.desired, facts, choices).joining
    if not joining:
        return ()
    there = (host for host in present(session.desired, facts).hosts if host.name in facts.hosts)
    names = tuple(host.name for host in (*there, *joining))
    return gather_reach(session.desired, session.transport, hosts=names)


def run(
    plan: Plan, session: Session, *, arguments: Mapping[str, object], sink: Sink
) -> UpgradeReport:
    """Run `plan`; arguments and errors as for `kubeops.ops.run.run`."""
    stopwatch = Stopwatch(plan)

    def both(event: Event) -> None:
        stopwatch(event)
        sink(event)

    with EndpointWatch(session) as watch:
        outcome = carry_out(plan, session, arguments=arguments, sink=both)
    return UpgradeReport(
        outcome=outcome,
        steps=stopwatch.times(),
        availability=watch.seen,
        notices=_notices(plan, session.desired) if outcome.status is RunState.DONE else (),
    )


def _notices(plan: Plan, desired: Cluster) -> tuple[str, ...]:
    """What a plan that was carried out leaves to the operator: the inventory's own lines."""
    gone = {
        step.host if isinstance(step.action, ResetHost) else step.action.node
        for step in plan.steps
        if isinstance(step.action, ResetHost | DeleteNode)
    }
    return tuple(
        f"{host.replaces} was replaced by {host.name}: {take_out(host, desired)}"
        for host in desired.hosts
        if host.replaces in gone
    )
