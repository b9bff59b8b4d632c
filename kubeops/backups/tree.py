"""The directory of an export: one file per object, fit for a repository.

A marker says of which cluster it is. Only in a directory with one are files of objects that are
gone removed, and only files at the place of the object that they hold: whatever else is there is
left alone.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

import pyrage
import yaml

from kubeops.backups import crypto, objects
from kubeops.backups.crypto import Keys, Sealer
from kubeops.errors import StoreError, UsageError
from kubeops.model.bundle import Sealing

MARKER = ".kubeops-export.json"
KEY = "key.age"
FORMAT = 1

_DEPTH = 3
_SEALED = ".age"
_PLAIN = ".yaml"


@dataclass(frozen=True, kw_only=True)
class Written:
    """What an export did to its directory: files by their paths in it, in order."""

    written: tuple[str, ...]
    unchanged: int
    removed: tuple[str, ...]


@dataclass(kw_only=True)
class Tree:
    """An export while it is made. Begin with `open_tree`, end with `finish`.

    Attributes:
        directory: where.
        cluster: whose objects.
        sealer: encrypts Secrets; None when they are not exported.
        recipients: the public keys that Secrets were encrypted to by the last export.
        versions: by path, the version of the Secret that each encrypted file held then. Encrypting
            the same again gives other bytes, so what has not changed is not written again.
    """

    directory: Path
    cluster: str
    sealer: Sealer | None
    recipients: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    _new_versions: dict[str, str] = field(default_factory=dict)
    _written: list[str] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def put(self, path: PurePosixPath, content: bytes) -> None:
        """Write a file, unless it is there with this content.

        Raises:
            StoreError: it cannot be written.
        """
        self._note(str(path), self._write(str(path), content))

    def seal(self, path: PurePosixPath, content: bytes, *, version: str) -> None:
        """Write a file encrypted, unless it is there and holds this version of the object.

        Raises:
            StoreError: it cannot be written.
        """
        assert self.sealer is not None  # noqa: S101 - who exports no Secrets has none to seal
        name = f"{path}{_SEALED}"
        self._new_versions[name] = version
        same = self.sealer.recipients == self.recipients and self.versions.get(name) == version
        if same and (self.directory / name).exists():
            self._note(name, False)  # noqa: FBT003 - as `_write` would answer
            return
        sealed = BytesIO()
        self.sealer.seal(BytesIO(content), sealed)
        self._note(name, self._write(name, sealed.getvalue()))

    def finish(self) -> Written:
        """Remove the files of objects that are gone, and write the marker.

        Without a sealer nobody looked at the Secrets, and their files stay as they are.

        Raises:
            StoreError: a file cannot be removed or written.
        """
        gone = self._gone()
        for path in gone:
            with _explained(self.directory / path):
                (self.directory / path).unlink()
            self._prune(path)
        versions = self._new_versions if self.sealer is not None else self.versions
        self.mark(versions)
        return Written(
            written=tuple(sorted(self._written)),
            unchanged=len(self._seen) - len(self._written),
            removed=tuple(gone),
        )

    def mark(self, versions: Mapping[str, str]) -> None:
        """Write the marker, and what opens the encrypted files."""
        recipients = self.sealer.recipients if self.sealer is not None else self.recipients
        marker = {
            "format": FORMAT,
            "cluster": self.cluster,
            "recipients": list(recipients),
            "secrets": dict(sorted(versions.items())),
        }
        self._write(MARKER, json.dumps(marker, indent=2).encode() + b"\n")
        if self.sealer is not None and self.sealer.key is not None:
            self._write(KEY, self.sealer.key)

    def _note(self, path: str, changed: bool) -> None:  # noqa: FBT001 - an answer handed on
        self._seen.add(path)
        if changed:
            self._written.append(path)

    def _gone(self) -> list[str]:
        """Return the paths of files of objects that are no more, in order."""
        there = {
            str(path.relative_to(self.directory))
            for path in self.directory.glob("/".join("*" * _DEPTH))
            if path.suffix == _PLAIN
        }
        sealed = {
            path
            for path in (self.versions if self.sealer is not None else ())
            if (self.directory / path).exists()
        }
        unseen = sorted((there | sealed) - self._seen)
        return [path for path in unseen if path in sealed or self._is_ours(path)]

    def _is_ours(self, path: str) -> bool:
        with _explained(self.directory / path):
            content = (self.directory / path).read_bytes()
        try:
            return str(objects.place(yaml.safe_load(content))) == path
        except (yaml.YAMLError, LookupError, TypeError, AttributeError):
            return False

    def _prune(self, path: str) -> None:
        for parent in list(Path(path).parents)[: _DEPTH - 1]:
            directory = self.directory / parent
            if any(directory.iterdir()):
                return
            directory.rmdir()

    def _write(self, path: str, content: bytes) -> bool:
        """Write the file whole or not at all; return whether it had to be written."""
        target = self.directory / path
        with _explained(target):
            if target.is_file() and target.read_bytes() == content:
                return False
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f".{target.name}.part")
            try:
                part.write_bytes(content)
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)
        return True


def open_tree(directory: Path, *, cluster: str, keys: Keys | None) -> Tree:
    """Return the export in `directory`, which is made.

    `keys` encrypt Secrets; with None they are left out.

    Raises:
        UsageError: the directory holds something else, the export of another cluster or of a newer
            kubeops; or nothing encrypts Secrets, or the passphrase file cannot be read.
        UntrustedSnapshotError: key.age there does not open with the passphrase.
        StoreError: the directory cannot be read or written.
    """
    with _explained(directory):
        directory.mkdir(parents=True, exist_ok=True)
        marker = _marker(directory, cluster)
    sealer = _sealer(directory, keys) if keys is not None else None
    tree = Tree(
        directory=directory,
        cluster=cluster,
        sealer=sealer,
        recipients=tuple(marker.get("recipients", ())),
        versions=marker.get("secrets", {}),
    )
    if not marker:
        # Before anything else: the next export goes on in what a killed one leaves behind.
        tree.mark({})
    return tree


def _marker(directory: Path, cluster: str) -> Mapping[str, Any]:
    path = directory / MARKER
    if not path.exists():
        strange = sorted(one.name for one in directory.iterdir() if not one.name.startswith("."))
        if strange:
            raise UsageError(
                f"{directory} was not made by an export and is not empty: {', '.join(strange[:3])}",
                hint="Give an empty directory, or one that does not exist: --output DIRECTORY",
            )
        return {}
    try:
        marker = json.loads(path.read_bytes())
        written, owner = marker["format"], marker["cluster"]
    except (ValueError, LookupError, TypeError) as error:
        raise UsageError(
            f"{path} cannot be understood", hint="Export into a new directory: --output DIRECTORY"
        ) from error
    if written != FORMAT:
        raise UsageError(f"{path} is of another kubeops: format {written}, this one has {FORMAT}")
    if owner != cluster:
        raise UsageError(
            f"{directory} holds the export of {owner}, and this one is of {cluster}",
            hint="One directory per cluster: --output DIRECTORY",
        )
    return marker  # type: ignore[no-any-return]  # an object, as its keys were found


def _sealer(directory: Path, keys: Keys) -> Sealer:
    """Return what encrypts; with a passphrase the key of the last export is used on."""
    key = directory / KEY
    if keys.passphrase_file is None or not key.exists():
        made = crypto.sealer(keys)
        if made.sealing is Sealing.NONE:
            raise UsageError(
                "Secrets are exported encrypted, and the inventory does not say how",
                hint="Write backup.encrypt, as inventories/example.yaml explains.",
            )
        return made
    with _explained(key):
        content = key.read_bytes()
    opened = crypto.opener(keys, Sealing.PASSPHRASE, key=lambda: content)
    recipients = tuple(str(_public(identity)) for identity in opened.identities)
    return Sealer(sealing=Sealing.PASSPHRASE, recipients=recipients, key=content)


def _public(identity: object) -> object:
    assert isinstance(identity, pyrage.x25519.Identity)  # noqa: S101 - key.age holds no other kind
    return identity.to_public()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"the export: {error.filename or path}: {error.strerror or error}",
            hint=f"See its disk and permissions: df -h {path.parent}",
        ) from error
