"""Plans an upgrade: every hop, from whatever state the cluster is in, or why not.

The order, one wave after the other: a proven snapshot before anything changes; the waves of each
hop (plan/upgrade_waves.py); the inventory's version. The checks of all hops and hosts come with the
plan (plan/upgrade_checks.py). What hosts and cluster are already gets no step, so the plan of a
finished cluster is empty and that of an interrupted upgrade is the rest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from kubeops.model.desired import Cluster
from kubeops.model.observed import (
    ClusterFacts,
)
from kubeops.model.upgrading import UpgradeFacts
from kubeops.model.version import KubeVersion
from kubeops.plan.actions import (
    WORKSTATION,
    AwaitNode,
    FetchPackages,
    FinishUpgrade,
    HoldPackages,
    PruneUpgradeBackups,
    RewriteInventory,
    SaveSnapshot,
    UncordonNode,
)
from kubeops.plan.model import Lane, Plan, Step, Wave
from kubeops.plan.replacing import Stage, note, present, replacements
from kubeops.plan.standing import ClusterStanding, Cordon, Standing, cordon
from kubeops.plan.upgrade_checks import upgrade_checks
from kubeops.plan.upgrade_exchange import Exchange
from kubeops.plan.upgrade_exchange_waves import preparation
from kubeops.plan.upgrade_hop import Hop, HopSettings, has_source
from kubeops.plan.upgrade_path import Path, Wish, find_path
from kubeops.plan.upgrade_situation import Situation
from kubeops.plan.upgrade_waves import hop_waves

HARMLESS = (
    AwaitNode | FetchPackages | FinishUpgrade | HoldPackages | PruneUpgradeBackups | UncordonNode
)
"""Actions that need no snapshot before them."""


class Strategy(StrEnum):
    """How workers are upgraded: a few at a time, all together with downtime, or by new hosts.

    What no new host replaces is upgraded a few at a time in any case.
    """

    ROLLING = "rolling"
    ALL_AT_ONCE = "all-at-once"
    REPLACE = "replace"


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the operator chose on the command line.

    Attributes:
        strategy: how workers are upgraded.
        accepted: names of checks whose acceptable findings the operator accepts.
        limit: only these hosts are upgraded; empty means all.
    """

    strategy: Strategy = Strategy.ROLLING
    accepted: tuple[str, ...] = ()
    limit: Sequence[str] = ()


def plan_upgrade(
    desired: Cluster,
    facts: ClusterFacts,
    more: UpgradeFacts,
    *,
    wish: Wish,
    choices: Choices | None = None,
) -> Plan:
    """Return the plan that takes the cluster to `wish`, with everything the checks found.

    Args:
        desired: the inventory.
        facts: what was observed of hosts, API and etcd.
        more: what package sources offer (`sources_to_ask` says which), and what draining each node
            and leaving each release behind would meet.
        wish: where to.
        choices: what the operator chose.
    """
    chosen = choices or Choices()
    exchange = exchange_of(desired, facts, chosen)
    desired = present(desired, facts)
    standing = ClusterStanding.of(desired, facts)
    behind = {one.host.name for one in standing.hosts if exchange.stays_behind(one, wish.minor)}
    path = find_path(standing.without(behind), more.offers, wish)
    hops = _hops(path, standing, _settings(desired, facts, path, chosen, exchange))
    waves = tuple(wave for wave in _waves(exchange, hops) if wave.lanes)
    inventory = _inventory_wave(desired, hops)
    changes = any(
        not isinstance(step.action, HARMLESS)
        for wave in waves
        for lane in wave.lanes
        for step in lane.steps
    )
    situation = Situation(
        desired=desired,
        facts=facts,
        more=more,
        hops=hops,
        waves=waves,
        exchange=exchange,
        limit=tuple(chosen.limit),
        all_at_once=chosen.strategy is Strategy.ALL_AT_ONCE,
        replaces=chosen.strategy is Strategy.REPLACE,
    )
    return Plan(
        kind="upgrade",
        cluster=desired.name,
        summary=_summary(desired, standing, path, wish, exchange),
        waves=(*((_snapshot_wave(desired, facts),) if changes else ()), *waves, *inventory),
        findings=(*path.findings, *upgrade_checks(situation)),
        accepted=chosen.accepted,
        done=(*_done(standing.without(exchange.leaving), hops), *_replaced(exchange)),
        rehearsal=facts.rehearsal,
    )


