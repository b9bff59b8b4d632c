"""A stored bundle is read as it was written, or what is wrong with it is said."""

import random
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from kubeops.backups import catalog, parts
from kubeops.backups.crypto import Keys
from kubeops.backups.local import LocalStore
from kubeops.backups.verify import require, verify
from kubeops.errors import StoreError, UntrustedSnapshotError, UsageError
from kubeops.model.bundle import MANIFEST, Bundle, Proof
from tests.bundles import AT
from tests.failing_store import FailingStore
from tests.unit.backups.made import PKI, SNAPSHOT, identity, passphrase, stored

CORRUPTIONS = 250


def now() -> datetime:
    return AT


def silent(_line: str) -> None:
    return None


def check(one: Bundle, store: LocalStore, keys: Keys, scratch: Path) -> Proof:
    return verify(
        one, store=store, keys=keys, place=None, scratch=scratch, now=now, progress=silent
    )


def failed(proof: Proof) -> str:
    rung = proof.failed
    return f"{rung.name}: {rung.detail}" if rung else ""


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return identity(tmp_path)


@pytest.fixture
def one(store: LocalStore, keys: Keys, tmp_path: Path) -> Bundle:
    return stored(store, keys, tmp_path)


def path(tmp_path: Path, one: Bundle, name: str) -> Path:
    return tmp_path / "store" / catalog.prefix(one) / name


def test_a_sound_one(one: Bundle, store: LocalStore, keys: Keys, tmp_path: Path) -> None:
    proof = check(one, store, keys, tmp_path)
    assert (proof.holds, proof.full, proof.where) == (True, False, "localhost")
    assert [rung.name for rung in proof.rungs] == ["stored", "decrypted"]
    require(one, proof)


def test_nothing_of_it_is_readable(one: Bundle, tmp_path: Path) -> None:
    content = path(tmp_path, one, one.snapshot.name).read_bytes()
    assert content.startswith(b"age-encryption.org/v1\n-> X25519 ")
    assert b"etcdetcd" not in content


def test_fetching(one: Bundle, store: LocalStore, keys: Keys, tmp_path: Path) -> None:
    target = tmp_path / "out"
    for part, content in ((one.snapshot, SNAPSHOT), (one.pki, PKI)):
        parts.fetch(store, one, part, keys=keys, target=target, progress=silent)
        assert target.read_bytes() == content
        assert target.stat().st_mode & 0o777 == 0o600
    assert not target.with_name("out.part").exists()


def test_fetching_what_is_damaged_leaves_nothing(
    one: Bundle, store: LocalStore, keys: Keys, tmp_path: Path
) -> None:
    file = path(tmp_path, one, one.snapshot.name)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(UntrustedSnapshotError, match="its encryption does not hold"):
        parts.fetch(store, one, one.snapshot, keys=keys, target=tmp_path / "out", progress=silent)
    assert not list(tmp_path.glob("out*"))


def test_without_the_private_key_the_bytes_are_checked(
    one: Bundle, store: LocalStore, keys: Keys, tmp_path: Path
) -> None:
    public = replace(keys, identity_file=None)
    assert [rung.name for rung in check(one, store, public, tmp_path).rungs] == ["stored"]
    with pytest.raises(UsageError, match="names no private key"):
        parts.fetch(store, one, one.pki, keys=public, target=tmp_path / "out", progress=silent)


def test_encrypted_for_somebody_else(one: Bundle, store: LocalStore, tmp_path: Path) -> None:
    other = identity(tmp_path, "other")
    assert failed(check(one, store, other, tmp_path)).startswith(
        "decrypted: pki.tar.zst.age: no key"
    )


@pytest.mark.parametrize("name", ["snapshot.db.zst.age", "pki.tar.zst.age", MANIFEST])
def test_a_missing_part(
    one: Bundle, store: LocalStore, keys: Keys, tmp_path: Path, name: str
) -> None:
    path(tmp_path, one, name).unlink()
    assert failed(check(one, store, keys, tmp_path)) == f"stored: {name} is missing"
    assert catalog.read_catalog(store, "prod").proven == ()


@pytest.mark.parametrize("name", ["snapshot.db.zst.age", "pki.tar.zst.age", MANIFEST])
def test_an_empty_part(
    one: Bundle, store: LocalStore, keys: Keys, tmp_path: Path, name: str
) -> None:
    path(tmp_path, one, name).write_bytes(b"")
    proof = check(one, store, keys, tmp_path)
    assert failed(proof).startswith(f"stored: {name}")
    with pytest.raises(UntrustedSnapshotError, match="prod/20261121T023000Z-abc123: stored: "):
        require(one, proof)


