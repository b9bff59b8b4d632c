"""Turns the first process of a node's fresh namespaces into a running Debian.

Run by `launcher.py`, by path, with nothing but the standard library. In order:

1. network: a link to the hub's bridge, the node's address, a way out
2. disk: the node's own file system, from an image; mounted here only, so that it ends with it
3. root: an overlay of the shared base, the node's seed and a layer on its disk; /var is on the disk
4. kernel file systems: /proc, /sys, /dev and the node's own cgroup2
5. what belongs to the whole machine is hidden: sysctls, boot id, swap, sysrq
6. the old root is let go of, capabilities that reach the machine are dropped, systemd takes over
"""

import contextlib
import ctypes
import json
import os
import socket
import stat
import sys
import uuid
from pathlib import Path
from typing import NoReturn

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
MNT_DETACH = 2
PR_CAPBSET_DROP = 24
CAP_SYS_MODULE, CAP_SYS_TIME = 16, 25
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

# Sysctls that are the whole machine's, and that kubelet, kubeadm, kube-proxy and admins write: the
# node gets private copies. All others are read-only, those of its own network excepted.
PRIVATE_SYSCTLS = (
    *("vm/overcommit_memory", "vm/panic_on_oom", "vm/swappiness", "vm/max_map_count"),
    *("vm/dirty_ratio", "vm/dirty_background_ratio", "vm/min_free_kbytes", "vm/vfs_cache_pressure"),
    *("kernel/panic", "kernel/panic_on_oops", "kernel/pid_max", "kernel/threads-max"),
    *("kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes", "kernel/core_pattern"),
    *("kernel/core_uses_pid", "kernel/printk", "kernel/sysrq", "kernel/kptr_restrict"),
    *("kernel/dmesg_restrict", "kernel/randomize_va_space", "kernel/yama/ptrace_scope"),
    *("kernel/perf_event_paranoid", "kernel/unprivileged_bpf_disabled"),
    *("fs/file-max", "fs/nr_open", "fs/aio-max-nr", "fs/suid_dumpable", "fs/protected_fifos"),
    *("fs/protected_hardlinks", "fs/protected_regular", "fs/protected_symlinks"),
    *("fs/inotify/max_user_watches", "fs/inotify/max_user_instances"),
)
# name, mode, major, minor
DEVICES = (
    *(("null", 0o666, 1, 3), ("zero", 0o666, 1, 5), ("full", 0o666, 1, 7), ("tty", 0o666, 5, 0)),
    *(("random", 0o666, 1, 8), ("urandom", 0o666, 1, 9), ("kmsg", 0o644, 1, 11)),
    *(("fuse", 0o666, 10, 229), ("net/tun", 0o666, 10, 200)),
)
LINKS = (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2"))
# What install loads; the machine's kernel has it, and a node may not load modules.
MODULES = (
    *("fs/overlayfs/overlay", "net/bridge/bridge", "net/bridge/br_netfilter"),
    *("drivers/net/veth", "drivers/net/vxlan/vxlan", "net/netfilter/nf_conntrack"),
    *("net/netfilter/nf_nat", "net/netfilter/nf_tables", "net/netfilter/xt_conntrack"),
    *("net/ipv4/netfilter/ip_tables", "net/netfilter/ipvs/ip_vs"),
)
ENVIRONMENT = {
    "container": "kubeops-lab",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "TERM": "linux",
}

libc = ctypes.CDLL(None, use_errno=True)


def main() -> NoReturn:
    """Boot the node that the first argument describes."""
    node = json.loads(Path(sys.argv[1]).read_text())
    directory = Path(node["directory"])
    make_private()
    link_network(node)
    root = directory / "root"
    mount_root(node, directory=directory, root=root)
    mount_kernel(root)
    furnish_devices(root / "dev")
    hide_machine(root)
    know_modules(root)
    socket.sethostname(node["name"])
    (root / "proc/sys/net/ipv4/ip_forward").write_text("0")  # as on a fresh machine
    leave_old_root(root)
    drop_capabilities()
    become_systemd()


def make_private() -> None:
    """Keep what is mounted here from the machine, and what is mounted there from here."""
    mount("none", Path("/"), flags=MS_REC | MS_PRIVATE)


def link_network(node: dict[str, str]) -> None:
    """Make eth0 with its other end on the hub's bridge, where it bears the node's name."""
    hub, name = node["hub"], node["name"]
    # The link of the boot before may still be there: the kernel removes namespaces in its own time.
    run("ip", "-netns", hub, "link", "delete", name, must=False, quiet=True)
    peer = ("type", "veth", "peer", "name", name, "netns", hub)
    run("ip", "link", "add", "eth0", "address", node["link_address"], *peer)
    state = "down" if Path(node["directory"], "cut").exists() else "up"
    run("ip", "-netns", hub, "link", "set", name, "master", "bridge", state)
    run("ip", "link", "set", "lo", "up")
    run("ip", "address", "add", f"{node['address']}/{node['prefix']}", "dev", "eth0")
    run("ip", "link", "set", "eth0", "up")
    run("ip", "route", "add", "default", "via", node["router"])


def mount_root(node: dict[str, str], *, directory: Path, root: Path) -> None:
    """Mount the node's disk, and over it the overlay that is its root."""
    disk = directory / "disk"
    for folder in (disk, root):
        folder.mkdir(exist_ok=True)
    # Without barriers an fsync ends in this machine's memory, which outlives every node: it takes
    # 0.1 ms, and etcd members that share one real disk do not lose elections over it.
    options = "loop,noatime,barrier=0"
    run("mount", "-n", "-t", "ext4", "-o", options, str(directory / "disk.img"), str(disk))
    for name in ("upper", "work"):
        (disk / name).mkdir(exist_ok=True)
    layers = f"lowerdir={directory / 'seed'}:{node['base']}"
    layers = f"{layers},upperdir={disk / 'upper'},workdir={disk / 'work'}"
    mount("overlay", root, kind="overlay", data=layers)
    # etcd, container runtimes and kubelets do not work on an overlay, or not as on a real machine:
    # /var is a file system of its own, as it is on many servers.
    if not (disk / "var").exists():
        run("cp", "-a", str(root / "var"), str(disk / "var.part"))
        (disk / "var.part").rename(disk / "var")
    mount(str(disk / "var"), root / "var", flags=MS_BIND)


def mount_kernel(root: Path) -> None:
    """Mount the kernel's file systems. A read-only /sys tells systemd to leave hardware alone."""
    safe = MS_NOSUID | MS_NODEV | MS_NOEXEC
    mount("proc", root / "proc", kind="proc", flags=safe)
    mount("sysfs", root / "sys", kind="sysfs", flags=safe | MS_RDONLY)
    mount("cgroup2", root / "sys/fs/cgroup", kind="cgroup2", flags=safe)
    mount("tmpfs", root / "dev", kind="tmpfs", flags=MS_NOSUID, data="mode=755,size=4m")
    mount("tmpfs", root / "run", kind="tmpfs", flags=MS_NOSUID | MS_NODEV, data="mode=755")
    mount("tmpfs", root / "tmp", kind="tmpfs", flags=MS_NOSUID | MS_NODEV, data="mode=1777")


def furnish_devices(dev: Path) -> None:
    """Make the devices that programs expect, and none that is the machine's own."""
    for folder in ("net", "pts", "shm", "mqueue"):
        (dev / folder).mkdir()
    for name, mode, major, minor in DEVICES:
        os.mknod(dev / name, mode | stat.S_IFCHR, os.makedev(major, minor))
        (dev / name).chmod(mode)
    for name, target in (*LINKS, ("ptmx", "pts/ptmx")):
        (dev / name).symlink_to(target)
    mount(
        "devpts",
        dev / "pts",
        kind="devpts",
        flags=MS_NOSUID | MS_NOEXEC,
        data="newinstance,ptmxmode=0666,mode=620,gid=5",
    )
    mount("tmpfs", dev / "shm", kind="tmpfs", flags=MS_NOSUID | MS_NODEV)
    mount("mqueue", dev / "mqueue", kind="mqueue", flags=MS_NOSUID | MS_NODEV | MS_NOEXEC)
    (dev / "console").touch()
    mount("/dev/null", dev / "console", flags=MS_BIND)


def hide_machine(root: Path) -> None:
    """Cover what is not namespaced: a node must neither change the machine nor see its swap."""
    private = root / "run/.machine"
    private.mkdir()
    proc = root / "proc"
    mount(str(proc / "sys"), proc / "sys", flags=MS_BIND)
    mount("none", proc / "sys", flags=MS_REMOUNT | MS_BIND | MS_RDONLY)
    mount(str(proc / "sys/net"), proc / "sys/net", flags=MS_BIND)
    mount("none", proc / "sys/net", flags=MS_REMOUNT | MS_BIND)
    for name in PRIVATE_SYSCTLS:
        if (proc / "sys" / name).exists():
            cover(proc, f"sys/{name}", read(proc / "sys" / name), private=private)
    # A new one per boot, so that a reboot can be seen.
    cover(proc, "sys/kernel/random/boot_id", f"{uuid.uuid4()}\n", private=private)
    cover(proc, "swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n", private=private)
    if (proc / "sysrq-trigger").exists():
        mount("/dev/null", proc / "sysrq-trigger", flags=MS_BIND)


def cover(proc: Path, name: str, text: str, *, private: Path) -> None:
    """Put a private file with `text` in the place of `name` below /proc."""
    copy = private / name.replace("/", ".")
    copy.write_text(text)
    mount(str(copy), proc / name, flags=MS_BIND)


def read(path: Path) -> str:
    """The text of a sysctl; some may be written only."""
    with contextlib.suppress(OSError):
        return path.read_text()
    return ""


def know_modules(root: Path) -> None:
    """Have modprobe answer that the modules Kubernetes needs are part of the kernel."""
    folder = root / "usr/lib/modules" / os.uname().release
    if folder.exists():
        return
    folder.mkdir(parents=True)
    (folder / "modules.builtin").write_text("".join(f"kernel/{name}.ko\n" for name in MODULES))
    (folder / "modules.order").touch()
    run("chroot", str(root), "depmod", os.uname().release, must=False, quiet=True)


def leave_old_root(root: Path) -> None:
    """Make `root` the root, and let go of the machine's mounts."""
    os.chdir(root)
    number = SYS_PIVOT_ROOT[os.uname().machine]
    # Both names are the same folder: the old root ends up stacked on the new one, and is taken off.
    check(libc.syscall(number, b".", b"."))
    check(libc.umount2(b".", MNT_DETACH))
    os.chdir("/")


def drop_capabilities() -> None:
    """Give up what would change the whole machine: its clock and its kernel modules."""
    for capability in (CAP_SYS_TIME, CAP_SYS_MODULE):
        check(libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0))


def become_systemd() -> NoReturn:
    """Hand over to the node's own init."""
    os.closerange(3, 1024)
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    os.execve("/sbin/init", ("/sbin/init",), ENVIRONMENT)  # noqa: S606 - argv, no shell


def mount(source: str, target: Path, *, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount `source` at `target`; see the manual page of the system call."""
    arguments = (source.encode(), os.fsencode(target), kind.encode(), flags, data.encode() or None)
    check(libc.mount(*arguments), what=str(target))


def run(*argv: str, must: bool = True, quiet: bool = False) -> None:
    """Run one of the machine's programs; its failure ends the boot unless `must` is off."""
    actions = [(os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)] if quiet else []
    child = os.posix_spawnp(argv[0], argv, os.environ, file_actions=actions)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if must and status != 0:
        raise SystemExit(f"{' '.join(argv)}: status {status}")


def check(status: int, *, what: str = "") -> None:
    """Raise OSError when a C function failed."""
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


if __name__ == "__main__":
    main()
