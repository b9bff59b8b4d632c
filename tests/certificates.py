"""Certificates and archives of PKI as values, for tests."""

import io
import tarfile
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kubeops.model.pki import REQUIRED
from tests.bundles import AT

ENDS = AT + timedelta(days=3650)
SETTINGS = {
    "apiVersion": "kubeadm.k8s.io/v1beta4",
    "kind": "ClusterConfiguration",
    "clusterName": "prod",
    "kubernetesVersion": "v1.35.4",
    "controlPlaneEndpoint": "10.0.0.10:6443",
    "networking": {
        "podSubnet": "10.244.0.0/16",
        "serviceSubnet": "10.96.0.0/12",
        "dnsDomain": "cluster.local",
    },
}


@cache
def authority(ends: datetime = ENDS) -> bytes:
    """A CA certificate, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(min(AT, ends) - timedelta(days=1))
        .not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM)


def config_map(key: str, document: Mapping[str, object]) -> str:
    """A ConfigMap of kubeadm, as kubectl prints it."""
    return yaml.safe_dump({"kind": "ConfigMap", "data": {key: yaml.safe_dump(dict(document))}})


def pki(**more: str | bytes) -> dict[str, bytes]:
    """The files of a bundle's pki.tar, by path; `more` are others, with `__` for slashes."""
    files = {path: authority() if path.endswith("ca.crt") else b"key" for path in REQUIRED}
    settings = config_map("ClusterConfiguration", SETTINGS)
    found = {**files, "cluster/kubeadm-config.yaml": settings.encode()}
    for name, content in more.items():
        path = name.replace("__", "/")
        found[path] = content.encode() if isinstance(content, str) else content
    return found


def archive(files: Mapping[str, bytes]) -> bytes:
    """A tar archive of files, mode 0600."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for path, text in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(text), 0o600
            tar.addfile(member, io.BytesIO(text))
    return content.getvalue()
