"""Where hosts and cluster stand on the way to a version, as far as upgrades care.

Planner and handlers ask the same questions here: before the run, and at the step's turn.
"""

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from kubeops.model.desired import Cluster, Host
from kubeops.model.observed import ApiFacts, ClusterFacts, HostFacts, NodeFacts
from kubeops.model.version import KubeVersion
from kubeops.plan.hosts import HELD_PACKAGES

CONTROL_PLANE_PODS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
_KIND = re.compile(r"[-0-9]*$")


class Cordon(StrEnum):
    """Who keeps pods off a node: nobody, kubeops (and will end it), or the operator."""

    NONE = "none"
    OURS = "ours"
    OPERATORS = "the operator's"


def image_version(image: str) -> KubeVersion | None:
    """The version in an image's tag; None when the tag is no release."""
    tag = image.partition("@")[0].rpartition(":")[2]
    try:
        return KubeVersion.parse(tag)
    except ValueError:
        return None


def control_plane_version(facts: HostFacts) -> KubeVersion | None:
    """The lowest version among the host's three static pods that follow Kubernetes' version.

    None when one of them is missing or its image has no version.
    """
    versions = [
        image_version(pod.image)
        for name in CONTROL_PLANE_PODS
        if (pod := facts.static_pods.get(name)) is not None
    ]
    known = [version for version in versions if version is not None]
    return min(known) if len(known) == len(CONTROL_PLANE_PODS) else None


def package_version(facts: HostFacts, name: str) -> KubeVersion | None:
    """The version of an installed package; None when it is not installed."""
    package = facts.packages.get(name)
    return None if package is None else KubeVersion.from_package(package.version)


def kubelet_version(facts: HostFacts, node: NodeFacts | None) -> KubeVersion | None:
    """The lowest of what is installed of kubelet and kubectl, and of the kubelet that runs.

    None when no kubelet is installed, or none has registered.
    """
    installed = package_version(facts, "kubelet")
    if installed is None or node is None:
        return None
    kubectl = package_version(facts, "kubectl")
    return min(version for version in (installed, node.kubelet, kubectl) if version is not None)


def unheld(facts: HostFacts) -> tuple[str, ...]:
    """The installed packages of Kubernetes that nothing keeps at their version."""
    return tuple(
        name for name in HELD_PACKAGES if name in facts.packages and not facts.packages[name].held
    )


def superseded(backups: Iterable[str]) -> tuple[str, ...]:
    """What of `kubeadm_backups` (oldest first) is not the newest of its kind."""
    newest: dict[str, str] = {}
    names = tuple(backups)
    for name in names:
        newest[_KIND.sub("", name)] = name
    return tuple(name for name in names if name not in newest.values())


def cordon(node: NodeFacts | None) -> Cordon:
    """Who cordoned the node. The note alone, without a cordon, is nobody's."""
    if node is None or not node.unschedulable:
        return Cordon.NONE
    return Cordon.OURS if node.cordoned_by_us else Cordon.OPERATORS


