"""Reading an inventory file into `kubeops.model.desired.Cluster`, every problem at once."""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from ipaddress import IPv4Network
from pathlib import Path
from types import MappingProxyType

from kubeops.inventory import backup, fields, networks, nodes, rules
from kubeops.inventory.document import read_document
from kubeops.inventory.schema import SCHEMA
from kubeops.inventory.section import Report, Section
from kubeops.model.desired import (
    Cluster,
    Cni,
    Drain,
    Host,
    HostKeys,
    Network,
    Networks,
    Role,
    Runtime,
    Ssh,
    UpgradePolicy,
)
from kubeops.model.version import KubeVersion

CNI_VERSIONS: Mapping[str, str] = MappingProxyType({"flannel": "0.28.4", "calico": "3.31.2"})
"""The release of each network plugin that is installed when the inventory names none."""

_CNIS = ("bridge", *CNI_VERSIONS, "cilium", "manifest")
_PODS: Network = IPv4Network("10.244.0.0/16")
_SERVICES: Network = IPv4Network("10.96.0.0/12")
_PORT = fields.whole(least=1, most=65535)


class _Pdb(StrEnum):
    """What a drain does about a pod disruption budget that allows nothing."""

    WAIT = "wait"
    FAIL = "fail"
    FORCE = "force"


def load(path: Path) -> Cluster:
    """Read, merge and validate the inventory at `path` and what it extends.

    Returns:
        The cluster; `warnings` holds what is allowed but unwise, in the form of problems.

    Raises:
        InventoryError: something is wrong. `problems` holds one line for each mistake of all files,
            `file:line: path: what is wrong; what would be right`, by file and line.
    """
    document = read_document(path)
    report = Report(document=document, problems=list(document.problems))
    if document.root is None:
        report.raise_problems()
    root = Section(table=document.root, path=(), keys=SCHEMA, report=report)
    cluster = replace(_cluster(root), source=path)
    rules.check(cluster, report)
    report.raise_problems()
    if not cluster.endpoint:
        own = networks.endpoint_at(cluster.control_planes[0].address)
        cluster = replace(cluster, endpoint=own)
    return replace(cluster, warnings=report.lines(report.warnings))


def _cluster(root: Section) -> Cluster:
    """Read the whole document; wrong values are reported and stand in as defaults."""
    root.take("extends", fields.text, "")
    _machine(root.section("vagrant"))
    section = root.section("cluster")
    return Cluster(
        name=section.require("name", fields.dns_label, "", such_as="name: prod"),
        kubernetes=section.require(
            "kubernetes", fields.version, KubeVersion(0, 0, 0), such_as='kubernetes: "1.35.4"'
        ),
        endpoint=section.take("endpoint", networks.endpoint, ""),
        networks=_networks(section.section("networks")),
        runtime=_runtime(section.section("runtime")),
        cni=_cni(section.section("cni")),
        addons=section.items("addons", fields.addon, such_as="addons: [metrics-server]") or (),
        package_repository=section.section("packages").take(
            "repository", fields.repository, Cluster.package_repository
        ),
        image_repository=section.section("images").take(
            "repository", fields.images, Cluster.image_repository
        ),
        upgrade=_upgrade(section.section("upgrade")),
        backup=backup.read(section.section("backup")),
        hosts=_hosts(root),
    )


def _networks(section: Section) -> Networks:
    return Networks(
        pods=section.take("pods", networks.network, _PODS),
        services=section.take("services", networks.network, _SERVICES),
        dns_domain=section.take("dns_domain", fields.dns_name, Networks.dns_domain),
    )


def _runtime(section: Section) -> Runtime:
    return Runtime(
        name=section.take("name", fields.one_of(("containerd",)), Runtime.name),
        version=section.take("version", fields.package_version, None),
    )


