"""Encrypts a few bytes with a passphrase, in the age format (age-encryption.org/v1).

Why not by pyrage, which does everything else: it chooses the work factor itself, by how much this
machine does in a second. On a fast one that takes 1 GiB of memory, to encrypt, and ever after to
decrypt, and a slow machine may refuse to. It opens what is made here, which is how it is tested.
"""

import base64
import secrets

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

WORK_FACTOR = 16
"""2^16 blocks of 1 KiB: 64 MiB, and a quarter of a second. age itself takes 2^18 by default."""

MOST = 64 << 10
"""Bytes that fit: one chunk of the format's payload."""

_VERSION = b"age-encryption.org/v1"
_FIRST_AND_LAST = bytes(11) + b"\x01"


def encrypt(plain: bytes, passphrase: str) -> bytes:
    """Return `plain` as a file of the age format with one recipient, scrypt.

    Raises:
        ValueError: `plain` is empty, or is more than `MOST` bytes.
    """
    if not 0 < len(plain) <= MOST:
        raise ValueError(f"{len(plain)} bytes are not one chunk")
    file_key, salt, nonce = (secrets.token_bytes(16) for _ in range(3))
    scrypt = Scrypt(salt=_VERSION + b"/scrypt" + salt, length=32, n=1 << WORK_FACTOR, r=8, p=1)
    wrapped = ChaCha20Poly1305(scrypt.derive(passphrase.encode())).encrypt(
        bytes(12), file_key, None
    )
    header = b"%b\n-> scrypt %b %d\n%b\n---" % (
        _VERSION,
        _base64(salt),
        WORK_FACTOR,
        _base64(wrapped),
    )
    mac = HMAC(_derived(file_key, salt=b"", info=b"header"), SHA256())
    mac.update(header)
    payload = ChaCha20Poly1305(_derived(file_key, salt=nonce, info=b"payload"))
    sealed = payload.encrypt(_FIRST_AND_LAST, plain, None)
    return header + b" " + _base64(mac.finalize()) + b"\n" + nonce + sealed


def _derived(key: bytes, *, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(key)


def _base64(content: bytes) -> bytes:
    return base64.b64encode(content).rstrip(b"=")
