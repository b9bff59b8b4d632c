"""key.age: another implementation of the format opens it, and finds every change of it."""

import subprocess
import sys

import pyrage
import pytest

from kubeops.backups import passphrase

PLAIN = b"AGE-SECRET-KEY-1...\n"


@pytest.mark.parametrize("plain", [PLAIN, b"x", b"x" * passphrase.MOST])
def test_the_other_implementation_opens_it(plain: bytes) -> None:
    sealed = passphrase.encrypt(plain, "correct hörse")
    assert pyrage.passphrase.decrypt(sealed, "correct hörse") == plain
    assert sealed.startswith(b"age-encryption.org/v1\n-> scrypt ")
    assert sealed.splitlines()[1].endswith(b" 16")


def test_another_passphrase_does_not_open_it() -> None:
    sealed = passphrase.encrypt(PLAIN, "correct")
    with pytest.raises(pyrage.DecryptError):
        pyrage.passphrase.decrypt(sealed, "wrong")


@pytest.mark.parametrize("place", [-1, -17, -40, 140, 100, 60, 3], ids=str)
def test_every_change_is_found(place: int) -> None:
    sealed = bytearray(passphrase.encrypt(PLAIN, "correct"))
    sealed[place] ^= 1
    with pytest.raises(pyrage.DecryptError):
        pyrage.passphrase.decrypt(bytes(sealed), "correct")


def test_nothing_is_twice_the_same() -> None:
    first, second = (passphrase.encrypt(PLAIN, "correct").splitlines() for _ in range(2))
    assert set(first[1:4]).isdisjoint(second[1:4])


@pytest.mark.parametrize("plain", [b"", b"x" * (passphrase.MOST + 1)], ids=["empty", "long"])
def test_what_is_not_one_chunk(plain: bytes) -> None:
    with pytest.raises(ValueError, match="are not one chunk"):
        passphrase.encrypt(plain, "correct")


def test_memory() -> None:
    """In a process of its own: what this one has had at once is more than that already."""
    program = (
        "import resource; from kubeops.backups import passphrase;"
        "look = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10;"
        "before = look(); passphrase.encrypt(b'x', 'correct'); print(look() - before)"
    )
    ended = subprocess.run(
        (sys.executable, "-c", program), capture_output=True, text=True, check=True
    )
    assert int(ended.stdout) < 80
