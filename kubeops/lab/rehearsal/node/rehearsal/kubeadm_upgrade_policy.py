"""Which upgrades kubeadm allows: its version policy, with its texts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rehearsal.kubeadm_common import KubeadmError
from rehearsal.version import Version

KUBELET_SKEW = 3


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the policy has against an upgrade: what nothing overrides, and what --force does."""

    mandatory: tuple[str, ...] = ()
    skippable: tuple[str, ...] = ()

    def enforce(self, *, force: bool) -> None:
        """Refuse an upgrade the policy is against.

        Raises:
            KubeadmError: with everything the policy has against it.
        """
        if self.mandatory:
            raise KubeadmError(
                "error execution phase preflight: the version argument is invalid due to "
                "these fatal errors:\n\n"
                f"{_listed(self.mandatory)}\nPlease fix the misalignments highlighted above "
                "and try upgrading again"
            )
        if self.skippable and not force:
            raise KubeadmError(
                "error execution phase preflight: the version argument is invalid due to "
                "these errors:\n\n"
                f"{_listed(self.skippable)}\nCan be bypassed if you pass the --force flag"
            )


def judge(
    *, target: Version, cluster: Version, kubeadm: Version, kubelets: Iterable[Version]
) -> Verdict:
    """Return what the policy has against upgrading a cluster.

    Args:
        target: the release that is asked for.
        cluster: the release the control plane runs.
        kubeadm: the release of kubeadm itself.
        kubelets: the releases of all kubelets.
    """
    mandatory: list[str] = []
    skippable: list[str] = []
    wanted = f'"{target}"'
    if target.minor > cluster.minor + 1:
        mandatory.append(
            f"Specified version to upgrade to {wanted} is too high; kubeadm can upgrade only "
            "1 minor version at a time"
        )
    if target.minor < cluster.minor - 1:
        mandatory.append(
            f"Specified version to downgrade to {wanted} is too low; kubeadm can downgrade "
            "only 1 minor version at a time"
        )
    if target.minor > kubeadm.minor:
        mandatory.append(
            f"Specified version to upgrade to {wanted} is at least one minor release higher "
            "than the kubeadm minor "
            f"release ({target.minor} > {kubeadm.minor}). Such an upgrade is not supported"
        )
    elif target > kubeadm:
        skippable.append(
            f"Specified version to upgrade to {wanted} is higher than the kubeadm version "
            f'"{kubeadm}". Upgrade kubeadm '
            "first using the tool you used to install kubeadm"
        )
    old = sorted(
        {str(kubelet) for kubelet in kubelets if kubelet.minor < target.minor - KUBELET_SKEW}
    )
    if old:
        skippable.append(
            "There are kubelets in this cluster that are too old that have these versions "
            f"[{' '.join(old)}]"
        )
    return Verdict(mandatory=tuple(mandatory), skippable=tuple(skippable))


def _listed(problems: Sequence[str]) -> str:
    return "".join(f"\t- {problem}\n" for problem in problems)
