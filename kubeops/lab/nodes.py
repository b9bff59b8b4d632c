"""Starting and stopping the nodes of a lab, and seeing how they are."""

import contextlib
import json
import socket
import sys
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path

from kubeops.engine.clock import Clock
from kubeops.engine.gates import Gate, Reading, wait_until
from kubeops.errors import GateError
from kubeops.lab import cgroups, network, places, seed, shell, state
from kubeops.lab.model import Lab, Node, Source

BOOT_TIMEOUT = 60.0
ANSWER_TIMEOUT = 0.5


class Condition(StrEnum):
    """How a node is, seen from outside."""

    RUNNING = "running"
    FROZEN = "frozen"
    STOPPED = "stopped"


def condition(lab: Lab, node: Node) -> Condition:
    """How `node` is; one that boots or shuts down is running."""
    cgroup = lab.node_cgroup(node.name)
    if not cgroups.populated(cgroup):
        return Condition.STOPPED
    return Condition.FROZEN if cgroups.frozen(cgroup / "system") else Condition.RUNNING


def is_cut(lab: Lab, node: Node) -> bool:
    """Whether the network of `node` is unplugged."""
    return _cut_mark(lab, node).exists()


def set_cut(lab: Lab, node: Node, *, cut: bool) -> None:
    """Unplug or plug in the network of `node`; it stays so over its reboots."""
    if cut:
        _cut_mark(lab, node).touch()
    else:
        _cut_mark(lab, node).unlink(missing_ok=True)
    if condition(lab, node) is not Condition.STOPPED:
        network.connect(lab, node.name, connected=not cut)


def launch(lab: Lab, node: Node) -> None:
    """Start `node` unless it runs; `wait_for_ssh` tells when it is there."""
    cgroup = lab.node_cgroup(node.name)
    if condition(lab, node) is not Condition.STOPPED:
        return
    directory = lab.node_directory(node.name)
    directory.mkdir(parents=True, exist_ok=True)
    seed.write(lab, node)
    _make_disk(directory / "disk.img", size=lab.disk_bytes)
    (directory / "joined").unlink(missing_ok=True)
    description = directory / "node.json"
    state.write(description, json.dumps(_description(lab, node), indent=2) + "\n")
    cgroups.make(cgroup)
    program = str(places.PROGRAMS / "launcher.py")
    shell.daemon(
        *(sys.executable, "-I", "-S", program, str(description)),
        log=directory / "launcher.log",
    )


def kill(lab: Lab, node: Node) -> None:
    """End `node` at once, as a power failure does; its disk stays."""
    cgroups.end(lab.node_cgroup(node.name))
    wait_for_disks(lab, (node,))


def wait_for_disks(lab: Lab, nodes: Iterable[Node] | None = None) -> None:
    """Wait until the disks of `nodes`, all of the lab's unless given, are unmounted.

    The kernel unmounts a little after the last process is gone, and an image must not be mounted
    twice.
    """
    chosen = lab.nodes if nodes is None else nodes
    images = {str(lab.node_directory(node.name) / "disk.img") for node in chosen}

    def look() -> Reading:
        busy = images & attached_files()
        return Reading(ok=not busy, text=f"in use: {', '.join(sorted(busy))}" if busy else "free")

    gate = Gate(name="the nodes' disks", look=look, timeout=20.0, successes=1, interval=0.02)
    wait_until(gate, clock=Clock(), progress=lambda _text: None)


def attached_files() -> set[str]:
    """The files behind the machine's loop devices; a removed one says so behind its name."""
    found = set()
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):  # detached since
            found.add(path.read_text().strip())
    return found


def init_pid(lab: Lab, node: Node) -> int | None:
    """The process of this machine that is the init of `node`; None when it does not run."""
    for launcher in cgroups.members(lab.node_cgroup(node.name) / "launcher"):
        children = Path(f"/proc/{launcher}/task/{launcher}/children")
        with contextlib.suppress(OSError):  # has ended since
            for child in children.read_text().split():
                return int(child)
    return None


def wait_for_ssh(lab: Lab, nodes: Iterable[Node], *, progress: Callable[[str], None]) -> None:
    """Wait until every one of `nodes` answers on its SSH port.

    Raises:
        GateError: one does not within a minute; its launcher.log says more.
    """
    left = list(nodes)

    def look() -> Reading:
        for node in tuple(left):
            if condition(lab, node) is Condition.STOPPED and _has_failed(lab, node):
                log = lab.node_directory(node.name) / "launcher.log"
                text = f"{node.name} ended while booting: {_last_line(log)} (see {log})"
                return Reading(ok=False, text=text, failed=True)
            if answers_ssh(node.address):
                left.remove(node)
        names = ", ".join(node.name for node in left)
        return Reading(ok=not left, text=f"not yet: {names}" if left else "all do")

    gate = Gate(
        name="the nodes to answer SSH",
        look=look,
        timeout=BOOT_TIMEOUT,
        successes=1,
        interval=0.05,
    )
    try:
        wait_until(gate, clock=Clock(), progress=progress)
    except GateError as error:
        error.hint = (
            f"the node's own account: {lab.directory}/nodes/NODE/launcher.log; "
            "the same command starts again what does not run"
        )
        raise


def answers_ssh(address: str) -> bool:
    """Whether an SSH server greets at `address`."""
    try:
        with socket.create_connection((address, 22), timeout=ANSWER_TIMEOUT) as connection:
            return connection.recv(4).startswith(b"SSH-")
    except OSError:
        return False


def _description(lab: Lab, node: Node) -> dict[str, str]:
    return {
        "name": node.name,
        "address": node.address,
        "link_address": network.link_address(node.address),
        "prefix": str(lab.subnet.prefixlen),
        "router": lab.host_address if lab.source is Source.REAL else lab.gateway,
        "hub": lab.hub,
        "cgroup": str(lab.node_cgroup(node.name)),
        "directory": str(lab.node_directory(node.name)),
        "base": str(lab.base),
    }


def _make_disk(image: Path, *, size: int) -> None:
    """Make the node's disk: ext4 in a sparse file.

    A loop device and not a tmpfs: it keeps what a killed node wrote, it is no memory that is lost
    for the nodes, and errors, free space and fsync are those of a disk. Nothing is kept back for
    root, so that a full disk is full for everybody.
    """
    if image.exists():
        return
    partial = image.with_name("disk.part")
    with partial.open("wb") as sink:
        sink.truncate(size)
    shell.run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1", str(partial))
    partial.rename(image)


def _cut_mark(lab: Lab, node: Node) -> Path:
    return lab.node_directory(node.name) / "cut"


def _has_failed(lab: Lab, node: Node) -> bool:
    """Whether the launcher of `node` has been there and is gone."""
    joined = lab.node_directory(node.name) / "joined"
    return joined.exists() and not cgroups.populated(lab.node_cgroup(node.name))


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return lines[-1] if lines else "it said nothing"
