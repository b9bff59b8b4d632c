"""What the checks of an upgrade look at: the plan's waves beside everything that was observed."""

from collections.abc import Iterator
from dataclasses import dataclass

from kubeops.model.desired import Cluster, Host
from kubeops.model.observed import (
    ClusterFacts,
    HostFacts,
)
from kubeops.model.upgrading import UpgradeFacts
from kubeops.model.version import Minor
from kubeops.plan.actions import DrainNode, PullImages, UpgradeApply, UpgradeNode
from kubeops.plan.model import Step, Wave
from kubeops.plan.upgrade_exchange import Exchange
from kubeops.plan.upgrade_hop import Hop


@dataclass(frozen=True, kw_only=True)
class Situation:
    """One upgrade as it was planned, and what it was planned from.

    Attributes:
        desired: the inventory, without hosts that wait to join and those that were replaced.
        facts: what was observed.
        more: what only an upgrade asks.
        hops: the hops, in their order.
        waves: the waves of all hops, after those of new hosts.
        exchange: the workers that are replaced.
        limit: only these hosts are upgraded; empty means all.
        all_at_once: workers are upgraded together, their pods deleted.
        replaces: workers are replaced where the inventory says so.
    """

    desired: Cluster
    facts: ClusterFacts
    more: UpgradeFacts
    hops: tuple[Hop, ...]
    waves: tuple[Wave, ...]
    exchange: Exchange
    limit: tuple[str, ...] = ()
    all_at_once: bool = False
    replaces: bool = False

    @property
    def steps(self) -> Iterator[Step]:
        """Every step of every hop, in order."""
        for wave in self.waves:
            for lane in wave.lanes:
                yield from lane.steps

    @property
    def reached(self) -> Iterator[tuple[Host, HostFacts]]:
        """The hosts that are upgraded and were reached."""
        for host in self.desired.hosts:
            if self.within(host.name) and host.name in self.facts.hosts:
                yield host, self.facts.hosts[host.name]

    @property
    def last_minor(self) -> Minor | None:
        """The minor release of the last hop; None when there is no way."""
        return self.hops[-1].minor if self.hops else None

    def last_minor_of(self, name: str) -> Minor | None:
        """The minor release to which the host is taken; None when it is not upgraded."""
        hops = [hop for hop in self.hops if any(one.host.name == name for one in hop.hosts)]
        return hops[-1].minor if hops else None

    @property
    def drains(self) -> tuple[str, ...]:
        """The nodes that are drained, each once."""
        return tuple(
            dict.fromkeys(
                step.action.node for step in self.steps if isinstance(step.action, DrainNode)
            )
        )

    def within(self, name: str) -> bool:
        """Whether the host is among those that are upgraded."""
        return not self.limit or name in self.limit

    def kubeadm_upgrades(self, name: str) -> int:
        """How often kubeadm upgrades the host."""
        return sum(
            isinstance(step.action, UpgradeApply | UpgradeNode) and step.host == name
            for step in self.steps
        )

    def pulls(self, name: str) -> int:
        """How often images are pulled on the host."""
        return sum(isinstance(step.action, PullImages) and step.host == name for step in self.steps)
