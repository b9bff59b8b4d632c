"""A small client of the Kubernetes REST API, as the stand-ins need it.

It reads kubeconfig files, keeps one TLS connection per thread, and reports failures in the words
that kubectl and kubeadm use, because their texts are what an operator's tool parses.

    client = Client.from_kubeconfig("/etc/kubernetes/admin.conf")
    node = client.get("nodes", "cp1")
    client.patch("nodes", "cp1", {"spec": {"unschedulable": True}})
    for event, pod in client.watch("pods", fields="spec.nodeName=cp1"):
        ...

Resources are named as kubectl names them (`pods`, `deployments`, `csr`). It does not do OIDC, exec
plugins, proxies or protobuf.
"""

import http.client
import json
import os
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from rehearsal.apierrors import (
    UNAUTHORIZED,
    ApiError,
    UnreachableError,
    failure,
    go_text,
    refused_certificate,
)
from rehearsal.kubeconfig import Access, KubeconfigError, load_kubeconfig
from rehearsal.resources import Resource, named

Obj = dict[str, Any]

PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}
WATCH_SILENCE = 35.0
"""Seconds without a line after which a watch is taken for dead; the server writes every 10 s."""


class Client:
    """Talks to one API server as one user. Threads may share it.

    Args:
        access: where and as whom.
        timeout: seconds allowed for a request, connecting included; watches are exempt.
        user_agent: sent to the server.
    """

    def __init__(
        self, access: Access, *, timeout: float = 32.0, user_agent: str = "rehearsal"
    ) -> None:
        self.access = access
        self.timeout = timeout
        self._agent = user_agent
        parts = urlsplit(access.server)
        self._host = parts.hostname or "localhost"
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = _tls(access) if parts.scheme == "https" else None
        self._local = threading.local()

    @classmethod
    def from_kubeconfig(cls, path: str, *, context: str = "", timeout: float = 32.0) -> Self:
        """Return a client for a kubeconfig file; see `load_kubeconfig` for the errors."""
        return cls(load_kubeconfig(path, context=context), timeout=timeout)

    @property
    def server(self) -> str:
        """`host:port` of the server."""
        return f"{self._host}:{self._port}"

    # Verbs on objects

    def get(self, resource: str, name: str, *, namespace: str = "") -> Obj:
        """Return one object.

        Raises:
            ApiError: the server refused (`reason` is `NotFound` when there is none).
            UnreachableError: no answer.
        """
        return self._object("GET", named(resource).path(namespace, name))

    def find(self, resource: str, name: str, *, namespace: str = "") -> Obj | None:
        """Return one object, or None when there is none."""
        try:
            return self.get(resource, name, namespace=namespace)
        except ApiError as error:
            if error.reason == "NotFound":
                return None
            raise

    def list(
        self, resource: str, *, namespace: str = "", labels: str = "", fields: str = ""
    ) -> Obj:
        """Return a List object; of all namespaces when `namespace` is empty."""
        query = _present({"labelSelector": labels, "fieldSelector": fields})
        return self._object("GET", named(resource).path(namespace), query=query)

    def create(
        self, resource: str, body: Obj, *, namespace: str = "", dry_run: bool = False
    ) -> Obj:
        """Create an object and return it; `namespace` defaults to the object's own."""
        kind = named(resource)
        path = kind.path(_namespace(kind, body, namespace))
        return self._object("POST", path, query=_dry(dry_run), body=body)

    def replace(self, resource: str, body: Obj, *, subresource: str = "") -> Obj:
        """Replace an object; a `resourceVersion` in it makes the write conditional."""
        kind, meta = named(resource), body["metadata"]
        path = kind.path(meta.get("namespace", ""), meta["name"], subresource)
        return self._object("PUT", path, body=body)

    def patch(
        self,
        resource: str,
        name: str,
        patch: Any,
        *,
        namespace: str = "",
        kind: str = "merge",
        subresource: str = "",
        dry_run: bool = False,
    ) -> Obj:
        """Patch an object; `kind` is a key of `PATCH_TYPES`."""
        return self._object(
            "PATCH",
            named(resource).path(namespace, name, subresource),
            query=_dry(dry_run),
            body=patch,
            content_type=PATCH_TYPES[kind],
        )

    def apply(self, resource: str, body: Obj, *, manager: str, force: bool = True) -> Obj:
        """Apply an object server-side: create it, or merge what is given into it."""
        kind, meta = named(resource), body["metadata"]
        return self._object(
            "PATCH",
            kind.path(_namespace(kind, body, ""), meta["name"]),
            query={"fieldManager": manager, "force": str(force).lower()},
            body=body,
            content_type=PATCH_TYPES["apply"],
        )

    def delete(
        self,
        resource: str,
        name: str,
        *,
        namespace: str = "",
        grace: int | None = None,
        uid: str = "",
        dry_run: bool = False,
        propagation: str = "Background",
    ) -> Obj:
        """Delete an object; `grace` in seconds, `uid` refuses when the object is another one."""
        options: Obj = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
        }
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if uid:
            options["preconditions"] = {"uid": uid}
        if dry_run:
            options["dryRun"] = ["All"]
        return self._object("DELETE", named(resource).path(namespace, name), body=options)

    def evict(
        self, name: str, namespace: str, *, grace: int | None = None, dry_run: bool = False
    ) -> Obj:
        """Evict a pod; a disruption budget in the way is an ApiError with status 429."""
        options: Obj = {}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if dry_run:
            options["dryRun"] = ["All"]
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
            "deleteOptions": options,
        }
        return self._object("POST", named("pods").path(namespace, name, "eviction"), body=body)

    def watch(
        self,
        resource: str,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        resource_version: str = "",
        timeout: int = 0,
    ) -> Iterator[tuple[str, Obj]]:
        """Yield `(type, object)`: ADDED, MODIFIED, DELETED and BOOKMARK, until the server ends.

        Without `resource_version` it starts with an ADDED event for every existing object. Objects
        leaving a selector are reported as DELETED.

        Raises:
            ApiError: refused; status 410 means that `resource_version` is too old: list again.
            UnreachableError: the connection broke or fell silent.
        """
        query = _present(
            {
                "labelSelector": labels,
                "fieldSelector": fields,
                "resourceVersion": resource_version,
                "timeoutSeconds": str(timeout) if timeout else "",
            }
        )
        query |= {"watch": "true", "allowWatchBookmarks": "true"}
        path = f"{named(resource).path(namespace)}?{urlencode(query)}"
        connection = self._connect("GET", path, WATCH_SILENCE)
        try:
            response = self._send(connection, "GET", path, None, "")
            if response.status != http.client.OK:
                raise failure(response.status, response.read())
            yield from self._events(response, path)
        finally:
            connection.close()

    def _events(self, response: http.client.HTTPResponse, path: str) -> Iterator[tuple[str, Obj]]:
        while True:
            try:
                line = response.readline()
            except (OSError, http.client.HTTPException) as error:
                raise self._unreachable("GET", path, error) from error
            if not line:
                return
            event = json.loads(line)
            if event["type"] == "ERROR":
                raise failure(event["object"].get("code", 500), line, event["object"])
            yield event["type"], event["object"]

    # Requests

    def raw(self, path: str) -> str:
        """Return the body of a GET, as `kubectl get --raw` prints it."""
        return self.request("GET", path).decode()

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
        """Send one request and return the body of a 2xx answer.

        `body` is sent as JSON unless it already is bytes. A kept-alive connection that the server
        has closed meanwhile is replaced once.

        Raises:
            ApiError: any other status.
            UnreachableError: no answer within `timeout` (default: the client's).
        """
        if query:
            path = f"{path}?{urlencode(query)}"
        data = body if isinstance(body, bytes) else None
        if body is not None and data is None:
            data = json.dumps(body).encode()
        limit = self.timeout if timeout is None else timeout
        kept: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if kept is not None and kept.sock is not None:
            kept.sock.settimeout(limit)
            try:
                return self._answer(kept, method, path, data, content_type)
            except _StaleError:
                kept.close()
        fresh = self._connect(method, path, limit)
        self._local.connection = fresh
        try:
            return self._answer(fresh, method, path, data, content_type)
        except _StaleError as error:
            raise self._unreachable(method, path, EOFError()) from error

    def close(self) -> None:
        """Close this thread's connection."""
        kept: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if kept is not None:
            kept.close()

    def _object(self, method: str, path: str, **options: Any) -> Obj:
        answer = json.loads(self.request(method, path, **options))
        return answer if isinstance(answer, dict) else {}

    def _answer(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        data: bytes | None,
        content_type: str,
    ) -> bytes:
        response = self._send(connection, method, path, data, content_type)
        try:
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._unreachable(method, path, error) from error
        if response.status >= http.client.MULTIPLE_CHOICES:
            raise failure(response.status, body)
        return body

    def _connect(self, method: str, path: str, timeout: float) -> http.client.HTTPConnection:
        connection = (
            http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._tls)
            if self._tls
            else http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        )
        try:
            connection.connect()
        except (OSError, ssl.SSLError) as error:
            connection.close()
            raise self._unreachable(method, path, error) from error
        if connection.sock is not None:
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        data: bytes | None,
        content_type: str,
    ) -> http.client.HTTPResponse:
        headers = {"Accept": "application/json", "User-Agent": self._agent}
        if data is not None:
            headers["Content-Type"] = content_type
        if self.access.token:
            headers["Authorization"] = f"Bearer {self.access.token}"
        try:
            connection.request(method, path, body=data, headers=headers)
            return connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
            connection.close()
            raise _StaleError from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            if refused_certificate(error):
                raise ApiError(401, "Unauthorized", "Unauthorized", UNAUTHORIZED) from error
            raise self._unreachable(method, path, error) from error

    def _unreachable(self, method: str, path: str, error: BaseException) -> UnreachableError:
        return UnreachableError(
            cause=go_text(error, self.server),
            request=f'{method.capitalize()} "{self.access.server}{path}"',
            server=self.server,
        )


class _StaleError(Exception):
    """The server closed a kept-alive connection before answering."""


def _tls(access: Access) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if access.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif access.ca:
        context.load_verify_locations(cadata=access.ca)
    else:
        context.load_default_certs()
    if access.certificate:
        # OpenSSL takes files only; an anonymous one keeps the key out of the file system.
        descriptor = os.memfd_create("client")
        try:
            os.write(descriptor, f"{access.certificate}\n{access.key}\n".encode())
            context.load_cert_chain(f"/proc/self/fd/{descriptor}")
        except ssl.SSLError as error:
            raise KubeconfigError(
                f"tls: failed to find any PEM data in certificate input: {error}"
            ) from error
        finally:
            os.close(descriptor)
    return context


def _namespace(resource: Resource, body: Obj, namespace: str) -> str:
    if not resource.namespaced:
        return ""
    own: str = body.get("metadata", {}).get("namespace", "")
    return own or namespace or "default"


def _present(query: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in query.items() if value}


def _dry(dry_run: bool) -> dict[str, str]:  # noqa: FBT001 - passes its callers' flag on
    return {"dryRun": "All"} if dry_run else {}
