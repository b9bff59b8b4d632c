"""What must hold between the values of an inventory. Each rule keeps quiet about unsound values."""

from collections import Counter
from collections.abc import Mapping
from itertools import combinations
from math import ceil, log2

from kubeops.inventory import backup, replacements
from kubeops.inventory.fields import label_name
from kubeops.inventory.networks import host_of, to_address
from kubeops.inventory.section import Report
from kubeops.model.desired import Cluster, Host, Network

_NODE_PREFIX = {4: 24, 6: 64}
"""The size of each node's share of the pod network: kube-controller-manager's defaults."""
_NODE_BITS = 16
"""kubeadm and kube-controller-manager refuse pod networks with more than 2**16 shares."""
_SERVICE_PREFIXES = {4: (12, 24), 6: (108, 120)}
"""kube-apiserver refuses more than 2**20 addresses for services; fewer than 256 run out."""


def check(cluster: Cluster, report: Report) -> None:
    """Report what is wrong or unwise between the values of `cluster`."""
    _control_planes(cluster, report)
    _unique_addresses(cluster, report)
    _unique_taints(cluster, report)
    replacements.check(cluster, report)
    networks = _networks(cluster, report)
    _one_family(cluster, networks, report)
    _separate(cluster, networks, report)
    if "pods" in networks:
        _pod_network(networks["pods"], len(cluster.hosts), report)
    if "services" in networks:
        _service_network(networks["services"], report)
    _room_for_workloads(cluster, report)
    backup.check(cluster.backup, report)
    _names(cluster, report)


def _control_planes(cluster: Cluster, report: Report) -> None:
    if not report.is_sound("hosts", "*", "role"):
        return
    members = cluster.control_planes
    count = len(members)
    if not members:
        report.problem(
            ("hosts",), "has no control plane; give one host, or three, role: control-plane"
        )
        return
    if count > 1 and not count % 2:
        report.warn(
            ("hosts",),
            f"{count} control planes survive the loss of {(count - 1) // 2}, which {count - 1} do "
            f"as well; run {count - 1} or {count + 1}",
        )
    path = ("cluster", "endpoint")
    if count == 1 or not report.is_sound(*path):
        return
    if not cluster.endpoint:
        report.problem(
            path,
            f"is missing; with {count} control planes the nodes need one address in front of them: "
            "write the load balancer's or virtual IP's, such as endpoint: 10.0.0.10:6443",
        )
        return
    front = to_address(host_of(cluster.endpoint))
    for host in members:
        if front is not None and front == to_address(host.address):
            report.warn(
                path,
                f"is the address of {host.name}: when {host.name} is down the API is, however many "
                "control planes run; put a load balancer or a virtual IP in front of them",
            )


def _unique_addresses(cluster: Cluster, report: Report) -> None:
    first: dict[str, str] = {}
    for host in cluster.hosts:
        if not host.address:
            continue
        if host.address in first:
            report.problem(
                ("hosts", host.name, "address"),
                f"{host.address} is already the address of {first[host.address]}; "
                "every host needs its own",
            )
        first.setdefault(host.address, host.name)


def _unique_taints(cluster: Cluster, report: Report) -> None:
    for host in cluster.hosts:
        seen = Counter((taint.key, taint.effect) for taint in host.taints or ())
        for (key, effect), count in seen.items():
            if count > 1:
                report.problem(
                    ("hosts", host.name, "taints"),
                    f"has {count} taints of the key {key} with the effect {effect}; "
                    "a node can have one, keep one",
                )


def _networks(cluster: Cluster, report: Report) -> Mapping[str, Network]:
    """Return the networks that could be read, by the key they are written at."""
    networks = {"pods": cluster.networks.pods, "services": cluster.networks.services}
    return {
        key: network
        for key, network in networks.items()
        if report.is_sound("cluster", "networks", key)
    }


def _pod_network(pods: Network, count: int, report: Report) -> None:
    path = ("cluster", "networks", "pods")
    share = _NODE_PREFIX[pods.version]
    wanted = share - ceil(log2(max(count, 1)))
    if pods.prefixlen > wanted:
        room = 2 ** (share - pods.prefixlen) if pods.prefixlen <= share else 0
        report.problem(
            path,
            f"{pods} is too small: every node takes a /{share} of it, which is enough for "
            f"{room} of {count} hosts; write a /{wanted} or larger",
        )
    elif pods.prefixlen < share - _NODE_BITS:
        report.problem(
            path,
            f"{pods} is too large: kubeadm takes no network with more than {2**_NODE_BITS} shares "
            f"of /{share}; write a /{share - _NODE_BITS} or smaller",
        )


def _service_network(services: Network, report: Report) -> None:
    path = ("cluster", "networks", "services")
    largest, smallest = _SERVICE_PREFIXES[services.version]
    if services.prefixlen > smallest:
        report.problem(
            path,
            f"{services} is too small: it has {services.num_addresses} addresses, and it cannot "
            f"grow later; write a /{smallest} or larger",
        )
    elif services.prefixlen < largest:
        report.problem(
            path,
            f"{services} is too large: the API server takes no service network above a /{largest}; "
            f"write a /{largest} or smaller",
        )


def _separate(cluster: Cluster, networks: Mapping[str, Network], report: Report) -> None:
    for (one, first), (other, second) in combinations(networks.items(), 2):
        if first.version == second.version and first.overlaps(second):
            report.problem(
                ("cluster", "networks", other),
                f"{second} overlaps {one} ({first}); choose networks without common addresses",
            )
    places: list[tuple[tuple[str, ...], str]] = [
        (("hosts", host.name, "address"), host.address) for host in cluster.hosts
    ]
    if report.is_sound("cluster", "endpoint"):
        places.append((("cluster", "endpoint"), host_of(cluster.endpoint)))
    for path, written in places:
        address = to_address(written)
        for key, network in networks.items():
            if address is not None and address in network:
                report.problem(
                    path,
                    f"{address} lies in cluster.networks.{key} ({network}), so nodes would send "
                    f"its traffic into the cluster; choose another network for {key}",
                )


def _one_family(cluster: Cluster, networks: Mapping[str, Network], report: Report) -> None:
    expected: Network | None = None
    for key, network in networks.items():
        expected = expected or network
        if network.version != expected.version:
            report.problem(
                ("cluster", "networks", key),
                f"{network} is IPv{network.version} while pods are IPv{expected.version}; "
                "write all networks and addresses in one family",
            )
            return
    for host in cluster.hosts:
        address = to_address(host.address)
        if address is not None and expected is not None and address.version != expected.version:
            report.problem(
                ("hosts", host.name, "address"),
                f"{address} is IPv{address.version} while the cluster's networks are "
                f"IPv{expected.version}; write all of them in one family",
            )


def _room_for_workloads(cluster: Cluster, report: Report) -> None:
    if not report.problems and not any(_takes_pods(host) for host in cluster.hosts):
        report.warn(
            ("hosts",),
            "every host is tainted, so ordinary pods have nowhere to run; add a worker, or write "
            "taints: [] at a control plane that shall run them",
        )


def _takes_pods(host: Host) -> bool:
    if host.taints is None:
        return not host.is_control_plane
    return all(taint.effect == "PreferNoSchedule" for taint in host.taints)


def _names(cluster: Cluster, report: Report) -> None:
    """Node names must be DNS labels; checked last, for a bad name says nothing of its host."""
    for host in cluster.hosts:
        try:
            label_name(host.name)
        except ValueError as error:
            report.problem(("hosts", host.name), f"names a host, and {error}")
