"""Bundles in a store: `CLUSTER/NAME/` proven ones, `CLUSTER/unproven/NAME/` what failed its proof.

manifest.json is written last and removed first: it is the commit record. What has no valid one is
not a bundle.
"""

from dataclasses import dataclass

from kubeops.backups.store import Store
from kubeops.model.bundle import Bundle


@dataclass(frozen=True, kw_only=True)
class Damaged:
    """Files of a bundle that cannot be listed as one: no manifest (a save that was cut off), or a bad one.

    `prefix` is where they are (`prod/20261121T023000Z-k3x9ab/`), `reason` what is wrong with them.
    """

    name: str
    prefix: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """All that a store holds of one cluster, each newest first.

    `unproven` were kept aside because a rung of their proof failed; they count for nothing.
    """

    proven: tuple[Bundle, ...]
    unproven: tuple[Bundle, ...]
    damaged: tuple[Damaged, ...]


def read_catalog(store: Store, cluster: str) -> Catalog:
    """Read the manifests of all bundles of `cluster`.

    Raises:
        StoreError: the store cannot be read.
    """
    raise NotImplementedError


def find(store: Store, cluster: str, name: str) -> Bundle:
    """Return the bundle called `name`; `latest` is the newest proven one.

    Raises:
        UsageError: there is none of that name; the hint lists those there are.
        UntrustedSnapshotError: its manifest is damaged or of a newer format, or it is unproven.
        StoreError: the store cannot be read.
    """
    raise NotImplementedError


def prefix(bundle: Bundle) -> str:
    """Return the prefix of the keys of `bundle`, with the slash at its end."""
    raise NotImplementedError


def remove(store: Store, bundle: Bundle | Damaged) -> None:
    """Remove a bundle, its manifest first, so that it is never listed half removed.

    Raises:
        StoreError: the store refuses.
    """
    raise NotImplementedError
