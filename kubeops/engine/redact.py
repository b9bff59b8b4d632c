"""The last door before journal, log and screen: no secret passes it.

Commands name the secrets they carry, but some secrets are born on the host and come back in
output: kubeadm prints the tokens and certificate keys it makes. Those are known by their shape.
"""

import re
from collections.abc import Mapping
from threading import Lock

from kubeops.transport.base import MASK

_SHAPES = (
    # A bootstrap token; its id alone is no secret, but nobody reads half a token.
    (re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b"), MASK),
    # `--certificate-key HEX`, and upload-certs' "Using certificate key:" with HEX on the next line.
    (re.compile(r"(?i)(certificate[- ]?key[\"':=]*\s*)[0-9a-f]{64}\b"), rf"\1{MASK}"),
    (re.compile(r"(?s)(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END|\Z)"), rf"\1{MASK}\2"),
    (re.compile(r"((?:client-key-data|token|password):\s*)[^\s\"']{8,}"), rf"\1{MASK}"),
)


class Redactor:
    """Masks the secrets of a run; it learns them from the run's commands, from any thread."""

    def __init__(self) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._turn = Lock()

    def learn(self, secrets: tuple[str, ...]) -> None:
        """Mask `secrets` from now on."""
        with self._turn:
            self._secrets |= {secret for secret in secrets if secret}

    def text(self, text: str) -> str:
        """Return `text` with every secret masked."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, MASK)
        for shape, mask in _SHAPES:
            text = shape.sub(mask, text)
        return text

    def value(self, value: object) -> object:
        """Return a JSON value with every secret in its texts masked."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self.value(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        return value
