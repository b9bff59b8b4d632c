"""Hosts with one thing broken, and the one property that must fail on each."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from kubeops.model.desired import Role
from tests.unit.verify.machines import CASES, CONTAINERD, NOW, Answer, Machine

CP, WORKER = Role.CONTROL_PLANE, Role.WORKER
PACKAGES = ("kubeadm", "kubelet", "kubectl", "cri-tools", "kubernetes-cni")
PODS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
CRI = "cat -- /etc/containerd/config.toml"
SOURCE = "cat -- /etc/apt/sources.list.d/kubernetes.list"
CERTIFICATES = "\nfor file in /etc/kubernetes/pki/*.crt"


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A machine, the property that fails there, and words of what is found."""

    machine: Machine
    property: str
    found: str


def healthy(role: Role, beginning: str) -> str:
    """What a healthy host of `role` prints for the command."""
    answers = json.loads((CASES / f"{role}.json").read_text(encoding="utf-8"))
    return str(next(answers[key]["stdout"] for key in answers if key.startswith(beginning)))


def edited(role: Role, beginning: str, old: str, new: str) -> dict[str, Answer]:
    """The healthy answer with `old` replaced."""
    text = healthy(role, beginning)
    assert old in text, f"{old!r} is not in the answer to {beginning}"
    return {beginning: (0, text.replace(old, new))}


def broken(
    name: str,
    text: str,
    found: str,
    answers: dict[str, Answer] | None = None,
    *,
    role: Role = WORKER,
    **node: Any,
) -> Broken:
    machine = Machine(name=name, role=role, answers=answers or {}, **node)
    return Broken(machine=machine, property=text, found=found)


def access() -> Iterator[Broken]:
    late = (0, f"{NOW.timestamp() - 60:.9f}\n")
    yield broken("clock", "its clock agrees with the other hosts'", "60.0 s behind", {"date": late})


def packages() -> Iterator[Broken]:
    for name in ("kubeadm", "kubelet", "kubectl"):
        text = f"{name} is the inventory's version"
        query = f"dpkg-query -f '${{Status}} ${{Version}}' -W {name}"
        older = {query: (0, "hold ok installed 1.35.3-1.1")}
        yield broken(f"older-{name}", text, "1.35.3", older)
        absent = {f"dpkg-query -f '${{Status}}' -W {name}": (1, "no packages found")}
        yield broken(f"no-{name}", text, "not installed", absent)
    for name in PACKAGES:
        held = edited(WORKER, "apt-mark", f"{name}\n", "")
        yield broken(f"unheld-{name}", f"{name} is held", "not held", held)
    older = {CONTAINERD: (0, "install ok installed 1.7.24~ds1-6")}
    yield broken("older-containerd", "containerd is the inventory's version", "1.7.24", older)
    source = "apt takes Kubernetes from the inventory's source, of the right minor release"
    other = edited(WORKER, SOURCE, "v1.35", "v1.34")
    yield broken("other-minor", source, "v1.34", other)
    signed = "apt trusts that source by a key of its own"
    option = edited(WORKER, SOURCE, "[signed-by=/etc/apt/keyrings/kubernetes.asc] ", "")
    yield broken("unsigned", signed, "no signed-by", option)
    keyring = {"test -e /etc/apt/keyrings/kubernetes.asc": (1, "")}
    yield broken("no-keyring", signed, "kubernetes.asc is missing", keyring)


