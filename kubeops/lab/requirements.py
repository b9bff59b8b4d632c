"""What this machine must offer before a lab can be made on it."""

import os
import shutil
import sys
from pathlib import Path

from kubeops.errors import UsageError
from kubeops.lab import cgroups, shell

# program: the Debian package that has it
PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "setsid": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
    "mkfs.ext4": "e2fsprogs",
    "ssh-keygen": "openssh-client",
    "chroot": "coreutils",
}
PROGRAMS_REAL = {"iptables": "iptables"}


def check(*, real: bool) -> None:
    """See that a lab can be made here; `real` labs reach the outer network through this machine.

    Raises:
        UsageError: it cannot; everything that is missing is named at once.
    """
    if sys.platform != "linux":
        raise UsageError(
            f"a lab's nodes are made of Linux namespaces, and this is {sys.platform}",
            hint="run the lab on a Linux machine or virtual machine; see also vagrant/",
        )
    if os.geteuid() != 0:
        raise UsageError(
            "making namespaces, mounts and links needs root",
            hint="run the same command with sudo",
        )
    problems = [*_missing_programs(real=real), *_missing_in_kernel()]
    if problems:
        raise UsageError("a lab cannot be made here: " + "; ".join(problems), hint=_cure(real=real))
    cgroups.own()


def _missing_programs(*, real: bool) -> list[str]:
    return [f"{name} is not installed" for name in _wanted(real=real) if not shutil.which(name)]


def _missing_in_kernel() -> list[str]:
    # Modules that mount(8) and losetup(8) would load by themselves, and that show only when loaded.
    if shutil.which("modprobe"):
        shell.attempt("modprobe", "--all", "overlay", "ext4", "loop")
    known = Path("/proc/filesystems").read_text().split()
    problems = [f"the kernel has no {name}" for name in ("overlay", "ext4") if name not in known]
    if not Path("/dev/loop-control").exists():
        problems.append("the kernel has no loop devices (/dev/loop-control)")
    return problems


def _cure(*, real: bool) -> str:
    wanted = _wanted(real=real)
    packages = sorted({package for name, package in wanted.items() if not shutil.which(name)})
    if packages:
        return f"apt-get install {' '.join(packages)}"
    return "use a kernel that has them: Debian's own do"


def _wanted(*, real: bool) -> dict[str, str]:
    return PROGRAMS | (PROGRAMS_REAL if real else {})
