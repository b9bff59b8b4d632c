"""Parsers of certificates and kubeconfigs, of which only the public parts are ever read."""

import base64
import re
from functools import lru_cache

from kubeops.model.observed import Certificate

_PKI = "/etc/kubernetes/pki/"
_FIELD = re.compile(r"^[ -]*(server|client-certificate-data):[ ]*\"?([^\s\"]+)", re.MULTILINE)


def parse_certificate(name: str, pem: str) -> Certificate:
    """Read a PEM file's first certificate.

    Raises:
        ValueError: it holds none, or a broken one.
    """
    return _certificate(name, pem.encode())


@lru_cache(maxsize=4096)
def _certificate(name: str, pem: bytes) -> Certificate:
    from cryptography import x509  # noqa: PLC0415 - slow, and not every host has a certificate

    certificate = x509.load_pem_x509_certificate(pem)
    return Certificate(
        name=name,
        expires=certificate.not_valid_after_utc,
        authority=name == "ca" or name.endswith("-ca"),
    )


def certificate_name(path: str) -> str:
    """Return the name `kubeadm certs check-expiration` has for a file below the PKI folder."""
    return path.removeprefix(_PKI).removesuffix(".crt").replace("/", "-")


def parse_client_certificate(name: str, text: str) -> Certificate | None:
    """Read the client certificate embedded in a kubeconfig; None when it points to a file.

    Raises:
        ValueError: it is not base64, or not a certificate.
    """
    data = dict(_FIELD.findall(text)).get("client-certificate-data")
    return None if data is None else _certificate(name, base64.b64decode(data, validate=True))


def parse_server(text: str) -> str | None:
    """Read the API server a kubeconfig points to."""
    return dict(_FIELD.findall(text)).get("server")
