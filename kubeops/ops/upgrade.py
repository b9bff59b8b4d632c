"""`upgrade`: gather, plan for all hops; the run is measured, and the endpoint watched meanwhile."""

from collections.abc import Mapping

from kubeops.facts.upgrade import gather_upgrade
from kubeops.model.event import Event, Sink
from kubeops.model.report import UpgradeReport
from kubeops.ops.run import refuse_if_running
from kubeops.ops.run import run as carry_out
from kubeops.ops.session import Session
from kubeops.ops.stopwatch import Stopwatch
from kubeops.ops.watch import EndpointWatch
from kubeops.plan.model import Plan
from kubeops.plan.standing import ClusterStanding
from kubeops.plan.upgrade import Choices, plan_upgrade
from kubeops.plan.upgrade_path import Wish, sources_to_ask


def plan(session: Session, *, wish: Wish, choices: Choices) -> Plan:
    """Observe the cluster and plan its way to `wish`; changes nothing.

    Raises:
        LockedError: another run is at work on the cluster.
        FactsError: a host answered something that cannot be understood.
    """
    refuse_if_running(session)
    facts = session.observe()
    minors = sources_to_ask(ClusterStanding.of(session.desired, facts), wish)
    facts, more = gather_upgrade(session.desired, facts, session.transport, minors=minors)
    return plan_upgrade(session.desired, facts, more, wish=wish, choices=choices)


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
    return UpgradeReport(outcome=outcome, steps=stopwatch.times(), availability=watch.seen)
