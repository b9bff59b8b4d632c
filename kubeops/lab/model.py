"""What a lab and its nodes are."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv4Network
from pathlib import Path

from kubeops.errors import UsageError
from kubeops.model.desired import Role


class Source(StrEnum):
    """Where the nodes' packages come from: stand-ins the lab serves, or the real repositories."""

    REHEARSAL = "rehearsal"
    REAL = "real"


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node of a lab; `name` is also its hostname."""

    name: str
    role: Role
    address: str


@dataclass(frozen=True, kw_only=True)
class Wish:
    """The lab somebody asks for; the attributes are those of `Lab`, the nodes counted by role."""

    name: str
    control_planes: int
    workers: int
    kubernetes: str
    source: Source
    disk_bytes: int
    inventory: Path
    repository: Path


@dataclass(frozen=True, kw_only=True)
class Lab:
    """One lab: everything that `down` must know to remove it, and users must know to use it.

    Attributes:
        directory: the lab's own files; 0700.
        subnet: a /24; the hub has .1, this machine .254.
        cgroup: the folder all of its processes live below.
        base: the root file system under the nodes' own layers.
        disk_bytes: the size of each node's disk.
        inventory: the inventory file that `up` wrote.
        repository: the directory whose packages are served to the nodes.
    """

    name: str
    kubernetes: str
    source: Source
    directory: Path
    subnet: IPv4Network
    cgroup: Path
    base: Path
    disk_bytes: int
    inventory: Path
    repository: Path
    nodes: tuple[Node, ...]

    @property
    def gateway(self) -> str:
        """The hub's address: packages are served there, and the API's endpoint is there."""
        return str(self.subnet[1])

    @property
    def host_address(self) -> str:
        """This machine's address in the lab."""
        return str(self.subnet[254])

    @property
    def hub(self) -> str:
        """The name of the hub's network namespace."""
        return f"kubeops-{self.name}"

    @property
    def link(self) -> str:
        """The name of this machine's link into the lab; unique, as the subnet is."""
        return f"kubeops-lab{self.subnet.network_address.packed[2]}"

    @property
    def key(self) -> Path:
        """The private key that logs in to the nodes as `ops` and `opspw`."""
        return self.directory / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The nodes' host keys, in OpenSSH's format."""
        return self.directory / "known_hosts"

    @property
    def password_file(self) -> Path:
        """Holds the password that `sudo` wants from the user `opspw`."""
        return self.directory / "password"

    @property
    def backends(self) -> Path:
        """The control planes' addresses, one per line, for the load balancer."""
        return self.directory / "backends"

    @property
    def control_planes(self) -> tuple[Node, ...]:
        """The control plane nodes."""
        return tuple(node for node in self.nodes if node.role is Role.CONTROL_PLANE)

    @property
    def workers(self) -> tuple[Node, ...]:
        """The worker nodes."""
        return tuple(node for node in self.nodes if node.role is Role.WORKER)

    def node(self, name: str) -> Node:
        """Return the node called `name`.

        Raises:
            UsageError: there is none.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        raise UsageError(
            f"lab {self.name} has no node {name!r}",
            hint=f"its nodes are {', '.join(node.name for node in self.nodes)}",
        )

    def node_directory(self, name: str) -> Path:
        """The files of the node `name`: its disk, its seed, its log."""
        return self.directory / "nodes" / name

    def node_cgroup(self, name: str) -> Path:
        """The cgroup the node `name` and its launcher live below."""
        return self.cgroup / name

    def with_node(self, node: Node) -> "Lab":
        """This lab with one more node."""
        return replace(self, nodes=(*self.nodes, node))


def lab(wish: Wish, *, directory: Path, subnet: IPv4Network, cgroup: Path, base: Path) -> Lab:
    """The lab that fulfils `wish`, with what was chosen for it."""
    return Lab(
        name=wish.name,
        kubernetes=wish.kubernetes,
        source=wish.source,
        directory=directory,
        subnet=subnet,
        cgroup=cgroup,
        base=base,
        disk_bytes=wish.disk_bytes,
        inventory=wish.inventory,
        repository=wish.repository,
        nodes=first_nodes(subnet, control_planes=wish.control_planes, workers=wish.workers),
    )


def differences(lab: Lab, wish: Wish) -> tuple[str, ...]:
    """In what `lab` is not what `wish` asks for, one line each."""
    compared = (
        ("control planes", len(lab.control_planes), wish.control_planes),
        ("workers", len(lab.workers), wish.workers),
        ("kubernetes", lab.kubernetes, wish.kubernetes),
        ("source", lab.source, wish.source),
        ("disk size", lab.disk_bytes, wish.disk_bytes),
        ("inventory", lab.inventory, wish.inventory),
        ("repository", lab.repository, wish.repository),
    )
    return tuple(
        f"{what}: it has {has}, asked for {wanted}"
        for what, has, wanted in compared
        if has != wanted
    )


def first_nodes(subnet: IPv4Network, *, control_planes: int, workers: int) -> tuple[Node, ...]:
    """The nodes a lab of that shape starts with: cp1.. and w1.., addressed from .11 on."""
    nodes: tuple[Node, ...] = ()
    for role in (Role.CONTROL_PLANE,) * control_planes + (Role.WORKER,) * workers:
        nodes = (*nodes, next_node(subnet, nodes=nodes, role=role))
    return nodes


def next_node(
    subnet: IPv4Network, *, nodes: Iterable[Node], role: Role, name: str | None = None
) -> Node:
    """A further node: the first free address from .11 on; the role's first free name unless given.

    Raises:
        UsageError: `name` is taken, or the subnet is full.
    """
    taken = {node.name for node in nodes}
    prefix = "cp" if role is Role.CONTROL_PLANE else "w"
    chosen = name or next(
        candidate
        for number in range(1, len(taken) + 2)
        if (candidate := f"{prefix}{number}") not in taken
    )
    if chosen in taken:
        raise UsageError(f"the lab already has a node {chosen}", hint="choose another name")
    used = {node.address for node in nodes}
    for last in range(11, 254):
        if (address := str(subnet[last])) not in used:
            return Node(name=chosen, role=role, address=address)
    raise UsageError(f"no address is left in {subnet}", hint="take the lab down and make a smaller")
