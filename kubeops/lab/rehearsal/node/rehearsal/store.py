"""The API's objects in a real etcd, through its JSON gateway.

etcd's gRPC gateway (`/v3/kv/...`, `/v3/watch`) serves the same operations as gRPC over HTTPS with
the same client certificates, so the standard library is enough. Values are JSON where Kubernetes
writes protobuf; keys are Kubernetes' own. Every write is a transaction on the key's modification
revision, which is the object's `resourceVersion`.
"""

import base64
import http.client
import json
import ssl
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

_TIMEOUT = 10.0
_CONNECT_TIMEOUT = 2.0
_WATCH_SILENCE = 15.0
"""Seconds without a line after which a watch is dead: etcd is told to report every five."""


class StoreError(Exception):
    """etcd did not do what was asked; the message is etcd's own where it gave one."""


class ConflictError(Exception):
    """The key has changed (or appeared, or gone) since it was read."""


class CompactedError(Exception):
    """The revision a watch wants to start from is gone."""


class Entry(NamedTuple):
    """A key, its value, and the revision of its last change."""

    key: str
    value: bytes
    revision: int


class Change(NamedTuple):
    """One change of one key; `value` is None for a deletion, `previous` for a creation."""

    key: str
    value: bytes | None
    previous: bytes | None
    revision: int


class Store(Protocol):
    """What the API server needs of a store."""

    def get(self, key: str) -> Entry | None:
        """Return the newest agreed-upon value."""

    def scan(self, prefix: str) -> tuple[list[Entry], int]:
        """Return all entries below a prefix in key order, and the revision they were read at."""

    def put(self, key: str, value: bytes, *, expected: int) -> int:
        """Write if the key's revision is `expected` (0: it must not exist); return the new one."""

    def remove(self, key: str, *, expected: int) -> int:
        """Delete if the key's revision is `expected`; return the revision of the deletion."""

    def watch(self, prefix: str, revision: int) -> Iterator[Change]:
        """Yield changes from `revision` on, for ever."""

    def revision(self, timeout: float) -> int:
        """Return the store's revision by an agreed-upon read within `timeout` seconds."""


