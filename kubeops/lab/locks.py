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
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
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
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise LockedError(
            f"another command is at work on {what}", hint="wait until it is done, or end it"
        ) from error
    finally:
        os.close(descriptor)
