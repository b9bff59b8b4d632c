"""The proof: a snapshot is restored into a scratch etcd and looked at, rung by rung.

The same script climbs on the workstation and on a control plane, whichever has etcd and etcdutl.
The scratch etcd listens on Unix sockets in a directory of its own: no port, no network.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kubeops.model.bundle import Rung
from kubeops.transport.base import Runner, Transport

Progress = Callable[[str], None]

RUNGS = ("trailer", "sha256", "status", "restore", "start", "keys", "identity", "stored")
"""The ladder, in order. Each name is explained in docs/backup-format.md."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a proof is made: `runner` runs its programs, `local` says whether that is this machine."""

    runner: Runner
    local: bool


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a snapshot must hold. `uid` is empty when nobody knows it yet."""

    etcd: str
    least_revision: int
    uid: str
    registry_prefix: str = "/registry"


def find_place(transport: Transport | None, hosts: tuple[str, ...], *, etcd: str) -> Place:
    """Return where a snapshot of etcd `etcd` can be proven: here, else on the first of `hosts`.

    A place needs etcd and etcdutl, of no older minor release than `etcd`. On a control plane those
    in the running etcd container count.

    Raises:
        PreflightError: there is no such place; the hint says what to install.
    """
    raise NotImplementedError


def climb(
    snapshot: Path, expected: Expected, *, place: Place, scratch: Path, progress: Progress
) -> tuple[Rung, ...]:
    """Prove the file `snapshot` of this machine; stops at the first rung that fails.

    Returns:
        The rungs tried, all but `stored`.

    Raises:
        TransportError: the place was lost half-way. Nothing is said about the snapshot.
        StoreError: there is no space for the scratch copy.
    """
    raise NotImplementedError
