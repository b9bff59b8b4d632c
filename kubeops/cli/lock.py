"""The cluster's lock: who holds it, and taking it away from a run that is dead."""

from kubeops.cli._app import Invocation, Report, command
from kubeops.cli._options import ANY, INVENTORY, Option

HOLDER = Option(
    name="run",
    value="RUN",
    required=True,
    help="The run that holds the lock, as lock.show names it.",
)


@command("lock.show", INVENTORY, *ANY)
def show(call: Invocation) -> Report:
    """Show who holds the cluster's lock, from where and since when."""
    from kubeops.engine import lock
    from kubeops.ops.run import lock_keeper
    from kubeops.ops.session import open_session

    with open_session(call.cluster()) as session:
        holder = lock.show(lock_keeper(session))
    return Report(data=holder, text=holder.shown if holder else "nobody holds the lock")


@command("lock.break", INVENTORY, HOLDER, *ANY)
def break_(call: Invocation, *, run: str) -> Report:
    """Take the lock away from a run that is dead for sure; a live one would be disturbed."""
    from kubeops.engine import lock
    from kubeops.ops.run import lock_keeper
    from kubeops.ops.session import open_session

    with open_session(call.cluster()) as session:
        was_held = lock.break_(lock_keeper(session), run)
    text = f"run {run} no longer holds the lock" if was_held else "nobody held the lock"
    return Report(data={"run": run, "was_held": was_held}, text=text)
