"""Control groups (version 2 only): how a lab's processes are held together, stopped and ended.

Membership of a lab's cgroup is what makes a process the lab's own. Nothing else is ever signalled.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path

from kubeops.engine.clock import Clock
from kubeops.engine.gates import Gate, Reading, wait_until
from kubeops.errors import UsageError


def own() -> Path:
    """Return the folder of this process's own cgroup in the version 2 hierarchy.

    Raises:
        UsageError: this machine has no version 2 hierarchy.
    """
    mountinfo = Path("/proc/self/mountinfo").read_text()
    membership = Path("/proc/self/cgroup").read_text()
    folder = locate(mountinfo=mountinfo, membership=membership)
    if folder is None:
        raise UsageError(
            "this machine has no cgroup version 2, which the lab's nodes need",
            hint="boot with systemd.unified_cgroup_hierarchy=1, or mount cgroup2 somewhere",
        )
    return folder


def locate(*, mountinfo: str, membership: str) -> Path | None:
    """Find the caller's cgroup2 folder from /proc/self/mountinfo and /proc/self/cgroup.

    The mount's root is what of the hierarchy is visible there: in a container it may be a sub-tree.
    """
    own_path = next(
        (line.removeprefix("0::") for line in membership.splitlines() if line.startswith("0::")),
        None,
    )
    if own_path is None:
        return None
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        if right.split()[0] == "cgroup2":
            root, point = left.split()[3:5]
            inside = own_path.removeprefix(root.rstrip("/")) if root != "/" else own_path
            return Path(point) / inside.lstrip("/")
    return None


def make(folder: Path) -> None:
    """Make `folder` and offer what controllers there are to the groups below it."""
    folder.mkdir(parents=True, exist_ok=True)
    offered = (folder / "cgroup.controllers").read_text().split()
    for controller in offered:
        # A controller that cannot be handed down, as in a threaded domain, is done without.
        with contextlib.suppress(OSError):
            (folder / "cgroup.subtree_control").write_text(f"+{controller}")


def populated(folder: Path) -> bool:
    """Whether any process lives in `folder` or below it."""
    return _event(folder, "populated")


def frozen(folder: Path) -> bool:
    """Whether every process in `folder` and below it is stopped."""
    return _event(folder, "frozen")


def members(folder: Path) -> tuple[int, ...]:
    """The processes in `folder` itself."""
    try:
        return tuple(int(line) for line in (folder / "cgroup.procs").read_text().split())
    except FileNotFoundError:
        return ()


def freeze(folder: Path, *, stopped: bool) -> None:
    """Stop every process in and below `folder` until told otherwise, or let them go on."""
    (folder / "cgroup.freeze").write_text("1" if stopped else "0")
    _wait(
        f"cgroup {folder.name} to {'freeze' if stopped else 'thaw'}",
        lambda: frozen(folder) is stopped,
    )


def end(folder: Path) -> None:
    """Kill every process in and below `folder` and remove it; no error when it does not exist.

    Raises:
        GateError: a process survives; it hangs in the kernel.
    """

    def ended() -> bool:
        # Each time anew: a process may still be on its way in.
        with contextlib.suppress(FileNotFoundError):
            (folder / "cgroup.kill").write_text("1")
        return _remove(folder)

    _wait(f"the processes of cgroup {folder.name} to end", ended)


def _remove(folder: Path) -> bool:
    """Remove `folder` and what is below it, as far as it is empty; return whether it is gone."""
    if not folder.exists():
        return True
    for child in [path for path in folder.iterdir() if path.is_dir()]:
        _remove(child)
    with contextlib.suppress(OSError):
        folder.rmdir()
    return not folder.exists()


def _event(folder: Path, name: str) -> bool:
    try:
        return f"{name} 1" in (folder / "cgroup.events").read_text()
    except OSError:
        return False


def _wait(what: str, done: Callable[[], bool]) -> None:
    def look() -> Reading:
        return Reading(ok=True, text="done") if done() else Reading(ok=False, text="not yet")

    gate = Gate(name=what, look=look, timeout=20.0, successes=1, interval=0.02)
    wait_until(gate, clock=Clock(), progress=lambda _text: None)
