"""What kubeadm keeps in the cluster: its own ConfigMaps, certificates, tokens and roles."""

import base64
import hashlib
import secrets
import string
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rehearsal import files, pki
from rehearsal.apierrors import ApiError
from rehearsal.client import Client
from rehearsal.kubeadm_common import KubeadmError, retry
from rehearsal.layout import Layout

SYSTEM = "kube-system"
TOKEN_TYPE = "bootstrap.kubernetes.io/token"  # noqa: S105 - a type of Secret
CERTIFICATE_HOURS = 2
SHARED = {
    "ca.crt": "ca.crt",
    "ca.key": "ca.key",
    "etcd-ca.crt": "etcd/ca.crt",
    "etcd-ca.key": "etcd/ca.key",
    "front-proxy-ca.crt": "front-proxy-ca.crt",
    "front-proxy-ca.key": "front-proxy-ca.key",
    "sa.key": "sa.key",
    "sa.pub": "sa.pub",
}
NONCE = 12
Obj = dict[str, Any]


def put(client: Client, resource: str, body: Obj) -> Obj:
    """Create an object, or replace the one of that name."""

    def once() -> Obj:
        try:
            return client.create(resource, body)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
        meta = body["metadata"]
        present = client.get(resource, meta["name"], namespace=meta.get("namespace", ""))
        kept = dict(body)
        if "spec" in body and resource == "services":
            kept = body | {"spec": present["spec"] | body["spec"]}
        kept["metadata"] = meta | {"resourceVersion": present["metadata"]["resourceVersion"]}
        return client.replace(resource, kept)

    return retry(once, timeout=60.0, what=f"unable to create or update {resource}")


def config_map(
    name: str, data: Mapping[str, str], *, namespace: str = SYSTEM, hashed: str = ""
) -> Obj:
    """Return a ConfigMap; the content of key `hashed` is hashed in an annotation."""
    meta: Obj = {"name": name, "namespace": namespace}
    if hashed:
        digest = hashlib.sha256(data[hashed].encode()).hexdigest()
        meta["annotations"] = {"kubeadm.kubernetes.io/component-config.hash": f"sha256:{digest}"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": dict(data)}


def upload_kubeadm_config(client: Client, cluster: Mapping[str, Any]) -> None:
    """Keep the ClusterConfiguration in the cluster."""
    files.say(
        '[upload-config] Storing the configuration used in ConfigMap "kubeadm-config" in the '
        '"kube-system" Namespace'
    )
    text = files.dump_yaml(dict(cluster))
    put(client, "configmaps", config_map("kubeadm-config", {"ClusterConfiguration": text}))
    _role(client, "kubeadm:nodes-kubeadm-config", "configmaps", "kubeadm-config")


def upload_kubelet_config(client: Client, configuration: Mapping[str, Any]) -> None:
    """Keep the kubelets' configuration in the cluster."""
    files.say(
        '[kubelet] Creating a ConfigMap "kubelet-config" in namespace kube-system with the '
        "configuration for the "
        "kubelets in the cluster"
    )
    text = files.dump_yaml(dict(configuration))
    put(client, "configmaps", config_map("kubelet-config", {"kubelet": text}, hashed="kubelet"))
    _role(client, "kubeadm:kubelet-config", "configmaps", "kubelet-config")


def _role(client: Client, name: str, resource: str, object_name: str) -> None:
    rule = {
        "apiGroups": [""],
        "resourceNames": [object_name],
        "resources": [resource],
        "verbs": ["get"],
    }
    meta = {"name": name, "namespace": SYSTEM}
    rbac = "rbac.authorization.k8s.io/v1"
    put(client, "roles", {"apiVersion": rbac, "kind": "Role", "metadata": meta, "rules": [rule]})
    subjects = [
        {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}
        for group in ("system:nodes", "system:bootstrappers:kubeadm:default-node-token")
    ]
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    binding = {
        "apiVersion": rbac,
        "kind": "RoleBinding",
        "metadata": meta,
        "roleRef": reference,
        "subjects": subjects,
    }
    put(client, "rolebindings", binding)


def cluster_role_binding(client: Client, name: str, role: str, group: str) -> None:
    """Bind a ClusterRole to a group."""
    rbac = "rbac.authorization.k8s.io"
    put(
        client,
        "clusterrolebindings",
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": rbac, "kind": "Group", "name": group}],
        },
    )


