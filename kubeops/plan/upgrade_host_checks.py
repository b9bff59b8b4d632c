"""What must be true of each host before an upgrade changes the first one."""

from collections.abc import Callable, Iterator
from datetime import timedelta

from kubeops.model.desired import Host
from kubeops.model.observed import HostFacts
from kubeops.plan import common_checks
from kubeops.plan.findings import acceptable, blocking, warning
from kubeops.plan.model import Finding
from kubeops.plan.standing import (
    CONTROL_PLANE_PODS,
    Cordon,
    cordon,
    image_version,
    node_of,
    unheld,
)
from kubeops.plan.upgrade_situation import Situation

MEBIBYTE = 2**20
TMP_MARGIN = 100 * MEBIBYTE
APT_CACHE = 200 * MEBIBYTE
CONTROL_PLANE_IMAGES = 1024 * MEBIBYTE
WORKER_IMAGES = 256 * MEBIBYTE
CERTIFICATES_SOON = timedelta(days=30)
UNATTENDED = ("unattended-upgrades.service", "apt-daily-upgrade.timer")

HostCheck = Callable[[Situation, Host, HostFacts], Iterator[Finding]]


def host_checks(situation: Situation) -> Iterator[Finding]:
    """Yield what is found on each host that is upgraded, in the order of the inventory."""
    for host, facts in situation.reached:
        upgraded = situation.last_minor_of(host.name) is not None
        for check in _CHECKS if upgraded else _LEAVING:
            yield from check(situation, host, facts)


def readiness(situation: Situation) -> Iterator[Finding]:
    """Yield which nodes are not Ready, or kept out of use, host by host."""
    for host, facts in situation.reached:
        yield from _ready(situation, host, facts)


def _joined(situation: Situation, host: Host, facts: HostFacts) -> Iterator[Finding]:
    if facts.unfinished is not None or facts.kubelet_server is None:
        yield blocking(
            "not-joined",
            "belongs to no cluster yet" if facts.unfinished is None else "has not joined wholly",
            f"invoke install --limit {host.name}, or leave it out with --limit",
            host=host.name,
        )
    elif situation.facts.api is not None and node_of(host.name, situation.facts) is None:
        yield blocking(
            "not-joined",
            f"the cluster has no node {host.name}",
            "Compare: kubectl get nodes; hostname",
            host=host.name,
        )


def _static_pods(_situation: Situation, host: Host, facts: HostFacts) -> Iterator[Finding]:
    if not host.is_control_plane:
        return
    for name in (*CONTROL_PLANE_PODS, "etcd"):
        pod = facts.static_pods.get(name)
        if pod is None:
            yield blocking(
                "static-pods",
                f"/etc/kubernetes/manifests has no {name}.yaml",
                "Put it back; kubeadm keeps the former ones below /etc/kubernetes/tmp/"
                "kubeadm-backup-manifests-*",
                host=host.name,
            )
        elif name != "etcd" and image_version(pod.image) is None:
            yield blocking(
                "static-pods",
                f"the image of {name}, {pod.image}, has no version in its tag",
                "Use images that are tagged as Kubernetes' releases are, such as v1.36.1.",
                host=host.name,
            )


def _ready(situation: Situation, host: Host, _facts: HostFacts) -> Iterator[Finding]:
    node = node_of(host.name, situation.facts)
    if node is None:
        return
    if not node.ready:
        ours = cordon(node) is Cordon.OURS
        yield (warning if ours or not situation.waves else acceptable)(
            "node-not-ready",
            f"its node is not Ready: {node.ready_message}"
            + ("; its upgrade was under way and goes on" if ours else ""),
            f"kubectl describe node {host.name}; journalctl -u kubelet",
            host=host.name,
        )
    if cordon(node) is Cordon.OPERATORS and host.name not in situation.exchange.leaving:
        yield warning(
            "node-cordoned",
            "its node was cordoned by the operator; it is upgraded and stays cordoned",
            f"When that is over: kubectl uncordon {host.name}",
            host=host.name,
        )


def _last_minor(situation: Situation, host: Host, facts: HostFacts) -> Iterator[Finding]:
    minor = situation.last_minor_of(host.name)
    if minor is not None:
        yield from common_checks.cgroup(host, facts, minor)
        yield from common_checks.runtime(host, facts, minor)


