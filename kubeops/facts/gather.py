"""Observes a cluster: every host at the same time, then API and etcd from a control plane.

Two round trips in all. What is not reachable is part of the answer; what cannot be understood is an
error.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TypeVar

from kubeops.errors import CommandError, TransportError, UnknownOutcomeError
from kubeops.facts.cluster import api_facts, api_objects, etcd_facts
from kubeops.facts.host import host_facts
from kubeops.facts.probe import About, cluster_probe, host_probe, split
from kubeops.facts.reader import Reader
from kubeops.model.desired import Cluster
from kubeops.model.observed import (
    ApiFacts,
    ApiObjects,
    ClusterFacts,
    EtcdFacts,
    HostFacts,
    Unreachable,
)
from kubeops.transport.base import Transport
from kubeops.transport.pool import each

AT_ONCE = 32
_ADMIN = "/etc/kubernetes/admin.conf"

A = TypeVar("A")
Now = Callable[[], datetime]


def gather_cluster(
    desired: Cluster,
    transport: Transport,
    *,
    now: Now,
    at_once: int = AT_ONCE,
    ask_source: bool = True,
) -> ClusterFacts:
    """Observe all hosts, and the API and etcd through the first control planes that answer.

    Args:
        desired: the inventory: which hosts there are.
        transport: the way to them.
        now: our clock.
        at_once: how many hosts are read at the same time.
        ask_source: have every host ask the package source too; the slowest thing a probe does.

    Raises:
        FactsError: a host, the API or etcd answered something that cannot be understood.
    """
    at = now()
    hosts, unreachable = gather_hosts(
        desired, transport, now=now, at_once=at_once, ask_source=ask_source
    )
    planes = [hosts[host.name] for host in desired.control_planes if host.name in hosts]
    members = [facts for facts in planes if _ADMIN in facts.files]
    api: ApiFacts | str = "no control plane that was read has " + _ADMIN
    etcd: EtcdFacts | str = "no control plane that was read runs etcd"
    for facts in members:
        found_api, found_etcd = _ask(facts.host, "all", api_facts, transport)
        api = found_api if isinstance(api, str) else api
        etcd = found_etcd if isinstance(etcd, str) else etcd
        if isinstance(api, ApiFacts) and isinstance(etcd, EtcdFacts):
            break
    return _cluster(at, hosts, unreachable, api, etcd)


def gather_from(name: str, transport: Transport, *, now: Now) -> ClusterFacts:
    """Observe one control plane, and the API and etcd as it sees them.

    Raises:
        FactsError: something answered what cannot be understood.
    """
    at = now()
    facts = gather_host(name, transport, now=now)
    if isinstance(facts, Unreachable):
        return ClusterFacts(
            at=at,
            hosts={},
            unreachable={name: facts},
            api_error=facts.reason,
            etcd_error=facts.reason,
        )
    api, etcd = _ask(name, "all", api_facts, transport)
    return _cluster(at, {name: facts}, {}, api, etcd)


def gather_answers(name: str, transport: Transport, *, now: Now) -> ClusterFacts:
    """Observe the API and etcd as control plane `name` sees them; no host is read.

    Raises:
        FactsError: one answered something that cannot be understood.
    """
    return _cluster(now(), {}, {}, *_ask(name, "all", api_facts, transport))


def gather_objects(name: str, transport: Transport) -> tuple[ApiObjects | str, EtcdFacts | str]:
    """Observe what tells whether the cluster works, as control plane `name` sees it.

    Returns:
        The API's objects and etcd; a text says why one did not answer.

    Raises:
        FactsError: one answered something that cannot be understood.
    """
    return _ask(name, "objects", api_objects, transport)


def gather_etcd(name: str, transport: Transport) -> EtcdFacts | str:
    """Observe etcd alone, as control plane `name` sees it; a text says why it did not answer.

    Raises:
        FactsError: it answered something that cannot be understood.
    """
    found = _answers(name, "etcd", transport)
    return found if isinstance(found, str) else etcd_facts(found)


def gather_hosts(
    desired: Cluster,
    transport: Transport,
    *,
    now: Now,
    at_once: int = AT_ONCE,
    ask_source: bool = True,
) -> tuple[Mapping[str, HostFacts], Mapping[str, Unreachable]]:
    """Observe all hosts; arguments and errors as for `gather_cluster`.

    Returns:
        The facts of the hosts that answered, and why the others did not, in inventory order.
    """
    source = _source(desired) if ask_source else ""
    names = [host.name for host in desired.hosts]

    def observe(name: str) -> HostFacts | Unreachable:
        return gather_host(name, transport, now=now, source=source)

    return _parted(outcome.value for outcome in each(names, observe, at_once=at_once))


def gather_host(
    name: str, transport: Transport, *, now: Now, source: str = ""
) -> HostFacts | Unreachable:
    """Observe one host; `source` is a URL that it asks for, if any.

    Raises:
        FactsError: it answered something that cannot be understood.
    """
    runner = transport.runner(name)
    sent = now()
    try:
        result = runner.run(host_probe(source)).must()
    except (TransportError, UnknownOutcomeError) as error:
        return Unreachable(host=name, reason=error.message, hint=error.hint)
    except CommandError as error:
        said = error.output.strip().rpartition("\n")[2]
        return Unreachable(host=name, reason=f"{error.message}: {said}", hint=error.hint)
    received = now()
    return host_facts(name, split(result.stdout, host=name), sent=sent, received=received)


def _cluster(
    at: datetime,
    hosts: Mapping[str, HostFacts],
    unreachable: Mapping[str, Unreachable],
    api: ApiFacts | str,
    etcd: EtcdFacts | str,
) -> ClusterFacts:
    """Put together what was observed; a text says why the API or etcd did not answer."""
    return ClusterFacts(
        at=at,
        hosts=hosts,
        unreachable=unreachable,
        api=api if isinstance(api, ApiFacts) else None,
        etcd=etcd if isinstance(etcd, EtcdFacts) else None,
        api_error=api if isinstance(api, str) else "",
        etcd_error=etcd if isinstance(etcd, str) else "",
    )


def _source(desired: Cluster) -> str:
    """The URL of the package source's index, for the release that is wanted."""
    minor = str(desired.kubernetes.minor)
    return desired.package_repository.replace("{minor}", minor) + "Packages"


def _parted(
    answers: Iterable[HostFacts | Unreachable],
) -> tuple[Mapping[str, HostFacts], Mapping[str, Unreachable]]:
    hosts, unreachable = {}, {}
    for answer in answers:
        if isinstance(answer, HostFacts):
            hosts[answer.host] = answer
        else:
            unreachable[answer.host] = answer
    return hosts, unreachable


def _ask(
    name: str, about: About, api: Callable[[Reader], A], transport: Transport
) -> tuple[A | str, EtcdFacts | str]:
    """Ask API and etcd on control plane `name`; a text says why one did not answer."""
    found = _answers(name, about, transport)
    if isinstance(found, str):
        return found, found
    return api(found), etcd_facts(found)


def _answers(name: str, about: About, transport: Transport) -> Reader | str:
    """Ask on control plane `name`; a text says why nothing can be asked there."""
    try:
        result = transport.runner(name).run(cluster_probe(name, about)).must()
    except (TransportError, UnknownOutcomeError, CommandError) as error:
        return error.message
    return Reader(host=name, sections=split(result.stdout, host=name))