# Tokens


def new_token() -> str:
    """Return a fresh bootstrap token."""
    letters = string.ascii_lowercase + string.digits
    first = "".join(secrets.choice(letters) for _ in range(6))
    return first + "." + "".join(secrets.choice(letters) for _ in range(16))


def put_token(
    client: Client,
    token: str,
    *,
    ttl: float,
    usages: Sequence[str],
    groups: Sequence[str],
    description: str = "",
) -> Obj:
    """Keep a bootstrap token in the cluster; with a `ttl` of 0 seconds it does not expire."""
    identifier, _, secret = token.partition(".")
    data = {"token-id": identifier, "token-secret": secret}
    data |= {f"usage-bootstrap-{usage}": "true" for usage in usages}
    if groups:
        data["auth-extra-groups"] = ",".join(groups)
    if description:
        data["description"] = description
    if ttl:
        data["expiration"] = files.stamp(files.now() + timedelta(seconds=ttl))
    return put(
        client,
        "secrets",
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": TOKEN_TYPE,
            "metadata": {"name": f"bootstrap-token-{identifier}", "namespace": SYSTEM},
            "data": {key: pki.b64(value.encode()) for key, value in data.items()},
        },
    )


def bootstrap_rules(client: Client) -> None:
    """Give joining nodes their rights, telling each."""
    nodes = "system:bootstrappers:kubeadm:default-node-token"
    rows = (
        ("Node Bootstrap tokens to get nodes", "kubeadm:get-nodes", "kubeadm:get-nodes", nodes),
        (
            "Node Bootstrap tokens to post CSRs in order for nodes to get long term certificate "  # noqa: ISC004 - one text
            "credentials",
            "kubeadm:kubelet-bootstrap",
            "system:node-bootstrapper",
            nodes,
        ),
        (
            "the csrapprover controller automatically approve CSRs from a Node Bootstrap Token",
            "kubeadm:node-autoapprove-bootstrap",
            "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
            nodes,
        ),
        (
            "certificate rotation for all node client certificates in the cluster",
            "kubeadm:node-autoapprove-certificate-rotation",
            "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
            "system:nodes",
        ),
        (
            "the API server kubelet client certificate to access the kubelet API",
            "kubeadm:kubelet-api-admin",
            "system:kubelet-api-admin",
            "kubeadm:cluster-admins",
        ),
    )
    rule = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}
    put(
        client,
        "clusterroles",
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "kubeadm:get-nodes"},
            "rules": [rule],
        },
    )
    for sentence, name, role, group in rows:
        cluster_role_binding(client, name, role, group)
        files.say(f"[bootstrap-token] Configured RBAC rules to allow {sentence}")


def cluster_info(client: Client, *, server: str, ca: bytes) -> None:
    """Publish where the cluster is, for whoever wants to join."""
    files.say(
        '[bootstrap-token] Creating the "cluster-info" ConfigMap in the "kube-public" namespace'
    )
    conf = {
        "apiVersion": "v1",
        "clusters": [
            {"cluster": {"certificate-authority-data": pki.b64(ca), "server": server}, "name": ""}
        ],
        "contexts": None,
        "current-context": "",
        "kind": "Config",
        "users": None,
    }
    data = {"kubeconfig": files.dump_yaml(conf)}
    put(client, "configmaps", config_map("cluster-info", data, namespace="kube-public"))
    rbac = "rbac.authorization.k8s.io"
    meta = {"name": "kubeadm:bootstrap-signer-clusterinfo", "namespace": "kube-public"}
    rule = {
        "apiGroups": [""],
        "resourceNames": ["cluster-info"],
        "resources": ["configmaps"],
        "verbs": ["get"],
    }
    put(
        client,
        "roles",
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": meta, "rules": [rule]},
    )
    put(
        client,
        "rolebindings",
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": meta["name"]},
            "subjects": [{"apiGroup": rbac, "kind": "User", "name": "system:anonymous"}],
        },
    )


