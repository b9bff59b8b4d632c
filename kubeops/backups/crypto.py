"""Encryption of a bundle's parts, in the age format (age-encryption.org/v1), by pyrage.

Two ways: to public keys (`age1...`, or ssh-ed25519 and ssh-rsa), or to a key pair that is made for
the bundle and stored beside its parts as key.age, encrypted with a passphrase.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyrage

from kubeops.backups import passphrase
from kubeops.backups.store import Sink, Source, pump
from kubeops.errors import UntrustedSnapshotError, UsageError
from kubeops.model.bundle import Sealing
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


@dataclass(frozen=True, kw_only=True)
class Sealer:
    """Encrypts the parts of one bundle.

    Attributes:
        sealing: how.
        recipients: the public keys, as text.
        key: the content of key.age; None without a passphrase.
    """

    sealing: Sealing
    recipients: tuple[str, ...] = ()
    key: bytes | None = field(default=None, repr=False)

    @property
    def suffix(self) -> str:
        """What the names of encrypted parts end with."""
        return "" if self.sealing is Sealing.NONE else ".age"

    def seal(self, source: Source, sink: Sink) -> None:
        """Write all of `source` to `sink`, encrypted."""
        if self.sealing is Sealing.NONE:
            pump(source, sink)
            return
        with _guarded(source, sink) as guard:
            pyrage.encrypt_io(guard, guard, [_recipient(text) for text in self.recipients])


@dataclass(frozen=True, kw_only=True)
class Opener:
    """Decrypts the parts of one bundle."""

    identities: tuple[object, ...] = field(default=(), repr=False)  # pyrage has no types

    def open(self, source: Source, sink: Sink) -> None:
        """Write all of `source` to `sink`, decrypted.

        Raises:
            UntrustedSnapshotError: the bytes are not those that were encrypted, or no key fits.
        """
        if not self.identities:
            pump(source, sink)
            return
        try:
            with _guarded(source, sink) as guard:
                pyrage.decrypt_io(guard, guard, list(self.identities))
        except pyrage.DecryptError as error:
            raise UntrustedSnapshotError(
                f"no key of ours opens it ({error})",
                hint="backup.encrypt.identity_file must hold a key that it was encrypted to.",
            ) from error
        except _BrokenError as error:
            raise UntrustedSnapshotError(f"its encryption does not hold: {error}") from error


def sealer(keys: Keys) -> Sealer:
    """Return what encrypts a new bundle.

    Raises:
        UsageError: the passphrase file cannot be read, or a public key is none.
    """
    if keys.passphrase_file is not None:
        identity = pyrage.x25519.Identity.generate()
        key = passphrase.encrypt(f"{identity}\n".encode(), _passphrase(keys.passphrase_file))
        recipients = (str(identity.to_public()),)
        return Sealer(sealing=Sealing.PASSPHRASE, recipients=recipients, key=key)
    if keys.recipients:
        for text in keys.recipients:
            _recipient(text)
        return Sealer(sealing=Sealing.RECIPIENTS, recipients=keys.recipients)
    return Sealer(sealing=Sealing.NONE)


def opener(keys: Keys, sealing: Sealing, *, key: Callable[[], bytes]) -> Opener:
    """Return what decrypts a bundle. `key` reads its key.age, and is asked only if it has one.

    Raises:
        UsageError: the file that is needed is not given or cannot be read.
        UntrustedSnapshotError: the passphrase is wrong, or key.age is damaged.
    """
    if sealing is Sealing.NONE:
        return Opener()
    if sealing is Sealing.PASSPHRASE:
        return Opener(identities=(_unlock(key(), keys),))
    if keys.identity_file is None:
        raise UsageError(
            "the backup is encrypted to public keys, and the inventory names no private key",
            hint="Write backup.encrypt.identity_file: PATH of the age or SSH private key.",
        )
    return Opener(identities=_identities(keys.identity_file))


def check_recipient(text: str) -> None:
    """Raise ValueError when `text` is not a public key that can be encrypted to."""
    try:
        _recipient(text)
    except UsageError as error:
        raise ValueError(error.message) from error


class _BrokenError(Exception):
    """pyrage met something that is not as it should be, in what it was given to read."""


@contextmanager
def _guarded(source: Source, sink: Sink) -> Iterator["_Guard"]:
    """Pass on what `source` and `sink` raise: pyrage dresses it up as an exception of its own."""
    guard = _Guard(source, sink)
    try:
        yield guard
    except BaseException as error:
        if guard.failed is not None:
            raise guard.failed from None
        if isinstance(error, OSError):
            raise _BrokenError(str(error)) from error
        raise


class _Guard:
    """Source and sink in one that remember what they raised."""

    def __init__(self, source: Source, sink: Sink) -> None:
        self._source = source
        self._sink = sink
        self.failed: BaseException | None = None

    def read(self, size: int, /) -> bytes:
        try:
            return self._source.read(size)
        except BaseException as error:
            self.failed = error
            raise

    def write(self, data: bytes, /) -> int:
        try:
            return self._sink.write(data)
        except BaseException as error:
            self.failed = error
            raise

    def flush(self) -> None:
        self._sink.flush()


def _recipient(text: str) -> object:
    try:
        if text.startswith("ssh-"):
            return pyrage.ssh.Recipient.from_str(text)
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise UsageError(f"{text!r} is not an age or SSH public key ({error})") from error


def _unlock(key: bytes, keys: Keys) -> object:
    if keys.passphrase_file is None:
        raise UsageError(
            "the backup is encrypted with a passphrase, and the inventory names none",
            hint="Write backup.encrypt.passphrase_file: PATH of a file with the passphrase.",
        )
    secret = _passphrase(keys.passphrase_file)
    try:
        return pyrage.x25519.Identity.from_str(
            pyrage.passphrase.decrypt(key, secret).decode().strip()
        )
    except (pyrage.DecryptError, pyrage.IdentityError, UnicodeDecodeError, OSError) as error:
        raise UntrustedSnapshotError(
            f"the passphrase in {keys.passphrase_file} does not open key.age ({error})",
            hint="Is it the passphrase of the time when the backup was taken?",
        ) from error


def _passphrase(path: Path) -> str:
    try:
        secret = _read(path).partition(b"\n")[0].decode().strip()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: its first line, the passphrase, is not UTF-8") from error
    if not secret:
        raise UsageError(f"{path}: its first line, the passphrase, is empty")
    return secret


def _identities(path: Path) -> tuple[object, ...]:
    content = _read(path)
    try:
        if b"PRIVATE KEY-----" in content:
            return (pyrage.ssh.Identity.from_buffer(content),)
        lines = content.decode().split()
        found = [line for line in lines if line.startswith("AGE-SECRET-KEY-")]
        identities = tuple(pyrage.x25519.Identity.from_str(line) for line in found)
    except (pyrage.IdentityError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} holds no private key that can be used: {error}") from error
    if not identities:
        raise UsageError(f"{path} holds no private key (AGE-SECRET-KEY-1..., or an SSH key)")
    return identities


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
