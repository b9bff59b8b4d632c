"""The demonstration: kubeops' main job on this machine, from nothing and back."""

from invoke.context import Context

from kubeops.cli._app import Invocation, command, typed
from kubeops.cli._options import ANY, Option, Value

LAB = "lab-demo"
KEEP = Option(name="keep", help="Leave the lab up at the end, to look around in.")


@command("lab.demo", KEEP, *ANY)
def demo(call: Invocation, *, keep: bool) -> None:
    """Boot five nodes here, install a cluster of 3 control planes on them, show it, end it."""
    verbose = call.screen.verbose
    try:
        _type(call, "lab.up", name=LAB, control_planes="3", workers="2")
        _type(call, "install", inventory=LAB, yes=True, verbose=verbose)
        _type(call, "status", inventory=LAB)
        _type(call, "verify", inventory=LAB)
    finally:
        if not keep:
            _type(call, "lab.down", name=LAB)


def _type(call: Invocation, verb: str, **options: Value) -> None:
    """Show a command line and run it, as an operator would."""
    from kubeops.cli.namespace import namespace

    words = [
        word
        for name, value in options.items()
        if value
        for word in (f"--{name.replace('_', '-')}", *([value] if isinstance(value, str) else []))
    ]
    call.screen.say(f"\n$ {typed(verb, *words)}")
    namespace()[verb](Context(), **options)
