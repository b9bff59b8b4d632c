"""Which workers take the place of which others, and how far that is; every verb asks here.

A worker that says `replaces: w1` joins in an upgrade that replaces, and in nothing else: until then
every verb leaves it alone. Once it has joined and the other is no node any more, every verb leaves
the other alone, for as long as the inventory still lists it. What is so is read from hosts and API.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from kubeops.model.desired import Cluster, Host
from kubeops.model.observed import ClusterFacts, HostFacts
from kubeops.plan.install import is_member
from kubeops.plan.reset import has_traces
from kubeops.plan.standing import node_of

COMMAND = "invoke upgrade --to VERSION --strategy replace"


class Stage(StrEnum):
    """How far a replacement is, in the order in which it goes."""

    WAITING = "the new host has not joined"
    JOINED = "both are nodes"
    LEAVING = "the old host is no node any more, and not reset yet"
    REPLACED = "replaced"


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """`new` takes the place of `old`."""

    new: Host
    old: Host
    stage: Stage

    @property
    def absent(self) -> Host | None:
        """The one of the two that is not of the cluster; None while both are."""
        match self.stage:
            case Stage.WAITING:
                return self.new
            case Stage.JOINED:
                return None
            case Stage.LEAVING | Stage.REPLACED:
                return self.old


def replacements(desired: Cluster, facts: ClusterFacts) -> tuple[Replacement, ...]:
    """Return what the inventory replaces, in its order, each as far as it is."""
    return tuple(
        Replacement(new=host, old=old, stage=_stage(host, old, desired, facts))
        for host in desired.hosts
        if host.replaces
        for old in (desired.host(host.replaces),)
    )


def present(desired: Cluster, facts: ClusterFacts) -> Cluster:
    """Return the inventory without the hosts that wait to join, and those that were replaced."""
    absent = [one.absent for one in replacements(desired, facts)]
    hosts = tuple(host for host in desired.hosts if host not in absent)
    return replace(desired, hosts=hosts)


def notes(desired: Cluster, facts: ClusterFacts) -> tuple[str, ...]:
    """Return how far each replacement is and what to do about it, one line each."""
    return tuple(note(one, desired) for one in replacements(desired, facts))


def note(one: Replacement, desired: Cluster) -> str:
    """Return how far `one` is, and what to do about it."""
    new, old = one.new.name, one.old.name
    match one.stage:
        case Stage.WAITING:
            return f"{new}: waits to replace {old}; what joins it: {COMMAND}"
        case Stage.JOINED:
            return f"{new}: replaces {old}, which is still a node; to go on: {COMMAND}"
        case Stage.LEAVING:
            return f"{old}: replaced by {new}, and not reset yet; to go on: {COMMAND}"
        case Stage.REPLACED:
            return f"{old}: replaced by {new}; {take_out(one.new, desired)}"


def take_out(new: Host, desired: Cluster) -> str:
    """What is to be done about the inventory when `new` has replaced another host."""
    return f"take {new.replaces}, and the replaces: of {new.name}, out of {desired.source}"


def is_of_cluster(name: str, desired: Cluster, facts: ClusterFacts) -> bool:
    """Whether host `name` still holds anything of this very cluster, or of one half left.

    A machine that was taken out may long serve another cluster: it is not to be touched.
    """
    found = facts.hosts.get(name)
    if found is None or not has_traces(found):
        return False
    authorities = {_authority(host.name, facts) for host in desired.control_planes} - {None}
    return found.unfinished is not None or found.cluster_ca in authorities


def _authority(name: str, facts: ClusterFacts) -> str | None:
    found: HostFacts | None = facts.hosts.get(name)
    return None if found is None else found.cluster_ca


def _stage(new: Host, old: Host, desired: Cluster, facts: ClusterFacts) -> Stage:
    if not _joined(new.name, desired, facts):
        return Stage.WAITING
    if _joined(old.name, desired, facts) or node_of(old.name, facts) is not None:
        return Stage.JOINED
    return Stage.LEAVING if is_of_cluster(old.name, desired, facts) else Stage.REPLACED


def _joined(name: str, desired: Cluster, facts: ClusterFacts) -> bool:
    """Whether the host is a node; of one that is not reached the API's word counts."""
    if name in facts.unreachable:
        return node_of(name, facts) is not None
    return is_member(name, desired, facts)
