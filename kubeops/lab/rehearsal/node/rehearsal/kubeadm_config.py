"""kubeadm's configuration: read strictly, completed with defaults, and kept in the cluster.

Reads `kubeadm.k8s.io/v1beta4`, and v1beta3 by turning it into v1beta4. Unlike the real kubeadm,
which only warns about unknown fields in `init` and `join`, every unknown field is refused: a
rehearsal is there to find them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rehearsal import files
from rehearsal.client import Client
from rehearsal.kubeadm_common import SOCKET, KubeadmError, retry
from rehearsal.kubeadm_schema import KINDS, unknown_fields
from rehearsal.version import REPOSITORY, Version, parse

Obj = dict[str, Any]
GROUP = "kubeadm.k8s.io"
CURRENT = "v1beta4"
TIMEOUTS = {
    "controlPlaneComponentHealthCheck": "4m0s",
    "discovery": "5m0s",
    "etcdAPICall": "2m0s",
    "kubeletHealthCheck": "4m0s",
    "kubernetesAPICall": "1m0s",
    "tlsBootstrap": "5m0s",
    "upgradeManifests": "5m0s",
}
TAINT = {"effect": "NoSchedule", "key": "node-role.kubernetes.io/control-plane"}
TOKEN_GROUP = "system:bootstrappers:kubeadm:default-node-token"  # noqa: S105 - a group
STABLE = (
    "could not fetch a Kubernetes version from the internet: unable to get URL "
    '"https://dl.k8s.io/release/{name}.txt": Get "https://dl.k8s.io/release/{name}.txt": dial tcp: '
    "lookup dl.k8s.io: no such host"
)


def read(path: str) -> dict[str, Obj]:
    """Return the documents of a configuration file by kind.

    Raises:
        KubeadmError: the file cannot be read, or holds something kubeadm does not know.
    """
    try:
        text = Path(path).read_text()
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise KubeadmError(
            "couldn't initialize a Kubernetes cluster: unable to read config from "
            f'"{path}": open {path}: {reason}'
            if not reason
            else f'unable to read config from "{path}" : open {path}: {reason}'
        ) from error
    return parse_documents(text)


def parse_documents(text: str) -> dict[str, Obj]:
    """Return the documents of a configuration text by kind; see `read`."""
    try:
        documents = files.load_all(text)
    except Exception as error:
        raise KubeadmError(f"error converting YAML to JSON: yaml: {error}") from error
    found: dict[str, Obj] = {}
    for document in documents:
        if (
            not isinstance(document, dict)
            or not document.get("kind")
            or not document.get("apiVersion")
        ):
            raise KubeadmError(
                "invalid configuration: kind and apiVersion is mandatory information that "
                "must be specified"
            )
        kind, api = document["kind"], document["apiVersion"]
        if kind in found:
            raise KubeadmError(f"invalid configuration: duplicate kind {kind}")
        found[kind] = _document(kind, api, document)
    if not found:
        raise KubeadmError("invalid configuration: no kubeadm API document found")
    return found


def _document(kind: str, api: str, document: Obj) -> Obj:
    group, _, version = api.partition("/")
    gvk = f'schema.GroupVersionKind{{Group:"{group}", Version:"{version}", Kind:"{kind}"}}'
    if kind not in KINDS or KINDS[kind].group != group:
        raise KubeadmError(
            f"invalid configuration for GroupVersionKind {group}/{version}, Kind={kind}: "
            "kind and apiVersion is unknown"
        )
    if group == GROUP and version == "v1beta3":
        files.warn(
            files.klog(
                "common.go:101",
                f'your configuration file uses a deprecated API spec: "{api}" (kind: '
                f'"{kind}"). Please use \'kubeadm config migrate --old-config '
                "old-config-file --new-config new-config-file', which will write the new, "
                "similar spec using a newer API version.",
            )
        )
        document = _from_v1beta3(kind, document)
    elif group == GROUP and version != CURRENT:
        raise KubeadmError(
            f'your configuration file uses an old API spec: "{api}" (kind: "{kind}"). Please '
            "use kubeadm v1."
            "22 instead and run 'kubeadm config migrate --old-config old-config-file "
            "--new-config new-config-file'"
        )
    problems = unknown_fields(kind, document)
    if problems:
        listed = ", ".join(f'unknown field "{name}"' for name in problems)
        raise KubeadmError(
            f"error unmarshaling configuration {gvk}: strict decoding error: {listed}"
        )
    return document


def _from_v1beta3(kind: str, document: Obj) -> Obj:
    turned = dict(document) | {"apiVersion": f"{GROUP}/{CURRENT}"}
    for name in ("apiServer", "controllerManager", "scheduler"):
        if isinstance(turned.get(name), dict):
            turned[name] = _listed(turned[name], "extraArgs")
            turned[name].pop("timeoutForControlPlane", None)
    if isinstance((turned.get("etcd") or {}).get("local"), dict):
        turned["etcd"] = {"local": _listed(turned["etcd"]["local"], "extraArgs")}
    if isinstance(turned.get("nodeRegistration"), dict):
        turned["nodeRegistration"] = _listed(turned["nodeRegistration"], "kubeletExtraArgs")
    if kind == "JoinConfiguration" and "timeout" in (turned.get("discovery") or {}):
        discovery = dict(turned["discovery"])
        turned["timeouts"] = {"discovery": discovery.pop("timeout")}
        turned["discovery"] = discovery
    return turned


def _listed(section: Obj, name: str) -> Obj:
    value = section.get(name)
    if isinstance(value, dict):
        return section | {name: [{"name": k, "value": str(v)} for k, v in sorted(value.items())]}
    return dict(section)


def check_documents(documents: Mapping[str, Obj], *allowed: str) -> None:
    """Refuse configuration files that hold none of the kinds a verb reads.

    Raises:
        KubeadmError: so it is.
    """
    if not any(kind in documents for kind in allowed):
        raise KubeadmError(f"no {' or '.join(allowed)} kind was found in the YAML file")


def timeouts(document: Mapping[str, Any]) -> dict[str, float]:
    """Return every timeout of a configuration in seconds."""
    given = TIMEOUTS | (document.get("timeouts") or {})
    try:
        return {name: files.duration(value) for name, value in given.items()}
    except ValueError as error:
        raise KubeadmError(f"error decoding timeouts: {error}") from error


def cluster(given: Mapping[str, Any], *, version: Version) -> Obj:
    """Return a ClusterConfiguration with every default filled in."""
    networking = {"dnsDomain": "cluster.local", "serviceSubnet": "10.96.0.0/12"}
    etcd = dict(given.get("etcd") or {})
    if "external" not in etcd:
        etcd["local"] = {"dataDir": "/var/lib/etcd"} | (etcd.get("local") or {})
    complete = {
        "apiServer": {},
        "apiVersion": f"{GROUP}/{CURRENT}",
        "caCertificateValidityPeriod": "87600h0m0s",
        "certificateValidityPeriod": "8760h0m0s",
        "certificatesDir": "/etc/kubernetes/pki",
        "clusterName": "kubernetes",
        "controllerManager": {},
        "dns": {},
        "encryptionAlgorithm": "RSA-2048",
        "imageRepository": REPOSITORY,
        "kind": "ClusterConfiguration",
        "proxy": {},
        "scheduler": {},
    }
    complete |= {key: value for key, value in given.items() if value not in (None, "")}
    complete |= {
        "etcd": etcd,
        "networking": networking | (given.get("networking") or {}),
        "kubernetesVersion": str(version),
    }
    return complete


def wanted_version(given: Mapping[str, Any], own: Version, *, quiet: bool = False) -> Version:
    """Return the release a configuration asks for; kubeadm's own when it names none.

    Raises:
        KubeadmError: it is no version.
    """
    text = str(given.get("kubernetesVersion") or "stable-1")
    if text.startswith(("stable", "latest", "ci/")):
        if not quiet:
            files.warn(files.klog("version.go:108", STABLE.format(name=text)))
            files.warn(
                files.klog("version.go:109", f"falling back to the local client version: {own}")
            )
        return own
    try:
        return parse(text)
    except ValueError as error:
        raise KubeadmError(
            f'version "{text}" doesn\'t match patterns for neither semantic version nor '
            "labels (stable, latest, ...)"
        ) from error


def init(given: Mapping[str, Any], *, address: str, hostname: str) -> Obj:
    """Return an InitConfiguration with every default filled in."""
    endpoint = {"advertiseAddress": address, "bindPort": 6443} | (
        given.get("localAPIEndpoint") or {}
    )
    tokens = given.get("bootstrapTokens") or [{}]
    return dict(given) | {
        "bootstrapTokens": [
            {
                "groups": [TOKEN_GROUP],
                "ttl": "24h0m0s",
                "usages": ["signing", "authentication"],
            }
            | token
            for token in tokens
        ],
        "localAPIEndpoint": endpoint,
        "nodeRegistration": registration(given, hostname=hostname),
    }


def registration(given: Mapping[str, Any], *, hostname: str) -> Obj:
    """Return the nodeRegistration of a configuration with every default filled in."""
    own = given.get("nodeRegistration") or {}
    base = {"criSocket": SOCKET, "imagePullPolicy": "IfNotPresent", "name": hostname.lower()}
    return (
        base
        | {key: value for key, value in own.items() if value not in (None, "")}
        | ({"taints": own["taints"]} if own.get("taints") is not None else {})
    )


def from_cluster(client: Client, *, prefix: str, timeout: float = 60.0) -> Obj:
    """Return the ClusterConfiguration kept in the cluster, telling where it came from.

    Raises:
        KubeadmError: it cannot be read.
    """
    files.say(
        f'[{prefix}] Reading configuration from the "kubeadm-config" ConfigMap in namespace '
        '"kube-system"...'
    )
    files.say(
        f"[{prefix}] Use 'kubeadm init phase upload-config kubeadm --config "
        "your-config-file' to re-upload it."
    )
    found = retry(
        lambda: client.get("configmaps", "kubeadm-config", namespace="kube-system"),
        timeout=timeout,
        what="failed to get config map",
    )
    stored = files.load_yaml(found["data"]["ClusterConfiguration"])
    return cluster(stored, version=parse(stored["kubernetesVersion"]))
