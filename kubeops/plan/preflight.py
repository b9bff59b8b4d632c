"""Everything that must be true of the hosts before an install touches the first one.

Each check is a function that yields findings; all run, all findings are shown at once. A check's
name is what `--accept` takes. Limits are kubeadm's own where it has any.
"""

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import ip_address

from kubeops.model.desired import Cluster, Host
from kubeops.model.observed import ClusterFacts, HostFacts, Reach
from kubeops.plan import common_checks
from kubeops.plan.findings import acceptable, blocking, warning
from kubeops.plan.hosts import MODULES, host_steps
from kubeops.plan.install import Membership
from kubeops.plan.model import Finding
from kubeops.plan.preflight_cluster import (
    between_hosts,
    existing_cluster,
    no_cluster_yet,
    reachability,
)
from kubeops.plan.reset import has_traces

SUPPORTED_SYSTEMS = frozenset({"debian", "ubuntu"})
SUPPORTED_ARCHITECTURES = frozenset({"x86_64", "aarch64"})
CONTROL_PLANE_CPUS = 2
CONTROL_PLANE_MEMORY = 1700 * 10**6
WORKER_MEMORY = 700 * 10**6
FREE_DISK = {
    "/etc/kubernetes": 100 * 2**20,
    "/var/lib/containerd": 2 * 2**30,
    "/var/lib/etcd": 2**30,
    "/var/lib/kubelet": 2**30,
}
SLOW_SOURCE = 5.0
CONTROL_PLANE_PORTS = (6443, 2379, 2380, 10250, 10257, 10259)
WORKER_PORTS = (10250,)
BOOTSTRAP_KUBECONFIG = "/etc/kubernetes/bootstrap-kubelet.conf"
"""`kubeadm join` refuses a host that has it."""
CONTROL_PLANE_KUBECONFIGS = tuple(
    f"/etc/kubernetes/{name}.conf"
    for name in ("admin", "super-admin", "controller-manager", "scheduler")
)
"""kubeadm takes those it finds for its own, and fails when they are of another CA."""
CNI_DIRECTORY = "/etc/cni/net.d/"
CNI_SUFFIXES = (".conf", ".conflist", ".json")
CNI_OWN = CNI_DIRECTORY + "10-kubeops-bridge.conflist"

HostCheck = Callable[[Host, HostFacts, Cluster], Iterable[Finding]]


def preflight(
    desired: Cluster,
    facts: ClusterFacts,
    *,
    reach: Sequence[Reach] = (),
    limit: Sequence[str] = (),
) -> tuple[Finding, ...]:
    """Return everything the checks find, hosts in the order of the inventory.

    Args:
        desired: the inventory.
        facts: what was observed.
        reach: what hosts said when they knocked at each other's ports.
        limit: only these hosts are looked at; empty means all.
    """
    membership = Membership.of(desired, facts)
    found: list[Finding] = []
    for host in desired.hosts:
        if limit and host.name not in limit:
            continue
        if host.name in facts.unreachable:
            unreachable = facts.unreachable[host.name]
            found.append(
                blocking(
                    "unreachable",
                    unreachable.reason,
                    f"{unreachable.hint or 'Mend the host'} (or leave the host out: --limit)",
                    host=host.name,
                )
            )
            continue
        for check in _ANY_HOST if host.name in membership.members else _NEW_HOST:
            found.extend(check(host, facts.hosts[host.name], desired))
    joining = [
        host
        for host in desired.hosts
        if host.name in facts.hosts
        and host.name not in membership.members
        and (not limit or host.name in limit)
    ]
    found.extend(between_hosts(desired, facts, joining))
    found.extend(reachability(facts, reach, limit))
    if membership.exists:
        found.extend(existing_cluster(desired, facts, membership, joining))
    else:
        found.extend(no_cluster_yet(desired, facts, membership, limit))
    return tuple(found)


def _system(host: Host, facts: HostFacts, _desired: Cluster) -> Iterator[Finding]:
    if facts.os_id not in SUPPORTED_SYSTEMS:
        yield blocking(
            "os",
            f"runs {facts.os_pretty or facts.os_id}; kubeops installs on Debian and Ubuntu",
            "Use a Debian or Ubuntu host.",
            host=host.name,
        )
    if facts.architecture not in SUPPORTED_ARCHITECTURES:
        yield blocking(
            "architecture",
            f"is {facts.architecture}; Kubernetes packages exist for x86_64 and aarch64",
            "Use another host.",
            host=host.name,
        )


def _size(host: Host, facts: HostFacts, _desired: Cluster) -> Iterator[Finding]:
    memory = CONTROL_PLANE_MEMORY if host.is_control_plane else WORKER_MEMORY
    if host.is_control_plane and facts.cpus < CONTROL_PLANE_CPUS:
        yield blocking(
            "cpu",
            f"has {facts.cpus} CPU; kubeadm refuses a control plane with less than "
            f"{CONTROL_PLANE_CPUS}",
            "Give the host more CPUs.",
            host=host.name,
        )
    if facts.memory < memory:
        yield blocking(
            "memory",
            f"has {_mebibytes(facts.memory)} of memory; a {host.role} needs {_mebibytes(memory)}",
            "Give the host more memory.",
            host=host.name,
        )


