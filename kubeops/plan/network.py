"""Plans the network plugin and the manifests that follow it.

`bridge` needs no image: every node gets a CNI configuration for its own pod network and routes to
the others', which works wherever the nodes share one L2 network. Every other plugin is a manifest,
pinned by its version, that is applied once and again when it changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kubeops.model.desired import Cluster, Host
from kubeops.model.file import File
from kubeops.model.observed import ClusterFacts, NodeFacts
from kubeops.plan.actions import ApplyManifest, ConfigureBridge
from kubeops.plan.hosts import has_file
from kubeops.plan.model import Lane, Step
from kubeops.templating import render

ROUTE_PROTOCOL = 107
"""What marks our routes among others'; a number that no routing daemon uses (`rt_protos`)."""


@dataclass(frozen=True, kw_only=True)
class ManifestSource:
    """A manifest to apply: `digest` changes when it has to be applied again."""

    name: str
    source: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class PodRoute:
    """Where a node's pods are: their subnet and the node's address."""

    subnet: str
    address: str


def bridge_files(*, subnet: str, routes: Sequence[PodRoute]) -> tuple[File, File]:
    """The CNI configuration of a node with pods in `subnet`, and the unit with its routes.

    Pods leave their node under the node's address (`ipMasq`), on the way to pods of other nodes as
    well: the plugin knows no exception but its own subnet. Without it no pod would reach anything
    outside of the nodes' network; a network that keeps the pods' addresses is another plugin.
    """
    conflist = render(
        "bridge.conflist.j2",
        subnet=subnet,
        default_route="::/0" if ":" in subnet else "0.0.0.0/0",
    )
    unit = render("pod-routes.service.j2", routes=routes, protocol=ROUTE_PROTOCOL)
    return (
        File(path="/etc/cni/net.d/10-kubeops-bridge.conflist", content=conflist.encode()),
        File(path="/etc/systemd/system/kubeops-pod-routes.service", content=unit.encode()),
    )


def pod_routes(node: str, nodes: Sequence[NodeFacts]) -> tuple[str, tuple[PodRoute, ...]]:
    """Return the pod subnet of `node` (empty while it has none) and the routes it needs."""
    own = next((other.pod_cidr for other in nodes if other.name == node), "")
    routes = tuple(
        PodRoute(subnet=other.pod_cidr, address=other.addresses[0])
        for other in sorted(nodes, key=lambda other: other.name)
        if other.name != node and other.pod_cidr and other.addresses
    )
    return own, routes


def network_lanes(
    desired: Cluster,
    facts: ClusterFacts,
    *,
    hosts: Sequence[Host],
    via: str,
    manifests: Sequence[ManifestSource],
) -> tuple[Lane, ...]:
    """Return the lanes that give the cluster its network and its addons.

    Args:
        desired: the inventory.
        facts: what was observed.
        hosts: the hosts that are, or are about to be, nodes.
        via: the control plane that manifests are applied on.
        manifests: what is applied, in this order.
    """
    lanes = (
        tuple(_bridge_lane(host, via) for host in hosts)
        if desired.cni.name == "bridge" and not all(_bridged(host, facts) for host in hosts)
        else ()
    )
    applied = facts.api.applied if facts.api is not None else {}
    pending = [source for source in manifests if applied.get(source.name) != source.digest]
    if not pending:
        return lanes
    steps = tuple(
        Step(
            id=f"/network/{source.name}/apply",
            host=via,
            title=f"apply {source.name}",
            action=ApplyManifest(name=source.name, source=source.source, digest=source.digest),
        )
        for source in pending
    )
    return (*lanes, Lane(name="manifests", steps=steps))


def _bridge_lane(host: Host, via: str) -> Lane:
    step = Step(
        id=f"/network/{host.name}/bridge",
        host=host.name,
        title="configure the bridge and routes to pods",
        action=ConfigureBridge(node=host.name, via=via),
    )
    return Lane(name=host.name, steps=(step,))


def _bridged(host: Host, facts: ClusterFacts) -> bool:
    found = facts.hosts.get(host.name)
    subnet, routes = pod_routes(host.name, facts.api.nodes if facts.api is not None else ())
    return (
        found is not None
        and bool(subnet)
        and all(has_file(found, file) for file in bridge_files(subnet=subnet, routes=routes))
    )
