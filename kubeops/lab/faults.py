"""What goes wrong with machines, on order: one call each, on one node of a lab.

A cut and a full disk last over reboots, as they do on real machines; a freeze ends with the kill.
"""

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path

from kubeops.engine.clock import Clock
from kubeops.engine.gates import Gate, Reading, wait_until
from kubeops.errors import UsageError
from kubeops.lab import cgroups, nodes
from kubeops.lab.model import Lab, Node
from kubeops.lab.nodes import Condition

# systemd's request to reboot; see systemd(1), SIGNALS. Python has no names for these signals.
SIGNAL_REBOOT = signal.SIGRTMIN + 5
REBOOT_TIMEOUT = 60.0
FILL_ATTEMPTS = 5
FILLER = "var/.filled-by-the-lab"


def cut(lab: Lab, name: str) -> None:
    """Unplug the network of the node `name`: packets to and from it vanish."""
    nodes.set_cut(lab, lab.node(name), cut=True)


def mend(lab: Lab, name: str) -> None:
    """Plug the network of the node `name` in again."""
    nodes.set_cut(lab, lab.node(name), cut=False)


def freeze(lab: Lab, name: str) -> None:
    """Stop everything that runs on the node `name`: connections stay open and are not answered.

    Raises:
        UsageError: the node does not run.
    """
    _running(lab, name)
    cgroups.freeze(lab.node_cgroup(name) / "system", stopped=True)


def thaw(lab: Lab, name: str) -> None:
    """Let the node `name` go on where it was frozen."""
    cgroups.freeze(lab.node_cgroup(name) / "system", stopped=False)


def lag(lab: Lab, name: str) -> None:
    """Stop the etcd member of the node `name`, and nothing else there: it falls behind the others.

    Raises:
        UsageError: no etcd runs there.
    """
    cgroups.freeze(_etcd(lab, name), stopped=True)


def catch_up(lab: Lab, name: str) -> None:
    """Let the etcd member of the node `name` go on: it gets from the others what it missed.

    Raises:
        UsageError: no etcd runs there.
    """
    cgroups.freeze(_etcd(lab, name), stopped=False)


def kill(lab: Lab, name: str) -> None:
    """Take the node `name` down at once, as a power failure does; it stays down."""
    nodes.kill(lab, lab.node(name))


def start(lab: Lab, name: str, *, progress: Callable[[str], None] = lambda _text: None) -> None:
    """Boot the node `name` if it does not run, and wait until it answers on its SSH port.

    Raises:
        GateError: it does not within a minute.
    """
    node = lab.node(name)
    nodes.launch(lab, node)
    nodes.wait_for_ssh(lab, (node,), progress=progress)


def reinstall(lab: Lab, name: str, *, progress: Callable[[str], None] = lambda _text: None) -> None:
    """Lose the node `name` with all it holds, and boot a machine of that name, freshly installed.

    Address and host key are those of before, as of a machine that is installed from an image.

    Raises:
        GateError: it does not answer within a minute.
    """
    kill(lab, name)
    (lab.node_directory(name) / "disk.img").unlink()
    start(lab, name, progress=progress)


def reboot(lab: Lab, name: str, *, progress: Callable[[str], None] = lambda _text: None) -> None:
    """Reboot the node `name` in an orderly way, and wait until it answers on its SSH port again.

    Raises:
        UsageError: the node does not run.
        GateError: it is not back within a minute.
    """
    node = _running(lab, name)
    before = nodes.init_pid(lab, node)
    if before is not None:
        os.kill(before, SIGNAL_REBOOT)

    def look() -> Reading:
        now = nodes.init_pid(lab, node)
        rebooted = now not in {None, before}
        return Reading(ok=rebooted, text="booting" if rebooted else "shutting down")

    gate = Gate(
        name=f"{name} to shut down",
        look=look,
        timeout=REBOOT_TIMEOUT,
        successes=1,
        interval=0.05,
    )
    wait_until(gate, clock=Clock(), progress=progress)
    nodes.wait_for_ssh(lab, (node,), progress=progress)


def fill_disk(lab: Lab, name: str, *, leave_bytes: int = 0) -> None:
    """Fill the disk of the node `name` but for about `leave_bytes`.

    Raises:
        UsageError: the node does not run.
    """
    filler = _filler(lab, name)
    free_disk(lab, name)
    descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for _ in range(FILL_ATTEMPTS):
            free = os.fstatvfs(descriptor)
            size = free.f_bavail * free.f_frsize - leave_bytes
            if size <= 0:
                return
            _grow(descriptor, size)
    finally:
        os.close(descriptor)


def _grow(descriptor: int, size: int) -> None:
    """Make a file `size` bytes larger, or as much as fits: others write to the same disk."""
    try:
        os.posix_fallocate(descriptor, os.fstat(descriptor).st_size, size)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


def free_disk(lab: Lab, name: str) -> None:
    """Give back what `fill_disk` took.

    Raises:
        UsageError: the node does not run.
    """
    _filler(lab, name).unlink(missing_ok=True)


def _filler(lab: Lab, name: str) -> Path:
    """The file that fills the disk: seen through the node's init, whose mounts nobody else has."""
    pid = nodes.init_pid(lab, _running(lab, name))
    if pid is None:
        raise UsageError(f"node {name} of lab {lab.name} is between two boots", hint="ask again")
    return Path(f"/proc/{pid}/root") / FILLER


def _etcd(lab: Lab, name: str) -> Path:
    """The cgroup of the node's etcd: each static pod of the rehearsal has a scope of its own."""
    pods = (lab.node_cgroup(name) / "system/kubepods.slice").glob("*.scope")
    for scope in pods:
        for pid in cgroups.members(scope):
            if Path(f"/proc/{pid}/comm").read_text().strip() == "etcd":
                return scope
    raise UsageError(f"no etcd runs on node {name} of lab {lab.name}")


def _running(lab: Lab, name: str) -> Node:
    node = lab.node(name)
    if nodes.condition(lab, node) is Condition.STOPPED:
        raise UsageError(f"node {name} of lab {lab.name} does not run", hint="start it first")
    return node
