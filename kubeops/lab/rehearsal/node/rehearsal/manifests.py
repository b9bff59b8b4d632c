"""The static pods of a control plane, as kubeadm writes them.

The texts are those of kubeadm 1.35 (recorded from a real node); differences of the other minors
that kubeops can meet are here too: the flexVolume mount (until 1.35) and etcd's flags (3.6 from
1.34 on).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rehearsal import files
from rehearsal.version import Version, companions

COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
FLEX = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"
CERTIFICATES = (
    ("/etc/ssl/certs", "ca-certs"),
    ("/etc/ca-certificates", "etc-ca-certificates"),
    ("/etc/kubernetes/pki", "k8s-certs"),
    ("/usr/local/share/ca-certificates", "usr-local-share-ca-certificates"),
    ("/usr/share/ca-certificates", "usr-share-ca-certificates"),
)
ETCD_36 = 34
FLEX_GONE = 36


@dataclass(frozen=True, kw_only=True)
class Node:
    """The machine the manifests are for."""

    name: str
    address: str
    port: int = 6443


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Where a component answers about its health."""

    host: str
    port: int
    live: str
    ready: str = ""
    scheme: str = "HTTPS"


@dataclass(frozen=True, kw_only=True)
class Component:
    """What tells one static pod from another."""

    name: str
    image: str
    flags: Mapping[str, str]
    probe: Probe
    cpu: str
    memory: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[tuple[str, str, str, bool], ...] = ()  # path, name, type, read only
    sorted_mounts: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict)  # extraArgs, extraVolumes, extraEnvs


def control_plane(*, version: Version, cluster: Mapping[str, Any], node: Node) -> dict[str, str]:
    """Return the manifests of the three Kubernetes components by name.

    Args:
        version: the release to run.
        cluster: a complete ClusterConfiguration (v1beta4).
        node: the machine.
    """
    builders = (_apiserver, _controller_manager, _scheduler)
    return {
        component.name: render(component)
        for component in (build(version, cluster, node) for build in builders)
    }


def etcd(
    *,
    version: Version,
    cluster: Mapping[str, Any],
    node: Node,
    members: Iterable[tuple[str, str]] = (),
) -> str:
    """Return the manifest of the local etcd.

    Args:
        version: the Kubernetes release, which chooses etcd's.
        cluster: a complete ClusterConfiguration.
        node: the machine.
        members: name and peer URL of every member, the new one included, when joining; else empty.
    """
    local = cluster["etcd"]["local"]
    data = local["dataDir"]
    initial = ",".join(f"{name}={url}" for name, url in members)
    client = f"https://{node.address}:2379"
    peer = f"https://{node.address}:2380"
    pki = f"{cluster['certificatesDir']}/etcd"
    flags = {
        "advertise-client-urls": client,
        "cert-file": f"{pki}/server.crt",
        "client-cert-auth": "true",
        "data-dir": data,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": initial or f"{node.name}={peer}",
        "key-file": f"{pki}/server.key",
        "listen-client-urls": f"https://127.0.0.1:2379,{client}",
        "listen-metrics-urls": "http://127.0.0.1:2381",
        "listen-peer-urls": peer,
        "name": node.name,
        "peer-cert-file": f"{pki}/peer.crt",
        "peer-client-cert-auth": "true",
        "peer-key-file": f"{pki}/peer.key",
        "peer-trusted-ca-file": f"{pki}/ca.crt",
        "snapshot-count": "10000",
        "trusted-ca-file": f"{pki}/ca.crt",
    }
    if version.minor >= ETCD_36:
        flags |= {
            "feature-gates": "InitialCorruptCheck=true",
            "watch-progress-notify-interval": "5s",
        }
    else:
        flags |= {
            "experimental-initial-corrupt-check": "true",
            "experimental-watch-progress-notify-interval": "5s",
        }
    if initial:
        flags["initial-cluster-state"] = "existing"
    tag = local.get("imageTag") or companions(version).etcd
    repository = local.get("imageRepository") or cluster["imageRepository"]
    return render(
        Component(
            name="etcd",
            image=f"{repository}/etcd:{tag}",
            flags=flags,
            probe=Probe(host="127.0.0.1", port=2381, live="/livez", ready="/readyz", scheme="HTTP"),
            cpu="100m",
            memory="100Mi",
            annotations={"kubeadm.kubernetes.io/etcd.advertise-client-urls": client},
            mounts=(
                (data, "etcd-data", "DirectoryOrCreate", False),
                (pki, "etcd-certs", "DirectoryOrCreate", False),
            ),
            settings=local,
            sorted_mounts=False,
        )
    )


