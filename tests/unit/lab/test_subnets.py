import json
from ipaddress import IPv4Network

import pytest

from kubeops.errors import UsageError
from kubeops.lab import subnets


def networks(*texts: str) -> tuple[IPv4Network, ...]:
    return tuple(IPv4Network(text) for text in texts)


def test_the_first_free_subnet_is_taken() -> None:
    assert subnets.choose([]) == IPv4Network("10.231.0.0/24")
    taken = networks("10.231.0.0/24", "10.231.1.128/25", "192.168.0.0/16")
    assert subnets.choose(taken) == IPv4Network("10.231.2.0/24")


def test_a_wider_route_covers_what_is_in_it() -> None:
    assert subnets.choose(networks("10.231.0.0/17")) == IPv4Network("10.231.128.0/24")


def test_no_free_subnet_is_an_error() -> None:
    with pytest.raises(UsageError, match="no /24"):
        subnets.choose(networks("10.0.0.0/8"))


def test_addresses_and_routes_are_in_use_and_default_routes_are_not() -> None:
    addresses = [
        {"ifname": "lo", "addr_info": [{"local": "127.0.0.1", "prefixlen": 8}]},
        {"ifname": "eth0", "addr_info": [{"local": "10.231.7.9", "prefixlen": 24}]},
        {"ifname": "down"},
    ]
    routes = [
        {"dst": "default", "gateway": "10.231.7.1"},
        {"dst": "10.9.0.0/16"},
        {"dst": "0.0.0.0/0"},
        {"type": "local", "dst": "10.231.7.9"},
    ]
    found = subnets.parse(addresses=json.dumps(addresses), routes=json.dumps(routes))
    assert found == networks("127.0.0.0/8", "10.231.7.0/24", "10.9.0.0/16", "10.231.7.9/32")


def test_ip_prints_nothing_when_there_is_nothing() -> None:
    assert subnets.parse(addresses="", routes="") == ()
