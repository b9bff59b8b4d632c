"""The waves with which an upgrade replaces workers.

New hosts are prepared before the first hop. When every control plane is at the target they join,
their Nodes are waited for, and new pods are kept off all workers that leave: what is evicted from
one must not go to the next. After the other workers they leave as in a reset, `max_unavailable` at
a time, each only while its replacement is Ready.
"""

from collections.abc import Iterator
from dataclasses import replace

from kubeops.model.desired import Cluster, Host
from kubeops.model.version import KubeVersion
from kubeops.plan.actions import AwaitNode, CordonNode, DeleteNode
from kubeops.plan.install import (
    HOSTS_AT_ONCE,
    Membership,
    hosts_wave,
    nodes_wave,
    workers_wave,
)
from kubeops.plan.model import Lane, Step, Wave
from kubeops.plan.network import network_lanes
from kubeops.plan.replacing import Replacement, is_of_cluster, present
from kubeops.plan.reset import farewell, reset_step
from kubeops.plan.standing import Cordon, node_of
from kubeops.plan.upgrade_exchange import Exchange
from kubeops.plan.upgrade_hop import Hop
from kubeops.plan.upgrade_host import drain_of


def preparation(exchange: Exchange, version: KubeVersion) -> Wave:
    """Return the wave that prepares the hosts that join, at `version`."""
    return replace(
        hosts_wave(exchange.joining, _at(exchange.desired, version), exchange.facts),
        name="new-hosts",
        title=f"prepare the new hosts for v{version}",
    )


def joining_waves(hop: Hop) -> tuple[Wave, ...]:
    """Return the waves after which new workers are Ready, and those that leave get no new pods."""
    exchange = hop.settings.exchange
    if not hop.last or not exchange.pairs:
        return ()
    desired, facts = _at(exchange.desired, hop.version), exchange.facts
    membership = replace(Membership.of(desired, facts), via=hop.via)
    news = [one.new for one in exchange.pairs if one.new.name in facts.hosts]
    joined = workers_wave(exchange.joining, desired, membership, version=str(hop.version))
    described = nodes_wave(news, facts, exchange.joining, membership)
    return (
        replace(joined, name=f"{hop.minor}/join", title="join the new workers"),
        Wave(
            name=f"{hop.minor}/network",
            title=f"network: {desired.cni.name}",
            lanes=network_lanes(
                desired,
                facts,
                hosts=(*_present(exchange), *exchange.joining),
                via=hop.via,
                manifests=(),
            ),
            at_once=HOSTS_AT_ONCE,
        ),
        replace(described, name=f"{hop.minor}/nodes"),
        Wave(
            name=f"{hop.minor}/new-workers",
            title="wait for the new workers, keep new pods off those they replace",
            lanes=tuple(
                Lane(name=one.old.name, steps=(_await(hop, one, one.new.name), _cordon(hop, one)))
                for one in exchange.unfinished
                if _is_relieved(hop, one)
            ),
            at_once=HOSTS_AT_ONCE,
        ),
    )


def leaving_waves(hop: Hop, *, at_once: int) -> tuple[Wave, ...]:
    """Return the waves in which workers leave, `at_once` at a time, and routes to them end."""
    exchange = hop.settings.exchange
    if not hop.last:
        return ()
    lanes = [Lane(name=one.old.name, steps=_leave(hop, one)) for one in exchange.unfinished]
    leaving = Wave(
        name=f"{hop.minor}/replace",
        title="take the replaced workers out of the cluster",
        lanes=tuple(lane for lane in lanes if lane.steps),
        at_once=at_once,
        failure_budget=hop.settings.desired.upgrade.failure_budget,
    )
    return leaving, _routes(hop, leaving)


def _at(desired: Cluster, version: KubeVersion) -> Cluster:
    return replace(desired, kubernetes=version)


def _present(exchange: Exchange) -> Iterator[Host]:
    for host in present(exchange.desired, exchange.facts).hosts:
        if host.name in exchange.facts.hosts:
            yield host


def _is_relieved(hop: Hop, one: Replacement) -> bool:
    """Whether the old worker is to be cordoned now: not before the new one is upgraded itself."""
    at = {standing.host.name: standing for standing in hop.standing.workers}
    new, old = at.get(one.new.name), at.get(one.old.name)
    if new is not None and not new.has_kubelet(hop.version):
        return False
    there = node_of(one.old.name, hop.settings.exchange.facts) is not None
    return there and old is not None and old.cordon is Cordon.NONE


def _await(hop: Hop, one: Replacement, name: str, done: str = "await") -> Step:
    return Step(
        id=hop.id("workers", name, done),
        host=hop.via,
        title=f"wait for {one.new.name}",
        action=AwaitNode(node=one.new.name, version=str(hop.version)),
        gate=f"Ready at v{hop.version}, system pods ready",
    )


def _cordon(hop: Hop, one: Replacement) -> Step:
    return Step(
        id=hop.id("workers", one.old.name, "cordon"),
        host=hop.via,
        title=f"cordon {one.old.name}",
        action=CordonNode(node=one.old.name),
    )


def _leave(hop: Hop, one: Replacement) -> tuple[Step, ...]:
    """Return what takes the old worker out; what is done already has no step."""
    exchange = hop.settings.exchange
    ours = is_of_cluster(one.old.name, exchange.desired, exchange.facts)
    reset = (reset_step(one.old),) if ours else ()
    if node_of(one.old.name, exchange.facts) is None:
        return reset
    return (
        _await(hop, one, one.old.name, "replacement"),
        *farewell(one.old, via=hop.via, drain=drain_of(hop, one.old) if ours else None),
        *reset,
    )


def _routes(hop: Hop, leaving: Wave) -> Wave:
    """Write the routes anew, where they are ours, when a node has gone."""
    exchange = hop.settings.exchange
    gone = any(isinstance(step.action, DeleteNode) for lane in leaving.lanes for step in lane.steps)
    staying = [host for host in _present(exchange) if host.name not in exchange.leaving]
    # Without the API's word nobody's routes are taken for right; once the node has gone, none are.
    lanes = (
        network_lanes(
            exchange.desired,
            replace(exchange.facts, api=None),
            hosts=(*staying, *exchange.joining),
            via=hop.via,
            manifests=(),
        )
        if gone
        else ()
    )
    return Wave(
        name=f"{hop.minor}/routes",
        title="network without the workers that left",
        lanes=tuple(
            replace(
                lane,
                steps=tuple(
                    replace(step, id=hop.id("routes", lane.name, "bridge")) for step in lane.steps
                ),
            )
            for lane in lanes
        ),
        at_once=HOSTS_AT_ONCE,
    )
