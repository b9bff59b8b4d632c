"""Parsers of what the kernel, the OS and systemd say of a host: one function per section.

Each takes a section's text and raises ValueError or LookupError on what it cannot read.
"""

import ipaddress
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import PurePosixPath

from kubeops.model.observed import FileFacts, Listener, Unit
from kubeops.model.version import KubeVersion

_KIB = 1024
_CGROUP = "/sys/fs/cgroup"
_LOCKS = (
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/apt/lists/lock",
    "/var/cache/apt/archives/lock",
)
_LOCK = re.compile(r"^\d+: (?:POSIX|OFDLCK) .* WRITE .*:(\d+) 0 EOF$", re.MULTILINE)
_USERS = re.compile(r'users:\(\("([^"]*)"')
_FIB_LOCAL = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL")
_TCP_LISTEN = "0A"


@dataclass(frozen=True, kw_only=True)
class Stat:
    """One line of `stat`."""

    mode: int
    owner: str
    inode: int


@lru_cache(maxsize=16)  # many hosts, few systems
def parse_os_release(text: str) -> Mapping[str, str]:
    """Read /etc/os-release: `KEY=value`, quoted as a shell would."""
    values = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and not key.startswith("#"):
            values[key] = " ".join(shlex.split(value))
    return values


def parse_moment(text: str) -> datetime:
    """Read `date +%s.%N`; a `date` that knows no nanoseconds leaves other text after the dot."""
    seconds, _, fraction = text.strip().partition(".")
    nanoseconds = int(fraction) if fraction.isdigit() else 0
    return datetime.fromtimestamp(int(seconds) + nanoseconds / 1e9, UTC)


def parse_memory(text: str) -> int:
    """Read MemTotal of /proc/meminfo, in bytes."""
    label, value, unit = text.split()
    if (label, unit) != ("MemTotal:", "kB"):
        raise ValueError(f"{text!r} is not MemTotal in kB")
    return int(value) * _KIB


def parse_processors(text: str) -> frozenset[int]:
    """Read a list of processors as the kernel writes it: `0-3,8`."""
    found: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def parse_allowed_processors(text: str) -> frozenset[int]:
    """Read Cpus_allowed_list of /proc/self/status; it also names processors that are not there."""
    label, value = text.split()
    if label != "Cpus_allowed_list:":
        raise ValueError(f"{text!r} is not Cpus_allowed_list")
    return parse_processors(value)


def parse_swap(text: str) -> int:
    """Read the size of all swap in /proc/swaps, in bytes. The name may hold blanks."""
    return sum(int(line.rsplit(None, 3)[1]) for line in text.splitlines()[1:]) * _KIB


def parse_disk_free(text: str, *, directories: Iterable[str]) -> Mapping[str, int]:
    """Read `stat -f`: free bytes for each of `directories`, there or not.

    Of a directory that is not there yet its nearest existing parent counts.
    """
    free = {}
    for line in text.splitlines():
        blocks, size, path, _kind = line.split(None, 3)
        free[path] = int(blocks) * int(size)
    return {directory: _nearest(directory, free) for directory in directories}


def _nearest(directory: str, free: Mapping[str, int]) -> int:
    path = PurePosixPath(directory)
    for place in (path, *path.parents):
        if str(place) in free:
            return free[str(place)]
    raise LookupError(f"no file system holds {directory}")


def parse_cgroup(text: str) -> str:
    """Read `stat -f`: the type of /sys/fs/cgroup; empty when nothing is mounted there."""
    lines = (line.split(None, 3) for line in text.splitlines())
    return next((kind for _blocks, _size, path, kind in lines if path == _CGROUP), "")


def parse_fib_trie(text: str) -> tuple[str, ...]:
    """Read the host's own IPv4 addresses from /proc/net/fib_trie."""
    found = dict.fromkeys(_FIB_LOCAL.findall(text))
    return tuple(address for address in found if _is_global(ipaddress.ip_address(address)))


def parse_if_inet6(text: str) -> tuple[str, ...]:
    """Read the host's own IPv6 addresses from /proc/net/if_inet6."""
    found = (ipaddress.IPv6Address(int(line.split()[0], 16)) for line in text.splitlines())
    return tuple(str(address) for address in found if _is_global(address))