# Certificates for further control planes


def upload_certificates(client: Client, layout: Layout, folder: str, key: str) -> None:
    """Keep the shared certificates in the cluster for two hours, encrypted with `key`."""
    files.say(
        '[upload-certs] Storing the certificates in Secret "kubeadm-certs" in the '
        '"kube-system" Namespace'
    )
    token = new_token()
    made = put_token(
        client,
        token,
        ttl=CERTIFICATE_HOURS * 3600,
        usages=(),
        groups=(),
        description="Proxy for managing TTL for the kubeadm-certs secret",
    )
    owner = {
        "apiVersion": "v1",
        "blockOwnerDeletion": True,
        "controller": True,
        "kind": "Secret",
        "name": made["metadata"]["name"],
        "uid": made["metadata"]["uid"],
    }
    data = {
        name: pki.b64(encrypt((layout.at(folder) / path).read_bytes(), key))
        for name, path in SHARED.items()
        if (layout.at(folder) / path).exists()
    }
    meta = {"name": "kubeadm-certs", "namespace": SYSTEM, "ownerReferences": [owner]}
    put(
        client,
        "secrets",
        {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": meta, "data": data},
    )
    files.say("[upload-certs] Using certificate key:")
    files.say(key)


def download_certificates(client: Client, layout: Layout, folder: str, key: str) -> None:
    """Fetch the shared certificates and write them where this node keeps its own.

    Raises:
        KubeadmError: they are not there, or `key` is not theirs.
    """
    files.say(
        '[download-certs] Downloading the certificates in Secret "kubeadm-certs" in the '
        '"kube-system" Namespace'
    )
    phase = "error execution phase control-plane-prepare/download-certs: error downloading certs"
    found = client.find("secrets", "kubeadm-certs", namespace=SYSTEM)
    if found is None:
        raise KubeadmError(
            f'{phase}: error downloading the secret: Secret "kubeadm-certs" was not found in '
            'the "kube-system" '
            "Namespace. This Secret might have expired. Please, run `kubeadm init phase "
            "upload-certs --upload-certs` "
            "on a control plane to generate a new one"
        )
    try:
        plain = {name: decrypt(base64.b64decode(text), key) for name, text in found["data"].items()}
    except InvalidTag as error:
        raise KubeadmError(
            f"{phase}: error decoding secret data with provided key: cipher: message "
            "authentication failed"
        ) from error
    except ValueError as error:
        raise KubeadmError(f"{phase}: error decoding certificate key: {error}") from error
    files.say(f'[download-certs] Saving the certificates to the folder: "{folder}"')
    for name, content in plain.items():
        mode = 0o600 if name.endswith(".key") else 0o644
        files.write(layout.at(folder) / SHARED[name], content, mode=mode)


def encrypt(plain: bytes, key: str) -> bytes:
    """Encrypt with AES-GCM, the nonce in front."""
    nonce = secrets.token_bytes(NONCE)
    return nonce + AESGCM(bytes.fromhex(key)).encrypt(nonce, plain, None)


def decrypt(data: bytes, key: str) -> bytes:
    """Undo `encrypt`.

    Raises:
        InvalidTag: `key` is not the one it was encrypted with.
        ValueError: `key` is no key.
    """
    return AESGCM(bytes.fromhex(key)).decrypt(data[:NONCE], data[NONCE:], None)
