"""The API server as a function: a `Request` in, a `Response` out, no sockets.

`Api.handle` does what a real server's handler chain does: authenticate, find the resource,
authorize, run the verb, and turn every failure into a Status object.
"""

import json
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from rehearsal import eviction, patches, status
from rehearsal.access import (
    ANONYMOUS,
    Attempt,
    User,
    allowed,
    authorize,
    certificate_user,
    token_user,
)
from rehearsal.health import Health
from rehearsal.hub import Event, Hub, TooOldError
from rehearsal.objects import micro_stamp
from rehearsal.registry import Registry, Selection, selection
from rehearsal.resources import RESOURCES, Resource, by_place, named
from rehearsal.status import StatusError
from rehearsal.store import Store, StoreError
from rehearsal.writing import Writer

Obj = dict[str, Any]

_WATCH_SECONDS = 300.0
_BEAT = 10.0


class Request(NamedTuple):
    """An HTTP request. `subject` is the verified client certificate's, as `ssl` decodes it."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes = b""
    content_type: str = "application/json"
    authorization: str = ""
    subject: Any = None


class Response(NamedTuple):
    """An HTTP answer; `body` is bytes, or an iterator of chunks for a watch."""

    code: int
    body: bytes | Iterator[bytes]
    content_type: str = "application/json"
    warning: str = ""


class Target(NamedTuple):
    """A REST path, taken apart."""

    resource: Resource
    namespace: str
    name: str
    subresource: str


class Api:
    """One API server's handlers.

    Args:
        store: where the objects are.
        hub: follows that store, for watches.
        version: the server's own, such as `1.35.4`.
        service_range: addresses for Services.
        token_auth: whether bootstrap tokens are accepted.
    """

    def __init__(
        self, store: Store, hub: Hub, *, version: str, service_range: str, token_auth: bool
    ) -> None:
        self._hub = hub
        self._registry = Registry(store)
        self._writer = Writer(self._registry, service_range=service_range)
        self._health = Health(store, hub, version=version)
        self._token_auth = token_auth

    @property
    def registry(self) -> Registry:
        """The collections, for the server's own bootstrap."""
        return self._registry

    @property
    def health(self) -> Health:
        """The probes, which the server's own bootstrap completes."""
        return self._health

    def handle(self, request: Request) -> Response:
        """Answer a request; never raises."""
        try:
            return self._answer(request)
        except StatusError as error:
            return _json(error.code, error.body)
        except patches.PatchError as error:
            return _json(422, StatusError(422, "Invalid", str(error)).body)
        except StoreError as error:
            return _json(500, status.internal(str(error)).body)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            # There is no schema: an object of the wrong shape is found where it is used.
            traceback.print_exc()
            what = f"the object provided is unrecognized: {type(error).__name__}: {error}"
            return _json(400, status.bad_request(what).body)

    def _answer(self, request: Request) -> Response:
        user = self._user(request)
        target = locate(request.path)
        if target is None:
            return self._plain(request, user)
        verb = _verb(request, target)
        authorize(
            self._registry,
            user,
            Attempt(
                verb,
                request.path,
                target.resource,
                target.subresource,
                target.namespace,
                target.name,
            ),
        )
        if verb == "watch":
            return self._watch(target, request.query)
        if verb == "list":
            return self._list(target, request.query)
        if verb == "get":
            return self._get(target)
        if target.subresource == "eviction":
            return self._evict(target, request)
        code, obj = self._writer.write(
            verb,
            resource=target.resource,
            namespace=target.namespace,
            name=target.name,
            subresource=target.subresource,
            body=request.body,
            content_type=request.content_type,
            dry_run=request.query.get("dryRun") == "All",
            user=user,
            query=request.query,
        )
        return _json(code, obj)

    def _user(self, request: Request) -> User:
        user = certificate_user(request.subject)
        if user:
            return user
        kind, _, token = request.authorization.partition(" ")
        if kind.lower() != "bearer":
            return ANONYMOUS
        if not self._token_auth:
            raise status.unauthorized()
        return token_user(self._registry, token)

    # Reading

    def _get(self, target: Target) -> Response:
        if target.subresource == "log":
            self._registry.get(target.resource, target.namespace, target.name)
            text = "rehearsal: containers are stand-ins and write no log\n"
            return Response(200, text.encode(), "text/plain")
        obj = self._registry.get(target.resource, target.namespace, target.name)
        return _json(200, _scale_of(obj) if target.subresource == "scale" else obj)

    def _list(self, target: Target, query: Mapping[str, str]) -> Response:
        chosen = _selection(target, query)
        items, revision = self._registry.list(target.resource, target.namespace, chosen)
        for item in items:
            item.pop("apiVersion", None)
            item.pop("kind", None)
        body = {
            "kind": f"{target.resource.kind}List",
            "apiVersion": target.resource.api_version,
            "metadata": {"resourceVersion": str(revision)},
            "items": items,
        }
        return _json(200, body)

    def _watch(self, target: Target, query: Mapping[str, str]) -> Response:
        chosen = _selection(target, query)
        start = query.get("resourceVersion", "")
        first: list[Obj] = []
        if start in ("", "0"):
            first, revision = self._registry.list(target.resource, target.namespace, chosen)
        else:
            revision = int(start)
        limit = float(query.get("timeoutSeconds") or _WATCH_SECONDS)
        bookmarks = query.get("allowWatchBookmarks") in ("true", "1")
        lines = self._lines(target, chosen, first, revision, limit=limit, bookmarks=bookmarks)
        return Response(200, lines)

    def _lines(
        self,
        target: Target,
        chosen: Selection,
        first: list[Obj],
        revision: int,
        *,
        limit: float,
        bookmarks: bool,
    ) -> Iterator[bytes]:
        resource = target.resource
        for obj in first:
            yield _line("ADDED", obj)
        events = self._hub.follow(
            resource.keys(target.namespace),
            revision,
            beat=_BEAT,
            until=time.monotonic() + limit,
            clock=time.monotonic,
        )
        try:
            for event in events:
                if isinstance(event, Event):
                    line = _transition(event, chosen)
                    if line:
                        yield line
                elif bookmarks:
                    yield _line(
                        "BOOKMARK",
                        {
                            "kind": resource.kind,
                            "apiVersion": resource.api_version,
                            "metadata": {"resourceVersion": str(event)},
                        },
                    )
        except TooOldError as error:
            yield _line("ERROR", status.expired(str(error)).body)

    # Everything that is no object

    def _plain(self, request: Request, user: User) -> Response:
        authorize(self._registry, user, Attempt(request.method.lower(), request.path))
        path = request.path.rstrip("/")
        root = f"/{path.split('/')[1]}" if path else "/"
        pages: dict[str, Callable[[], Response]] = {
            "/version": lambda: _json(200, self._health.version()),
            "/metrics": lambda: Response(200, self._health.metrics().encode(), "text/plain"),
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews": lambda: self._review(
                request, user
            ),
            "/apis/authentication.k8s.io/v1/selfsubjectreviews": lambda: _json(201, _who(user)),
            "/api/v1/componentstatuses": lambda: _json(200, self._health.components()),
        }
        if path in pages:
            return pages[path]()
        if root in ("/livez", "/readyz", "/healthz"):
            code, text = self._health.probe(path, verbose="verbose" in request.query)
            return Response(code, text.encode(), "text/plain")
        discovered = _discover(path)
        if discovered is None:
            raise status.no_such_path()
        return _json(200, discovered)

    def _review(self, request: Request, user: User) -> Response:
        body = _decode(request.body)
        wanted = body["spec"].get("resourceAttributes") or {}
        resource = by_place(wanted.get("group", ""), "v1", wanted.get("resource", ""))
        attempt = Attempt(
            wanted.get("verb", ""),
            "",
            resource,
            wanted.get("subresource", ""),
            wanted.get("namespace", ""),
            wanted.get("name", ""),
        )
        body["status"] = {"allowed": allowed(self._registry, user, attempt)}
        return _json(201, body)

    def _evict(self, target: Target, request: Request) -> Response:
        options = _decode(request.body).get("deleteOptions") or {}
        dry_run = "All" in options.get("dryRun", []) or request.query.get("dryRun") == "All"
        answer = eviction.evict(
            self._registry, target.namespace, target.name, options, dry_run=dry_run
        )
        return _json(201, answer)


