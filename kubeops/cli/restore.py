"""Restores: the cluster as it was when a backup was taken, and the way back."""

from kubeops.cli._app import Invocation, Report, command, typed
from kubeops.cli._options import CHANGES, LIMIT, Option
from kubeops.errors import UsageError

FROM = Option(
    name="from",
    value="NAME",
    help="The backup, as backup.list names it; latest is the newest proven one.",
)
UNDO = Option(
    name="undo", help="Put back what was there before the newest restore, finished or not."
)
CONFIRM = Option(
    name="confirm",
    value="NAME",
    help="The cluster's name, typed out: what was changed since the backup will be gone.",
)
_OPTIONS = tuple(option for option in CHANGES if option is not LIMIT)


@command("restore", FROM, UNDO, *_OPTIONS, CONFIRM)
def restore(
    call: Invocation, *, from_: str | None, undo: bool, confirm: str | None
) -> Report | None:
    """Make the cluster what it was when a backup was taken, on one control plane or several.

    The backup is verified on every control plane before anything is touched; the present state is
    kept there. Typed again after a failure it goes on; --undo goes back.
    """
    from kubeops.cli import approval
    from kubeops.cli._carry_out import carry_out
    from kubeops.ops import restore as ops
    from kubeops.ops.run import run
    from kubeops.ops.session import open_session

    cluster = call.cluster()
    if undo == bool(from_):
        raise UsageError(
            "restore needs either --from NAME or --undo",
            hint="See the backups: invoke backup.list",
        )
    if not call.options.plan:
        approval.confirm(
            cluster.name,
            confirm,
            call,
            act="replacing the state of the cluster",
            hint=call.command_line("--confirm", cluster.name),
        )
    with open_session(cluster) as session:
        if from_:
            progress = call.screen.say
            accepted = call.options.accept
            planned = ops.plan(session, name=from_, accepted=accepted, progress=progress)
        else:
            planned = ops.undo(session, accepted=call.options.accept)
        arguments = {"verb": call.verb, "options": call.repeated(inventory=str(cluster.source))}
        return carry_out(
            planned,
            call,
            run=lambda sink: run(planned, session, arguments=arguments, sink=sink),
            otherwise=(_way_back(call, cluster.name),) if planned.kind == "restore" else (),
        )


def _way_back(call: Invocation, name: str) -> str:
    inventory = ("--inventory", call.options.inventory) if call.options.inventory else ()
    line = typed("restore", "--undo", *inventory, "--confirm", name)
    return f"{line}   (puts back what was there before)"
