"""Turns a bare Debian root into the root of lab nodes: users, sshd, and no useless units."""

from collections.abc import Iterator
from pathlib import Path

from kubeops.lab import shell

# Units that want hardware, a console, a time server or an archive, and timers that disturb
# measurements. etcd is started by static pods, never by systemd.
MASKED = (
    *("systemd-udevd.service", "systemd-udevd-kernel.socket", "systemd-udevd-control.socket"),
    *("systemd-udev-trigger.service", "systemd-modules-load.service", "modprobe@.service"),
    *("sys-kernel-config.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount"),
    *("dev-hugepages.mount", "sys-fs-fuse-connections.mount", "kmod-static-nodes.service"),
    *("systemd-timesyncd.service", "systemd-firstboot.service", "systemd-binfmt.service"),
    *("proc-sys-fs-binfmt_misc.automount", "systemd-oomd.service", "systemd-networkd.service"),
    *("systemd-networkd.socket", "systemd-networkd-wait-online.service"),
    *("systemd-network-generator.service", "systemd-resolved.service", "systemd-pcrphase.service"),
    *("systemd-pstore.service", "systemd-random-seed.service", "systemd-remount-fs.service"),
    *("systemd-machine-id-commit.service", "systemd-journal-catalog-update.service"),
    *("systemd-hibernate-clear.service", "systemd-update-done.service", "ldconfig.service"),
    *("systemd-tpm2-setup.service", "systemd-tpm2-setup-early.service", "nftables.service"),
    *("systemd-tmpfiles-setup-dev.service", "systemd-tmpfiles-setup-dev-early.service"),
    *("console-getty.service", "getty.target", "getty@.service", "getty-static.service"),
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer"),
    *("e2scrub_all.timer", "e2scrub_reap.service", "etcd.service", "etcd2.service"),
    "sshd-keygen.service",
)
# The first would listen on vsock; the others look for disks and consoles that nodes do not have.
MASKED_GENERATORS = (
    *("systemd-ssh-generator", "systemd-gpt-auto-generator", "systemd-getty-generator"),
    *("systemd-hibernate-resume-generator", "systemd-tpm2-generator"),
)
FILES = {
    "etc/ssh/sshd_config.d/lab.conf": (
        "HostKey /etc/ssh/ssh_host_ed25519_key\n"
        "PasswordAuthentication no\nPermitRootLogin no\nUseDNS no\n"
    ),
    # Until systemd-user-sessions has run, pam_nologin refuses everybody but root.
    "etc/systemd/system/ssh.service.d/lab.conf": (
        "[Unit]\nAfter=systemd-user-sessions.service\nWants=systemd-user-sessions.service\n"
    ),
    "etc/systemd/journald.conf.d/lab.conf": (
        "[Journal]\nReadKMsg=no\nStorage=volatile\nRuntimeMaxUse=16M\n"
    ),
    "etc/systemd/system.conf.d/lab.conf": "[Manager]\nDefaultTimeoutStopSec=10s\n",
    "etc/sudoers.d/lab": "ops ALL=(ALL:ALL) NOPASSWD: ALL\nopspw ALL=(ALL:ALL) ALL\n",
    "etc/fstab": "",
    "etc/default/locale": "LANG=C.UTF-8\n",
    "etc/apt/sources.list": "",
    "etc/machine-id": "",
}
# user name and id; both log in with the lab's key, and sudo wants a password from the second
USERS = (("ops", 1000), ("opspw", 1001))


def recipe() -> Iterator[str]:
    """What decides the outcome of `prepare`, for the base's fingerprint."""
    yield from (*MASKED, *MASKED_GENERATORS)
    yield from (f"{path}\0{text}" for path, text in FILES.items())
    yield from (f"{name}:{number}" for name, number in USERS)


def prepare(root: Path) -> None:
    """Turn the bare root in `root` into a node's."""
    for name in MASKED:
        _mask(root / "etc/systemd/system" / name)
    for name in MASKED_GENERATORS:
        _mask(root / "etc/systemd/system-generators" / name)
    for stale in (*root.glob("etc/ssh/ssh_host_*"), *root.glob("var/lib/dbus/machine-id")):
        stale.unlink()
    # Made by the etcd package; a fresh machine has none, and kubeadm looks.
    (root / "var/lib/etcd").rmdir()
    for path, text in FILES.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    (root / "etc/sudoers.d/lab").chmod(0o440)
    target = root / "etc/systemd/system/default.target"
    target.unlink(missing_ok=True)
    target.symlink_to("/usr/lib/systemd/system/multi-user.target")
    for name, number in USERS:
        shell.run(
            *("chroot", str(root), "useradd", "--create-home", "--shell", "/bin/bash"),
            *("--uid", str(number), name),
        )


def _mask(unit: Path) -> None:
    unit.parent.mkdir(parents=True, exist_ok=True)
    unit.unlink(missing_ok=True)
    unit.symlink_to("/dev/null")
