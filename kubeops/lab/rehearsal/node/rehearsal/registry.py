"""What the verbs of the API mean: objects in, objects out, over a `Store`.

Writes are compare-and-swap on the object's revision: a caller who sends a `resourceVersion` gets a
Conflict when it is stale, one who sends none is retried. Deleting a pod that runs on a node marks
it and leaves the removal to that node's kubelet; finalizers keep what they name.
"""

import copy
import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

from rehearsal import defaults, status
from rehearsal.objects import (
    SelectorError,
    field_terms,
    label_terms,
    labels_of,
    matches_fields,
    matches_labels,
    moment,
    stamp,
    suffix,
)
from rehearsal.resources import Resource
from rehearsal.store import ConflictError, Entry, Store

Obj = dict[str, Any]

_ATTEMPTS = 20
_FINISHED = ("Succeeded", "Failed")
_METADATA_FIELDS = ("metadata.name", "metadata.namespace")
_FIELDS = {
    "pods": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    "nodes": ("spec.unschedulable",),
    "secrets": ("type",),
    "namespaces": ("status.phase",),
    "events": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "reason",
        "type",
        "source",
    ),
    "certificatesigningrequests": ("spec.signerName",),
    "jobs": ("status.successful",),
}


class Selection(NamedTuple):
    """Which objects of a collection are meant."""

    labels: str = ""
    fields: tuple[tuple[str, bool, str], ...] = ()

    def takes(self, obj: Obj | None) -> bool:
        """Whether the object is one of them."""
        return (
            obj is not None
            and (not self.labels or matches_labels(self.labels, labels_of(obj)))
            and matches_fields(list(self.fields), obj)
        )


def selection(resource: Resource, labels: str, fields: str) -> Selection:
    """Read the selectors of a request.

    Raises:
        StatusError: 400, a selector cannot be read or names a field the server does not index.
    """
    try:
        label_terms(labels)
        terms = tuple(field_terms(fields)) if fields else ()
    except SelectorError as error:
        raise status.bad_request(str(error)) from error
    for path, _, _ in terms:
        if path not in _METADATA_FIELDS and path not in _FIELDS.get(resource.plural, ()):
            raise status.bad_request(f"field label not supported: {path}")
    return Selection(labels, terms)


class Registry:
    """The collections of objects in a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    # Reading

    def get(self, resource: Resource, namespace: str, name: str) -> Obj:
        """Return an object.

        Raises:
            StatusError: 404.
        """
        return _decode(self._entry(resource, namespace, name))

    def list(self, resource: Resource, namespace: str, chosen: Selection) -> tuple[list[Obj], int]:
        """Return the chosen objects of a namespace (all when empty) and the list's revision."""
        entries, revision = self.store.scan(resource.keys(namespace))
        objects = (_decode(entry) for entry in entries)
        return [obj for obj in objects if chosen.takes(obj)], revision

    # Writing

    def create(
        self, resource: Resource, namespace: str, body: Obj, *, dry_run: bool = False
    ) -> Obj:
        """Create an object and return it.

        Raises:
            StatusError: 404 (its namespace), 409 (its name), 422.
        """
        obj = copy.deepcopy(body)
        meta = obj.setdefault("metadata", {})
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = f"{meta['generateName']}{suffix()}"
        obj["apiVersion"], obj["kind"] = resource.api_version, resource.kind
        if resource.namespaced:
            meta["namespace"] = namespace
            self._require_namespace(namespace, resource, meta.get("name", ""))
        else:
            meta.pop("namespace", None)
        for field in ("resourceVersion", "deletionTimestamp", "managedFields"):
            meta.pop(field, None)
        meta["uid"], meta["creationTimestamp"] = str(uuid.uuid4()), stamp()
        if defaults.counts_generations(resource):
            meta["generation"] = 1
        defaults.fill(resource, obj, creating=True)
        defaults.check(resource, obj)
        key = resource.key(namespace, meta["name"])
        if dry_run:
            if self.store.get(key):
                raise status.already_exists(resource, meta["name"])
            return obj
        try:
            revision = self.store.put(key, _encode(obj), expected=0)
        except ConflictError as error:
            raise status.already_exists(resource, meta["name"]) from error
        return _versioned(obj, revision)

    def update(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        change: Callable[[Obj], Obj],
        *,
        part: str = "",
        dry_run: bool = False,
    ) -> Obj:
        """Change an object by a function of its present state, and return the new one.

        `part` is the subresource written (`status`, `approval`, `scale` ...): `status` changes the
        status and metadata only, no part leaves the status alone, any other part takes all.

        Raises:
            StatusError: 404; 409 when the function's result carries another `resourceVersion`;
                422; whatever the function raises.
        """
        for _ in range(_ATTEMPTS):
            entry = self._entry(resource, namespace, name)
            old = _decode(entry)
            new = change(copy.deepcopy(old))
            wanted = new["metadata"].get("resourceVersion")
            if wanted and wanted != old["metadata"]["resourceVersion"]:
                raise status.conflict(resource, name)
            if new["metadata"].get("name") != name:
                raise status.bad_request(
                    f"the name of the object ({new['metadata'].get('name')}) does not match the"
                    f" name on the URL ({name})"
                )
            obj = _merged(resource, old, new, part)
            if _same(obj, old) or dry_run:
                return _versioned(obj, entry.revision)
            try:
                return self._write(resource, namespace, obj, entry)
            except ConflictError:
                continue
        raise status.conflict(resource, name)

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        options: Obj,
        *,
        dry_run: bool = False,
    ) -> Obj:
        """Delete an object, or mark it for its kubelet, controller or finalizers to remove.

        Returns:
            the object as it was or, when it stays for now, as it is.

        Raises:
            StatusError: 404; 409 when `options.preconditions` do not hold.
        """
        for _ in range(_ATTEMPTS):
            entry = self._entry(resource, namespace, name)
            obj = _decode(entry)
            _check_preconditions(resource, obj, options.get("preconditions") or {})
            grace = _grace(resource, obj, options.get("gracePeriodSeconds"))
            stays = bool(grace or obj["metadata"].get("finalizers") or _contains(resource, obj))
            if dry_run:
                return obj
            try:
                if not stays:
                    self.store.remove(entry.key, expected=entry.revision)
                    return obj
                if not _mark(obj, grace):
                    return obj
                revision = self.store.put(entry.key, _encode(obj), expected=entry.revision)
                return _versioned(obj, revision)
            except ConflictError:
                continue
        raise status.conflict(resource, name)

    def _write(self, resource: Resource, namespace: str, obj: Obj, entry: Entry) -> Obj:
        """Store a changed object, or remove one whose last finalizer is gone."""
        meta = obj["metadata"]
        released = meta.get("deletionTimestamp") and not (
            meta.get("finalizers")
            or meta.get("deletionGracePeriodSeconds")
            or _contains(resource, obj)
        )
        if released:
            self.store.remove(entry.key, expected=entry.revision)
            return obj
        key = resource.key(namespace, meta["name"])
        return _versioned(obj, self.store.put(key, _encode(obj), expected=entry.revision))

    def _entry(self, resource: Resource, namespace: str, name: str) -> Entry:
        entry = self.store.get(resource.key(namespace, name))
        if entry is None:
            raise status.not_found(resource, name)
        return entry

    def _require_namespace(self, namespace: str, resource: Resource, name: str) -> None:
        from rehearsal.resources import named  # noqa: PLC0415

        entry = self.store.get(f"/registry/namespaces/{namespace}")
        if entry is None:
            raise status.not_found(named("namespaces"), namespace)
        if _decode(entry)["metadata"].get("deletionTimestamp"):
            why = (
                f"unable to create new content in namespace {namespace} because it is being"
                " terminated"
            )
            raise status.forbidden(resource, name, why)