def _cni(section: Section) -> Cni:
    """Read the network plugin; `manifest: X` is short for `name: manifest, source: X`."""
    report, path = section.report, section.path
    short = section.take("manifest", fields.manifest, None)
    source = section.take("source", fields.manifest, None)
    default = "manifest" if section.has("manifest") else Cni.name
    name = section.take("name", fields.one_of(_CNIS), default)
    version = section.take("version", fields.plugin_version, CNI_VERSIONS.get(name))
    if section.has("manifest") and section.has("source"):
        report.problem((*path, "manifest"), "says the same as source; keep one of the two lines")
    elif section.has("manifest") and name != "manifest":
        report.problem(
            (*path, "manifest"),
            f"stands for a plugin of your own, but name is {name}; take `name` out, or write "
            f"source: instead of manifest: to give {name} another manifest",
        )
    elif name == "manifest" and not (section.has("source") or section.has("manifest")):
        report.problem((*path, "source"), "is missing; write the manifest's path or URL")
    elif name == "cilium" and not section.has("source"):
        report.problem(
            (*path, "source"),
            "is missing; the cilium project publishes no manifest: write the path or URL of one "
            "made with `helm template cilium cilium/cilium --version X --namespace kube-system "
            "... > cilium.yaml`",
        )
    if section.has("version") and name in ("bridge", "manifest"):
        report.problem((*path, "version"), f"means nothing to {name}; take the line out")
    if name == "bridge" and section.has("source"):
        report.problem((*path, "source"), "means nothing to bridge; take the line out")
    return Cni(name=name, version=version, source=short or source)


def _upgrade(section: Section) -> UpgradePolicy:
    drain = section.section("drain")
    return UpgradePolicy(
        max_unavailable=section.take(
            "max_unavailable", fields.max_unavailable, UpgradePolicy.max_unavailable
        ),
        failure_budget=section.take(
            "failure_budget", fields.whole(least=0), UpgradePolicy.failure_budget
        ),
        drain=Drain(
            timeout=drain.take("timeout", fields.duration, Drain.timeout),
            grace=drain.take("grace", fields.duration, Drain.grace),
            pdb=drain.take("pdb", fields.choice(_Pdb), _Pdb(Drain.pdb)).value,
        ),
    )


def _hosts(root: Section) -> tuple[Host, ...]:
    if not root.has("hosts"):
        root.report.problem(
            ("hosts",),
            "is missing; write one line per machine, such as "
            "cp1: {address: 10.0.0.11, role: control-plane}",
        )
    ssh = _ssh(root.section("ssh"), default=Ssh())
    section = root.section("hosts")
    return tuple(_host(name, section.section(name), ssh=ssh) for name in section.names())


def _host(name: str, section: Section, *, ssh: Ssh) -> Host:
    _machine(section.section("vagrant"))
    return Host(
        name=name,
        address=section.require("address", networks.address, "", such_as="address: 10.0.0.11"),
        role=section.require("role", fields.role, Role.WORKER, such_as="role: worker"),
        labels=section.section("labels").pairs(nodes.label),
        taints=section.items("taints", nodes.taint, such_as='taints: ["gpu=true:NoSchedule"]'),
        ssh=_ssh(section.section("ssh"), default=ssh),
        replaces=section.take("replaces", fields.text, ""),
    )


def _ssh(section: Section, *, default: Ssh) -> Ssh:
    """Read how to log in; what is not written is as in `default`."""
    return Ssh(
        user=section.take("user", fields.user, default.user),
        port=section.take("port", _PORT, default.port),
        key=section.take("key", fields.existing_file, default.key),
        jump=section.take("jump", fields.jump, default.jump),
        known_hosts=section.take("known_hosts", fields.path, default.known_hosts),
        host_keys=section.take("host_keys", fields.choice(HostKeys), default.host_keys),
        sudo=section.take("sudo", fields.boolean, default.sudo),
        sudo_password_file=section.take(
            "sudo_password_file", fields.existing_file, default.sudo_password_file
        ),
    )


def _machine(section: Section) -> None:
    """Validate the hints for vagrant/Vagrantfile; kubeops itself has no use for them."""
    section.take("box", fields.box, "")
    section.take("cpus", fields.whole(least=1, most=256), 1)
    section.take("memory", fields.whole(least=512, unit="MiB"), 512)
