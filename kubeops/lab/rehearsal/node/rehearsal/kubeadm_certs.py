"""`kubeadm certs check-expiration|renew|certificate-key`."""

import base64
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.x509 import Certificate

from rehearsal import files, kubeadm_config, pki
from rehearsal.apierrors import ApiError, UnreachableError
from rehearsal.cobra import Given, Spec
from rehearsal.kubeadm_common import CONFIG, Context, KubeadmError
from rehearsal.kubeadm_pki import Certificates
from rehearsal.kubelet_node import host_address
from rehearsal.manifests import Node

CHECK = CONFIG | Spec(
    values=("cert-dir", "kubeconfig-dir", "output"),
    switches=("allow-missing-template-keys", "show-managed-fields"),
    short={"o": "output"},
)
RENEW = CONFIG | Spec(values=("cert-dir",))
KEY = Spec()
ROWS = {
    "admin.conf": ("ca", ""),
    "apiserver": ("ca", "apiserver"),
    "apiserver-etcd-client": ("etcd-ca", "apiserver-etcd-client"),
    "apiserver-kubelet-client": ("ca", "apiserver-kubelet-client"),
    "controller-manager.conf": ("ca", ""),
    "etcd-healthcheck-client": ("etcd-ca", "etcd/healthcheck-client"),
    "etcd-peer": ("etcd-ca", "etcd/peer"),
    "etcd-server": ("etcd-ca", "etcd/server"),
    "front-proxy-client": ("front-proxy-ca", "front-proxy-client"),
    "scheduler.conf": ("ca", ""),
    "super-admin.conf": ("ca", ""),
}
AUTHORITIES = {"ca": "ca", "etcd-ca": "etcd/ca", "front-proxy-ca": "front-proxy-ca"}
NAMES = {
    "admin.conf": "certificate embedded in the kubeconfig file for the admin to use and for "
    "kubeadm itself",
    "apiserver": "certificate for serving the Kubernetes API",
    "apiserver-etcd-client": "certificate the apiserver uses to access etcd",
    "apiserver-kubelet-client": "certificate for the API server to connect to kubelet",
    "controller-manager.conf": "certificate embedded in the kubeconfig file for the controller "
    "manager to use",
    "etcd-healthcheck-client": "certificate for liveness probes to healthcheck etcd",
    "etcd-peer": "certificate for etcd nodes to communicate with each other",
    "etcd-server": "certificate for serving etcd",
    "front-proxy-client": "certificate for the front proxy client",
    "scheduler.conf": "certificate embedded in the kubeconfig file for the scheduler manager to "
    "use",
    "super-admin.conf": "certificate embedded in the kubeconfig file for the super-admin",
}
YEAR_SECONDS = 365 * 86400
DAY = 86400


@dataclass(frozen=True)
class Expiry:
    """One line of the table; `expires` None means that the file is missing."""

    name: str
    authority: str
    expires: datetime | None


def certificates(context: Context, cluster: Mapping[str, Any]) -> Certificates:
    """Return what makes this node's certificates, with the name and address it has."""
    layout = context.layout
    manifest = layout.manifests / "kube-apiserver.yaml"
    address, port = host_address(), 6443
    if manifest.exists():
        notes = files.load_yaml(manifest.read_text())["metadata"].get("annotations", {})
        endpoint = notes.get("kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint", "")
        if endpoint:
            address, _, number = endpoint.rpartition(":")
            port = int(number)
    node = Node(name=_own_name(context), address=address, port=port)
    return Certificates(layout=layout, cluster=cluster, node=node)


def _own_name(context: Context) -> str:
    import socket  # noqa: PLC0415 - one use

    path = context.layout.kubelet_conf
    if path.exists():
        user = files.load_yaml(path.read_text())["users"][0]["name"]
        if user.startswith("system:node:"):
            return str(user.removeprefix("system:node:"))
    return socket.gethostname().lower()


