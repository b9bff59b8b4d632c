"""Brings a large file to a host, in pieces: commands take what they read from memory."""

from collections.abc import Callable
from pathlib import Path

from kubeops.transport.base import Runner


def upload(runner: Runner, source: Path, target: str, *, progress: Callable[[str], None]) -> None:
    """Copy the file `source` of this machine to the new file `target` on the host, mode 0600.

    Its directory must be there. The SHA-256 is compared on the host; until it fits, the file is
    called `TARGET.part`. Free space there is checked first. The caller removes what is left by a failure.

    Raises:
        CommandError: the disk is full, or what arrived is not what was sent.
    """
    raise NotImplementedError
