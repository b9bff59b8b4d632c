"""Encryption of a bundle's parts, in the age format (age-encryption.org/v1), by pyrage.

Two ways: to public keys (`age1...`, or ssh-ed25519 and ssh-rsa), or to a key pair that is made for
the bundle and stored beside its parts as key.age, encrypted with a passphrase.
"""

from dataclasses import dataclass
from pathlib import Path

from kubeops.model.desired import BackupPolicy


@dataclass(frozen=True, kw_only=True)
class Keys:
    """What parts are encrypted to and decrypted with. Files are read when they are needed.

    `recipients` encrypt and `identity_file` decrypts; or `passphrase_file` does both. All empty:
    parts are not encrypted.
    """

    recipients: tuple[str, ...] = ()
    identity_file: Path | None = None
    passphrase_file: Path | None = None

    @classmethod
    def of(cls, policy: BackupPolicy) -> "Keys":
        """Return the keys that `policy` names."""
        return cls(
            recipients=policy.recipients,
            identity_file=policy.identity_file,
            passphrase_file=policy.passphrase_file,
        )
