"""Reads the archive of PKI and configuration: whose it is, and whether it is whole."""

import hashlib
import tarfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import yaml
from cryptography import x509

from kubeops.model.pki import DIRECTORY, Pki

SETTINGS = "cluster/kubeadm-config.yaml"
_AUTHORITIES = tuple(DIRECTORY + name for name in ("ca.crt", "etcd/ca.crt", "front-proxy-ca.crt"))


def read_pki(file: Path) -> Pki:
    """Read pki.tar; keys are not looked at.

    Raises:
        ValueError: it is no archive, or what it holds cannot be understood.
    """
    try:
        with tarfile.open(file) as archive:
            paths = tuple(member.name for member in archive if member.isfile())
            content = {name: _content(archive, name, paths) for name in (*_AUTHORITIES, SETTINGS)}
    except tarfile.TarError as error:
        raise ValueError(f"it is not an archive: {error}") from error
    authority = content[_AUTHORITIES[0]]
    return Pki(
        authority=hashlib.sha256(authority).hexdigest() if authority else "",
        expires={name: _end(name, content[name]) for name in _AUTHORITIES if content[name]},
        paths=paths,
        settings=_settings(content[SETTINGS]),
    )


def _content(archive: tarfile.TarFile, name: str, paths: tuple[str, ...]) -> bytes:
    source = archive.extractfile(name) if name in paths else None
    return source.read() if source is not None else b""


def _end(name: str, pem: bytes) -> datetime:
    try:
        return x509.load_pem_x509_certificate(pem).not_valid_after_utc
    except ValueError as error:
        raise ValueError(f"{name} in it is no certificate: {error}") from error


def _settings(config_map: bytes) -> Mapping[str, object]:
    """Return the ClusterConfiguration in a ConfigMap kubeadm-config; nothing when there is none."""
    if not config_map:
        return {}
    try:
        found = yaml.safe_load(yaml.safe_load(config_map)["data"]["ClusterConfiguration"])
    except (yaml.YAMLError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{SETTINGS} in it cannot be understood: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{SETTINGS} in it holds no ClusterConfiguration")  # noqa: TRY004 - callers expect one
    return found
