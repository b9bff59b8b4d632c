"""The root file system that the nodes of all labs share: built once, kept in the cache.

1. The directory's name holds a hash of everything it is made from: another recipe, another one.
2. One build at a time: a lock in the cache. Who comes second finds the result of the first.
3. It is built beside its place and renamed when complete: what has the final name is whole.
4. The build dies with its `up`: process and mount namespaces of its own that end with this process.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from kubeops.errors import CommandError, UsageError
from kubeops.lab import aptsources, baseroot, locks, places, shell

SUITE = "stable"
BUILD_TIMEOUT = 1200.0

# What a node must have without asking any archive. etcd is the rehearsal's: run by its stand-ins.
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "libpam-systemd", "openssh-server", "sudo"),
    *("iproute2", "iptables", "nftables", "iputils-ping", "conntrack", "ethtool", "socat", "curl"),
    *("ca-certificates", "gpg", "gpgv", "openssl", "procps", "kmod", "mount", "util-linux", "less"),
    *("python3", "python3-yaml", "python3-cryptography", "etcd-server", "etcd-client"),
)
_NOT_UNPACKED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


def fingerprint() -> str:
    """The hash of everything that decides what the root file system holds."""
    made_of = "\n".join((SUITE, *PACKAGES, *_NOT_UNPACKED, *baseroot.recipe()))
    return hashlib.sha256(made_of.encode()).hexdigest()[:12]


def ensure(progress: Callable[[str], None], *, cache: Path = places.CACHE) -> Path:
    """Return the root file system's directory, built now if it is not there yet.

    Raises:
        UsageError: the machine's apt configuration names no Debian archive.
        CommandError: the build failed.
    """
    final = cache / f"base-{fingerprint()}"
    if final.exists():
        return final
    cache.mkdir(parents=True, exist_ok=True)
    with locks.held(cache / "base.lock", waiting=lambda: progress("waiting for another build")):
        if not final.exists():
            _build(final, progress)
    return final


def _build(final: Path, progress: Callable[[str], None]) -> None:
    for left in final.parent.glob(".base-*"):
        remove_tree(left)
    source = source_line()
    progress(
        f"building the nodes' root file system from Debian {SUITE} (once, about half a minute)"
    )
    partial = final.with_name(f".{final.name}.{os.getpid()}")
    try:
        shell.run(*build_command(partial, source=source), timeout=BUILD_TIMEOUT)
    except CommandError as error:
        error.hint = (
            "its last lines say why; if a signature cannot be checked: "
            "apt-get install --only-upgrade debian-archive-keyring"
        )
        raise
    baseroot.prepare(partial)
    partial.rename(final)


def source_line() -> str:
    """The apt source of the nodes' Debian: this machine's archive, the nodes' suite.

    Raises:
        UsageError: the machine's apt configuration names no Debian archive.
    """
    codename = aptsources.codename(Path("/etc/os-release").read_text())
    mirror = aptsources.debian_mirror(aptsources.read(), codename=codename)
    return f"deb [signed-by={aptsources.KEYRING}] {mirror} {SUITE} main"


def build_command(target: Path, *, source: str) -> tuple[str, ...]:
    """The command that builds the bare root in `target`.

    setpriv and unshare tie it to the life of this process; see the module's fourth point.
    """
    return (
        *("setpriv", "--pdeathsig", "KILL", "--"),
        *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"),
        *("mmdebstrap", "--variant=minbase", "--mode=root"),
        "--aptopt=APT::Install-Recommends false",
        "--aptopt=Acquire::Languages none",
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _NOT_UNPACKED),
        f"--include={','.join(PACKAGES)}",
        SUITE,
        str(target),
        source,
    )


def remove_tree(directory: Path) -> None:
    """Remove `directory` and all below it.

    Raises:
        UsageError: something is mounted there, and what is mounted would be removed with it.
    """
    points = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    mounted = [point for point in points if Path(point).is_relative_to(directory)]
    if mounted:
        raise UsageError(
            f"{directory} is not removed: {', '.join(mounted)} is mounted there",
            hint=f"umount {' '.join(mounted)}, then type the same command again",
        )
    shutil.rmtree(directory, ignore_errors=True)