def _disk(situation: Situation, host: Host, facts: HostFacts) -> Iterator[Finding]:
    for directory, needed, why in _space(situation, host):
        free = facts.disk_free.get(directory)
        if needed and free is not None and free < needed:
            yield acceptable(
                "disk",
                f"{directory} has {free // MEBIBYTE} MiB free; {needed // MEBIBYTE} are needed "
                f"for {why}",
                f"Free space or grow the file system of {directory}.",
                host=host.name,
            )


def _space(situation: Situation, host: Host) -> Iterator[tuple[str, int, str]]:
    """Directories, the bytes they need, and for what.

    kubeadm copies etcd's whole data to /etc/kubernetes/tmp at each hop; between hops all but the
    newest copy is pruned, so there are two at most.
    """
    pulls = situation.pulls(host.name)
    if host.is_control_plane and situation.kubeadm_upgrades(host.name):
        yield "/etc/kubernetes", 2 * _database(situation) + TMP_MARGIN, "kubeadm's copies of etcd"
    images = CONTROL_PLANE_IMAGES if host.is_control_plane else WORKER_IMAGES
    yield "/var/lib/containerd", images * pulls, "images"
    yield "/var/cache/apt", APT_CACHE * pulls, "packages"


def _database(situation: Situation) -> int:
    etcd = situation.facts.etcd
    return max((member.db_size for member in etcd.members), default=0) if etcd else 0


def _clock(_situation: Situation, host: Host, facts: HostFacts) -> Iterator[Finding]:
    return common_checks.clock(host, facts)


def _certificates(situation: Situation, host: Host, facts: HostFacts) -> Iterator[Finding]:
    now = situation.facts.at
    for certificate in facts.certificates:
        left = certificate.expires - now
        if left > CERTIFICATES_SOON:
            continue
        expired = left <= timedelta()
        what = "CA certificate" if certificate.authority else "certificate"
        yield (blocking if expired else acceptable)(
            "certificates",
            f"{what} {certificate.name} "
            + ("expired" if expired else f"expires in {left.days} days,")
            + f" on {certificate.expires:%Y-%m-%d}",
            "Replace the CA by hand; kubeadm does not renew it."
            if certificate.authority
            else "On the host: kubeadm certs renew all; then restart what it names.",
            host=host.name,
        )


def _packages(_situation: Situation, host: Host, facts: HostFacts) -> Iterator[Finding]:
    yield from common_checks.package_manager(host, facts)
    if facts.half_installed:
        yield warning(
            "half-installed",
            f"dpkg was stopped in the middle of {', '.join(sorted(facts.half_installed))}; the run "
            "goes on with them",
            "Nothing, or: dpkg --configure -a",
            host=host.name,
        )
    loose = unheld(facts)
    if loose:
        active = [unit for unit in UNATTENDED if _is_active(facts, unit)]
        yield warning(
            "not-held",
            f"{', '.join(loose)} {'is' if len(loose) == 1 else 'are'} not held"
            + (f", and {active[0]} is active" if active else "")
            + "; the run holds what it installs",
            f"apt-mark hold {' '.join(loose)}",
            host=host.name,
        )


def _is_active(facts: HostFacts, unit: str) -> bool:
    found = facts.units.get(unit)
    return found is not None and found.active == "active"


def _busy(_situation: Situation, host: Host, facts: HostFacts) -> Iterator[Finding]:
    if facts.kubeadm_running:
        yield warning(
            "kubeadm-running",
            "a kubeadm is at work there, perhaps of a run that was killed",
            "Let it finish: pgrep -a kubeadm",
            host=host.name,
        )


def _drift(_situation: Situation, host: Host, facts: HostFacts) -> Iterator[Finding]:
    for drifted in facts.drifted:
        yield warning(
            "drift",
            f"{drifted}; kubeadm will write the file anew without it",
            "What has to stay goes into kubeadm-config, kubelet-config or kubeadm's patches.",
            host=host.name,
        )


_CHECKS: tuple[HostCheck, ...] = (
    _joined,
    _static_pods,
    _ready,
    _last_minor,
    _disk,
    _clock,
    _certificates,
    _packages,
    _busy,
    _drift,
)
_LEAVING: tuple[HostCheck, ...] = (_ready, _busy)
"""What matters of a worker that is replaced."""
