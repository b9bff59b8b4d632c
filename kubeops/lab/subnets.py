"""Finding addresses that nothing on this machine uses."""

import json
from collections.abc import Iterable
from ipaddress import IPv4Interface, IPv4Network

from kubeops.errors import UsageError
from kubeops.lab import shell

POOL = IPv4Network("10.231.0.0/16")


def choose(taken: Iterable[IPv4Network]) -> IPv4Network:
    """Return the first /24 of the pool that overlaps none of `taken`.

    Raises:
        UsageError: there is none.
    """
    networks = tuple(taken)
    for candidate in POOL.subnets(new_prefix=24):
        if not any(candidate.overlaps(network) for network in networks):
            return candidate
    raise UsageError(
        f"no /24 of {POOL} is free for a lab: this machine's routes and labs use them all",
        hint="take down labs that are not needed (`invoke lab.status` lists them)",
    )


def in_use() -> tuple[IPv4Network, ...]:
    """The networks that this machine has addresses in or routes to; default routes do not count."""
    addresses = shell.run("ip", "-4", "-json", "address", "show").stdout
    routes = shell.run("ip", "-4", "-json", "route", "show", "table", "all").stdout
    return parse(addresses=addresses, routes=routes)


def parse(*, addresses: str, routes: str) -> tuple[IPv4Network, ...]:
    """Read the JSON of `ip address` and `ip route`."""
    networks = [
        IPv4Interface(f"{entry['local']}/{entry['prefixlen']}").network
        for link in json.loads(addresses or "[]")
        for entry in link.get("addr_info", ())
    ]
    networks += [
        IPv4Network(route["dst"])
        for route in json.loads(routes or "[]")
        if route["dst"] != "default"
    ]
    return tuple(network for network in networks if network.prefixlen > 0)
