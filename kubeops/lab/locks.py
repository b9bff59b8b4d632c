"""Locks between commands on one machine; the kernel lets go of them when their holder dies."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from kubeops.errors import LockedError


@contextlib.contextmanager
def held(path: Path, *, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock file `path`, waiting for it if need be; `waiting` is called before a wait."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _take(descriptor):
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def held_directory(directory: Path, *, what: str) -> Iterator[None]:
    """Hold the lock of `directory`, which may be removed meanwhile.

    Raises:
        LockedError: somebody else holds it; `what` names what they work on.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not _take(descriptor) or not _is_still(directory, descriptor):
            raise LockedError(
                f"another command is at work on {what}", hint="wait until it is done, or end it"
            )
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(directory: Path, descriptor: int) -> bool:
    """Whether what was opened still has its name: its last holder may have removed it."""
    try:
        return os.path.samestat(directory.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
