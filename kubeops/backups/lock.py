"""One backup of a cluster at a time on this machine; the kernel lets go when the holder dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kubeops.errors import LockedError


@contextmanager
def held(state: Path, cluster: str) -> Iterator[None]:
    """Hold the lock of the backups of `cluster`.

    Two machines need none: their bundles have different names, and a store takes both.

    Raises:
        LockedError: another process of this machine is taking one.
    """
    path = state / cluster / "backup.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LockedError(
                f"another backup of {cluster} is being taken on this machine",
                hint="Wait until it is done; see it with: invoke backup.list",
            ) from error
        yield
    finally:
        os.close(descriptor)
