"""The demonstration: kubeops' main job on this machine, from nothing and back."""

from invoke.context import Context

from kubeops.cli import backup, cluster, lab, restore, upgrade, verify
from kubeops.cli._app import Invocation, Verb, command, typed
from kubeops.cli._options import ANY, Option, Value

LAB = "lab-demo"
KEEP = Option(name="keep", help="Leave the lab up at the end, to look around in.")


@command("lab.demo", KEEP, *ANY)
def demo(call: Invocation, *, keep: bool) -> None:
    """Boot five nodes here; install, back up, restore and upgrade a cluster on them; end it."""
    verbose = call.screen.verbose
    try:
        _type(call, lab.up, name=LAB, control_planes="3", workers="2")
        _type(call, cluster.install, inventory=LAB, yes=True, verbose=verbose)
        _type(call, cluster.status, inventory=LAB)
        _type(call, verify.verify, inventory=LAB)
        _kubectl(call, "create", "namespace", "shop")
        _type(call, backup.backup, inventory=LAB)
        _kubectl(call, "delete", "namespace", "shop")
        _type(
            call,
            restore.restore,
            from_="latest",
            inventory=LAB,
            confirm=LAB,
            yes=True,
            verbose=verbose,
        )
        _kubectl(call, "get", "namespace", "shop")
        _type(call, upgrade.upgrade, to="1.36", inventory=LAB, yes=True, verbose=verbose)
        _type(call, cluster.status, inventory=LAB)
    finally:
        if not keep:
            _type(call, lab.down, name=LAB)


def _type(call: Invocation, verb: Verb, **options: Value) -> None:
    """Show a command line and run it, as an operator would."""
    words = [
        word
        for name, value in options.items()
        if value
        for word in (
            f"--{name.strip('_').replace('_', '-')}",
            *([value] if isinstance(value, str) else []),
        )
    ]
    call.screen.say(f"\n$ {typed(verb.path, *words)}")
    verb(Context(), **options)


def _kubectl(call: Invocation, *arguments: str) -> None:
    """Show a kubectl command and run it on the first control plane."""
    from kubeops.handlers.tools import kubectl
    from kubeops.inventory import load
    from kubeops.ops.session import open_session

    call.screen.say(f"\n$ kubectl {' '.join(arguments)}")
    with open_session(load(lab.inventory_path(LAB))) as session:
        first = session.desired.control_planes[0].name
        call.screen.say(session.transport.runner(first).run(kubectl(*arguments)).must().output)
