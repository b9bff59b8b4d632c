"""The API server's handlers over a store in memory, and a client that needs no sockets."""

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

sys.path.insert(0, str(Path(__file__).parents[4] / "kubeops/lab/rehearsal/node"))

from rehearsal.apierrors import failure
from rehearsal.apiserver import bootstrap
from rehearsal.client import Client
from rehearsal.http_api import Api, Request, Response
from rehearsal.hub import Hub
from rehearsal.kubeconfig import Access
from rehearsal.store import Change, ConflictError, Entry, StoreError

Obj = dict[str, Any]
SERVICES = "10.96.0.0/12"


class MemoryStore:
    """A `rehearsal.store.Store` in a dictionary. `down` makes every call fail."""

    def __init__(self) -> None:
        self.down = False
        self.entries: dict[str, Entry] = {}
        self.log: list[Change] = []
        self._revision = 1
        self._changed = threading.Condition()

    def _check(self) -> None:
        if self.down:
            raise StoreError("etcdserver: request timed out")

    def get(self, key: str) -> Entry | None:
        self._check()
        return self.entries.get(key)

    def scan(self, prefix: str) -> tuple[list[Entry], int]:
        self._check()
        found = [self.entries[key] for key in sorted(self.entries) if key.startswith(prefix)]
        return found, self._revision

    def put(self, key: str, value: bytes, *, expected: int) -> int:
        return self._write(key, value, expected)

    def remove(self, key: str, *, expected: int) -> int:
        return self._write(key, None, expected)

    def revision(self, timeout: float) -> int:
        assert timeout > 0
        self._check()
        return self._revision

    def watch(self, prefix: str, revision: int) -> Iterator[Change]:
        position = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda at=position: len(self.log) > at)  # type: ignore[misc]  # binds the loop's value
                change = self.log[position]
            position += 1
            if change.revision >= revision and change.key.startswith(prefix):
                yield change

    def _write(self, key: str, value: bytes | None, expected: int) -> int:
        self._check()
        before = self.entries.get(key)
        if (before.revision if before else 0) != expected:
            raise ConflictError(key)
        self._revision += 1
        if value is None:
            del self.entries[key]
        else:
            self.entries[key] = Entry(key, value, self._revision)
        with self._changed:
            previous = before.value if before else None
            self.log.append(Change(key, value, previous, self._revision))
            self._changed.notify_all()
        return self._revision


class DirectClient(Client):
    """A client whose requests go straight to an `Api`, as the user with that certificate."""

    def __init__(
        self, api: Api, *, user: str, groups: tuple[str, ...] = (), token: str = ""
    ) -> None:
        super().__init__(Access(server="http://10.0.0.1:6443", token=token))
        self._api = api
        names = [(("organizationName", group),) for group in groups]
        self._subject = (*names, (("commonName", user),)) if user else None
        self.requests: list[str] = []

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Response:
        """Return the answer to a request, whatever it is."""
        if query:
            path = f"{path}?{urlencode(query)}"
        self.requests.append(f"{method} {path}")
        parts = urlsplit(path)
        data = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        return self._api.handle(
            Request(
                method=method,
                path=parts.path,
                query=dict(parse_qsl(parts.query, keep_blank_values=True)),
                body=data,
                content_type=content_type,
                authorization=f"Bearer {self.access.token}" if self.access.token else "",
                subject=self._subject,
            )
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout: float | None = None,
    ) -> bytes:
        assert timeout is None
        answer = self.send(method, path, query=query, body=body, content_type=content_type)
        assert isinstance(answer.body, bytes)
        if answer.code >= 300:
            raise failure(answer.code, answer.body)
        return answer.body


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def hub(store: MemoryStore) -> Hub:
    """A hub that follows the store once it is started."""
    return Hub(store)


@pytest.fixture
def api(store: MemoryStore, hub: Hub) -> Api:
    """An API server with what a new cluster has."""
    server = Api(store, hub, version="1.35.4", service_range=SERVICES, token_auth=True)
    bootstrap(server.registry, client_ca="ca", service_range=SERVICES)
    return server


@pytest.fixture
def as_user(api: Api) -> Callable[..., DirectClient]:
    """Make a client for any user."""

    def make(user: str, *groups: str, token: str = "") -> DirectClient:
        return DirectClient(api, user=user, groups=groups, token=token)

    return make


@pytest.fixture
def admin(as_user: Callable[..., DirectClient]) -> DirectClient:
    """The cluster's administrator."""
    return as_user("kubernetes-admin", "kubeadm:cluster-admins")


@pytest.fixture
def add_node(admin: DirectClient) -> Callable[..., Obj]:
    """Register a node that is Ready and carries no taint."""

    def add(name: str, **spec: Any) -> Obj:
        conditions = [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]
        body = {
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
            "status": {"conditions": conditions},
        }
        admin.create("nodes", body)
        return admin.patch("nodes", name, {"spec": {"taints": None, **spec}})

    return add


@pytest.fixture
def add_pod(admin: DirectClient) -> Callable[..., Obj]:
    """Create a pod in default; bound to a node and Ready when one is named."""

    def add(
        name: str,
        *,
        node: str = "",
        labels: dict[str, str] | None = None,
        owner: tuple[str, str] | None = None,
        volumes: tuple[Obj, ...] = (),
    ) -> Obj:
        meta: Obj = {"name": name, "namespace": "default", "labels": labels or {}}
        if owner:
            meta["ownerReferences"] = [
                {
                    "apiVersion": "apps/v1",
                    "kind": owner[0],
                    "name": owner[1],
                    "uid": f"uid-{owner[1]}",
                    "controller": True,
                }
            ]
        spec: Obj = {"containers": [{"name": "p", "image": "pause:3.10.1"}]}
        if volumes:
            spec["volumes"] = list(volumes)
        if node:
            spec["nodeName"] = node
        admin.create("pods", {"metadata": meta, "spec": spec})
        status: Obj = {"phase": "Running" if node else "Pending"}
        if node:
            status["conditions"] = [{"type": "Ready", "status": "True"}]
        return admin.patch(
            "pods", name, {"status": status}, namespace="default", subresource="status"
        )

    return add