def kernel() -> Iterator[Broken]:
    swaps = {"cat /proc/swaps": (0, "Filename Type Size\n/dev/sda2 partition 1048576\n")}
    yield broken("swap", "swap is off", "/dev/sda2", swaps)
    fstab = {"cat /etc/fstab": (0, "# swap\n/dev/sda2 none swap sw 0 0\n")}
    yield broken("fstab", "swap stays off after a reboot", "/dev/sda2", fstab)
    systems = {"cat /proc/filesystems": (0, "nodev\tsysfs\n\text4\n")}
    yield broken("overlay", "the kernel has overlay file systems", "none", systems)
    bridged = {"test -e /proc/sys/net/bridge": (1, "")}
    shows = "the kernel shows bridged traffic to iptables"
    yield broken("bridge", shows, "no such sysctl", bridged)
    for module in ("overlay", "br_netfilter"):
        listed = edited(WORKER, "cat /etc/modules", f"{module}\n", "")
        name = f"boot-{module.replace('_', '-')}"
        yield broken(name, f"{module} is loaded at boot", "not there", listed)
    for sysctl in (
        "net.bridge.bridge-nf-call-ip6tables",
        "net.bridge.bridge-nf-call-iptables",
        "net.ipv4.ip_forward",
    ):
        path = f"cat /proc/sys/{sysctl.replace('.', '/')}"
        name = sysctl.rpartition(".")[2].replace("_", "-")
        yield broken(f"off-{name}", f"{sysctl} is 1", "0", {path: (0, "0\n")})
        missing = {path: (1, "No such file")}
        yield broken(f"no-{name}", f"{sysctl} is 1", "no such sysctl", missing)
    tmpfs = {"stat -f": (0, "tmpfs\n")}
    yield broken("cgroup", "control groups are version 2", "tmpfs", tmpfs)


def services() -> Iterator[Broken]:
    for unit in ("containerd", "kubelet"):
        stopped = {f"systemctl is-active {unit}": (3, "inactive")}
        yield broken(f"stopped-{unit}", f"{unit} is running", "not running", stopped)
        disabled = {f"systemctl is-enabled {unit}": (1, "disabled")}
        yield broken(f"disabled-{unit}", f"{unit} starts at boot", "disabled", disabled)
    refused = {"crictl version": (1, "connection refused")}
    yield broken("crictl", "crictl talks to containerd", "connection refused", refused)
    text = "containerd leaves control groups to systemd"
    cgroups = edited(WORKER, CRI, "SystemdCgroup = true", "SystemdCgroup = false")
    yield broken("containerd-cgroups", text, "not set, or false", cgroups)
    text = "kubelet leaves control groups to systemd"
    config = "cat -- /var/lib/kubelet/config.yaml"
    cgroups = edited(WORKER, config, "cgroupDriver: systemd", "cgroupDriver: cgroupfs")
    yield broken("kubelet-cgroups", text, "cgroupfs", cgroups)
    text = "containerd's sandbox image comes from the cluster's images"
    other = edited(WORKER, CRI, "registry.k8s.io/pause:", "mirror.example/pause:")
    yield broken("sandbox", text, "mirror.example/pause", other)


def files() -> Iterator[Broken]:
    stat = "stat -L -c '%a %U:%G %n' "
    for name, text, role, path, mode, wider in (
        ("kubeconfig", "kubeconfigs are for root alone", CP, "/etc/kubernetes/*.conf", 600, 644),
        ("kubelet-key", "kubelet's key is for root alone", WORKER,
         "/var/lib/kubelet/pki/kubelet-client-current.pem", 600, 640),
        ("kubelet-config", "kubelet's configuration can be written by root alone", WORKER,
         "/var/lib/kubelet/config.yaml", 644, 666),
        ("key", "the cluster's private keys are for root alone", CP,
         "/etc/kubernetes/pki/*.key", 600, 644),
        ("manifest", "static pods' manifests are for root alone", CP,
         "/etc/kubernetes/manifests/*.yaml", 600, 644),
        ("etcd-data", "etcd's data are for root alone", CP, "/var/lib/etcd", 700, 755),
    ):  # fmt: skip
        changed = edited(role, stat + path, f"{mode} root:root", f"{wider} root:root")
        yield broken(f"wide-{name}", text, f"0{wider} root:root", changed, role=role)
        owned = edited(role, stat + path, f"{mode} root:root", f"{mode} ops:ops")
        yield broken(f"owned-{name}", text, "ops:ops", owned, role=role)
    conf = stat + "/etc/kubernetes/*.conf"
    absent = edited(CP, conf, "600 root:root /etc/kubernetes/scheduler.conf\n", "")
    text = "the kubeconfigs of its role are there"
    yield broken("no-scheduler-conf", text, "scheduler.conf is missing", absent, role=CP)
    marker = {"test -e /var/lib/kubeops/unfinished": (0, "")}
    yield broken("unfinished", "no install was left unfinished", "/unfinished", marker)


