"""The Node object of a machine, its Lease, and the credentials its kubelet talks with."""

import contextlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehearsal import files, pki
from rehearsal.apierrors import ApiError, UnreachableError
from rehearsal.client import Client
from rehearsal.faults import Orders
from rehearsal.kubeconfig import KubeconfigError, load_kubeconfig
from rehearsal.layout import Layout
from rehearsal.runtime import Runtime, RuntimeFailureError

NO_NETWORK = (
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
    "message:Network plugin returns error: cni plugin not initialized"
)
SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
LEASE_SECONDS = 40
REQUEST_SECONDS = 4.0  # an API server hangs while its etcd restarts; the next try finds it awake
RESERVED_KI = 100 * 1024
Obj = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the kubelet was started with."""

    name: str
    version: str
    node_ip: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    taints: tuple[Obj, ...] = ()
    kubeconfig: str = "/etc/kubernetes/kubelet.conf"
    bootstrap: str = "/etc/kubernetes/bootstrap-kubelet.conf"


def host_address(towards: str = "192.0.2.1") -> str:
    """Return the address this machine reaches others from; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for target in (towards, "192.0.2.1"):
            with contextlib.suppress(OSError):
                probe.connect((target, 9))
                return str(probe.getsockname()[0])
    with contextlib.suppress(OSError):
        return socket.gethostbyname(socket.gethostname())
    return "127.0.0.1"


def network_ready(layout: Layout) -> bool:
    """Whether a CNI configuration lies where containerd looks for one."""
    folder = layout.at("/etc/cni/net.d")
    return folder.is_dir() and any(
        path.suffix in {".conf", ".conflist", ".json"} for path in folder.iterdir()
    )


def connect(layout: Layout, options: Options, log: Callable[[str], None]) -> Client | None:
    """Return a client of the API server, after the TLS bootstrap where that is still to be done.

    None means that it did not work out yet and is to be tried again.
    """
    path = Path(options.kubeconfig)
    try:
        if not path.exists():
            _bootstrap(layout, options)
        _keep_certificate(layout, path)
        return Client(load_kubeconfig(str(path)), timeout=REQUEST_SECONDS, user_agent="kubelet")
    except (ApiError, UnreachableError, KubeconfigError) as error:
        log(f'"Failed while requesting a signed certificate from the control plane" err="{error}"')
        return None


def _bootstrap(layout: Layout, options: Options) -> None:
    access = load_kubeconfig(options.bootstrap)
    client = Client(access, timeout=10.0, user_agent="kubelet")
    key = pki.new_key()
    request = pki.signing_request(
        key, name=f"system:node:{options.name}", organization="system:nodes"
    )
    body: Obj = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"generateName": "csr-"},
        "spec": {
            "request": pki.b64(request),
            "signerName": SIGNER,
            "usages": ["digital signature", "client auth"],
        },
    }
    name = client.create("csr", body)["metadata"]["name"]
    certificate = b""

    def signed() -> bool:
        nonlocal certificate
        encoded = client.get("csr", name).get("status", {}).get("certificate")
        certificate = _decode(encoded) if encoded else b""
        return bool(certificate)

    if not files.wait(signed, timeout=30.0, interval=0.1):
        raise KubeconfigError(f"certificate signing request {name} was not signed")
    _write_certificate(layout, certificate + pki.key_pem(key))
    conf = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "default-cluster",
                "cluster": {
                    "certificate-authority-data": pki.b64(access.ca.encode()),
                    "server": access.server,
                },
            }
        ],
        "contexts": [
            {
                "name": "default-context",
                "context": {
                    "cluster": "default-cluster",
                    "namespace": "default",
                    "user": "default-auth",
                },
            }
        ],
        "current-context": "default-context",
        "users": [
            {
                "name": "default-auth",
                "user": dict.fromkeys(
                    ("client-certificate", "client-key"), str(current_certificate(layout))
                ),
            }
        ],
    }
    files.write(Path(options.kubeconfig), files.dump_yaml(conf), mode=0o600)


def current_certificate(layout: Layout) -> Path:
    """Return where the kubelet's present client certificate and key lie, in one file."""
    return layout.kubelet / "pki/kubelet-client-current.pem"


def _keep_certificate(layout: Layout, conf: Path) -> None:
    """Take a certificate that came inside kubelet.conf into the kubelet's own folder."""
    if current_certificate(layout).exists():
        return
    user = files.load_yaml(conf.read_text())["users"][0]["user"]
    if "client-key-data" in user:
        pem = _decode(user["client-certificate-data"]) + _decode(user["client-key-data"])
        _write_certificate(layout, pem)


def _write_certificate(layout: Layout, pem: bytes) -> None:
    link = current_certificate(layout)
    target = link.with_name(f"kubelet-client-{files.now():%Y-%m-%d-%H-%M-%S}.pem")
    files.write(target, pem, mode=0o600)
    temporary = link.with_name(".current")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    os.replace(temporary, link)


def _decode(text: str) -> bytes:
    import base64  # noqa: PLC0415 - one use

    return base64.b64decode(text)


