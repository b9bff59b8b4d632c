"""What a restore works on: the attempt, and the control planes that take part in it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kubeops.model.bundle import Bundle
from kubeops.model.desired import Cluster, Host
from kubeops.model.observed import ClusterFacts, StaticPod
from kubeops.model.restoring import Mark, Phase, RestoreFacts, attempt_id

BUMP = 1_000_000_000
"""What etcd's own guide adds to the revision: a week of 1500 writes a second."""

DATA = "/var/lib/etcd"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A control plane that takes part.

    Attributes:
        host: it, as the inventory has it.
        mark: what it says of the attempt; None when it says nothing yet.
        data: etcd's data directory.
        member: the name of its etcd member.
        peers: the member's peer URLs, comma separated.
    """

    host: Host
    mark: Mark | None
    data: str
    member: str
    peers: str

    @property
    def name(self) -> str:
        """The host's name."""
        return self.host.name

    def is_beyond(self, phase: Phase) -> bool:
        """Whether the step that ends in `phase`, its wait included, is behind it."""
        return self.mark is not None and self.mark.phase.rank > phase.rank


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One restore: new, or the one that hosts say is under way.

    Attributes:
        id: its id; empty when there is none to undo.
        targets: the control planes that take part, in the inventory's order.
        begins: the revision that etcd begins with.
    """

    id: str
    targets: tuple[Target, ...]
    begins: int = 0

    @property
    def marked(self) -> "Attempt":
        """The same without control planes that say nothing of it."""
        return replace(self, targets=tuple(one for one in self.targets if one.mark is not None))

    @property
    def members(self) -> str:
        """All members, as `--initial-cluster` wants them."""
        return ",".join(
            f"{target.member}={url}" for target in self.targets for url in target.peers.split(",")
        )

    @property
    def token(self) -> str:
        """The new cluster's token: no member of another attempt can be mistaken for one of it."""
        return f"kubeops-restore-{self.id}"

    @property
    def marks(self) -> tuple[Mark, ...]:
        """What the targets say that say something."""
        return tuple(target.mark for target in self.targets if target.mark is not None)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """How far the targets are that say something."""
        return tuple(mark.phase for mark in self.marks)

    @property
    def touched(self) -> bool:
        """Whether anything of the cluster is not as it was before."""
        return any(phase.touched for phase in self.phases)


def restoring(desired: Cluster, facts: ClusterFacts, more: RestoreFacts, bundle: Bundle) -> Attempt:
    """Return the attempt to restore `bundle`: the open one if there is one, else the next."""
    newest = open_attempt(more)
    if newest and newest.partition("-")[2] == bundle.name:
        attempt = newest
    else:
        attempt = attempt_id(_number(more.newest) + 1, bundle.name)
    targets = _targets(desired, facts, more, attempt, members=_known_members(facts, bundle))
    marks = [target.mark for target in targets if target.mark is not None]
    begins = marks[0].revision if marks else beginning(bundle.revision, _highest(facts, more))
    return Attempt(id=attempt, targets=targets, begins=begins)


def is_fresh(desired: Cluster, facts: ClusterFacts, more: RestoreFacts) -> bool:
    """Whether nothing is left to restore into, so that a control plane has to be made first.

    Also when that is under way, or was given up half-way. As long as any control plane that was
    reached has an etcd, or had one before a restore that is under way, it is not.
    """
    reached = [host.name for host in desired.control_planes if host.name in more.hosts]
    marks = [mark for mark in (more.mark(name, more.newest) for name in reached) if mark]
    if any(mark.phase.open for mark in marks):
        return any(mark.fresh for mark in marks)
    return bool(reached) and not any("etcd" in facts.hosts[name].static_pods for name in reached)