def _merged(resource: Resource, old: Obj, new: Obj, part: str) -> Obj:
    if part == "status":
        obj = copy.deepcopy(old)
        obj["status"] = new.get("status") or {}
        for field in ("labels", "annotations", "finalizers"):
            if field in new["metadata"]:
                obj["metadata"][field] = new["metadata"][field]
        return obj
    if part:
        return new
    obj = defaults.keep_unwritable(resource, old, new)
    obj["apiVersion"], obj["kind"] = resource.api_version, resource.kind
    defaults.fill(resource, obj, creating=False)
    defaults.check(resource, obj)
    if defaults.counts_generations(resource):
        changed = obj.get("spec") != old.get("spec")
        obj["metadata"]["generation"] = old["metadata"].get("generation", 1) + int(changed)
    return obj


def _same(new: Obj, old: Obj) -> bool:
    def bare(obj: Obj) -> Obj:
        meta = {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}
        return {**obj, "metadata": meta}

    return bare(new) == bare(old)


def _check_preconditions(resource: Resource, obj: Obj, wanted: Obj) -> None:
    meta = obj["metadata"]
    for field, label in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        if wanted.get(field) and wanted[field] != meta[field]:
            raise status.conflict(
                resource,
                meta["name"],
                f"Precondition failed: {label} in precondition: {wanted[field]}, {label} in object"
                f" meta: {meta[field]}",
            )


def _grace(resource: Resource, obj: Obj, asked: int | None) -> int:
    """Return the seconds a pod may take to stop; 0 for what goes at once."""
    if resource.kind != "Pod" or not obj["spec"].get("nodeName"):
        return 0
    if obj.get("status", {}).get("phase") in _FINISHED:
        return 0
    if asked is None:
        return int(obj["spec"].get("terminationGracePeriodSeconds", 30))
    return max(0, asked)


def _contains(resource: Resource, obj: Obj) -> bool:
    """Whether the object is a namespace that its controller must empty first."""
    return resource.kind == "Namespace" and bool(obj.get("spec", {}).get("finalizers"))


def _mark(obj: Obj, grace: int) -> bool:
    """Mark an object as being deleted; False when an earlier, shorter mark stands."""
    meta = obj["metadata"]
    marked = "deletionTimestamp" in meta
    if marked and grace >= meta.get("deletionGracePeriodSeconds", 0):
        return False
    meta["deletionTimestamp"] = stamp(moment() + timedelta(seconds=grace))
    meta["deletionGracePeriodSeconds"] = grace
    if obj["kind"] == "Namespace":
        obj["status"] = {**obj.get("status", {}), "phase": "Terminating"}
    if not marked and "generation" in meta:
        meta["generation"] += 1
    return True


def _decode(entry: Entry) -> Obj:
    return _versioned(json.loads(entry.value), entry.revision)


def _versioned(obj: Obj, revision: int) -> Obj:
    obj["metadata"]["resourceVersion"] = str(revision)
    return obj


def _encode(obj: Obj) -> bytes:
    meta = {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}
    return json.dumps({**obj, "metadata": meta}, separators=(",", ":")).encode()
