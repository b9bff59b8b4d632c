"""Past runs: what they did, how they ended, and how to go on."""

from typing import TYPE_CHECKING

from invoke.context import Context

from kubeops.cli import cluster as clusters
from kubeops.cli import restore, upgrade
from kubeops.cli._app import MODES, Invocation, Report, Verb, command, typed
from kubeops.cli._options import ANY, APPROVE, PLAN, YES, Option, meant
from kubeops.errors import UsageError

if TYPE_CHECKING:
    from kubeops.model.run import RunRecord


def _cluster(text: str) -> str:
    from kubeops.inventory.fields import label_name

    return label_name(text)


CLUSTER = Option(name="cluster", value="NAME", help="Only runs of this cluster.", parse=_cluster)
RUN = Option(name="run", value="RUN", help="The run, as runs.list names it. Default: the newest.")
_RESUMABLE: dict[str, Verb] = {
    verb.path: verb for verb in (clusters.install, clusters.reset, upgrade.upgrade, restore.restore)
}


@command("runs.list", CLUSTER, *ANY)
def list_(_call: Invocation, *, cluster: str | None) -> Report:
    """List the runs on record, newest first."""
    from kubeops.engine.runs import list_runs
    from kubeops.engine.state import state_directory
    from kubeops.render.runs import runs

    state = state_directory()
    found = list_runs(state, cluster)
    return Report(data=found, text=runs(found, state=state))


@command("runs.show", RUN, CLUSTER, *ANY)
def show(_call: Invocation, *, run: str | None, cluster: str | None) -> Report:
    """Show one run: its steps and how they ended, its failures in full, and what to type next."""
    from kubeops.render.runs import run as render

    record = chosen(run, cluster=cluster)
    following = (typed("runs.resume", "--run", record.run_id),) if record.state.resumable else ()
    text = render(record, following=following)
    return Report(data=record, text=text, inventory=_inventory(record))


@command("runs.resume", RUN, CLUSTER, PLAN, YES, APPROVE, *ANY)
def resume(call: Invocation, *, run: str | None, cluster: str | None) -> None:
    """Go on with a run that failed, was interrupted or killed: its verb again, observed anew."""
    record = chosen(run, cluster=cluster)
    if not record.state.resumable:
        raise UsageError(
            f"run {record.run_id} ({record.kind}) is {record.state}: there is nothing to resume",
            hint=f"{typed('runs.list')} shows which runs did not end",
        )
    verb, options = _RESUMABLE.get(str(record.arguments["verb"])), record.arguments["options"]
    if verb is None or not isinstance(options, dict):
        raise UsageError(
            f"run {record.run_id} does not say how it was called",
            hint=f"type its verb again: {typed(record.kind)}",
        )
    verb(Context(), **{**options, **{name: getattr(call.options, name) for name in MODES}})


def _inventory(record: "RunRecord") -> str | None:
    """Return the inventory that a run was about, if its journal says so."""
    options = record.arguments.get("options")
    inventory = options.get("inventory") if isinstance(options, dict) else None
    return inventory if isinstance(inventory, str) else None


def chosen(run_id: str | None, *, cluster: str | None = None) -> "RunRecord":
    """Return the run called `run_id`, or the newest one (of `cluster`) when it is None.

    Raises:
        UsageError: there is no such run.
        JournalError: its journal is damaged.
    """
    from kubeops.engine.runs import find_run, list_runs
    from kubeops.engine.state import state_directory

    state = state_directory()
    if run_id is not None:
        record = find_run(state, run_id)
        if record is not None:
            return record
    known = list_runs(state, cluster)
    if run_id is None and known:
        return known[0]
    names = [run.run_id for run in known]
    what = "run" if run_id is None else f"run {run_id}"
    raise UsageError(
        f"there is no {what} on record in {state}{meant(run_id or '', names)}",
        hint=f"{typed('runs.list')} lists them",
    )
