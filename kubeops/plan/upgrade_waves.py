"""The waves of one hop, in kubeadm's own order.

Prefetch everywhere, first control plane, other control planes one at a time, workers, then what is
left to see to. In the last hop new workers join before the others are upgraded, and those they
replace leave after it (plan/upgrade_exchange_waves.py). What is done already is left out, so an
interrupted hop's waves are the rest.
"""

from collections.abc import Collection, Container, Iterable, Iterator

from kubeops.plan.actions import (
    FetchPackages,
    FinishUpgrade,
    HoldPackages,
    PruneUpgradeBackups,
    PullImages,
    UpgradeApply,
    UpgradeKubeadm,
    UpgradeKubelet,
    UpgradeNode,
)
from kubeops.plan.model import Lane, Step, Wave
from kubeops.plan.standing import Standing
from kubeops.plan.upgrade_exchange_waves import joining_waves, leaving_waves
from kubeops.plan.upgrade_hop import Hop, applier, package_source
from kubeops.plan.upgrade_host import host_lane, step_on

HOSTS_AT_ONCE = 32


def hop_waves(hop: Hop) -> tuple[Wave, ...]:
    """Return the waves of `hop` that have anything to do."""
    first = applier(hop)
    lanes = {one.host.name: host_lane(hop, one, apply=one == first) for one in hop.hosts}
    planes = [one for one in hop.hosts if one.host.is_control_plane]
    workers = [one for one in hop.hosts if not one.host.is_control_plane]
    worker_lanes = _busy(lanes[one.host.name] for one in workers)
    control_planes = (
        Wave(
            name=f"{hop.minor}/first-control-plane",
            title=f"upgrade the first control plane to v{hop.version}",
            lanes=_busy(lanes[one.host.name] for one in planes if one == first),
        ),
        Wave(
            name=f"{hop.minor}/control-planes",
            title=f"upgrade the other control planes to v{hop.version}, one at a time",
            lanes=_busy(lanes[one.host.name] for one in planes if one != first),
        ),
    )
    in_place = Wave(
        name=f"{hop.minor}/workers",
        title=f"upgrade the workers to v{hop.version}",
        lanes=worker_lanes,
        at_once=_workers_at_once(hop, {lane.name for lane in worker_lanes}),
        failure_budget=hop.settings.desired.upgrade.failure_budget,
    )
    changing = (*control_planes, *joining_waves(hop), in_place, *_leaving(hop))
    waves = tuple(wave for wave in (_prefetch(hop, lanes.values()), *changing) if wave.lanes)
    return tuple(
        wave
        for wave in (*waves, _finish(hop, needed=bool(waves)), _tidy(hop, changing))
        if wave.lanes
    )


def _busy(lanes: Iterable[Lane]) -> tuple[Lane, ...]:
    return tuple(lane for lane in lanes if lane.steps)


def _workers_at_once(hop: Hop, upgraded: Collection[str]) -> int:
    """How many workers may be upgraded at once, less those that are away for other reasons."""
    if hop.settings.all_at_once:
        return max(1, len(upgraded))
    away = sum(one.away for one in hop.standing.workers if one.host.name not in upgraded)
    return max(1, hop.settings.workers_at_once - away)


def _leaving(hop: Hop) -> tuple[Wave, ...]:
    exchange = hop.settings.exchange
    concerned = {host.name for one in exchange.unfinished for host in (one.new, one.old)}
    return leaving_waves(hop, at_once=_workers_at_once(hop, concerned))


def _prefetch(hop: Hop, lanes: Iterable[Lane]) -> Wave:
    return Wave(
        name=f"{hop.minor}/prefetch",
        title=f"fetch packages and images of v{hop.version}",
        lanes=_busy(_fetch(hop, lane) for lane in lanes),
        at_once=HOSTS_AT_ONCE,
    )


def _fetch(hop: Hop, lane: Lane) -> Lane:
    """What the steps of `lane` will want: packages, and images where kubeadm or kubelet start."""
    actions = [step.action for step in lane.steps]
    installs = any(isinstance(action, UpgradeKubeadm | UpgradeKubelet) for action in actions)
    starts = any(
        isinstance(action, UpgradeApply | UpgradeNode | UpgradeKubelet) for action in actions
    )
    stale = hop.last and lane.name in hop.settings.stale_sources
    steps = []
    version = str(hop.version)
    if installs or stale:
        source = package_source(hop.settings.desired, hop.minor)
        steps.append(
            Step(
                id=hop.id("prefetch", lane.name, "packages"),
                host=lane.name,
                title=f"switch to the package source of {hop.minor}, download {version}",
                action=FetchPackages(url=source.url, minor=source.minor, version=version),
            )
        )
    if starts:
        steps.append(
            Step(
                id=hop.id("prefetch", lane.name, "images"),
                host=lane.name,
                title=f"pull the images of v{version}",
                action=PullImages(
                    version=version, image_repository=hop.settings.desired.image_repository
                ),
            )
        )
    return Lane(name=lane.name, steps=tuple(steps))


def _finish(hop: Hop, *, needed: bool) -> Wave:
    """Waits for what the hop promises; also when only the inventory is left to be rewritten."""
    unwritten = hop.last and hop.settings.desired.kubernetes != hop.version
    joining = hop.settings.exchange.joining if hop.last else ()
    step = Step(
        id=hop.id("finish"),
        host=hop.via,
        title="wait for the whole cluster",
        action=FinishUpgrade(
            version=str(hop.version),
            nodes=tuple(host.name for host in (*hop.staying, *joining)),
            control_planes=tuple(host.name for host in hop.settings.desired.control_planes),
        ),
        gate=f"nodes Ready at v{hop.version}, CoreDNS and kube-proxy rolled out, no cordon left",
    )
    lanes = (Lane(name="cluster", steps=(step,)),)
    return Wave(
        name=f"{hop.minor}/finish",
        title="the whole cluster",
        lanes=lanes if hop.completes and (needed or unwritten) else (),
    )


def _tidy(hop: Hop, changing: Iterable[Wave]) -> Wave:
    upgraded = {
        step.host
        for wave in changing
        for lane in wave.lanes
        for step in lane.steps
        if isinstance(step.action, UpgradeApply | UpgradeNode)
    }
    return Wave(
        name=f"{hop.minor}/tidy",
        title="hold packages, prune kubeadm's backups",
        lanes=_busy(
            Lane(name=one.host.name, steps=tuple(_tidy_steps(hop, one, upgraded)))
            for one in hop.hosts
        ),
        at_once=HOSTS_AT_ONCE,
    )


def _tidy_steps(hop: Hop, one: Standing, upgraded: Container[str]) -> Iterator[Step]:
    if hop.last and one.unheld:
        yield step_on(
            hop,
            one,
            "hold",
            f"hold {', '.join(one.unheld)}",
            action=HoldPackages(packages=one.unheld),
        )
    if one.cluttered or one.host.name in upgraded:
        yield step_on(
            hop,
            one,
            "prune",
            "prune /etc/kubernetes/tmp to the newest",
            action=PruneUpgradeBackups(),
        )