def ports() -> Iterator[Broken]:
    kubelet = edited(WORKER, "ss", ":10250 ", ":10251 ")
    yield broken("no-10250", "kubelet listens on port 10250", "nothing listens", kubelet)
    for port in (6443, 2379, 2380, 10257, 10259):
        moved = edited(CP, "ss", f":{port} ", ":9999 ")
        text = f"the control plane listens on port {port}"
        yield broken(f"no-{port}", text, "nothing listens", moved, role=CP)
    for port in (6443, 2379):
        opened = {"ss": (0, f"{healthy(WORKER, 'ss')}LISTEN 0 5 *:{port} *:*\n")}
        text = "no control plane port is open"
        yield broken(f"open-{port}", text, f"{port} (", opened)


def static_pods() -> Iterator[Broken]:
    for pod in PODS:
        text = f"{pod}'s image is of the inventory's version"
        manifest = f"cat -- /etc/kubernetes/manifests/{pod}.yaml"
        older = edited(CP, manifest, "image: registry.k8s.io/", "image: registry.k8s.io/old-")
        yield broken(f"old-{pod}", text, "registry.k8s.io/old-", older, role=CP)
        moved = {f"test -e /etc/kubernetes/manifests/{pod}.yaml": (1, "")}
        yield broken(f"moved-{pod}", text, "no manifest", moved, role=CP)
        gone = edited(CP, "crictl ps", f'"io.kubernetes.container.name": "{pod}"', '"x": "y"')
        yield broken(f"gone-{pod}", f"{pod} is running", "not running", gone, role=CP)
    there = {"ls /etc/kubernetes/manifests": (0, "etcd.yaml\nown.yaml\n")}
    yield broken("was-cp", "no part of a control plane is there", "manifests/etcd.yaml", there)


def certificate(days: int) -> str:
    """A certificate that ends `days` after NOW."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=300))
        .not_valid_after(NOW + timedelta(days=days))
        .sign(key, None)
    )
    return signed.public_bytes(Encoding.PEM).decode()


def certificates() -> Iterator[Broken]:
    text = "every certificate is good for 30 more days"
    fine = healthy(CP, CERTIFICATES)
    path = "/etc/kubernetes/pki/etcd/server.crt"
    soon = {CERTIFICATES: (0, f"# {path}\n{certificate(29)}{fine}")}
    yield broken("soon", text, f"{path} ends 2026-12-20", soon, role=CP)
    ended = {CERTIFICATES: (0, f"# {path}\n{certificate(-1)}")}
    yield broken("ended", text, f"{path} ends 2026-11-20", ended)
    path = "/etc/kubernetes/admin.conf"
    encoded = base64.b64encode(certificate(3).encode()).decode()
    embedded = {CERTIFICATES: (0, f"{fine}{path}:    client-certificate-data: {encoded}\n")}
    yield broken("embedded", text, f"{path} ends 2026-11-24", embedded, role=CP)
    yield broken("no-certificates", text, "none", {CERTIFICATES: (0, "")})


def node() -> Iterator[Broken]:
    yield broken("not-ready", "its node is Ready", "not Ready: kubelet is posting", ready=False)
    yield broken("unknown", "its node is Ready", "nodes boot-br-netfilter, ", known=False)
    text = "its node runs the inventory's version"
    yield broken("not-restarted", text, "1.35.3", kubelet="v1.35.3")
    text = "its node has the inventory's labels"
    yield broken("label", text, "no disk=ssd", labels={"disk": "hdd"})
    yield broken("taint", "its node has the inventory's taints", "none", taints=())
    text = "kubelet talks to the inventory's endpoint"
    server = {"grep server:": (0, "    server: https://10.0.0.99:6443\n")}
    yield broken("endpoint", text, "https://10.0.0.99:6443", server)
    joined = {"grep server:": (2, "No such file")}
    yield broken("not-joined", text, "nobody", joined)
    text = "pods get their network from a CNI configuration"
    yield broken("cni", text, "nothing there", {"ls /etc/cni/net.d": (2, "No such file")})


BROKEN = (
    *access(),
    *packages(),
    *kernel(),
    *services(),
    *files(),
    *ports(),
    *static_pods(),
    *certificates(),
    *node(),
)
