"""Whether hosts reach each other on the ports Kubernetes needs, before anything listens there.

A refused connection is reached: nothing listens yet, but nothing is in the way. Silence, or an
answer that the host or network is unreachable, is a firewall or a missing route. A firewall that
answers as a port does where nobody listens (REJECT with a TCP reset) cannot be told from one.
"""

from collections.abc import Sequence

from kubeops.errors import CommandError, TransportError, UnknownOutcomeError
from kubeops.model.desired import Cluster, Host
from kubeops.model.observed import Reach
from kubeops.transport.base import Command, Transport
from kubeops.transport.pool import each

API, KUBELET, ETCD = 6443, 10250, (2379, 2380)
AT_ONCE = 32
_TIMEOUT = 30

# bash, because POSIX sh cannot connect and nothing else is on every Debian.
_SCRIPT = """
command -v bash >/dev/null && command -v timeout >/dev/null || exit 127
knock() {
  words=$(timeout 3 bash -c 'exec 3<>/dev/tcp/"$0"/"$1"' "$1" "$2" 2>&1 </dev/null) &&
    words=refused
  case $words in *refused*) said=reached ;; *) said=blocked ;; esac
  printf '%s %s %s\\n' "$1" "$2" "$said"
}
for target; do knock "${target% *}" "${target#* }" & done
wait
"""


def gather_reach(
    desired: Cluster, transport: Transport, *, hosts: Sequence[str], at_once: int = AT_ONCE
) -> tuple[Reach, ...]:
    """Have `hosts` knock at each other's ports, all at once; return what they found.

    Of a host whose answer cannot be had, such as one without bash, one `Reach` says why.
    """
    named = [host for host in desired.hosts if host.name in hosts]
    outcomes = each(named, lambda host: _try(host, named, transport), at_once=at_once)
    return tuple(reach for outcome in outcomes for reach in outcome.value)


def _try(source: Host, hosts: Sequence[Host], transport: Transport) -> tuple[Reach, ...]:
    try:
        return _knock(source, hosts, transport)
    except (TransportError, UnknownOutcomeError, CommandError) as error:
        return (Reach(source=source.name, untested=error.message),)


def _knock(source: Host, hosts: Sequence[Host], transport: Transport) -> tuple[Reach, ...]:
    names = {host.address: host.name for host in hosts}
    targets = tuple(
        f"{host.address} {port}"
        for host in hosts
        if host.name != source.name
        for port in needed_ports(source, host)
    )
    answer = transport.runner(source.name).run(
        Command(argv=("sh", "-c", _SCRIPT, "kubeops", *targets), root=False, timeout=_TIMEOUT)
    )
    found = (line.split(" ") for line in answer.must().stdout.splitlines())
    return tuple(
        Reach(
            source=source.name,
            target=names[address],
            port=int(port),
            reached=said == "reached",
        )
        for address, port, said in found
    )


def needed_ports(source: Host, target: Host) -> tuple[int, ...]:
    """Return the ports of `target` that `source` needs (kubernetes.io, Ports and Protocols)."""
    if target.is_control_plane:
        return (API, KUBELET, *ETCD) if source.is_control_plane else (API,)
    return (KUBELET,) if source.is_control_plane else ()
