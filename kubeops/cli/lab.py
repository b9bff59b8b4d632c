"""The lab: nodes on this machine to practise on."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kubeops.cli._app import Invocation, Report, command, typed
from kubeops.cli._options import ANY, Option, count, one_of
from kubeops.model.version import KubeVersion

if TYPE_CHECKING:
    from kubeops.lab.lifecycle import LabStatus

NAME = Option(name="name", value="NAME", default="lab", help="The lab's name. Default: lab.")
CONTROL_PLANES = Option(
    name="control-planes",
    value="N",
    default="3",
    parse=count,
    help="How many control plane nodes. Default: 3.",
)
WORKERS = Option(
    name="workers", value="N", default="2", parse=count, help="How many workers. Default: 2."
)
KUBERNETES = Option(
    name="kubernetes",
    value="VERSION",
    parse=KubeVersion.parse,
    help="The release the lab's inventory asks for, such as 1.35.4. Default: the lab's own.",
)
SOURCE = Option(
    name="source",
    value="SOURCE",
    default="rehearsal",
    parse=one_of("rehearsal", "real"),
    help="Where packages come from: rehearsal (stand-ins, no network) or real. Default: rehearsal.",
)


@command("lab.up", NAME, CONTROL_PLANES, WORKERS, KUBERNETES, SOURCE, *ANY)
def up(
    call: Invocation,
    *,
    name: str,
    control_planes: int,
    workers: int,
    kubernetes: KubeVersion | None,
    source: str,
) -> Report:
    """Boot a lab and write its inventory; typed again, it starts what does not run."""
    from kubeops.lab import lifecycle

    wanted = str(kubernetes) if kubernetes else lifecycle.KUBERNETES
    lifecycle.up(
        name,
        control_planes,
        workers,
        inventory_path=inventory_path(name),
        kubernetes=wanted,
        source=source,
        progress=_progress(call),
    )
    return _report(lifecycle.status(name))


@command("lab.down", NAME, *ANY)
def down(call: Invocation, *, name: str) -> Report:
    """Take a lab down; nothing of it is left behind."""
    from kubeops.lab import lifecycle

    lifecycle.down(name, progress=_progress(call))
    return Report(data={"name": name}, text=f"lab {name} is gone")


@command("lab.status", NAME, *ANY)
def status(_call: Invocation, *, name: str) -> Report:
    """Show a lab's nodes, where it is, and how to log in to them."""
    from kubeops.lab import lifecycle

    return _report(lifecycle.status(name))


def inventory_path(name: str) -> Path:
    """Return where the inventory of lab `name` is written: a name git ignores."""
    return Path("inventories") / (f"{name}.yaml" if name.startswith("lab") else f"lab-{name}.yaml")


def _report(found: "LabStatus") -> Report:
    from kubeops.render.lab import lab as render

    lab = found.lab
    inventory = lab.inventory.stem
    about = (
        ("kubernetes", f"{lab.kubernetes} ({lab.source})"),
        ("subnet", str(lab.subnet)),
        ("inventory", str(lab.inventory)),
        ("log in", f"ssh -i {lab.key} -o UserKnownHostsFile={lab.known_hosts} ops@ADDRESS"),
    )
    nodes = tuple(
        (
            one.node.name,
            one.node.role.value,
            one.node.address,
            f"{one.condition}, cut off" if one.cut else str(one.condition),
        )
        for one in found.nodes
    )
    following = (typed("install", "--inventory", inventory),)
    return Report(
        data=found, text=render(name=lab.name, about=about, nodes=nodes, following=following)
    )


def _progress(call: Invocation) -> Callable[[str], None]:
    return call.screen.say