def check_expiration(context: Context, given: Given) -> int:
    """Print when each certificate expires.

    Raises:
        KubeadmError: this is no control plane.
    """
    cluster = _cluster(
        context, given, prefix="check-expiration", quiet=given.value("output") in {"json", "yaml"}
    )
    maker = certificates(context, cluster)
    _check_keys(maker)
    leaves = [
        Expiry(name, ca, _leaf_expiry(maker, name, stem)) for name, (ca, stem) in ROWS.items()
    ]
    tops = [Expiry(name, "", _expiry(maker, stem)) for name, stem in AUTHORITIES.items()]
    kind = given.value("output", "text")
    if kind == "text":
        _table(leaves, tops)
        return 0
    found = {
        "kind": "CertificateExpirationInfo",
        "apiVersion": "output.kubeadm.k8s.io/v1alpha3",
        "certificates": [_entry(expiry) for expiry in leaves],
        "certificateAuthorities": [_entry(expiry) for expiry in tops],
    }
    if kind == "json":
        files.say(json.dumps(found, indent=4))
    elif kind == "yaml":
        files.say(files.dump_yaml(found))
    else:
        raise KubeadmError(
            "could not construct output printer: unable to match a printer suitable for the "
            f"output format {kind}"
        )
    return 0


def _check_keys(maker: Certificates) -> None:
    """Fail as the real one does where the certificates' keys are not: on workers."""
    for name in ("apiserver",):
        path = maker.folder / f"{name}.key"
        if not path.exists():
            raise KubeadmError(
                "Error checking external CA condition for ca certificate authority: failure "
                f"loading key for {name}: "
                f"couldn't load the private key file {path}: open {path}: no such file or directory"
            )


def _cluster(context: Context, given: Given, *, prefix: str, quiet: bool) -> Mapping[str, Any]:
    if given.has("config"):
        documents = kubeadm_config.read(given.value("config"))
        own = documents.get("ClusterConfiguration", {})
        return kubeadm_config.cluster(
            own, version=kubeadm_config.wanted_version(own, context.version)
        )
    if context.layout.admin.exists():
        try:
            if quiet:
                client = context.client()
                found = client.get("configmaps", "kubeadm-config", namespace="kube-system")
                kept = files.load_yaml(found["data"]["ClusterConfiguration"])
                return kubeadm_config.cluster(kept, version=context.version)
            return kubeadm_config.from_cluster(context.client(), prefix=prefix, timeout=2.0)
        except (KubeadmError, ApiError, UnreachableError) as error:
            files.say(
                f"[{prefix}] Error reading configuration from the Cluster. Falling back to "
                "default configuration"
            )
            del error
    return kubeadm_config.cluster({}, version=context.version)


def _leaf_expiry(maker: Certificates, name: str, stem: str) -> datetime | None:
    if stem:
        return _expiry(maker, stem)
    path = maker.layout.kubernetes / name
    if not path.exists():
        return None
    user = files.load_yaml(path.read_text())["users"][0]["user"]
    return _moment(pki.parse_certificate(base64.b64decode(user["client-certificate-data"])))


def _expiry(maker: Certificates, stem: str) -> datetime | None:
    path = maker.folder / f"{stem}.crt"
    return _moment(pki.parse_certificate(path.read_bytes())) if path.exists() else None


def _moment(certificate: Certificate) -> datetime:
    return certificate.not_valid_after_utc


def _entry(expiry: Expiry) -> dict[str, Any]:
    found: dict[str, Any] = {"name": expiry.name}
    if expiry.expires is not None:
        found["expirationDate"] = files.stamp(expiry.expires)
        found["residualTime"] = int((expiry.expires - datetime.now(UTC)).total_seconds())
    else:
        found["expirationDate"] = None
        found["residualTime"] = 0
    found["externallyManaged"] = False
    if expiry.authority:
        found["caName"] = expiry.authority
    return found | {"missing": expiry.expires is None}


