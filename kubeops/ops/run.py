"""Runs an approved plan: lock, journal, executor."""

from collections.abc import Mapping

from kubeops.engine.executor import execute
from kubeops.engine.journal import Journal, new_run_id
from kubeops.engine.lock import Lock, Owner, refuse_if_held
from kubeops.engine.process import current_process
from kubeops.errors import TransportError
from kubeops.handlers import REGISTRY
from kubeops.model.event import Sink
from kubeops.model.observed import ClusterFacts
from kubeops.model.run import Outcome
from kubeops.ops.session import Session
from kubeops.plan.model import Plan
from kubeops.transport.base import Runner
from kubeops.transport.pool import both


def run(plan: Plan, session: Session, *, arguments: Mapping[str, object], sink: Sink) -> Outcome:
    """Run `plan` under the cluster's lock and a journal of its own.

    Args:
        plan: the approved plan; this very object is what runs.
        session: the cluster.
        arguments: what `runs.resume` needs to call the same verb again (JSON values).
        sink: takes every event.

    Raises:
        LockedError: another run holds the cluster.
        JournalError: the journal cannot be written; nothing was touched.
    """
    run_id = new_run_id(plan.kind, session.clock)
    owner = Owner(
        process=current_process(),
        run_id=run_id,
        kind=plan.kind,
        digest=plan.digest,
        since=session.clock.now(),
    )
    with (
        _locked(session, owner, sink),
        Journal.create(
            session.state,
            cluster=plan.cluster,
            kind=plan.kind,
            plan=plan,
            arguments=arguments,
            clock=session.clock,
            run_id=run_id,
        ) as journal,
    ):
        return execute(
            plan,
            desired=session.desired,
            transport=session.transport,
            handlers=REGISTRY,
            journal=journal,
            clock=session.clock,
            sink=sink,
        )


def _locked(session: Session, owner: Owner, sink: Sink) -> Lock:
    keeper = lock_keeper(session)
    try:
        return Lock.acquire(keeper, owner, clock=session.clock, sink=sink)
    except TransportError as error:
        raise TransportError(
            f"{error.message}; {keeper.host} keeps the cluster's lock",
            host=error.host,
            hint=f"If {keeper.host} is lost for good, make another control plane the first one "
            f"under hosts in {session.desired.source}: that one then keeps the lock.",
        ) from error


def refuse_if_running(session: Session) -> None:
    """Refuse early when another run holds the cluster.

    A first control plane that is not reached keeps no lock that could be asked about; that it is
    not is found when observing.

    Raises:
        LockedError: another run holds the cluster.
    """
    try:
        refuse_if_held(lock_keeper(session))
    except TransportError:
        return


def observe_idle(session: Session, *, ask_source: bool = False) -> ClusterFacts:
    """Observe the cluster, to plan a run with what was seen; see `Session.observe`.

    Raises:
        LockedError: another run holds it: what was seen is the middle of that one.
        FactsError: something answered what cannot be understood.
    """
    _, facts = both(
        lambda: refuse_if_running(session), lambda: session.observe(ask_source=ask_source)
    )
    return facts


def lock_keeper(session: Session) -> Runner:
    """Return the runner of the host that keeps the cluster's lock: the first control plane."""
    return session.transport.runner(session.desired.control_planes[0].name)
