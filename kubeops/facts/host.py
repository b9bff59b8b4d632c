"""Makes HostFacts of the sections of one host."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial

from kubeops.facts import parse_certs, parse_host, parse_kube, parse_packages
from kubeops.facts.probe import Sections
from kubeops.facts.reader import Reader
from kubeops.model.observed import Certificate, HostFacts, Listener, Package, StaticPod

DIRECTORIES = (
    "/",
    "/var/lib/etcd",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/cache/apt",
    "/etc/kubernetes",
)

_KUBERNETES = "/etc/kubernetes/"
_MANIFESTS = "/etc/kubernetes/manifests/"
_PKI = "/etc/kubernetes/pki/"
_SYS = "/proc/sys/"
_NOT_SYSCTLS = frozenset(
    {"kernel/arch", "kernel/hostname", "kernel/osrelease", "kernel/random/boot_id"}
)
_KUBECONFIGS = ("admin", "super-admin", "controller-manager", "scheduler", "kubelet")
_UNFINISHED = "/var/lib/kubeops/unfinished"
_UNFINISHED_UPGRADE = "/var/lib/kubeops/unfinished-upgrade"
_KUBELET_CLIENT = "/var/lib/kubelet/pki/kubelet-client-current.pem"


def host_facts(host: str, sections: Sections, *, sent: datetime, received: datetime) -> HostFacts:
    """Parse everything that was read of `host`.

    Args:
        host: the host's name in the inventory.
        sections: what the probe printed.
        sent: when we sent the probe, by our clock.
        received: when we had its whole answer, by our clock.

    Raises:
        FactsError: a section is there and cannot be understood, or one that every host has is not.
    """
    read = Reader(host=host, sections=sections)
    system = read.need("/etc/os-release", parse_host.parse_os_release)
    started = read.need("started", parse_host.parse_moment)
    took = read.need("ended", float) - read.need("uptime", float)
    ended = started + timedelta(seconds=took)
    stats = read.parse("files", parse_host.parse_stats)
    sums = read.parse("sums", parse_host.parse_sums)
    files = parse_host.parse_files(stats, sums)
    source = read.parse("source", parse_host.parse_source)
    packages = read.parse("packages", parse_packages.parse_packages)
    ca = files.get(_PKI + "ca.crt")
    return HostFacts(
        host=host,
        hostname=read.need("/proc/sys/kernel/hostname", str.strip),
        os_id=system.get("ID", ""),
        os_version=system.get("VERSION_ID", ""),
        os_pretty=system.get("PRETTY_NAME", ""),
        kernel=read.need("/proc/sys/kernel/osrelease", str.strip),
        architecture=_architecture(read),
        machine_id=read.maybe("/etc/machine-id", str.strip, ""),
        boot_id=read.need("/proc/sys/kernel/random/boot_id", str.strip),
        cpus=_processors(read),
        memory=read.need("/proc/meminfo", parse_host.parse_memory),
        swap=read.maybe("/proc/swaps", parse_host.parse_swap, 0),
        swap_at_boot=bool(read.text("/etc/fstab").strip()),
        disk_free=read.parse(
            "filesystems", partial(parse_host.parse_disk_free, directories=DIRECTORIES)
        ),
        addresses=_addresses(read),
        cgroup=read.parse("filesystems", parse_host.parse_cgroup),
        clock=ended,
        clock_skew=((started - sent) + (ended - received)) / timedelta(seconds=2),
        sysctls=_sysctls(read),
        modules=parse_host.parse_modules(
            read.text("modules"), _modules_builtin(read), read.text("/proc/filesystems")
        ),
        loadable=frozenset(read.text("loadable").split()),
        packages=packages,
        half_installed=read.parse("packages", parse_packages.parse_half_installed),
        units=read.maybe("units", parse_host.parse_units, {}),
        listeners=_listeners(read),
        files=files,
        programs=frozenset(read.text("programs").split()),
        container_runtime=_containerd(read, packages),
        sandbox_image=read.maybe(
            "/etc/containerd/config.toml", parse_packages.parse_sandbox_image, None
        ),
        kubeadm=read.maybe(
            "kubeadm",
            parse_packages.parse_release,
            parse_packages.packaged_release(packages.get("kubeadm")),
        ),
        kubelet=read.maybe(
            "kubelet",
            parse_packages.parse_release,
            parse_packages.packaged_release(packages.get("kubelet")),
        ),
        kubectl=read.maybe(
            "kubectl",
            parse_packages.parse_kubectl,
            parse_packages.packaged_release(packages.get("kubectl")),
        ),
        static_pods=_static_pods(read),
        certificates=_certificates(read),
        cluster_ca=ca.sha256 if ca else None,
        kubelet_server=read.maybe(_KUBERNETES + "kubelet.conf", parse_certs.parse_server, None),
        etcd_data="/var/lib/etcd/member" in stats,
        apt_locked=read.maybe(
            "/proc/locks", partial(parse_host.parse_apt_locked, stats=stats), default=False
        ),
        repository_status=source.status,
        repository_seconds=source.seconds,
        repository_offers=source.offers,
        kubeadm_tmp=read.maybe("kubeadm-tmp", parse_host.parse_kibibytes, 0),
        kubeadm_running=read.text("kubeadm-running").strip() == "yes",
        unfinished=read.maybe(_UNFINISHED, str.strip, None),
        unfinished_upgrade=read.maybe(_UNFINISHED_UPGRADE, str.strip, None),
        kubeadm_backups=read.maybe("kubeadm-backups", _names, ()),
    )


def _containerd(read: Reader, packages: Mapping[str, Package]) -> str | None:
    """Return containerd's version: its own word, else that of Debian's or Docker's package."""
    if read.ok("containerd"):
        return read.need("containerd", parse_packages.parse_containerd)
    package = parse_packages.containerd_package(packages)
    if package is None:
        return None
    return read.parse("packages", lambda _text: parse_packages.upstream(package.version))


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.splitlines())


