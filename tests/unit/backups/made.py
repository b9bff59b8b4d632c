"""A small bundle that is really stored."""

from dataclasses import replace
from pathlib import Path

import pyrage

from kubeops.backups import catalog, parts
from kubeops.backups.crypto import Keys, sealer
from kubeops.backups.store import Store
from kubeops.model.bundle import Bundle
from tests.bundles import bundle

SNAPSHOT = b"etcd" * 5000
PKI = b"pki" * 300


def identity(directory: Path, name: str = "identity") -> Keys:
    """Make a key pair; return the keys that encrypt to and decrypt with it."""
    made = pyrage.x25519.Identity.generate()
    file = directory / name
    file.write_text(f"# created: now\n# public key: {made.to_public()}\n{made}\n")
    return Keys(recipients=(str(made.to_public()),), identity_file=file)


def passphrase(directory: Path, text: str = "correct horse") -> Keys:
    file = directory / "passphrase"
    file.write_text(f"{text}\nthe second line is not read\n")
    return Keys(passphrase_file=file)


def stored(store: Store, keys: Keys, directory: Path) -> Bundle:
    """Put a small bundle into `store`."""
    seal = sealer(keys)
    draft = bundle()
    where = catalog.prefix(draft)

    files = {"snapshot.db": SNAPSHOT, "pki.tar": PKI}
    made = {}
    for name, content in files.items():
        file = directory / name
        file.write_bytes(content)
        made[name] = parts.store_file(store, where, name, file, sealer=seal)
        file.unlink()
    one = replace(
        draft,
        sealing=seal.sealing,
        recipients=seal.recipients,
        snapshot=made["snapshot.db"],
        pki=made["pki.tar"],
        key=parts.store_key(store, where, seal.key) if seal.key is not None else None,
    )
    catalog.commit(store, one)
    return one
