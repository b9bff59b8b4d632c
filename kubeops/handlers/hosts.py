"""Prepares the host itself: swap, kernel modules, sysctls."""

from kubeops.engine.context import Handler, StepContext
from kubeops.handlers.observe import always_due
from kubeops.handlers.tools import shell
from kubeops.plan.actions import ConfigureKernel, DisableSwap
from kubeops.plan.hosts import kernel_files
from kubeops.transport.base import Command
from kubeops.transport.files import put

# What brings swap back at the next boot goes first: once swap is off, nothing else tells of a unit
# that was not masked. Units are listed while they are active; afterwards systemd forgets them.
_SWAP_OFF = r"""
entry='^[[:space:]]*[^#[:space:]][^[:space:]]*[[:space:]]+[^[:space:]]+[[:space:]]+swap([[:space:]].*)?$'
if grep -qE "$entry" /etc/fstab; then
  sed -E -i.before-kubeops "s|$entry|# kubeops turned swap off: &|" /etc/fstab
fi
systemctl list-units --type=swap --no-legend --plain | while read -r unit rest; do
  systemctl mask --quiet "$unit"
done
swapoff -a
"""


def _configure_kernel(action: ConfigureKernel, context: StepContext) -> None:
    modules, sysctls = kernel_files(action)
    put(context.runner, modules, sysctls)
    context.run(Command(argv=("modprobe", "--all", *action.modules)))
    context.run(Command(argv=("sysctl", "--load", sysctls.path)))


def _disable_swap(_action: DisableSwap, context: StepContext) -> None:
    context.run(shell(_SWAP_OFF, timeout=300))


CONFIGURE_KERNEL = Handler(check=always_due, apply=_configure_kernel)
DISABLE_SWAP = Handler(check=always_due, apply=_disable_swap)
