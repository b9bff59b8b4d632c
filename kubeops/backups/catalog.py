"""Bundles in a store: `CLUSTER/NAME/` proven ones, `CLUSTER/unproven/NAME/` what failed its proof.

manifest.json is written last and removed first: it is the commit record. What has no valid one is
not a bundle, nor is what lacks a part.
"""

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kubeops.backups.store import Store, pump
from kubeops.errors import UntrustedSnapshotError, UsageError
from kubeops.model.bundle import MANIFEST, NAME, Bundle, parse_bundle

LATEST = "latest"
_UNPROVEN = "unproven/"
_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Damaged:
    """Files of a bundle that cannot be listed as one.

    Attributes:
        name: the bundle's name.
        prefix: where the files are: `prod/20261121T023000Z-k3x9ab/`.
        reason: what is wrong with them.
        abandoned: there is no manifest: a save is under way, or was cut off. What has one is never
            removed on its own: it may be of a newer kubeops, or worth a rescue.
    """

    name: str
    prefix: str
    reason: str
    abandoned: bool


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
    found = [_read(store, *place) for place in _places(store.files(f"{cluster}/"), cluster)]
    found.sort(key=lambda one: one.name, reverse=True)
    bundles = [one for one in found if isinstance(one, Bundle)]
    return Catalog(
        proven=tuple(bundle for bundle in bundles if bundle.proven),
        unproven=tuple(bundle for bundle in bundles if not bundle.proven),
        damaged=tuple(one for one in found if isinstance(one, Damaged)),
    )


def find(store: Store, cluster: str, name: str) -> Bundle:
    """Return the bundle called `name`; `latest` is the newest proven one.

    Raises:
        UsageError: there is none of that name; the hint lists those there are.
        UntrustedSnapshotError: its manifest is damaged or of a newer format, a part is missing, or
            it is unproven.
        StoreError: the store cannot be read.
    """
    catalog = read_catalog(store, cluster)
    if name == LATEST and catalog.proven:
        return catalog.proven[0]
    for bundle in catalog.proven:
        if bundle.name == name:
            return bundle
    for bundle in catalog.unproven:
        if bundle.name == name:
            rung = bundle.proof.failed
            why = f"{rung.name}: {rung.detail}" if rung else "it was never restored"
            raise UntrustedSnapshotError(
                f"{cluster}/{name} is unproven: {why}", hint=_have(catalog)
            )
    for damaged in catalog.damaged:
        if damaged.name == name:
            raise UntrustedSnapshotError(f"{cluster}/{name}: {damaged.reason}", hint=_have(catalog))
    what = "no proven backup" if name == LATEST else f"no backup called {name}"
    raise UsageError(f"{store.url} holds {what} of {cluster}", hint=_have(catalog))


def prefix(bundle: Bundle) -> str:
    """Return the prefix of the keys of `bundle`, with the slash at its end."""
    return place(bundle.cluster, bundle.name, proven=bundle.proven)


def place(cluster: str, name: str, *, proven: bool) -> str:
    """Return the prefix of the keys of the bundle `name`, with the slash at its end."""
    return f"{cluster}/{'' if proven else _UNPROVEN}{name}/"


def commit(store: Store, bundle: Bundle) -> None:
    """Write the manifest of `bundle`: from now on it is one.

    Raises:
        StoreError: the store failed; it is none.
    """
    with store.create(prefix(bundle) + MANIFEST) as sink:
        sink.write(bundle.to_json())


def remove(store: Store, bundle: Bundle | Damaged) -> None:
    """Remove a bundle, its manifest first, so that it is never listed half removed.

    Raises:
        StoreError: the store refuses.
    """
    where = prefix(bundle) if isinstance(bundle, Bundle) else bundle.prefix
    store.delete(where + MANIFEST)
    for key in store.files(where):
        store.delete(key)


def read_manifest(store: Store, key: str) -> bytes:
    """Return the content of the manifest `key`; StoreError when there is none."""
    content = io.BytesIO()
    with store.open(key) as source:
        pump(source, content)
    return content.getvalue()


def _places(files: Mapping[str, int], cluster: str) -> Iterator[tuple[str, str, Mapping[str, int]]]:
    """Yield name, prefix and files (by name below it) of what looks like a bundle."""
    pattern = re.compile(rf"({re.escape(cluster)}/(?:{_UNPROVEN})?({NAME.pattern})/)([^/]+)")
    places: dict[tuple[str, str], dict[str, int]] = {}
    for key, size in files.items():
        match = pattern.fullmatch(key)
        if match is not None:
            places.setdefault((match[2], match[1]), {})[match[match.re.groups]] = size
    for (name, where), sizes in places.items():
        yield name, where, sizes


def _read(store: Store, name: str, where: str, sizes: Mapping[str, int]) -> Bundle | Damaged:
    def damaged(reason: str, *, abandoned: bool = False) -> Damaged:
        return Damaged(name=name, prefix=where, reason=reason, abandoned=abandoned)

    if MANIFEST not in sizes:
        return damaged("it has no manifest: its save is under way, or was cut off", abandoned=True)
    try:
        bundle = parse_bundle(
            read_manifest(store, where + MANIFEST), where=f"{store.url}/{where}{MANIFEST}"
        )
    except UntrustedSnapshotError as error:
        return damaged(error.message)
    if prefix(bundle) != where:
        return damaged(f"its manifest is that of {prefix(bundle)}")
    for part in bundle.parts:
        if sizes.get(part.name) != part.size:
            found = sizes.get(part.name, "none")
            return damaged(f"{part.name} should have {part.size} bytes, and has {found}")
    return bundle


def _have(catalog: Catalog) -> str:
    others = len(catalog.unproven) + len(catalog.damaged)
    if not catalog.proven and others:
        return (
            f"See what is wrong with the {others} there: invoke backup.list. "
            "Take a new one: invoke backup"
        )
    if not catalog.proven:
        return "Take a backup: invoke backup"
    names = ", ".join(bundle.name for bundle in catalog.proven[:_SHOWN])
    return f"Proven backups, newest first: {names}. See all: invoke backup.list"
