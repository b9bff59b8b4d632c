"""What a controller sees and changes: the objects it watches, kept current, and writes through.

A write's answer enters the picture at once, so a controller never acts twice because its watch is a
moment behind.
"""

import threading
from collections import deque
from typing import Any

from rehearsal.apierrors import ApiError, UnreachableError
from rehearsal.client import Client

Obj = dict[str, Any]

_RETRY = 0.5
_GONE = 410
_TOMBSTONES = 2000


class Watched:
    """The objects of one resource, followed by a thread of its own."""

    def __init__(
        self, client: Client, resource: str, changed: threading.Event, *, namespace: str = ""
    ) -> None:
        self.synced = threading.Event()
        self._client = client
        self._resource = resource
        self._namespace = namespace
        self._changed = changed
        self._lock = threading.Lock()
        self._objects: dict[tuple[str, str], Obj] = {}
        self._gone: deque[str] = deque(maxlen=_TOMBSTONES)

    def all(self) -> list[Obj]:
        """Return every object, in order of namespace and name. They are shared: do not change."""
        with self._lock:
            return [self._objects[key] for key in sorted(self._objects)]

    def get(self, namespace: str, name: str) -> Obj | None:
        """Return one object, or None."""
        with self._lock:
            return self._objects.get((namespace, name))

    def take(self, obj: Obj) -> None:
        """Remember an object unless a newer state of it, or its end, is known."""
        meta = obj["metadata"]
        key = (meta.get("namespace", ""), meta["name"])
        with self._lock:
            known = self._objects.get(key)
            newer = known is None or _revision(obj) > _revision(known)
            if meta["uid"] not in self._gone and newer:
                self._objects[key] = obj
        self._changed.set()

    def drop(self, obj: Obj) -> None:
        """Forget an object that is gone."""
        meta = obj["metadata"]
        key = (meta.get("namespace", ""), meta["name"])
        with self._lock:
            self._gone.append(meta["uid"])
            if key in self._objects and self._objects[key]["metadata"]["uid"] == meta["uid"]:
                del self._objects[key]
        self._changed.set()

    def follow(self, stopped: threading.Event) -> None:
        """List and watch until stopped; meant to be a thread's target."""
        while not stopped.is_set():
            try:
                self._watch(self.relist(), stopped)
            except (ApiError, UnreachableError):
                stopped.wait(_RETRY)

    def relist(self) -> str:
        """List the objects anew; return the list's revision."""
        answer = self._client.list(self._resource, namespace=self._namespace)
        kind = answer["kind"].removesuffix("List")
        objects = {}
        for item in answer["items"]:
            item |= {"kind": kind, "apiVersion": answer["apiVersion"]}
            meta = item["metadata"]
            objects[meta.get("namespace", ""), meta["name"]] = item
        with self._lock:
            self._objects = objects
        self.synced.set()
        self._changed.set()
        return str(answer["metadata"]["resourceVersion"])

    def _watch(self, revision: str, stopped: threading.Event) -> None:
        while not stopped.is_set():
            try:
                for kind, obj in self._client.watch(
                    self._resource, namespace=self._namespace, resource_version=revision
                ):
                    revision = obj["metadata"]["resourceVersion"]
                    if kind == "DELETED":
                        self.drop(obj)
                    elif kind != "BOOKMARK":
                        self.take(obj)
            except ApiError as error:
                if error.status != _GONE:
                    raise
                return
            except UnreachableError:
                stopped.wait(_RETRY)


def _revision(obj: Obj) -> int:
    return int(obj["metadata"]["resourceVersion"])


class World:
    """Several watched resources, and the writes that go with them.

    Args:
        client: talks to the API server.
        resources: what to watch; a name may carry a namespace: `leases@kube-node-lease`.
    """

    def __init__(self, client: Client, resources: tuple[str, ...]) -> None:
        self.client = client
        self.changed = threading.Event()
        self._watched: dict[str, Watched] = {}
        for resource in resources:
            plural, _, namespace = resource.partition("@")
            self._watched[plural] = Watched(client, plural, self.changed, namespace=namespace)

    def start(self, stopped: threading.Event) -> None:
        """Begin to watch, one thread per resource."""
        for plural, watched in self._watched.items():
            threading.Thread(
                target=watched.follow, args=(stopped,), name=f"watch-{plural}", daemon=True
            ).start()

    def refresh(self) -> None:
        """List every resource once, for a caller who does not follow them."""
        for watched in self._watched.values():
            watched.relist()

    def ready(self) -> bool:
        """Whether every resource has been listed once."""
        return all(watched.synced.is_set() for watched in self._watched.values())

    def all(self, resource: str) -> list[Obj]:
        """Return all objects of a watched resource; do not change them."""
        return self._watched[resource].all()

    def get(self, resource: str, namespace: str, name: str) -> Obj | None:
        """Return one object of a watched resource, or None."""
        return self._watched[resource].get(namespace, name)

    def watches(self, resource: str) -> bool:
        """Whether a resource is among the watched."""
        return resource in self._watched

    def create(self, resource: str, obj: Obj, *, namespace: str = "") -> Obj:
        """Create an object; see `Client.create`."""
        return self._took(resource, self.client.create(resource, obj, namespace=namespace))

    def patch(self, resource: str, obj: Obj, patch: Any, *, subresource: str = "") -> Obj:
        """Merge a patch into an object, on condition that it is still as we saw it.

        Raises:
            ApiError: with reason `Conflict` when it has changed; the next turn sees the change.
        """
        meta = obj["metadata"]
        condition = {"metadata": {"resourceVersion": meta["resourceVersion"]}}
        body = {**patch, "metadata": {**patch.get("metadata", {}), **condition["metadata"]}}
        answer = self.client.patch(
            resource,
            meta["name"],
            body,
            namespace=meta.get("namespace", ""),
            subresource=subresource,
        )
        return self._took(resource, answer)

    def set_status(self, resource: str, obj: Obj, status: Obj) -> None:
        """Replace an object's status where it differs."""
        if obj.get("status") != status:
            body = {**obj, "status": status}
            self._took(resource, self.client.replace(resource, body, subresource="status"))

    def delete(self, resource: str, obj: Obj, *, grace: int | None = None) -> None:
        """Delete that very object; one that is gone already is fine."""
        meta = obj["metadata"]
        try:
            answer = self.client.delete(
                resource,
                meta["name"],
                namespace=meta.get("namespace", ""),
                grace=grace,
                uid=meta["uid"],
            )
        except ApiError as error:
            if error.reason != "NotFound":
                raise
            answer = {}
        if resource not in self._watched:
            return
        if answer.get("kind") not in (None, "Status") and _stays(answer, grace):
            self._watched[resource].take(answer)
        else:
            self._watched[resource].drop(obj)

    def _took(self, resource: str, obj: Obj) -> Obj:
        if resource in self._watched:
            self._watched[resource].take(obj)
        return obj


def _stays(answer: Obj, grace: int | None) -> bool:
    return "deletionTimestamp" in answer["metadata"] and grace != 0