def render(component: Component) -> str:
    """Return a component's manifest as text."""
    return files.dump_yaml(pod(component))


def pod(component: Component) -> dict[str, Any]:
    """Return a component's manifest as an object."""
    settings = component.settings
    flags = dict(component.flags)
    extra = settings.get("extraArgs") or []
    command = {f"--{name}={value}": None for name, value in flags.items()}
    for entry in extra:
        for line in [line for line in command if line.startswith(f"--{entry['name']}=")]:
            if not any(line == f"--{e['name']}={e['value']}" for e in extra):
                del command[line]
        command[f"--{entry['name']}={entry['value']}"] = None
    mounts = list(component.mounts)
    for volume in settings.get("extraVolumes") or []:
        kind = volume.get("pathType", "")
        mounts.append((volume["hostPath"], volume["name"], kind, bool(volume.get("readOnly"))))
    targets = {v["name"]: v["mountPath"] for v in settings.get("extraVolumes") or []}
    ordered = sorted(mounts, key=lambda mount: mount[1]) if component.sorted_mounts else mounts
    container: dict[str, Any] = {
        "command": [component.name, *sorted(command, key=lambda flag: flag.partition("=")[0])],
        "image": component.image,
        "imagePullPolicy": "IfNotPresent",
        "livenessProbe": _probe(component.probe, component.probe.live)
        | {"failureThreshold": 8, "initialDelaySeconds": 10, "periodSeconds": 10},
        "name": component.name,
        "ports": [{"containerPort": component.probe.port, "name": "probe-port", "protocol": "TCP"}],
        "resources": {"requests": {"cpu": component.cpu}},
        "startupProbe": _probe(
            component.probe,
            component.probe.ready if component.name == "etcd" else component.probe.live,
        )
        | {"failureThreshold": 24, "initialDelaySeconds": 10, "periodSeconds": 10},
        "volumeMounts": [
            {"mountPath": targets.get(name, path), "name": name}
            | ({"readOnly": True} if ro else {})
            for path, name, _, ro in ordered
        ],
    }
    if component.memory:
        container["resources"]["requests"]["memory"] = component.memory
    if component.probe.ready:
        container["readinessProbe"] = _probe(component.probe, component.probe.ready) | {
            "failureThreshold": 3,
            "periodSeconds": 1,
        }
    if settings.get("extraEnvs"):
        container["env"] = list(settings["extraEnvs"])
    metadata: dict[str, Any] = {
        "labels": {"component": component.name, "tier": "control-plane"},
        "name": component.name,
        "namespace": "kube-system",
    }
    if component.annotations:
        metadata["annotations"] = dict(component.annotations)
    volumes = [
        {"hostPath": {"path": path} | ({"type": kind} if kind else {}), "name": name}
        for path, name, kind, _ in (ordered if component.sorted_mounts else reversed(ordered))
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "containers": [container],
            "hostNetwork": True,
            "priority": 2000001000,
            "priorityClassName": "system-node-critical",
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": volumes,
        },
        "status": {},
    }


def _probe(probe: Probe, path: str) -> dict[str, Any]:
    get = {"host": probe.host, "path": path, "port": "probe-port", "scheme": probe.scheme}
    return {"httpGet": get, "timeoutSeconds": 15}


def _image(name: str, version: Version, cluster: Mapping[str, Any]) -> str:
    return f"{cluster['imageRepository']}/{name}:{version}"