@dataclass(kw_only=True)
class NodeKeeper:
    """Registers the machine and keeps its status and lease current."""

    layout: Layout
    options: Options
    runtime: Runtime
    orders: Orders
    log: Callable[[str], None]
    cidr: str = ""
    _posted: Obj = field(default_factory=dict)

    def register(self, client: Client) -> None:
        """Create the Node, or correct the labels of the one that is there."""
        labels = self._labels()
        present = client.find("nodes", self.options.name)
        if present is None:
            node: Obj = {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {
                    "name": self.options.name,
                    "labels": labels,
                    "annotations": {
                        "volumes.kubernetes.io/controller-managed-attach-detach": "true"
                    },
                },
                "spec": {"taints": list(self.options.taints)} if self.options.taints else {},
                "status": self._status(client),
            }
            with contextlib.suppress(ApiError):
                present = client.create("nodes", node)
            self.log(f'"Successfully registered node" node="{self.options.name}"')
        else:
            client.patch("nodes", self.options.name, {"metadata": {"labels": labels}})
        self._posted = {}
        self.post(client)

    def beat(self, client: Client) -> None:
        """Renew the node's Lease."""
        name = self.options.name
        spec = {
            "holderIdentity": name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": files.now().strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
        }
        try:
            client.patch("leases", name, {"spec": spec}, namespace="kube-node-lease")
        except ApiError as error:
            if error.reason != "NotFound":
                raise
            lease = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": name, "namespace": "kube-node-lease"},
                "spec": spec,
            }
            client.create("leases", lease)

    def post(self, client: Client) -> None:
        """Write the node's status."""
        answer = client.patch(
            "nodes", self.options.name, {"status": self._status(client)}, subresource="status"
        )
        self._posted = {c["type"]: c for c in answer["status"]["conditions"]}
        self.cidr = answer.get("spec", {}).get("podCIDR", "")

    def changed(self) -> bool:
        """Whether readiness is another than the one that was last written."""
        ready = self._posted.get("Ready", {})
        return (ready.get("status"), ready.get("message")) != self._ready()[::2]

    def _ready(self) -> tuple[str, str, str]:
        """Return status, reason and message of the Ready condition."""
        if self.orders.stands("kubelet never-ready"):
            return "False", "KubeletNotReady", "ordered never to be ready"
        try:
            self.runtime.check()
        except RuntimeFailureError as error:
            return "False", "KubeletNotReady", f"container runtime is down: {error}"
        if not network_ready(self.layout):
            return "False", "KubeletNotReady", NO_NETWORK
        return "True", "KubeletReady", "kubelet is posting ready status"

    def _labels(self) -> dict[str, str]:
        return {
            "beta.kubernetes.io/arch": "amd64",
            "beta.kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/hostname": self.options.name,
            "kubernetes.io/os": "linux",
        } | self.options.labels

    def _status(self, client: Client) -> Obj:
        memory = _memory_ki()
        capacity = {
            "cpu": str(os.cpu_count() or 1),
            "ephemeral-storage": f"{_disk_ki()}Ki",
            "hugepages-1Gi": "0",
            "hugepages-2Mi": "0",
            "memory": f"{memory}Ki",
            "pods": "110",
        }
        address = self.options.node_ip or host_address(client.server.rpartition(":")[0])
        return {
            "addresses": [
                {"address": address, "type": "InternalIP"},
                {"address": self.options.name, "type": "Hostname"},
            ],
            "capacity": capacity,
            "allocatable": capacity | {"memory": f"{memory - RESERVED_KI}Ki"},
            "conditions": self._conditions(),
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "images": [
                {
                    "names": [f"{image.repository}@sha256:{image.digest}", image.name],
                    "sizeBytes": image.size,
                }
                for image in self.runtime.images()
            ],
            "nodeInfo": self._info(),
        }

    def _conditions(self) -> list[Obj]:
        ready, reason, message = self._ready()
        rows = (
            (
                "MemoryPressure",
                "False",
                "KubeletHasSufficientMemory",
                "kubelet has sufficient memory available",
            ),
            ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            (
                "PIDPressure",
                "False",
                "KubeletHasSufficientPID",
                "kubelet has sufficient PID available",
            ),
            ("Ready", ready, reason, message),
        )
        moment = files.stamp()
        conditions = []
        for kind, status, why, text in rows:
            before = self._posted.get(kind, {})
            same = before.get("status") == status
            conditions.append(
                {
                    "lastHeartbeatTime": moment,
                    "lastTransitionTime": before["lastTransitionTime"] if same else moment,
                    "message": text,
                    "reason": why,
                    "status": status,
                    "type": kind,
                }
            )
        return conditions

    def _info(self) -> Obj:
        machine = _text(self.layout.at("/etc/machine-id"))
        release = dict(
            line.split("=", 1)
            for line in _text(self.layout.at("/etc/os-release")).splitlines()
            if "=" in line
        )
        runtime = _text(Path("/usr/lib/kubeops-rehearsal/containerd/VERSION")) or "2.1.9"
        return {
            "architecture": "amd64",
            "bootID": _text(Path("/proc/sys/kernel/random/boot_id")),
            "containerRuntimeVersion": f"containerd://{runtime}+rehearsal",
            "kernelVersion": os.uname().release,
            "kubeProxyVersion": "",
            "kubeletVersion": self.options.version,
            "machineID": machine,
            "operatingSystem": "linux",
            "osImage": release.get("PRETTY_NAME", "Linux").strip('"'),
            "systemUUID": machine,
        }


def _text(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text().strip()
    return ""


def _memory_ki() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024


def _disk_ki() -> int:
    status = os.statvfs("/")
    return status.f_blocks * status.f_frsize // 1024