class EtcdStore:
    """A `Store` in etcd.

    Args:
        endpoints: client URLs; the first that takes a connection is used.
        cafile: authority that must have signed etcd's certificate; empty for plain HTTP.
        certfile: client certificate.
        keyfile: its key.

    Every method raises `StoreError` when etcd is unreachable, slow, or without a quorum.
    """

    def __init__(
        self, endpoints: list[str], *, cafile: str = "", certfile: str = "", keyfile: str = ""
    ) -> None:
        self._endpoints = endpoints
        self._tls: ssl.SSLContext | None = None
        if cafile:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._tls.load_verify_locations(cafile=cafile)
            self._tls.load_cert_chain(certfile, keyfile)
        self._local = threading.local()

    def get(self, key: str) -> Entry | None:
        """Return the newest agreed-upon value; see `Store`."""
        found = self._call("/v3/kv/range", {"key": _encode(key)}).get("kvs") or []
        return _entry(found[0]) if found else None

    def scan(self, prefix: str) -> tuple[list[Entry], int]:
        """Return all entries below a prefix; see `Store`."""
        answer = self._call("/v3/kv/range", _range(prefix))
        return [_entry(item) for item in answer.get("kvs") or []], _revision(answer)

    def put(self, key: str, value: bytes, *, expected: int) -> int:
        """Write a key unless it changed; see `Store`.

        Raises:
            ConflictError: its revision is not `expected`.
        """
        operation = {
            "request_put": {"key": _encode(key), "value": base64.b64encode(value).decode()}
        }
        return self._transaction(key, expected, operation)

    def remove(self, key: str, *, expected: int) -> int:
        """Delete a key unless it changed; see `Store`.

        Raises:
            ConflictError: its revision is not `expected`.
        """
        return self._transaction(key, expected, {"request_delete_range": {"key": _encode(key)}})

    def revision(self, timeout: float) -> int:
        """Return the store's revision; see `Store`."""
        query = {"key": _encode("/registry/health"), "keys_only": True}
        return _revision(self._call("/v3/kv/range", query, timeout=timeout))

    def watch(self, prefix: str, revision: int) -> Iterator[Change]:
        """Yield changes from `revision` on; see `Store`.

        One that falls silent is given up, for etcd may hang without closing it.

        Raises:
            CompactedError: the history before some later revision is gone.
        """
        request = _range(prefix) | {
            "start_revision": str(revision),
            "prev_kv": True,
            "progress_notify": True,
        }
        connection = self._connect(_CONNECT_TIMEOUT)
        socket = connection.sock
        try:
            connection.request("POST", "/v3/watch", body=json.dumps({"create_request": request}))
            response = connection.getresponse()
            socket.settimeout(_WATCH_SILENCE)
            while line := response.readline():
                yield from _changes(json.loads(line))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise StoreError(f"watch broke: {error}") from error
        finally:
            connection.close()
        raise StoreError("watch ended")

    def _transaction(self, key: str, expected: int, operation: dict[str, Any]) -> int:
        answer = self._call(
            "/v3/kv/txn",
            {
                "compare": [
                    {
                        "key": _encode(key),
                        "target": "MOD",
                        "result": "EQUAL",
                        "mod_revision": str(expected),
                    }
                ],
                "success": [operation],
            },
        )
        if not answer.get("succeeded"):
            raise ConflictError(key)
        return _revision(answer)

    def _call(
        self, path: str, body: dict[str, Any], *, timeout: float = _TIMEOUT
    ) -> dict[str, Any]:
        data = json.dumps(body)
        kept: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if kept is not None and kept.sock is not None:
            try:
                return self._exchange(kept, path, data, timeout)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                kept.close()
        fresh = self._connect(min(timeout, _CONNECT_TIMEOUT))
        self._local.connection = fresh
        try:
            return self._exchange(fresh, path, data, timeout)
        except ConnectionError as error:
            raise StoreError(str(error)) from error

    def _exchange(
        self, connection: http.client.HTTPConnection, path: str, data: str, timeout: float
    ) -> dict[str, Any]:
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        try:
            connection.request("POST", path, body=data)
            response = connection.getresponse()
            body = response.read()
        except ConnectionError:
            connection.close()
            raise
        except TimeoutError as error:
            connection.close()
            raise StoreError("etcdserver: request timed out") from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise StoreError(str(error)) from error
        try:
            answer = json.loads(body)
        except ValueError:
            answer = {}
        if response.status != http.client.OK:
            raise StoreError(answer.get("message") or f"etcd answered {response.status}")
        return dict(answer)

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        problem: Exception = StoreError("no etcd endpoint is configured")
        for endpoint in self._endpoints:
            parts = urlsplit(endpoint)
            host, port = parts.hostname or "127.0.0.1", parts.port or 2379
            connection = (
                http.client.HTTPSConnection(host, port, timeout=timeout, context=self._tls)
                if parts.scheme == "https"
                else http.client.HTTPConnection(host, port, timeout=timeout)
            )
            try:
                connection.connect()
            except OSError as error:
                connection.close()
                problem = error
            else:
                return connection
        raise StoreError(f"connection error: {problem}")


def _encode(key: str) -> str:
    return base64.b64encode(key.encode()).decode()


def _range(prefix: str) -> dict[str, Any]:
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    return {"key": _encode(prefix), "range_end": _encode(end)}


def _revision(answer: dict[str, Any]) -> int:
    return int(answer["header"]["revision"])


def _entry(item: dict[str, Any]) -> Entry:
    return Entry(
        base64.b64decode(item["key"]).decode(),
        base64.b64decode(item.get("value", "")),
        int(item.get("mod_revision", 0)),
    )


def _changes(message: dict[str, Any]) -> Iterator[Change]:
    result = message.get("result") or {}
    if result.get("canceled"):
        if result.get("compact_revision"):
            raise CompactedError(str(result["compact_revision"]))
        raise StoreError(result.get("cancel_reason", "watch cancelled"))
    if "error" in message:
        raise StoreError(str(message["error"]))
    for event in result.get("events") or []:
        entry = _entry(event["kv"])
        before = event.get("prev_kv")
        yield Change(
            entry.key,
            None if event.get("type") == "DELETE" else entry.value,
            base64.b64decode(before.get("value", "")) if before else None,
            entry.revision,
        )