def _apiserver(version: Version, cluster: Mapping[str, Any], node: Node) -> Component:
    pki = cluster["certificatesDir"]
    networking = cluster["networking"]
    external = cluster["etcd"].get("external")
    etcd_files = {
        "etcd-cafile": f"{pki}/etcd/ca.crt",
        "etcd-certfile": f"{pki}/apiserver-etcd-client.crt",
        "etcd-keyfile": f"{pki}/apiserver-etcd-client.key",
        "etcd-servers": "https://127.0.0.1:2379",
    }
    if external:
        etcd_files = {
            "etcd-cafile": external.get("caFile", ""),
            "etcd-certfile": external.get("certFile", ""),
            "etcd-keyfile": external.get("keyFile", ""),
            "etcd-servers": ",".join(external["endpoints"]),
        }
    return Component(
        name="kube-apiserver",
        image=_image("kube-apiserver", version, cluster),
        flags={
            "advertise-address": node.address,
            "allow-privileged": "true",
            "authorization-mode": "Node,RBAC",
            "client-ca-file": f"{pki}/ca.crt",
            "enable-admission-plugins": "NodeRestriction",
            "enable-bootstrap-token-auth": "true",
            **etcd_files,
            "kubelet-client-certificate": f"{pki}/apiserver-kubelet-client.crt",
            "kubelet-client-key": f"{pki}/apiserver-kubelet-client.key",
            "kubelet-preferred-address-types": "InternalIP,ExternalIP,Hostname",
            "proxy-client-cert-file": f"{pki}/front-proxy-client.crt",
            "proxy-client-key-file": f"{pki}/front-proxy-client.key",
            "requestheader-allowed-names": "front-proxy-client",
            "requestheader-client-ca-file": f"{pki}/front-proxy-ca.crt",
            "requestheader-extra-headers-prefix": "X-Remote-Extra-",
            "requestheader-group-headers": "X-Remote-Group",
            "requestheader-username-headers": "X-Remote-User",
            "secure-port": str(node.port),
            "service-account-issuer": f"https://kubernetes.default.svc.{networking['dnsDomain']}",
            "service-account-key-file": f"{pki}/sa.pub",
            "service-account-signing-key-file": f"{pki}/sa.key",
            "service-cluster-ip-range": networking["serviceSubnet"],
            "tls-cert-file": f"{pki}/apiserver.crt",
            "tls-private-key-file": f"{pki}/apiserver.key",
        },
        probe=Probe(host=node.address, port=node.port, live="/livez", ready="/readyz"),
        cpu="250m",
        annotations={
            "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint": (
                f"{node.address}:{node.port}"
            )
        },
        mounts=_certificate_mounts(pki),
        settings=cluster.get("apiServer") or {},
    )


def _controller_manager(version: Version, cluster: Mapping[str, Any], node: Node) -> Component:  # noqa: ARG001 - one signature for all three
    pki = cluster["certificatesDir"]
    networking = cluster["networking"]
    conf = "/etc/kubernetes/controller-manager.conf"
    pods = networking.get("podSubnet")
    network = {"allocate-node-cidrs": "true", "cluster-cidr": pods} if pods else {}
    mounts = (*_certificate_mounts(pki), (conf, "kubeconfig", "FileOrCreate", True))
    if version.minor < FLEX_GONE:
        mounts = (*mounts, (FLEX, "flexvolume-dir", "DirectoryOrCreate", False))
    return Component(
        name="kube-controller-manager",
        image=_image("kube-controller-manager", version, cluster),
        flags={
            **network,
            "authentication-kubeconfig": conf,
            "authorization-kubeconfig": conf,
            "bind-address": "127.0.0.1",
            "client-ca-file": f"{pki}/ca.crt",
            "cluster-name": cluster["clusterName"],
            "cluster-signing-cert-file": f"{pki}/ca.crt",
            "cluster-signing-key-file": f"{pki}/ca.key",
            "controllers": "*,bootstrapsigner,tokencleaner",
            "kubeconfig": conf,
            "leader-elect": "true",
            "requestheader-client-ca-file": f"{pki}/front-proxy-ca.crt",
            "root-ca-file": f"{pki}/ca.crt",
            "service-account-private-key-file": f"{pki}/sa.key",
            "service-cluster-ip-range": networking["serviceSubnet"],
            "use-service-account-credentials": "true",
        },
        probe=Probe(host="127.0.0.1", port=10257, live="/healthz"),
        cpu="200m",
        mounts=mounts,
        settings=cluster.get("controllerManager") or {},
    )


def _scheduler(version: Version, cluster: Mapping[str, Any], node: Node) -> Component:  # noqa: ARG001 - one signature for all three
    conf = "/etc/kubernetes/scheduler.conf"
    return Component(
        name="kube-scheduler",
        image=_image("kube-scheduler", version, cluster),
        flags={
            "authentication-kubeconfig": conf,
            "authorization-kubeconfig": conf,
            "bind-address": "127.0.0.1",
            "kubeconfig": conf,
            "leader-elect": "true",
        },
        probe=Probe(host="127.0.0.1", port=10259, live="/livez", ready="/readyz"),
        cpu="100m",
        mounts=((conf, "kubeconfig", "FileOrCreate", True),),
        settings=cluster.get("scheduler") or {},
    )


def _certificate_mounts(pki: str) -> tuple[tuple[str, str, str, bool], ...]:
    return tuple(
        (pki if name == "k8s-certs" else path, name, "DirectoryOrCreate", True)
        for path, name in CERTIFICATES
    )