def _disk(host: Host, facts: HostFacts, _desired: Cluster) -> Iterator[Finding]:
    for directory, needed in FREE_DISK.items():
        if directory == "/var/lib/etcd" and not host.is_control_plane:
            continue
        free = facts.disk_free.get(directory)
        if free is not None and free < needed:
            yield acceptable(
                "disk",
                f"{directory} has {_mebibytes(free)} free; {_mebibytes(needed)} are needed",
                f"Free space or grow the file system of {directory}.",
                host=host.name,
            )


def _cgroup(host: Host, facts: HostFacts, desired: Cluster) -> Iterator[Finding]:
    return common_checks.cgroup(host, facts, desired.kubernetes.minor)


def _modules(host: Host, facts: HostFacts, _desired: Cluster) -> Iterator[Finding]:
    missing = [name for name in MODULES if name not in facts.modules | facts.loadable]
    if missing:
        yield blocking(
            "kernel-modules",
            f"its kernel {facts.kernel} has no module {', '.join(missing)}",
            "Install the kernel's modules (linux-modules-extra on Ubuntu), or another kernel.",
            host=host.name,
        )


def _runtime(host: Host, facts: HostFacts, desired: Cluster) -> Iterator[Finding]:
    return common_checks.runtime(host, facts, desired.kubernetes.minor)


def _runtime_version(host: Host, facts: HostFacts, desired: Cluster) -> Iterator[Finding]:
    """An install takes no containerd away: one that is there may serve others, and runs pods."""
    version, wanted = facts.container_runtime, desired.runtime.version
    if version and wanted and not (version.startswith(wanted) or wanted.startswith(version)):
        yield warning(
            "containerd-version",
            f"containerd {version} is installed and stays, though the inventory says {wanted}",
            f"Nothing, or on the host: apt-get install containerd={wanted}*",
            host=host.name,
        )


def _swap(host: Host, facts: HostFacts, _desired: Cluster) -> Iterator[Finding]:
    if facts.swap:
        yield warning(
            "swap",
            f"{_mebibytes(facts.swap)} of swap is on; it will be turned off, now and at boot",
            "Nothing, or turn it off yourself first.",
            host=host.name,
        )
    elif facts.swap_at_boot:
        yield warning(
            "swap",
            "swap is off, but /etc/fstab turns it on at boot; its line there will be commented out",
            "Nothing, or take it out of /etc/fstab yourself first.",
            host=host.name,
        )


def _ports(host: Host, facts: HostFacts, _desired: Cluster) -> Iterator[Finding]:
    if facts.unfinished is not None:
        return
    needed = CONTROL_PLANE_PORTS if host.is_control_plane else WORKER_PORTS
    for listener in facts.listeners:
        if listener.port in needed:
            yield blocking(
                "port",
                f"port {listener.port} is taken by {listener.program or 'another program'}",
                f"Stop it: ss -ltnp 'sport = :{listener.port}'",
                host=host.name,
            )


def _clock(host: Host, facts: HostFacts, _desired: Cluster) -> Iterator[Finding]:
    return common_checks.clock(host, facts)


def _address(host: Host, facts: HostFacts, _desired: Cluster) -> Iterator[Finding]:
    wanted = ip_address(host.address)
    if facts.addresses and wanted not in {ip_address(text) for text in facts.addresses}:
        yield blocking(
            "address",
            f"{host.address} is none of its addresses ({', '.join(facts.addresses)})",
            f"Write the address the other nodes reach it by under hosts.{host.name}.address.",
            host=host.name,
        )


def _networks(host: Host, facts: HostFacts, desired: Cluster) -> Iterator[Finding]:
    """Addresses besides the inventory's, such as those of a second network card."""
    if facts.unfinished is not None:
        return
    for key, network in (("pods", desired.networks.pods), ("services", desired.networks.services)):
        inside = [text for text in facts.addresses if ip_address(text) in network]
        if inside:
            yield acceptable(
                "network-overlap",
                f"holds {', '.join(inside)}, which lies in the network of {key}, {network}",
                f"See: ip -br addr. Choose another cluster.networks.{key}; an interface that an "
                "earlier cluster left goes with: ip link delete NAME",
                host=host.name,
            )


