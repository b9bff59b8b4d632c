"""Keys: what can be encrypted to, and which files are refused."""

import io
import subprocess
from pathlib import Path

import pytest

from kubeops.backups.crypto import Keys, check_recipient, opener, sealer
from kubeops.errors import StoreError, UntrustedSnapshotError, UsageError
from kubeops.model.bundle import Sealing
from tests.unit.backups.made import identity

TEXT = b"secret" * 40_000


def no_key() -> bytes:
    raise AssertionError("nobody has a key.age here")


def seal(keys: Keys) -> bytes:
    sink = io.BytesIO()
    sealer(keys).seal(io.BytesIO(TEXT), sink)
    return sink.getvalue()


def open_again(keys: Keys, content: bytes) -> bytes:
    sink = io.BytesIO()
    opener(keys, Sealing.RECIPIENTS, key=no_key).open(io.BytesIO(content), sink)
    return sink.getvalue()


def ssh_key(directory: Path, kind: str) -> Keys:
    file = directory / kind
    subprocess.run(("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", file), check=True)
    return Keys(recipients=(file.with_suffix(".pub").read_text().strip(),), identity_file=file)


@pytest.mark.parametrize("kind", ["age", "ed25519", "rsa"])
def test_kinds_of_keys(tmp_path: Path, kind: str) -> None:
    keys = identity(tmp_path) if kind == "age" else ssh_key(tmp_path, kind)
    assert open_again(keys, seal(keys)) == TEXT


def test_several_recipients(tmp_path: Path) -> None:
    one, other = identity(tmp_path, "one"), identity(tmp_path, "other")
    content = seal(Keys(recipients=(*one.recipients, *other.recipients)))
    assert open_again(one, content) == open_again(other, content) == TEXT


def test_no_key_twice(tmp_path: Path) -> None:
    keys = identity(tmp_path)
    assert seal(keys) != seal(keys)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no private key"),
        (b"hello\n", "holds no private key"),
        (b"\xff\xfe", "holds no private key that can be used"),
        (b"AGE-SECRET-KEY-1QQQQ\n", "holds no private key that can be used"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\n", "holds no private key that can be used"),
        (None, "cannot be read: No such file"),
    ],
)
def test_identity_files_that_hold_none(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "identity"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        opener(Keys(recipients=("x",), identity_file=file), Sealing.RECIPIENTS, key=no_key)
    assert said in caught.value.message


@pytest.mark.parametrize("content", [b"", b"\n", b"  \nsecret\n"])
def test_empty_passphrases(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "passphrase"
    file.write_bytes(content)
    with pytest.raises(UsageError, match="its first line, the passphrase, is empty"):
        sealer(Keys(passphrase_file=file))


@pytest.mark.parametrize("text", ["age1x", "ssh-dss AAAA", "ssh-ed25519 AAAA", "", "hello"])
def test_recipients_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not an age or SSH public key"):
        check_recipient(text)
    with pytest.raises(UsageError):
        sealer(Keys(recipients=(text,)))


def test_what_source_and_sink_raise_is_theirs(tmp_path: Path) -> None:
    class Full(io.BytesIO):
        def write(self, _data: object, /) -> int:
            raise StoreError("full")

    keys = identity(tmp_path)
    opened = opener(keys, Sealing.RECIPIENTS, key=no_key)
    with pytest.raises(StoreError, match="full"):
        opened.open(io.BytesIO(seal(keys)), Full())
    with pytest.raises(StoreError, match="full"):
        sealer(keys).seal(io.BytesIO(TEXT), Full())


def test_work_beyond_reason_is_not_done(tmp_path: Path) -> None:
    """A key.age that would take hours to open is refused at once."""
    file = tmp_path / "passphrase"
    file.write_text("x\n")
    key = (
        b"age-encryption.org/v1\n-> scrypt JovUvfHOugnB0A/6fVXVwQ 40\n"
        b"E6Id79YuE8aSpeL0iFJkzvUg5XAYUaIM4MJkXavly7o\n"
        b"--- rZ+TDTr4ERX/YzrZ+TDTr4ERX/YzrZ+TDTr4ERX/YzrZ+TDTr4E\n"
    )
    with pytest.raises(UntrustedSnapshotError, match=r"does not open key\.age"):
        opener(Keys(passphrase_file=file), Sealing.PASSPHRASE, key=lambda: key)