def locate(path: str) -> Target | None:
    """Take a REST path apart; None for a path outside the resources."""
    parts = path.strip("/").split("/")
    if parts[:2] == ["api", "v1"]:
        group, version, rest = "", "v1", parts[2:]
    elif parts[0] == "apis" and len(parts) > 2:  # noqa: PLR2004 - apis, group, version
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2:  # noqa: PLR2004 - namespaces, name, resource
        if rest[2] in ("status", "finalize"):
            return Target(named("namespaces"), "", rest[1], rest[2])
        namespace, rest = rest[1], rest[2:]
    resource = by_place(group, version, rest[0]) if rest else None
    if resource is None:
        return None
    name, subresource = [*rest[1:], "", ""][:2]
    return Target(resource, namespace, name, subresource)


def _verb(request: Request, target: Target) -> str:
    if request.method == "GET":
        if request.query.get("watch") in ("true", "1"):
            return "watch"
        return "get" if target.name else "list"
    if request.method == "DELETE" and not target.name:
        return "deletecollection"
    verbs = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
    verb = verbs.get(request.method)
    if verb is None:
        raise StatusError(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
    return verb


def _selection(target: Target, query: Mapping[str, str]) -> Selection:
    fields = query.get("fieldSelector", "")
    if target.name:
        fields = f"metadata.name={target.name}"
    return selection(target.resource, query.get("labelSelector", ""), fields)


def _transition(event: Event, chosen: Selection) -> bytes | None:
    """Return the watch line for a change, or None when the selector sees nothing of it."""
    before, after = event.objects()
    was, is_now = chosen.takes(before), chosen.takes(after)
    if is_now and after is not None:
        return _line("MODIFIED" if was else "ADDED", after)
    if was and before is not None:
        return _line("DELETED", before)
    return None


def _line(kind: str, obj: Obj) -> bytes:
    return json.dumps({"type": kind, "object": obj}, separators=(",", ":")).encode() + b"\n"


def _json(code: int, body: Obj) -> Response:
    return Response(code, json.dumps(body, separators=(",", ":")).encode() + b"\n")


def _decode(body: bytes) -> Obj:
    try:
        decoded = json.loads(body or b"{}")
    except ValueError as error:
        raise status.bad_request(f"the object provided is unrecognized: {error}") from error
    if not isinstance(decoded, dict):
        raise status.bad_request("the object provided is unrecognized: not an object")
    return decoded


def _scale_of(obj: Obj) -> Obj:
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": obj["metadata"],
        "spec": {"replicas": obj["spec"].get("replicas", 0)},
        "status": {"replicas": obj.get("status", {}).get("replicas", 0)},
    }


def _who(user: User) -> Obj:
    return {
        "kind": "SelfSubjectReview",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"creationTimestamp": micro_stamp()},
        "status": {"userInfo": {"username": user.name, "groups": list(user.groups)}},
    }


def _discover(path: str) -> Obj | None:
    """Return the discovery document at a path, or None."""
    places = sorted({(item.group, item.version) for item in RESOURCES if item.group})
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        groups = [
            {
                "name": group,
                "versions": [{"groupVersion": f"{group}/{version}", "version": version}],
                "preferredVersion": {"groupVersion": f"{group}/{version}", "version": version},
            }
            for group, version in places
        ]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    prefix, _, wanted = path[1:].partition("/")
    found = [
        item
        for item in RESOURCES
        if item.api_version == wanted and prefix == ("apis" if item.group else "api")
    ]
    if not found:
        return None
    resources = [
        {
            "name": item.plural,
            "singularName": item.kind.lower(),
            "namespaced": item.namespaced,
            "kind": item.kind,
            "shortNames": list(item.short),
            "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
        }
        for item in found
    ]
    return {"kind": "APIResourceList", "groupVersion": wanted, "resources": resources}