def _package_source(host: Host, facts: HostFacts, desired: Cluster) -> Iterator[Finding]:
    url = desired.package_repository.format(minor=desired.kubernetes.minor)
    if not facts.programs & {"curl", "wget"}:
        yield warning(
            "package-source",
            f"whether {url} answers is not known yet: curl is not installed, and will be",
            "Nothing, or: apt-get install curl",
            host=host.name,
        )
        return
    try_it = "curl -v" if "curl" in facts.programs else "wget -O /dev/null"
    if facts.repository_status and facts.repository_status != "200":
        yield blocking(
            "package-source",
            f"{url} answers {facts.repository_status}",
            f"From the host: {try_it} {url}Packages; a mirror goes under packages.repository.",
            host=host.name,
        )
    elif facts.repository_offers and desired.kubernetes not in facts.repository_offers:
        newest = ", ".join(str(version) for version in reversed(facts.repository_offers[-3:]))
        yield blocking(
            "package-source",
            f"{url} has no kubeadm {desired.kubernetes}; its newest are {newest}",
            "Write one of those under cluster.kubernetes, or use another packages.repository.",
            host=host.name,
        )
    elif facts.repository_seconds is not None and facts.repository_seconds > SLOW_SOURCE:
        yield warning(
            "package-source",
            f"{url} took {facts.repository_seconds:.1f} s to answer",
            "A mirror nearby goes under packages.repository.",
            host=host.name,
        )


def _packages(host: Host, facts: HostFacts, desired: Cluster) -> Iterator[Finding]:
    yield from common_checks.package_manager(host, facts)
    for name in ("kubeadm", "kubelet"):
        package = facts.packages.get(name)
        if package and package.version.split("-", 1)[0] != str(desired.kubernetes):
            yield warning(
                "package-version",
                f"{name} {package.version} is installed and will become {desired.kubernetes}",
                "Nothing, or write that version under cluster.kubernetes.",
                host=host.name,
            )


def _leftovers(host: Host, facts: HostFacts, _desired: Cluster) -> Iterator[Finding]:
    if facts.unfinished is not None:
        return
    traces = [f"static pod {name}" for name in sorted(facts.static_pods)]
    if facts.kubelet_server is not None:
        traces.append(f"kubelet.conf points to {facts.kubelet_server}")
    if facts.cluster_ca is not None:
        traces.append("/etc/kubernetes/pki/ca.crt")
    if facts.etcd_data:
        traces.append("an etcd member in /var/lib/etcd")
    refused = CONTROL_PLANE_KUBECONFIGS if host.is_control_plane else ()
    files = [path for path in (BOOTSTRAP_KUBECONFIG, *refused) if path in facts.files]
    if traces or files:
        yield blocking(
            "leftovers",
            f"holds leftovers of another cluster: {', '.join((*traces, *files))}",
            _moved_aside(host, facts, files),
            host=host.name,
        )


def _cni(host: Host, facts: HostFacts, _desired: Cluster) -> Iterator[Finding]:
    """The runtime takes the first file by name, even before the plugin has written its own."""
    if facts.unfinished is not None:
        return
    foreign = [
        path
        for path in sorted(facts.files)
        if path.startswith(CNI_DIRECTORY) and path.endswith(CNI_SUFFIXES) and path != CNI_OWN
    ]
    if foreign:
        yield acceptable(
            "cni",
            f"already has a network for pods: {', '.join(foreign)}; its first pods would get that",
            _moved_aside(host, facts, foreign),
            host=host.name,
        )


def _moved_aside(host: Host, facts: HostFacts, files: Sequence[str]) -> str:
    """Return what to type; files alone are no cluster to `reset`, which leaves such hosts be."""
    if has_traces(facts):
        return f"When nobody needs them: invoke reset --limit {host.name}"
    return f"When nobody needs them, on the host: mv {shlex.join(files)} /root/"


def _firewall(host: Host, facts: HostFacts, _desired: Cluster) -> Iterator[Finding]:
    for name in ("firewalld.service", "ufw.service"):
        unit = facts.units.get(name)
        if unit is not None and unit.active == "active":
            yield warning(
                "firewall",
                f"{name.removesuffix('.service')} is active",
                "Open the ports Kubernetes needs: kubernetes.io/docs/reference/networking/"
                "ports-and-protocols/",
                host=host.name,
            )


def _drift(host: Host, facts: HostFacts, desired: Cluster) -> Iterator[Finding]:
    """Members are not prepared again: what somebody changed on a node in use may be on purpose."""
    steps = host_steps(host, desired=desired, facts=facts)
    if steps:
        yield warning(
            "drift",
            "differs from what install makes of a host: "
            + ", ".join(step.id.rsplit("/", 1)[-1] for step in steps),
            f"See invoke verify --limit {host.name}; install does not touch it.",
            host=host.name,
        )


_ANY_HOST: tuple[HostCheck, ...] = (_cgroup, _clock, _runtime_version, _drift)
_NEW_HOST: tuple[HostCheck, ...] = (
    _system,
    _size,
    _disk,
    _cgroup,
    _modules,
    _runtime,
    _runtime_version,
    _swap,
    _ports,
    _clock,
    _address,
    _networks,
    _package_source,
    _packages,
    _leftovers,
    _cni,
    _firewall,
)


def _mebibytes(size: int) -> str:
    return f"{size // 2**20} MiB"