def test_parts_of_another_bundle(
    one: Bundle, store: LocalStore, keys: Keys, tmp_path: Path
) -> None:
    other = stored(LocalStore(tmp_path / "other"), keys, tmp_path)
    file = path(tmp_path, one, one.pki.name)
    file.write_bytes((tmp_path / "other" / catalog.prefix(other) / one.pki.name).read_bytes())
    said = "stored: pki.tar.zst.age as it is stored has "
    assert failed(check(one, store, keys, tmp_path)).startswith(said)


def test_a_manifest_that_lies_about_the_content(
    one: Bundle, store: LocalStore, keys: Keys, tmp_path: Path
) -> None:
    lying = replace(one, pki=replace(one.pki, plain_sha256="0" * 64))
    catalog.commit(store, lying)
    assert failed(check(lying, store, keys, tmp_path)) == (
        "decrypted: what pki.tar.zst.age holds has another SHA-256 than it should"
    )


def test_a_part_that_holds_more_than_it_should(
    one: Bundle, store: LocalStore, keys: Keys, tmp_path: Path
) -> None:
    lying = replace(one, pki=replace(one.pki, plain_size=10))
    catalog.commit(store, lying)
    assert failed(check(lying, store, keys, tmp_path)) == (
        "decrypted: pki.tar.zst.age: it holds more than the 10 bytes it should"
    )


def corrupted(content: bytes, chance: random.Random) -> bytes:
    """Change `content` in one of the ways in which disks, lines and people change files."""
    at = chance.randrange(len(content))
    end = min(len(content), at + chance.randint(1, 64))
    flipped = content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]
    ways = (
        flipped,
        content[:at],
        content[:at] + bytes(end - at) + content[end:],
        content[:at] + content[end:],
        content[:at] + chance.randbytes(end - at) + content[at:],
        content + chance.randbytes(8),
        content[at:] + content[:at],
        b"",
    )
    return next(way for way in chance.sample(ways, len(ways)) if way != content)


def test_every_corruption_is_seen(
    one: Bundle, store: LocalStore, keys: Keys, tmp_path: Path
) -> None:
    chance = random.Random(20261121)  # noqa: S311 - the same corruptions every time
    names = [*(part.name for part in one.parts), MANIFEST]
    for number in range(CORRUPTIONS):
        file = path(tmp_path, one, names[number % len(names)])
        content = file.read_bytes()
        file.write_bytes(corrupted(content, chance))
        assert not check(one, store, keys, tmp_path).holds, f"corruption {number} of {file.name}"
        file.write_bytes(content)
    assert check(one, store, keys, tmp_path).holds


@pytest.mark.parametrize("number", range(40))
def test_encryption_alone_sees_corruption(
    one: Bundle, store: LocalStore, keys: Keys, tmp_path: Path, number: int
) -> None:
    """Whoever has lost the manifest: no changed part decrypts to something else."""
    chance = random.Random(number)  # noqa: S311
    file = path(tmp_path, one, one.snapshot.name)
    changed = corrupted(file.read_bytes(), chance)
    file.write_bytes(changed)
    opened = parts.open_bundle(store, one, keys)
    with pytest.raises(UntrustedSnapshotError, match=r"no key of ours|encryption does not hold"):
        parts.read_part(store, one, one.snapshot, opened=opened, sink=None)


def test_an_unencrypted_one(store: LocalStore, tmp_path: Path) -> None:
    one = stored(store, Keys(), tmp_path)
    assert [part.name for part in one.parts] == ["snapshot.db.zst", "pki.tar.zst"]
    assert check(one, store, Keys(), tmp_path).holds
    file = path(tmp_path, one, one.pki.name)
    content = file.read_bytes()
    for damaged in (content[:-3], content[:2] + b"x" + content[3:]):
        file.write_bytes(damaged)
        opened = parts.open_bundle(store, one, Keys())
        with pytest.raises(UntrustedSnapshotError):
            parts.read_part(store, one, one.pki, opened=opened, sink=None)


def test_passphrases(store: LocalStore, tmp_path: Path) -> None:
    """One test for all of it: each use of a passphrase takes its time, by design."""
    keys = passphrase(tmp_path)
    one = stored(store, keys, tmp_path)
    assert [part.name for part in one.parts][2] == "key.age"
    assert check(one, store, keys, tmp_path).holds
    with pytest.raises(UsageError, match="the inventory names none"):
        parts.open_bundle(store, one, Keys())
    wrong = check(one, store, passphrase(tmp_path, "wrong"), tmp_path)
    assert "does not open key.age" in failed(wrong)
    file = path(tmp_path, one, "key.age")
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    assert "key.age" in failed(check(one, store, keys, tmp_path))


def test_a_store_that_cannot_be_read_says_nothing_of_the_bundle(
    one: Bundle, store: LocalStore, keys: Keys, tmp_path: Path
) -> None:
    failing = FailingStore(store, broken=(one.pki.name,))
    with pytest.raises(StoreError, match="told to fail"):
        verify(
            one, store=failing, keys=keys, place=None, scratch=tmp_path, now=now, progress=silent
        )