def reviving(desired: Cluster, facts: ClusterFacts, more: RestoreFacts, bundle: Bundle) -> Attempt:
    """Return the attempt to restore `bundle` onto one fresh control plane, which others then join.

    That is the one on which it was begun, else the first that was reached.
    """
    newest = open_attempt(more)
    attempt = newest if newest.partition("-")[2] == bundle.name else ""
    attempt = attempt or attempt_id(_number(more.newest) + 1, bundle.name)
    reached = [host for host in desired.control_planes if host.name in more.hosts]
    begun = [host for host in reached if more.mark(host.name, attempt) is not None]
    targets = tuple(
        _target(host, None, more.mark(host.name, attempt), {}) for host in (*begun, *reached)[:1]
    )
    marks = [target.mark for target in targets if target.mark is not None]
    begins = marks[0].revision if marks else beginning(bundle.revision, _highest(facts, more))
    return Attempt(id=attempt, targets=targets, begins=begins)


def control_planes_of(bundle: Bundle) -> set[str]:
    """Names of all control planes there were when the bundle was taken."""
    return {plane.name for plane in bundle.control_planes} | {m.name for m in bundle.members}


def undoing(desired: Cluster, facts: ClusterFacts, more: RestoreFacts) -> Attempt:
    """Return the newest attempt; its id is empty when there is none, or it is undone already."""
    newest = more.newest
    targets = _targets(desired, facts, more, newest, members={})
    attempt = Attempt(id=newest, targets=targets)
    over = all(phase is Phase.UNDONE for phase in attempt.phases)
    return Attempt(id="", targets=()) if over else attempt


def open_attempt(more: RestoreFacts) -> str:
    """Return the id of the newest attempt if it, or its undo, is under way on any host."""
    newest = more.newest
    marks = [more.mark(host, newest) for host in more.hosts]
    return newest if any(mark is not None and mark.phase.open for mark in marks) else ""


def beginning(revision: int, highest: int) -> int:
    """Return the revision that etcd begins with after a restore of a snapshot at `revision`.

    It is higher than any that was ever seen (`highest`), so that nobody who watches believes to
    know the future. After an earlier restore one bump is not enough.
    """
    bumps = 1
    while revision + bumps * BUMP < highest + BUMP // 2:
        bumps += 1
    return revision + bumps * BUMP


def _targets(
    desired: Cluster,
    facts: ClusterFacts,
    more: RestoreFacts,
    attempt: str,
    *,
    members: Mapping[str, str],
) -> tuple[Target, ...]:
    found = []
    for host in desired.control_planes:
        seen = facts.hosts.get(host.name)
        pod = seen.static_pods.get("etcd") if seen is not None else None
        mark = more.mark(host.name, attempt)
        if host.name in more.hosts and (pod is not None or mark is not None):
            found.append(_target(host, pod, mark, members))
    return tuple(found)


def _target(
    host: Host, pod: StaticPod | None, mark: Mark | None, members: Mapping[str, str]
) -> Target:
    flags = pod.flags if pod is not None else {}
    peers = flags.get("initial-advertise-peer-urls") or members.get(host.name)
    return Target(
        host=host,
        mark=mark,
        data=mark.data if mark is not None else flags.get("data-dir", DATA),
        member=flags.get("name", host.name),
        peers=peers or f"https://{_bracketed(host.address)}:2380",
    )


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _known_members(facts: ClusterFacts, bundle: Bundle) -> Mapping[str, str]:
    """Peer URLs by name: as a member tells today, else as one told when the bundle was taken."""
    then = {member.name: ",".join(member.peer_urls) for member in bundle.members}
    today = facts.etcd.members if facts.etcd is not None else ()
    return then | {member.name: ",".join(member.peer_urls) for member in today}


def _highest(facts: ClusterFacts, more: RestoreFacts) -> int:
    present = facts.etcd.members if facts.etcd is not None else ()
    begun = (mark.revision for host in more.hosts.values() for mark in host.marks)
    return max((*(member.revision for member in present), *begun), default=0)


def _number(attempt: str) -> int:
    return int(attempt.partition("-")[0]) if attempt else 0