def _architecture(read: Reader) -> str:
    return read.text(_SYS + "kernel/arch").strip() or read.need("architecture", str.strip)


def _processors(read: Reader) -> int:
    """Count the processors that a program may run on: those allowed to it that are there."""
    allowed = read.need("/proc/self/status", parse_host.parse_allowed_processors)
    online = read.maybe(
        "/sys/devices/system/cpu/online", parse_host.parse_processors, default=allowed
    )
    return len(allowed & online)


def _addresses(read: Reader) -> tuple[str, ...]:
    return (
        *read.parse("/proc/net/fib_trie", parse_host.parse_fib_trie),
        *read.parse("/proc/net/if_inet6", parse_host.parse_if_inet6),
    )


def _listeners(read: Reader) -> tuple[Listener, ...]:
    return (
        *read.parse("listeners", parse_host.parse_listeners),
        *read.parse("tcp", parse_host.parse_tcp),
    )


def _sysctls(read: Reader) -> Mapping[str, str]:
    paths = (path.removeprefix(_SYS) for path in read.sections if path.startswith(_SYS))
    return {
        path.replace("/", "."): read.text(_SYS + path).strip()
        for path in paths
        if path not in _NOT_SYSCTLS
    }


def _modules_builtin(read: Reader) -> str:
    return next((read.text(name) for name in read.sections if name.startswith("/lib/modules/")), "")


def _static_pods(read: Reader) -> Mapping[str, StaticPod]:
    names = [name for name in read.sections if name.startswith(_MANIFESTS)]
    pods = (read.parse(name, parse_kube.parse_static_pod) for name in names)
    return {pod.name: pod for pod in pods}


def _certificates(read: Reader) -> tuple[Certificate, ...]:
    found: list[Certificate | None] = []
    for path in read.sections:
        if path.startswith(_PKI):
            name = parse_certs.certificate_name(path)
            found.append(read.parse(path, partial(parse_certs.parse_certificate, name)))
    for stem in _KUBECONFIGS:
        parse = partial(parse_certs.parse_client_certificate, f"{stem}.conf")
        found.append(read.parse(f"{_KUBERNETES}{stem}.conf", parse))
    kubelet = partial(parse_certs.parse_certificate, "kubelet-client")
    found.append(read.maybe(_KUBELET_CLIENT, kubelet, None))
    return tuple(certificate for certificate in found if certificate is not None)
