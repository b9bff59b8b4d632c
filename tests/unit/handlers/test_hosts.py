from pathlib import Path

import pytest

from kubeops.engine.context import NEEDED
from kubeops.handlers.hosts import _SWAP_OFF, CONFIGURE_KERNEL, DISABLE_SWAP
from kubeops.plan.actions import ConfigureKernel, DisableSwap
from kubeops.plan.hosts import MODULES, SYSCTLS
from kubeops.transport.base import Command
from kubeops.transport.fake import writing
from kubeops.transport.local import LocalRunner
from tests.unit.handlers.values import Bench, put

KERNEL = ConfigureKernel(modules=MODULES, sysctls=SYSCTLS)
MODULES_FILE = "/etc/modules-load.d/kubernetes.conf"
SYSCTL_FILE = "/etc/sysctl.d/90-kubernetes.conf"


def test_the_kernel_is_configured_for_now_and_for_every_boot(bench: Bench) -> None:
    host = bench.runner("w1")
    host.on(writing(MODULES_FILE, SYSCTL_FILE), stdout="changed\nchanged")
    host.on(("modprobe",))
    host.on(("sysctl",))

    CONFIGURE_KERNEL.apply(KERNEL, bench.context("w1"))

    assert bench.done("w1") == [
        put(MODULES_FILE, SYSCTL_FILE),
        "modprobe --all overlay br_netfilter",
        f"sysctl --load {SYSCTL_FILE}",
    ]
    assert b"net.ipv4.ip_forward = 1" in (host.commands[0].stdin or b"")


def test_what_compares_itself_is_not_asked_first(bench: Bench) -> None:
    assert CONFIGURE_KERNEL.check(KERNEL, bench.context("w1")) == NEEDED
    assert DISABLE_SWAP.check(DisableSwap(), bench.context("w1")) == NEEDED
    assert bench.done("w1") == []


@pytest.mark.parametrize(
    ("entry", "swap"),
    [
        ("/swap.img\tnone\tswap\tsw\t0\t0", True),
        ("  LABEL=a#b none swap", True),
        ("#UUID=1 none swap sw 0 0", False),
        (" \t# UUID=1 none swap sw 0 0", False),
        ("LABEL=data /mnt/swap ext4 defaults 0 2", False),
        ("LABEL=more /mnt/more auto swap 0 2", False),
    ],
)
def test_an_entry_is_swap_by_its_third_field(entry: str, tmp_path: Path, *, swap: bool) -> None:
    """The same that the probe reports: what is planned is cured."""
    fstab = tmp_path / "fstab"
    fstab.write_text(f"{entry}\n")
    script = "systemctl() { :; }; swapoff() { :; }\n" + _SWAP_OFF.replace("/etc/fstab", str(fstab))
    LocalRunner().run(Command(argv=("sh", "-c", script))).must()
    assert fstab.read_text() == f"{'# kubeops turned swap off: ' * swap}{entry}\n"
