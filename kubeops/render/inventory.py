"""An inventory that is in order: what it says, in a few lines."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kubeops.model.desired import Cluster
from kubeops.render.errors import whole


def inventory(cluster: Cluster) -> RenderableType:
    """Return the cluster as its inventory describes it."""
    shape = f"{len(cluster.control_planes)} control planes, {len(cluster.workers)} workers"
    networks = cluster.networks
    plugin = " ".join(filter(None, (cluster.cni.name, cluster.cni.version, cluster.cni.source)))
    facts = (
        ("file", str(cluster.source)),
        ("kubernetes", f"{cluster.kubernetes.tag} from {cluster.package_repository}"),
        ("endpoint", cluster.endpoint),
        ("networks", f"pods {networks.pods}, services {networks.services}, {networks.dns_domain}"),
        ("plugin", plugin),
    )
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("HOST", "ROLE", "ADDRESS", "LABELS", "TAINTS"):
        table.add_column(column, overflow="fold")
    for host in cluster.hosts:
        labels = " ".join(f"{key}={value}" for key, value in host.labels.items())
        taints = " ".join(str(taint) for taint in host.taints or ())
        table.add_row(host.name, host.role.value, host.address, labels, taints)
    return Group(
        Text.assemble((cluster.name, "bold"), f"   in order   {shape}"),
        *(whole(f"{name:<15}", text) for name, text in facts),
        Text(),
        table,
        *(Text.assemble(("warning: ", "yellow"), warning) for warning in cluster.warnings),
    )
