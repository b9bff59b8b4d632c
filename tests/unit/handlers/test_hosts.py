from kubeops.engine.context import NEEDED
from kubeops.handlers.hosts import CONFIGURE_KERNEL, DISABLE_SWAP
from kubeops.plan.actions import ConfigureKernel, DisableSwap
from kubeops.plan.hosts import MODULES, SYSCTLS
from kubeops.transport.fake import writing
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
