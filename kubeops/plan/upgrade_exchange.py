"""Which workers an upgrade replaces, and what that means for its hops."""

from collections.abc import Collection
from dataclasses import dataclass

from kubeops.model.desired import Cluster, Host
from kubeops.model.observed import ClusterFacts
from kubeops.model.version import Minor
from kubeops.plan.replacing import Replacement, Stage, replacements
from kubeops.plan.skew import KUBELET_SKEW
from kubeops.plan.standing import Cordon, Standing


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """What one upgrade replaces.

    Attributes:
        desired: the whole inventory, hosts that wait and hosts that were replaced among them.
        facts: what was observed.
        pairs: who replaces whom, done or not; none when the upgrade is not to replace.
    """

    desired: Cluster
    facts: ClusterFacts
    pairs: tuple[Replacement, ...] = ()

    @classmethod
    def within(cls, names: Collection[str], desired: Cluster, facts: ClusterFacts) -> "Exchange":
        """The replacements both hosts of which are among `names`."""
        pairs = tuple(
            one
            for one in replacements(desired, facts)
            if one.new.name in names and one.old.name in names
        )
        return cls(desired=desired, facts=facts, pairs=pairs)

    @property
    def joining(self) -> tuple[Host, ...]:
        """The hosts that join, as far as they were reached."""
        return tuple(
            one.new
            for one in self.pairs
            if one.stage is Stage.WAITING and one.new.name in self.facts.hosts
        )

    @property
    def leaving(self) -> frozenset[str]:
        """The workers that are replaced, as long as they are of the cluster."""
        there = {Stage.WAITING, Stage.JOINED}
        return frozenset(one.old.name for one in self.pairs if one.stage in there)

    @property
    def unfinished(self) -> tuple[Replacement, ...]:
        """What is left to do."""
        return tuple(one for one in self.pairs if one.stage is not Stage.REPLACED)

    def stays_behind(self, one: Standing, final: Minor) -> bool:
        """Whether a worker that leaves needs no upgrade before API servers are at `final`.

        The skew policy has to bear its kubelet beside them. What was begun on it is ended first.
        """
        return (
            one.host.name in self.leaving
            and one.unfinished is None
            and one.cordon is not Cordon.OURS
            and (one.kubelet is None or _skew(one.kubelet.minor, final) <= KUBELET_SKEW)
        )


def _skew(older: Minor, newer: Minor) -> int:
    """How many minor releases there are between them; another major release is far away."""
    return 1000 * (newer.major - older.major) + newer.minor - older.minor
