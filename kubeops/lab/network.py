"""The lab's hub: a network namespace with the bridge that all nodes are linked to.

The machine's own network gets one link into it, and nothing else: no route, no rule, no sysctl.
"""

from ipaddress import IPv4Address
from pathlib import Path

from kubeops.lab import shell
from kubeops.lab.model import Lab

# Links in the hub bear the nodes' names, so that no node may have one of these.
BRIDGE = "bridge"
MACHINE = "machine"  # this machine's link, seen from the hub


def exists(lab: Lab) -> bool:
    """Whether the hub is there, whole: its last part is this machine's address in it."""
    if not Path("/run/netns", lab.hub).exists():
        return False
    shown = shell.attempt("ip", "-4", "-brief", "address", "show", "dev", lab.link)
    return f"{lab.host_address}/" in shown.stdout


def create(lab: Lab) -> None:
    """Make the hub and link this machine to it; what is left of an unfinished one goes first."""
    remove(lab)
    shell.run("ip", "netns", "add", lab.hub)
    batch(hub_commands(lab), netns=lab.hub)
    batch(link_commands(lab))
    batch((f"link set {MACHINE} master {BRIDGE} up",), netns=lab.hub)
    batch((f"address add {lab.host_address}/{lab.subnet.prefixlen} dev {lab.link}",))


def remove(lab: Lab) -> None:
    """Remove the hub and every link into it; no error when there is none."""
    shell.attempt("ip", "link", "delete", lab.link)
    shell.attempt("ip", "netns", "delete", lab.hub)


def hub_commands(lab: Lab) -> tuple[str, ...]:
    """The `ip` commands that furnish the hub. Its bridge forwards at once: STP is off."""
    return (
        "link set lo up",
        f"link add {BRIDGE} address {link_address(lab.gateway)} type bridge",
        f"address add {lab.gateway}/{lab.subnet.prefixlen} dev {BRIDGE}",
        f"link set {BRIDGE} up",
    )


def link_commands(lab: Lab) -> tuple[str, ...]:
    """The `ip` commands that make this machine's link to the hub."""
    mac = link_address(lab.host_address)
    return (
        f"link add {lab.link} address {mac} type veth peer name {MACHINE} netns {lab.hub}",
        f"link set {lab.link} up",
    )


def link_address(address: str) -> str:
    """The link-layer address that belongs to an IP address: locally administered, always the same.

    Were they left to chance, a node would have another one after each boot, and the bridge after
    each node that comes or goes: everybody's neighbour tables would be wrong for half a minute.
    """
    return "02:00:" + ":".join(f"{byte:02x}" for byte in IPv4Address(address).packed)


def batch(commands: tuple[str, ...], *, netns: str | None = None) -> None:
    """Run `ip` commands, all or up to the first that fails, in one process."""
    where = ("-netns", netns) if netns else ()
    shell.run("ip", *where, "-batch", "-", stdin="\n".join((*commands, "")).encode())


def connect(lab: Lab, node: str, *, connected: bool) -> None:
    """Plug in or unplug the network of `node`, at the hub's end of its link.

    A node between two boots has no link; the next one is made as the node's files say.
    """
    state = "up" if connected else "down"
    shell.attempt("ip", "-netns", lab.hub, "link", "set", node, state)
