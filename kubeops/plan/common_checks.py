"""What an install and an upgrade both ask of a host, for the minor release that it shall run."""

from collections.abc import Iterator

from kubeops.model.desired import Host
from kubeops.model.observed import HostFacts
from kubeops.model.version import Minor
from kubeops.plan.findings import acceptable, blocking, warning
from kubeops.plan.model import Finding

CGROUP_V2_SINCE = Minor(1, 35)
CONTAINERD_2_SINCE = Minor(1, 37)
CLOCK_SKEW = 5.0
"""Seconds a clock may be off before it is worth a word."""


def cgroup(host: Host, facts: HostFacts, minor: Minor) -> Iterator[Finding]:
    """Yield that the host runs cgroup v1, which kubelets from 1.35 on refuse."""
    if minor >= CGROUP_V2_SINCE and facts.cgroup != "cgroup2fs":
        yield blocking(
            "cgroup-v2",
            f"/sys/fs/cgroup is {facts.cgroup}; kubelet {CGROUP_V2_SINCE} and later refuse "
            "cgroup v1",
            "Boot with systemd.unified_cgroup_hierarchy=1, or use a newer release of the system.",
            host=host.name,
        )


def runtime(host: Host, facts: HostFacts, minor: Minor) -> Iterator[Finding]:
    """Yield that containerd is too old for `minor`; one that is not there yet will not be."""
    version = facts.container_runtime
    if version and version.startswith("1.") and minor >= CONTAINERD_2_SINCE:
        yield blocking(
            "containerd",
            f"containerd {version} is installed; Kubernetes {CONTAINERD_2_SINCE} and later need 2",
            "Give the host a package source with containerd 2 and upgrade it.",
            host=host.name,
        )


def clock(host: Host, facts: HostFacts) -> Iterator[Finding]:
    """Yield how far the host's clock is off the workstation's, if that is too far."""
    if abs(facts.clock_skew) > CLOCK_SKEW:
        yield acceptable(
            "clock-skew",
            f"its clock is {facts.clock_skew:+.0f} s off this workstation's; certificates and "
            "etcd need clocks that agree",
            "Synchronise it: timedatectl set-ntp true",
            host=host.name,
        )


def package_manager(host: Host, facts: HostFacts) -> Iterator[Finding]:
    """Yield that another apt or dpkg holds the locks."""
    if facts.apt_locked:
        yield warning(
            "apt-lock",
            "another apt or dpkg is at work; the run will wait for it for at most 5 minutes",
            "Let it finish, or see: ps -C apt-get,unattended-upgr",
            host=host.name,
        )