def _table(leaves: Sequence[Expiry], tops: Sequence[Expiry]) -> None:
    files.say()
    head = (
        "CERTIFICATE",
        "EXPIRES",
        "RESIDUAL TIME",
        "CERTIFICATE AUTHORITY",
        "EXTERNALLY MANAGED",
    )
    _print([head, *(_row(expiry, authority=True) for expiry in leaves)])
    files.say()
    _print(
        [
            ("CERTIFICATE AUTHORITY", "EXPIRES", "RESIDUAL TIME", "EXTERNALLY MANAGED"),
            *(_row(expiry, authority=False) for expiry in tops),
        ]
    )


def _row(expiry: Expiry, *, authority: bool) -> tuple[str, ...]:
    if expiry.expires is None:
        return (f"!MISSING! {expiry.name}", *([""] * (4 if authority else 3)))
    left = int((expiry.expires - datetime.now(UTC)).total_seconds())
    shown = (
        "<invalid>"
        if left < 0
        else f"{left // YEAR_SECONDS}y"
        if left >= YEAR_SECONDS
        else f"{left // DAY}d"
    )
    start = (expiry.name, f"{expiry.expires:%b %d, %Y %H:%M} UTC", shown)
    return (*start, expiry.authority, "no") if authority else (*start, "no")


def _print(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[i]) for row in rows) + 3 for i in range(len(rows[0]))]
    for index, row in enumerate(rows):
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        last = row[-1] if index == 0 else row[-1].ljust(8)
        files.say("".join(cells) + last)


def renew(context: Context, given: Given) -> int:
    """Renew one certificate, or all.

    Raises:
        KubeadmError: there is no certificate of that name, or it cannot be renewed.
    """
    if not given.words:
        raise KubeadmError('missing subcommand; "certs renew" is not meant to be run on its own')
    cluster = _cluster(context, given, prefix="renew", quiet=False)
    maker = certificates(context, cluster)
    everything = given.words[0] == "all"
    if not everything and given.words[0] not in ROWS:
        raise KubeadmError(f'unknown command "{given.words[0]}" for "kubeadm certs renew"')
    names = list(ROWS) if everything else [given.words[0]]
    if everything:
        _check_keys(maker)
    files.say()
    for name in names:
        if not renew_one(maker, name):
            files.say(f"MISSING! {NAMES[name]}")
            continue
        files.say(f"{NAMES[name]} renewed")
    files.say()
    if everything:
        files.say(
            "Done renewing certificates. You must restart the kube-apiserver, "
            "kube-controller-manager, kube-scheduler and etcd, so that they can use the new "
            "certificates."
        )
    return 0


def renew_one(maker: Certificates, name: str) -> bool:
    """Sign certificate `name` anew with the key and names it has; False when it is not there."""
    stem = ROWS[name][1]
    if stem:
        if not (maker.folder / f"{stem}.crt").exists():
            return False
        maker.make(stem, key=pki.new_key(maker.cluster["encryptionAlgorithm"]))
        return True
    path = maker.layout.kubernetes / name
    if not path.exists():
        return False
    before = files.load_yaml(path.read_text())
    after = files.load_yaml(maker.conf(name.removesuffix(".conf")))
    after["clusters"] = before["clusters"]
    after["contexts"], after["current-context"] = before["contexts"], before["current-context"]
    after["users"][0]["name"] = before["users"][0]["name"]
    files.write(path, files.dump_yaml(after), mode=0o600)
    return True


def certificate_key(context: Context, given: Given) -> int:
    """Print a fresh key for `upload-certs`."""
    del context, given
    files.say(secrets.token_hex(32))
    return 0


VERBS: Mapping[str, tuple[Callable[[Context, Given], int], Spec]] = {
    "certs check-expiration": (check_expiration, CHECK),
    "certs renew": (renew, RENEW),
    "certs certificate-key": (certificate_key, KEY),
}