def _is_global(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return not (address.is_loopback or address.is_link_local)


def parse_modules(present: str, builtin: str, filesystems: str) -> frozenset[str]:
    """Read the modules that are there: loaded, built in, or visible as a file system."""
    names = {PurePosixPath(line).name.partition(".ko")[0] for line in builtin.splitlines()}
    mounted = {line.split()[-1] for line in filesystems.splitlines()}
    return frozenset(present.split()) | names | mounted


def parse_units(text: str) -> Mapping[str, Unit]:
    """Read `systemctl show`: one block per unit; units systemd does not know are left out."""
    units = {}
    for block in text.strip().split("\n\n"):
        fields = dict(line.split("=", 1) for line in block.splitlines())
        if fields and fields["LoadState"] != "not-found":
            name = fields["Id"]
            enabled = fields["UnitFileState"] or fields["LoadState"]
            units[name] = Unit(name=name, enabled=enabled, active=fields["ActiveState"])
    return units


def parse_listeners(text: str) -> tuple[Listener, ...]:
    """Read `ss -Hltnp`."""
    listeners = []
    for line in text.splitlines():
        address, _, port = line.split()[3].rpartition(":")
        program = _USERS.search(line)
        listeners.append(
            Listener(
                port=int(port),
                address=address.partition("%")[0].strip("[]"),
                program=program[1] if program else "",
            )
        )
    return tuple(listeners)


def parse_tcp(text: str) -> tuple[Listener, ...]:
    """Read /proc/net/tcp and /proc/net/tcp6, for hosts without `ss`."""
    listeners = []
    for line in text.splitlines():
        _slot, local, _remote, state, *_rest = line.split()
        if state == _TCP_LISTEN:
            address, _, port = local.partition(":")
            listeners.append(Listener(port=int(port, 16), address=_kernel_address(address)))
    return tuple(listeners)


def _kernel_address(digits: str) -> str:
    """Read an address the way the kernel prints it: words of 32 bits, each in host byte order."""
    packed = bytes.fromhex(digits)
    words = (packed[start : start + 4][::-1] for start in range(0, len(packed), 4))
    return str(ipaddress.ip_address(b"".join(words)))


def parse_stats(text: str) -> Mapping[str, Stat]:
    """Read `stat -c '%a %U:%G %i %n'`, by path."""
    stats = {}
    for line in text.splitlines():
        mode, owner, inode, path = line.split(" ", 3)
        stats[path] = Stat(mode=int(mode, 8), owner=owner, inode=int(inode))
    return stats


def parse_sums(text: str) -> Mapping[str, str]:
    """Read `sha256sum`, by path. A path with odd characters is marked by a backslash in front."""
    pairs = (line.split("  ", 1) for line in text.splitlines() if not line.startswith("\\"))
    return {path: digest for digest, path in pairs}


def parse_files(stats: Mapping[str, Stat], sums: Mapping[str, str]) -> Mapping[str, FileFacts]:
    """Join what `stat` and `sha256sum` say."""
    return {
        path: FileFacts(path=path, mode=stat.mode, owner=stat.owner, sha256=sums.get(path, ""))
        for path, stat in stats.items()
        if path not in _LOCKS
    }


def parse_apt_locked(locks: str, *, stats: Mapping[str, Stat]) -> bool:
    """Tell from /proc/locks whether apt or dpkg is at work.

    They lock whole files with fcntl, which `flock` does not see. Inodes are compared and devices
    are not: overlay and btrfs show another device to `stat` than to the kernel.
    """
    ours = {str(stats[path].inode) for path in _LOCKS if path in stats}
    return not ours.isdisjoint(_LOCK.findall(locks))


@dataclass(frozen=True)
class Source:
    """What a package source answered: its HTTP status, or the words of the program that asked."""

    status: str
    seconds: float | None = None
    offers: tuple[KubeVersion, ...] = ()


def parse_source(text: str) -> Source:
    """Read lines of kubeadm's versions, then status and seconds; or a program's own words."""
    *versions, last = text.strip().splitlines() or [""]
    status, _, seconds = last.partition(" ")
    if not (status.isdigit() and int(status)):
        return Source(text.strip().partition("\n")[0])
    return Source(
        status,
        float(seconds),
        tuple(sorted(KubeVersion.from_package(version) for version in versions)),
    )


def parse_kibibytes(text: str) -> int:
    """Read `du -sk`, in bytes."""
    return int(text.split(None, 1)[0]) * _KIB
