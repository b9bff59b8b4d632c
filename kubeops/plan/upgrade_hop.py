"""One hop of an upgrade: from where the cluster stands to one version."""

from dataclasses import dataclass

from kubeops.model.desired import Cluster, Host
from kubeops.model.observed import HostFacts
from kubeops.model.version import KubeVersion, Minor
from kubeops.plan.actions import AddPackageSource
from kubeops.plan.hosts import KEYRING, has_file, source_file
from kubeops.plan.standing import ClusterStanding, Cordon, Standing
from kubeops.plan.upgrade_exchange import Exchange


@dataclass(frozen=True, kw_only=True)
class HopSettings:
    """What all hops of one upgrade have in common.

    Attributes:
        desired: the inventory, without hosts that wait to join and those that were replaced.
        exchange: the workers that are replaced.
        final: the minor release of the last hop.
        names: the hosts that are upgraded; the others are left as they are.
        stale_sources: hosts whose apt points elsewhere than to the last hop's package source.
        undrainable: nodes that are not drained, because no other node may take their pods.
        workers_at_once: how many workers may be away.
        all_at_once: workers are upgraded together, their pods deleted; downtime is accepted.
        bare_pods: draining may delete pods that nobody creates again.
    """

    desired: Cluster
    exchange: Exchange
    final: Minor
    names: frozenset[str]
    stale_sources: frozenset[str]
    undrainable: frozenset[str]
    workers_at_once: int
    all_at_once: bool
    bare_pods: bool


@dataclass(frozen=True, kw_only=True)
class Hop:
    """One hop: `standing` is where the cluster stands before it, `last` that none follows."""

    version: KubeVersion
    standing: ClusterStanding
    settings: HopSettings
    last: bool

    @property
    def minor(self) -> Minor:
        """The minor release of the hop."""
        return self.version.minor

    @property
    def hosts(self) -> tuple[Standing, ...]:
        """The hosts that are upgraded, those whose cordon is ours first."""
        within = (one for one in self.standing.hosts if self._takes_along(one))
        return tuple(sorted(within, key=lambda one: one.cordon is not Cordon.OURS))

    def _takes_along(self, one: Standing) -> bool:
        """Whether the hop is one of this host's; workers that are replaced leave in the last."""
        exchange = self.settings.exchange
        if one.host.name not in self.settings.names:
            return False
        if one.host.name not in exchange.leaving:
            return True
        return not self.last and not exchange.stays_behind(one, self.settings.final)

    @property
    def via(self) -> str:
        """The control plane through which workers' nodes are changed."""
        return self.standing.control_planes[0].host.name

    @property
    def after(self) -> ClusterStanding:
        """Where the cluster stands after the hop."""
        names = {one.host.name for one in self.hosts}
        return self.standing.upgraded(self.version, names, first=applier(self))

    @property
    def staying(self) -> tuple[Host, ...]:
        """The hosts that are in the cluster before the hop, and will not leave it."""
        leaving = self.settings.exchange.leaving
        return tuple(host for host in self.settings.desired.hosts if host.name not in leaving)

    @property
    def completes(self) -> bool:
        """Whether every host of the inventory that stays is at the version after the hop."""
        after = self.after.without(self.settings.exchange.leaving)
        reached = [one.host for one in after.hosts]
        return after.finished(self.version) and list(self.staying) == reached

    def id(self, *parts: str) -> str:
        """The id of a step of this hop."""
        return "/".join(("", str(self.minor), *parts))


def package_source(desired: Cluster, minor: Minor) -> AddPackageSource:
    """The package source of a minor release."""
    return AddPackageSource(url=desired.package_repository.format(minor=minor), minor=str(minor))


def has_source(facts: HostFacts, desired: Cluster, minor: Minor) -> bool:
    """Whether the host's apt points to the package source of `minor`."""
    return KEYRING in facts.files and has_file(facts, source_file(package_source(desired, minor)))


def applier(hop: Hop) -> Standing | None:
    """The control plane on which `kubeadm upgrade apply` has to run; None when it is through.

    It is through when it wrote its version into kubeadm-config. It runs again where it was stopped
    half-way, and where every control plane is at the version but the addons are not.
    """
    planes = hop.standing.control_planes
    stopped = next((one for one in planes if one.unfinished == "apply"), None)
    if stopped is not None:
        return stopped
    configured = hop.standing.configured
    if configured is None or configured < hop.version:
        return next((one for one in planes if one.runs(hop.version)), planes[0])
    return planes[0] if hop.standing.addons_behind(hop.version) else None