def kube_proxy_version(api: ApiFacts) -> KubeVersion | None:
    """The version of kube-proxy's DaemonSet; None when there is none, or it is not kubeadm's."""
    for workload in api.system:
        if (workload.kind, workload.name) == ("DaemonSet", "kube-proxy"):
            return image_version(workload.images[0])
    return None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where one host stands.

    Attributes:
        host: the host.
        kubeadm: the installed package's version.
        control_plane: see `control_plane_version`; None on workers.
        kubelet: see `kubelet_version`.
        unfinished: what kubeops began with kubeadm and did not end: `apply`, `node` or nothing.
        cordon: who cordoned its node.
        unheld: packages that are not held.
        cluttered: /etc/kubernetes/tmp holds more than the newest of each kind.
        away: its node is not Ready.
    """

    host: Host
    kubeadm: KubeVersion | None
    control_plane: KubeVersion | None
    kubelet: KubeVersion | None
    unfinished: str | None = None
    cordon: Cordon = Cordon.NONE
    unheld: tuple[str, ...] = ()
    cluttered: bool = False
    away: bool = False

    @classmethod
    def of(cls, host: Host, facts: ClusterFacts) -> "Standing":
        """Read it from what was observed of `host`, which was reached."""
        found = facts.hosts[host.name]
        node = node_of(host.name, facts)
        return cls(
            host=host,
            kubeadm=package_version(found, "kubeadm"),
            control_plane=control_plane_version(found) if host.is_control_plane else None,
            kubelet=kubelet_version(found, node),
            unfinished=found.unfinished_upgrade,
            cordon=cordon(node),
            unheld=unheld(found),
            cluttered=bool(superseded(found.kubeadm_backups)),
            away=node is None or not node.ready,
        )

    def runs(self, version: KubeVersion) -> bool:
        """Whether the control plane on this host is whole and at `version` or newer."""
        return (
            self.unfinished is None
            and self.control_plane is not None
            and self.control_plane >= version
        )

    def finished(self, version: KubeVersion) -> bool:
        """Whether nothing of an upgrade to `version` is left on this host."""
        return (
            self.unfinished is None
            and self.cordon is not Cordon.OURS
            and (self.runs(version) or not self.host.is_control_plane)
            and self.has_kubelet(version)
        )

    def has_kubelet(self, version: KubeVersion) -> bool:
        """Whether a kubelet of `version` or newer runs."""
        return self.kubelet is not None and self.kubelet >= version

    def wants_node(self, version: KubeVersion) -> bool:
        """Whether `kubeadm upgrade node` to `version` has to run, or to run again."""
        at = self.runs(version) if self.host.is_control_plane else self.has_kubelet(version)
        return not at or self.unfinished is not None

    def wants_kubeadm(self, version: KubeVersion, *, apply: bool) -> bool:
        """Whether the package has to change; `apply`: `kubeadm upgrade apply` runs on this host.

        To upgrade anything, kubeadm must be of the same minor release; a newer patch will do.
        """
        if self.kubeadm is None or self.kubeadm < version:
            return True
        return self.kubeadm.minor != version.minor and (apply or self.wants_node(version))

    def upgraded(self, version: KubeVersion, *, apply: bool) -> "Standing":
        """Where the host stands when the hop to `version` has been carried out."""
        return replace(
            self,
            kubeadm=version if self.wants_kubeadm(version, apply=apply) else self.kubeadm,
            control_plane=_at_least(self.control_plane, version)
            if self.host.is_control_plane
            else None,
            kubelet=_at_least(self.kubelet, version),
            unfinished=None,
            cordon=Cordon.NONE if self.cordon is Cordon.OURS else self.cordon,
            cluttered=False,
        )


def node_of(name: str, facts: ClusterFacts) -> NodeFacts | None:
    """The Node called `name`; None when there is none, or the API was silent."""
    nodes = facts.api.nodes if facts.api is not None else ()
    return next((node for node in nodes if node.name == name), None)


def _at_least(found: KubeVersion | None, version: KubeVersion) -> KubeVersion:
    return version if found is None else max(found, version)


@dataclass(frozen=True, kw_only=True)
class ClusterStanding:
    """Where the cluster stands.

    Attributes:
        hosts: every host that was reached, in the order of the inventory.
        configured: kubernetesVersion of kubeadm-config: what `kubeadm upgrade apply` wrote last.
        kube_proxy: see `kube_proxy_version`.
    """

    hosts: tuple[Standing, ...]
    configured: KubeVersion | None
    kube_proxy: KubeVersion | None

    @classmethod
    def of(cls, desired: Cluster, facts: ClusterFacts) -> "ClusterStanding":
        """Read it from what was observed."""
        return cls(
            hosts=tuple(
                Standing.of(host, facts) for host in desired.hosts if host.name in facts.hosts
            ),
            configured=None if facts.api is None else facts.api.kubernetes,
            kube_proxy=None if facts.api is None else kube_proxy_version(facts.api),
        )

    @property
    def control_planes(self) -> tuple[Standing, ...]:
        """The control planes, in the order of the inventory."""
        return tuple(one for one in self.hosts if one.host.is_control_plane)

    @property
    def workers(self) -> tuple[Standing, ...]:
        """The workers, in the order of the inventory."""
        return tuple(one for one in self.hosts if not one.host.is_control_plane)

    def without(self, names: Container[str]) -> "ClusterStanding":
        """The same cluster, as if it had no hosts called `names`."""
        return replace(self, hosts=tuple(one for one in self.hosts if one.host.name not in names))

    def run(self, version: KubeVersion) -> bool:
        """Whether every control plane is whole and at `version` or newer."""
        return all(one.runs(version) for one in self.control_planes)

    def addons_behind(self, version: KubeVersion) -> bool:
        """Whether kubeadm still owes the addons, though every control plane is at `version`."""
        return self.run(version) and self.kube_proxy is not None and self.kube_proxy < version

    def finished(self, version: KubeVersion) -> bool:
        """Whether nothing of an upgrade to `version` is left on hosts and in the cluster."""
        return (
            self.run(version)
            and not self.addons_behind(version)
            and self.configured is not None
            and self.configured >= version
            and all(one.finished(version) for one in self.hosts)
        )

    def upgraded(
        self, version: KubeVersion, names: Container[str], *, first: Standing | None
    ) -> "ClusterStanding":
        """Where the cluster stands when `names` have been taken to `version`.

        `first` is the control plane on which `kubeadm upgrade apply` runs, if it has to.
        """
        hosts = tuple(
            one.upgraded(version, apply=one == first) if one.host.name in names else one
            for one in self.hosts
        )
        after = replace(self, hosts=hosts, configured=_at_least(self.configured, version))
        if self.kube_proxy is None or not after.run(version):
            return after
        return replace(after, kube_proxy=_at_least(self.kube_proxy, version))
