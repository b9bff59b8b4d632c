"""Making a lab, taking it down, growing it, and telling how it is."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from kubeops.errors import UsageError
from kubeops.lab import (
    base,
    cgroups,
    hostsetup,
    inventory,
    locks,
    model,
    names,
    network,
    nodes,
    places,
    requirements,
    seed,
    services,
    state,
    subnets,
)
from kubeops.lab.model import Lab, Node, Source, Wish
from kubeops.lab.rehearsal import repository as packages
from kubeops.lab.rehearsal.packages import patches
from kubeops.model.desired import Role

KUBERNETES = "1.35.4"
DISK_BYTES = 16 * 2**30


@dataclass(frozen=True, kw_only=True)
class NodeStatus:
    """One node and how it is."""

    node: Node
    condition: nodes.Condition
    cut: bool


@dataclass(frozen=True, kw_only=True)
class LabStatus:
    """One lab and how its nodes are."""

    lab: Lab
    nodes: tuple[NodeStatus, ...]


def up(
    name: str,
    control_planes: int,
    workers: int,
    *,
    inventory_path: Path,
    kubernetes: str = KUBERNETES,
    source: str = Source.REHEARSAL,
    disk_bytes: int = DISK_BYTES,
    repository: Path = places.REPOSITORY,
    labs: Path = places.LABS,
    progress: Callable[[str], None] = lambda _text: None,
) -> Lab:
    """Make the lab `name`, or whatever of it is missing, and write its inventory.

    Returns when every node answers on its SSH port. Typed again it starts what does not run.

    Args:
        name: the lab's name, unique on this machine.
        control_planes: how many control plane nodes, at least one.
        workers: how many workers, or none.
        inventory_path: the inventory file to write; not overwritten when it is not this lab's.
        kubernetes: the version the inventory asks for.
        source: `rehearsal` or `real`.
        disk_bytes: the size of each node's disk; only what is written takes space.
        repository: the directory that is served to the nodes as package repository; the
            rehearsal is built there.
        labs: where labs are kept.
        progress: gets one line for each thing that takes time.

    Raises:
        UsageError: this machine cannot have labs, or the lab exists in another shape.
        LockedError: another command works on this lab.
        GateError: a node did not boot.
    """
    if control_planes < 1 or workers < 0:
        raise UsageError("a lab has at least one control plane", hint="--control-planes 1")
    wish = Wish(
        name=names.check_lab(name),
        control_planes=control_planes,
        workers=workers,
        kubernetes=kubernetes,
        source=Source(source),
        disk_bytes=disk_bytes,
        inventory=inventory_path.absolute(),
        repository=repository,
    )
    if wish.source is Source.REHEARSAL:
        _check_rehearsed(kubernetes)
    requirements.check(real=wish.source is Source.REAL)
    inventory.check(wish.inventory, lab=name)
    root = base.ensure(progress)
    if wish.source is Source.REHEARSAL:
        nodes_python = ("chroot", str(root), "python3")
        packages.build(wish.repository, progress=progress, python=nodes_python)
    directory = labs / name
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locks.held_directory(directory, what=f"lab {name}"):
        existing = state.load(directory)
        lab = _found(wish, directory, root) if existing is None else _resumed(existing, wish)
        _bring_up(lab, lab.nodes, progress=progress)
    return lab


def _check_rehearsed(kubernetes: str) -> None:
    rehearsed = patches()
    if kubernetes not in rehearsed:
        raise UsageError(
            f"the rehearsal has no Kubernetes {kubernetes}",
            hint=f"--kubernetes one of {', '.join(rehearsed)}",
        )


def down(
    name: str,
    *,
    labs: Path = places.LABS,
    progress: Callable[[str], None] = lambda _text: None,
) -> None:
    """Take the lab `name` down and leave nothing of it, whatever state it is in.

    Raises:
        UsageError: there is no such lab.
        LockedError: another command works on it.
        GateError: a process of it does not end.
    """
    directory = labs / names.check_lab(name)
    if not directory.exists():
        known = ", ".join(sorted(path.name for path in labs.glob("*/"))) or "none"
        raise UsageError(f"there is no lab {name}", hint=f"labs on this machine: {known}")
    with locks.held_directory(directory, what=f"lab {name}"):
        lab = state.load(directory)
        if lab is not None:
            progress("ending its processes")
            cgroups.end(lab.cgroup)
            nodes.wait_for_disks(lab)
            network.remove(lab)
            hostsetup.close_way_out(lab)
            inventory.remove(lab)
        base.remove_tree(directory)
    hostsetup.restore(labs)


def status(name: str, *, labs: Path = places.LABS) -> LabStatus:
    """Tell how the lab `name` and its nodes are.

    Raises:
        UsageError: there is no such lab.
    """
    lab = load(name, labs=labs)
    return LabStatus(
        lab=lab,
        nodes=tuple(
            NodeStatus(
                node=node,
                condition=nodes.condition(lab, node),
                cut=nodes.is_cut(lab, node),
            )
            for node in lab.nodes
        ),
    )


def load(name: str, *, labs: Path = places.LABS) -> Lab:
    """Return the lab called `name`.

    Raises:
        UsageError: there is none.
    """
    lab = state.load(labs / names.check_lab(name))
    if lab is None:
        known = ", ".join(found.name for found in list_labs(labs=labs)) or "none"
        raise UsageError(f"there is no lab {name}", hint=f"labs on this machine: {known}")
    return lab


def list_labs(*, labs: Path = places.LABS) -> tuple[Lab, ...]:
    """Every lab on this machine, by name."""
    return state.load_all(labs)


def add_node(
    lab: Lab,
    role: Role,
    *,
    name: str | None = None,
    progress: Callable[[str], None] = lambda _text: None,
) -> tuple[Lab, Node]:
    """Boot one more node of `role` and add it to the inventory; return the lab it has become.

    Raises:
        UsageError: the name is taken or impossible.
        LockedError: another command works on the lab.
        GateError: the node did not boot.
    """
    if name is not None:
        names.check_node(name)
    with locks.held_directory(lab.directory, what=f"lab {lab.name}"):
        current = load(lab.name, labs=lab.directory.parent)
        node = model.next_node(current.subnet, nodes=current.nodes, role=role, name=name)
        grown = current.with_node(node)
        state.save(grown)
        _bring_up(grown, (node,), progress=progress)
    return grown, node


def _found(wish: Wish, directory: Path, root: Path) -> Lab:
    """Choose what is the new lab's alone, and write it down before anything of it is made.

    From then on no other lab can choose the same subnet, and `down` knows what to look for.
    """
    labs = directory.parent
    with locks.held(labs / hostsetup.LOCK):
        taken = [lab.subnet for lab in state.load_all(labs)]
        subnet = subnets.choose([*taken, *subnets.in_use()])
        lab = model.lab(
            wish,
            directory=directory,
            subnet=subnet,
            cgroup=cgroups.own() / f"kubeops-{wish.name}",
            base=root,
        )
        state.save(lab)
    return lab


def _resumed(lab: Lab, wish: Wish) -> Lab:
    """The existing `lab`, which must be what is wished for.

    When nothing of it runs, as after a reboot of this machine, it moves to the caller's cgroup:
    the one it was in may be gone.
    """
    differences = model.differences(lab, wish)
    if differences:
        raise UsageError(
            f"lab {lab.name} exists and is another: {'; '.join(differences)}",
            hint=f"ask for the lab as it is, or take it down first: lab.down --name {lab.name}",
        )
    if cgroups.populated(lab.cgroup):
        return lab
    cgroups.end(lab.cgroup)
    moved = replace(lab, cgroup=cgroups.own() / f"kubeops-{lab.name}")
    state.save(moved)
    return moved


def _bring_up(lab: Lab, wanted: tuple[Node, ...], *, progress: Callable[[str], None]) -> None:
    """Make what is missing of the lab, boot the `wanted` nodes and write the inventory."""
    hostsetup.prepare(lab.directory.parent, real=lab.source is Source.REAL)
    cgroups.make(lab.cgroup)
    seed.make_keys(lab)
    if not network.exists(lab):
        network.create(lab)
    hostsetup.open_way_out(lab)
    services.start(lab)
    for node in wanted:
        if nodes.condition(lab, node) is nodes.Condition.STOPPED:
            progress(f"booting {node.name}")
            nodes.launch(lab, node)
    seed.write_known_hosts(lab)
    services.wait(lab, progress=progress)
    nodes.wait_for_ssh(lab, wanted, progress=progress)
    inventory.write(lab)
