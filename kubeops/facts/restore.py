"""Observes what only a restore asks of control planes: marks, tools, disks. One round trip each."""

import json
import re
from collections.abc import Mapping

from kubeops.errors import CommandError, TransportError, UnknownOutcomeError
from kubeops.facts.probe import script, split
from kubeops.facts.reader import Reader
from kubeops.model.desired import Cluster
from kubeops.model.observed import ClusterFacts
from kubeops.model.restoring import (
    MARKS,
    Disk,
    Mark,
    Phase,
    RestoreFacts,
    RestoreHost,
    is_attempt_id,
)
from kubeops.transport.base import Command, Transport
from kubeops.transport.pool import each

AT_ONCE = 32
TIMEOUT = 30.0
_STATE = "/var/lib/kubeops"
_VERSION = re.compile(r"etcdutl version: (\S+)|/etcd:v?(\d+\.\d+\.\d+)")


def gather_restore(desired: Cluster, facts: ClusterFacts, transport: Transport) -> RestoreFacts:
    """Ask every control plane that was read; one that does not answer any more is left out.

    Raises:
        FactsError: an answer cannot be understood.
    """
    names = [host.name for host in desired.control_planes if host.name in facts.hosts]

    def ask(name: str) -> RestoreHost | None:
        pod = facts.hosts[name].static_pods.get("etcd")
        data = pod.flags.get("data-dir", "") if pod is not None else ""
        command = Command(
            argv=("sh", "-s", "--", MARKS, _STATE, data),
            stdin=script("restore.sh"),
            timeout=TIMEOUT,
        )
        try:
            output = transport.runner(name).run(command).must().stdout
        except (TransportError, UnknownOutcomeError, CommandError):
            return None
        return _host(Reader(host=name, sections=split(output, host=name)))

    answers = [outcome.value for outcome in each(names, ask, at_once=AT_ONCE)]
    return RestoreFacts(hosts={one.host: one for one in answers if one is not None})


def gather_endpoint(desired: Cluster, facts: ClusterFacts, transport: Transport) -> str:
    """Have a host ask the cluster's endpoint; return the HTTP status, empty when nobody answers.

    Empty also where no host has a program that could ask.
    """
    hosts = (*desired.control_planes, *desired.workers)
    able = [host.name for host in hosts if "curl" in _programs(facts, host.name)]
    if not able:
        return ""
    command = Command(
        argv=(
            *("curl", "--silent", "--insecure", "--max-time", "5", "--output", "/dev/null"),
            *("--write-out", "%{http_code}", f"https://{desired.endpoint}/version"),
        ),
        root=False,
        timeout=TIMEOUT,
    )
    try:
        told = transport.runner(able[0]).run(command)
    except (TransportError, UnknownOutcomeError):
        return ""
    return told.stdout.strip() if told.ok else ""


def _programs(facts: ClusterFacts, name: str) -> frozenset[str]:
    host = facts.hosts.get(name)
    return host.programs if host is not None else frozenset()


def parse_hashes(text: str) -> Mapping[str, tuple[int, int]]:
    """Read `etcdctl endpoint hashkv --cluster -w json`: hash and its revision, by endpoint.

    Raises:
        ValueError, LookupError, TypeError: it is something else.
    """
    return {
        one["Endpoint"]: (one["HashKV"]["hash"], one["HashKV"]["header"]["revision"])
        for one in json.loads(text)
    }


def _host(read: Reader) -> RestoreHost:
    return RestoreHost(
        host=read.host,
        marks=read.need("marks", _marks),
        etcdutl=read.maybe("etcdutl", _version, ""),
        database=read.maybe("database", int, 0),
        state=read.need("state", _disk),
        data=read.need("data", _disk),
        serving=read.ok("serving"),
    )


def _marks(text: str) -> tuple[Mark, ...]:
    found = [_mark(line) for line in text.splitlines()]
    return tuple(sorted(found, key=lambda mark: (mark.number, mark.id)))


def _mark(line: str) -> Mark:
    attempt, phase, began, revision, data, fresh = line.split("\t")
    if not is_attempt_id(attempt):
        raise ValueError(f"{MARKS}/{attempt} is not the mark of a restore")
    return Mark(
        id=attempt,
        phase=Phase(phase),
        began=began,
        revision=int(revision),
        data=data,
        fresh=fresh == "yes",
    )


def _version(text: str) -> str:
    found = _VERSION.search(text)
    return (found[1] or found[2]) if found else ""


def _disk(text: str) -> Disk:
    device, free = text.split()
    return Disk(device=device, free=int(free))