def workers_at_once(allowed: int | str, workers: int) -> int:
    """How many of `workers` may be away: a number, or a percentage rounded down; at least one."""
    if isinstance(allowed, int):
        return max(1, allowed)
    return max(1, workers * int(allowed.removesuffix("%")) // 100)


def exchange_of(desired: Cluster, facts: ClusterFacts, chosen: Choices) -> Exchange:
    """Return what an upgrade with these choices replaces."""
    if chosen.strategy is not Strategy.REPLACE:
        return Exchange(desired=desired, facts=facts)
    names = chosen.limit or [host.name for host in desired.hosts]
    return Exchange.within(names, desired, facts)


def _waves(exchange: Exchange, hops: Sequence[Hop]) -> Iterator[Wave]:
    if hops:
        yield preparation(exchange, hops[-1].version)
    for hop in hops:
        yield from hop_waves(hop)


def _settings(
    desired: Cluster, facts: ClusterFacts, path: Path, chosen: Choices, exchange: Exchange
) -> HopSettings:
    names = frozenset(chosen.limit or (host.name for host in desired.hosts))
    final = path.hops[-1].minor if path.hops else desired.kubernetes.minor
    return HopSettings(
        desired=desired,
        exchange=exchange,
        final=final,
        names=names,
        stale_sources=frozenset(
            name for name, found in facts.hosts.items() if not has_source(found, desired, final)
        ),
        undrainable=_undrainable(facts),
        workers_at_once=workers_at_once(desired.upgrade.max_unavailable, len(desired.workers)),
        all_at_once=chosen.strategy is Strategy.ALL_AT_ONCE,
        bare_pods="bare-pods" in chosen.accepted,
    )


def _undrainable(facts: ClusterFacts) -> frozenset[str]:
    """The only node that takes pods, if there is but one. Our own cordons will end: not counted."""
    nodes = facts.api.nodes if facts.api is not None else ()
    schedulable = [node.name for node in nodes if cordon(node) is not Cordon.OPERATORS]
    return frozenset(schedulable) if len(schedulable) == 1 else frozenset()


def _hops(path: Path, standing: ClusterStanding, settings: HopSettings) -> tuple[Hop, ...]:
    """Each hop starts where the one before it ends."""
    hops: list[Hop] = []
    for version in path.hops:
        hop = Hop(
            version=version,
            standing=standing,
            settings=settings,
            last=version == path.hops[-1],
        )
        hops.append(hop)
        standing = hop.after
    return tuple(hops)


def _snapshot_wave(desired: Cluster, facts: ClusterFacts) -> Wave:
    healthy = {member.name for member in facts.etcd.members if member.healthy} if facts.etcd else ()
    planes = [host.name for host in desired.control_planes if host.name in facts.hosts]
    source = next((name for name in planes if name in healthy), planes[0])
    step = Step(
        id="/snapshot",
        host=source,
        title=f"take a backup into {desired.backup.store}",
        action=SaveSnapshot(store=desired.backup.store),
        gate="proven by restoring it",
    )
    return Wave(
        name="snapshot",
        title="a proven backup first",
        lanes=(Lane(name="backup", steps=(step,)),),
    )


def _inventory_wave(desired: Cluster, hops: Sequence[Hop]) -> tuple[Wave, ...]:
    if not hops or not hops[-1].completes or desired.kubernetes == hops[-1].version:
        return ()
    version = hops[-1].version
    step = Step(
        id="/inventory/rewrite",
        host=WORKSTATION,
        title=f'write kubernetes: "{version}" into the inventory',
        action=RewriteInventory(version=str(version)),
    )
    return (
        Wave(
            name="inventory",
            title="the inventory",
            lanes=(Lane(name="inventory", steps=(step,)),),
        ),
    )


def _summary(
    desired: Cluster, standing: ClusterStanding, path: Path, wish: Wish, exchange: Exchange
) -> str:
    replaced = len(exchange.unfinished)
    control_planes, workers = len(desired.control_planes), len(desired.workers)
    running = [plane.control_plane for plane in standing.control_planes if plane.control_plane]
    begin = min(running, default=desired.kubernetes)
    way = [begin, *(version for version in path.hops if version != begin)]
    return (
        (" -> ".join(version.tag for version in way) if path.hops else f"{begin.tag} -> {wish}")
        + f", {control_planes} control plane{'s' if control_planes != 1 else ''}, "
        + f"{workers} worker{'s' if workers != 1 else ''}"
        + (f", {replaced} of them replaced" if replaced else "")
    )


def _done(standing: ClusterStanding, hops: Sequence[Hop]) -> tuple[str, ...]:
    if not hops:
        return ()
    target = hops[-1].version
    return tuple(_done_line(one, target) for one in standing.hosts if one.finished(target)) + tuple(
        f"{one.host.name}: cordoned by the operator, stays cordoned"
        for one in standing.hosts
        if one.cordon is Cordon.OPERATORS
    )


def _replaced(exchange: Exchange) -> tuple[str, ...]:
    """What the inventory still lists, and need not."""
    return tuple(
        note(one, exchange.desired)
        for one in replacements(exchange.desired, exchange.facts)
        if one.stage is Stage.REPLACED
    )


def _done_line(one: Standing, target: KubeVersion) -> str:
    newer = f", newer than {target}" if one.kubelet is not None and one.kubelet > target else ""
    return f"{one.host.name}: {one.host.role} at v{one.kubelet}{newer}"
