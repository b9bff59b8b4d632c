"""Boots one node and boots it again when it reboots; ends when the node powers off or dies.

Run by path with nothing but the standard library: `launcher.py NODE.json`, as root. NODE.json is
written by `kubeops.lab.nodes`. It joins its cgroup first, so that `down` ends it with the rest.

The launcher itself stays in this machine's namespaces. Per boot it makes a PID namespace and forks;
the child enters the node's cgroup, makes the other namespaces and becomes `init.py`, and systemd.
"""

import contextlib
import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
# A PID namespace that called reboot(2) has its init ended by this signal; by SIGINT at power-off.
REBOOTED = signal.SIGHUP

libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Launch the node that the first argument describes."""
    description = Path(sys.argv[1])
    cgroup = Path(json.loads(description.read_text())["cgroup"])
    join(cgroup / "launcher")
    # From here on an empty cgroup means that the node has ended, not that it is yet to begin.
    description.with_name("joined").touch()
    own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    while boot(description, cgroup=cgroup, own_pids=own_pids) == REBOOTED:
        print("rebooting", flush=True)  # noqa: T201 - standard output is the node's log


def boot(description: Path, *, cgroup: Path, own_pids: int) -> int:
    """Boot the node, wait for its end, and return the number of the signal its init ended by."""
    wait_for_disk(description.with_name("disk.img"))
    remove_children(cgroup / "system")
    # Each boot needs a PID namespace of its own, and one can only be made from the original one.
    check(libc.setns(own_pids, CLONE_NEWPID))
    check(libc.unshare(CLONE_NEWPID))
    child = os.fork()
    if child == 0:
        become_init(description, cgroup=cgroup)
    status = os.waitpid(child, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def become_init(description: Path, *, cgroup: Path) -> None:
    """Turn this process, the first of its PID namespace, into the node's init program."""
    join(cgroup / "system")
    # After the cgroup was joined: what a process is in becomes the root of its cgroup namespace.
    check(libc.unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP))
    program = str(Path(__file__).with_name("init.py"))
    arguments = (sys.executable, "-I", "-S", program, str(description))
    os.execv(sys.executable, arguments)  # noqa: S606 - argv, no shell


def join(cgroup: Path) -> None:
    """Move this process into `cgroup`, whose parent must exist: if it is gone, so is the lab."""
    cgroup.mkdir(exist_ok=True)
    (cgroup / "cgroup.procs").write_text(f"{os.getpid() if os.getpid() != 1 else 0}")


def remove_children(cgroup: Path) -> None:
    """Remove the empty groups that the last boot left below `cgroup`."""
    if cgroup.exists():
        for folder, _, _ in os.walk(cgroup, topdown=False):
            if Path(folder) != cgroup:
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()


def wait_for_disk(image: Path) -> None:
    """Wait until the last boot's mount of `image` is gone: the kernel ends it in its own time."""
    devices = Path("/sys/block")
    while any(backing_file(device) == str(image) for device in devices.glob("loop*")):
        time.sleep(0.01)  # noqa: TID251 - this program has the standard library only


def backing_file(device: Path) -> str:
    """The file behind a loop device; empty when it has none."""
    try:
        return (device / "loop/backing_file").read_text().strip()
    except OSError:
        return ""


def check(status: int) -> None:
    """Raise OSError when a C function failed."""
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main()
