"""Join secrets: made here, handed to hosts on stdin, never kept."""

import hashlib
import secrets
import string

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

TOKEN_TTL = "15m0s"  # noqa: S105 - a duration
_ALPHABET = string.ascii_lowercase + string.digits


def new_token() -> str:
    """Return a fresh bootstrap token, `[a-z0-9]{6}.[a-z0-9]{16}`."""
    draw = [secrets.choice(_ALPHABET) for _ in range(22)]
    return f"{''.join(draw[:6])}.{''.join(draw[6:])}"


def new_certificate_key() -> str:
    """Return a fresh certificate key: 32 bytes in hexadecimal."""
    return secrets.token_hex(32)


def ca_hash(certificate: bytes) -> str:
    """Return kubeadm's discovery hash of a CA certificate in PEM: sha256 of its public key."""
    key = x509.load_pem_x509_certificate(certificate).public_key()
    info = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(info).hexdigest()}"
