"""Parsers of addresses, networks and the API's endpoint."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from kubeops.inventory.document import Scalar
from kubeops.inventory.fields import shown, text
from kubeops.model.desired import Network

Address = IPv4Address | IPv6Address

_NAME = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_PORTS = range(1, 65536)


def to_address(written: str) -> Address | None:
    """Return `written` as an IP address, None when it is something else."""
    try:
        return ip_address(written) if "%" not in written else None
    except ValueError:
        return None


def address(scalar: Scalar) -> str:
    """Read an IP address at which other machines can reach a host, in its short form."""
    written = scalar.text
    found = to_address(written)
    if found is not None:
        if found.is_loopback or found.is_unspecified or found.is_multicast or found.is_link_local:
            raise ValueError(
                f"{found} is no address other nodes can reach the host at; write the one it has in "
                "the nodes' network"
            )
        return str(found)
    if _NAME.fullmatch(written) and not re.fullmatch(r"[0-9.]+", written):
        raise ValueError(
            f"{shown(written)} is a name; write the host's IP address (certificates and etcd "
            "membership are made for it, and a name may mean another machine tomorrow)"
        )
    raise ValueError(f"{shown(written)} is no IP address; write one such as 10.0.0.11")


def network(scalar: Scalar) -> Network:
    """Read a network such as 10.244.0.0/16."""
    written = text(scalar)
    if "/" not in written:
        raise ValueError(f"{shown(written)} has no prefix length; write one such as 10.244.0.0/16")
    try:
        loose = ip_network(written, strict=False)
    except ValueError as error:
        raise ValueError(
            f"{shown(written)} is no network; write one such as 10.244.0.0/16"
        ) from error
    if to_address(written.split("/", 1)[0]) != loose.network_address:
        raise ValueError(f"{written} has bits set behind its prefix; write {loose}")
    return loose


def endpoint(scalar: Scalar) -> str:
    """Read the API's `host:port`."""
    written = scalar.text
    if "://" in written:
        rest = written.split("://", 1)[1].rstrip("/")
        raise ValueError(f"{shown(written)} has a scheme; write {rest or 'host:port'}")
    if written.count(":") > 1 and to_address(written) is not None:
        raise ValueError(f"{shown(written)} has no port; write [{written}]:6443")
    host, colon, port = written.rpartition(":")
    if not colon:
        raise ValueError(f"{shown(written)} has no port; write {written}:6443")
    if not re.fullmatch(r"[1-9][0-9]{0,4}", port) or int(port) not in _PORTS:
        raise ValueError(
            f"{shown(port)} is no port; write a number from 1 to 65535 after the colon"
        )
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        well_formed = isinstance(to_address(host), IPv6Address)
    else:
        numeric = re.fullmatch(r"[0-9.]+", host)
        well_formed = bool(to_address(host) if numeric else _NAME.fullmatch(host))
    if not well_formed:
        raise ValueError(
            f"{shown(host)} is no IP address or DNS name; write one such as 10.0.0.10:6443"
        )
    return written


def host_of(found: str) -> str:
    """Return the host part of a well-formed endpoint."""
    return found.rpartition(":")[0].strip("[]")


def endpoint_at(written: str, *, port: int = 6443) -> str:
    """Return the endpoint of the API server at the address `written`."""
    return f"[{written}]:{port}" if ":" in written else f"{written}:{port}"
