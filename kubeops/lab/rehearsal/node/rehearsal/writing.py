"""The writing verbs: create, update, patch, apply, delete, and the subresources they go to."""

import ipaddress
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from rehearsal import patches, status
from rehearsal.access import User
from rehearsal.objects import stamp
from rehearsal.registry import Registry, Selection, selection
from rehearsal.resources import Resource, named
from rehearsal.status import StatusError

Obj = dict[str, Any]

_PATCHES = {
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/json-patch+json": "json",
    "application/apply-patch+yaml": "apply",
}
_CREATED, _OK = 201, 200


class _Write(NamedTuple):
    resource: Resource
    namespace: str
    name: str
    subresource: str
    dry_run: bool
    user: User


class Writer:
    """Runs the writing verbs.

    Args:
        registry: the collections.
        service_range: network from which Services get their addresses.
    """

    def __init__(self, registry: Registry, *, service_range: str) -> None:
        self._registry = registry
        self._services = ipaddress.ip_network(service_range.split(",", maxsplit=1)[0])

    def write(
        self,
        verb: str,
        *,
        resource: Resource,
        namespace: str,
        name: str,
        subresource: str,
        body: bytes,
        content_type: str,
        dry_run: bool,
        user: User,
        query: Mapping[str, str],
    ) -> tuple[int, Obj]:
        """Run one verb and return the HTTP status and the object to answer with.

        Raises:
            StatusError: the verb failed.
        """
        write = _Write(resource, namespace, name, subresource, dry_run, user)
        if verb == "create":
            return _CREATED, self._create(write, _object(body))
        if verb == "update":
            return _OK, self._replace(write, _object(body))
        if verb == "patch":
            return self._patch(write, body, content_type.split(";", maxsplit=1)[0])
        options = _object(body) if body else {}
        if "gracePeriodSeconds" in query:
            options["gracePeriodSeconds"] = int(query["gracePeriodSeconds"])
        write = write._replace(dry_run=dry_run or "All" in (options.get("dryRun") or []))
        if verb == "deletecollection":
            chosen = selection(
                resource, query.get("labelSelector", ""), query.get("fieldSelector", "")
            )
            return _OK, self._delete_all(write, chosen, options)
        return _OK, self._delete(write, options)

    def _create(self, write: _Write, obj: Obj) -> Obj:
        if write.subresource == "binding":
            return self._bind(write, obj)
        if write.subresource or write.name:
            raise StatusError(
                405,
                "MethodNotAllowed",
                "the server does not allow this method on the requested resource",
            )
        if obj.get("kind") not in (None, write.resource.kind):
            raise status.bad_request(
                f"{obj.get('kind')} in version {obj.get('apiVersion')!r} cannot be handled as a"
                f" {write.resource.kind}"
            )
        self._admit(write, obj)
        return self._registry.create(write.resource, write.namespace, obj, dry_run=write.dry_run)

    def _admit(self, write: _Write, obj: Obj) -> None:
        """Change what comes in before it is created, as admission plugins do."""
        kind = write.resource.kind
        if kind == "CertificateSigningRequest":
            spec = obj.setdefault("spec", {})
            spec["username"], spec["groups"] = write.user.name, list(write.user.groups)
            obj["status"] = {}
        if kind == "Service":
            self._give_address(obj)
        if kind == "Secret" and obj.get("stringData"):
            _encode_strings(obj)

    def _replace(self, write: _Write, obj: Obj) -> Obj:
        if write.subresource == "scale":
            replicas = obj["spec"]["replicas"]
            return self._change(write, lambda old: _scaled(old, replicas), part="scale")
        if write.resource.kind == "Secret" and obj.get("stringData"):
            _encode_strings(obj)
        return self._change(write, lambda _: obj, part=write.subresource)

    def _patch(self, write: _Write, body: bytes, content_type: str) -> tuple[int, Obj]:
        kind = _PATCHES.get(content_type)
        if kind is None:
            accepted = ", ".join(sorted(_PATCHES))
            raise StatusError(
                415,
                "UnsupportedMediaType",
                f"the body of the request was in an unknown format - accepted media types include:"
                f" {accepted}",
            )
        patch = _yaml(body) if kind == "apply" else _any(body)
        if kind == "apply":
            try:
                self._registry.get(write.resource, write.namespace, write.name)
            except StatusError as error:
                if error.reason != "NotFound":
                    raise
                return _CREATED, self._create(write._replace(name=""), patch)
        if write.subresource == "scale":
            replicas = patch["spec"]["replicas"]
            return _OK, self._change(write, lambda old: _scaled(old, replicas), part="scale")
        return _OK, self._change(
            write, lambda old: _patched(kind, old, patch), part=write.subresource
        )

    def _change(self, write: _Write, change: Any, *, part: str) -> Obj:
        return self._registry.update(
            write.resource,
            write.namespace,
            write.name,
            change,
            part=part,
            dry_run=write.dry_run,
        )

    def _bind(self, write: _Write, binding: Obj) -> Obj:
        node = binding["target"]["name"]

        def assign(pod: Obj) -> Obj:
            if pod["spec"].get("nodeName"):
                raise status.conflict(
                    write.resource,
                    write.name,
                    f'pod {write.name} is already assigned to node "{pod["spec"]["nodeName"]}"',
                )
            pod["spec"]["nodeName"] = node
            state = pod.setdefault("status", {})
            others = [c for c in state.get("conditions") or [] if c["type"] != "PodScheduled"]
            state["conditions"] = [*others, _scheduled()]
            return pod

        self._change(write, assign, part="binding")
        return _success()

    def _delete(self, write: _Write, options: Obj) -> Obj:
        obj = self._registry.delete(
            write.resource, write.namespace, write.name, options, dry_run=write.dry_run
        )
        if write.resource.kind == "Pod" or "deletionTimestamp" in obj["metadata"]:
            return obj
        details = {"name": write.name, "kind": write.resource.plural}
        if write.resource.group:
            details["group"] = write.resource.group
        return _success() | {"details": details | {"uid": obj["metadata"]["uid"]}}

    def _delete_all(self, write: _Write, chosen: Selection, options: Obj) -> Obj:
        items, revision = self._registry.list(write.resource, write.namespace, chosen)
        for item in items:
            meta = item["metadata"]
            self._registry.delete(
                write.resource,
                meta.get("namespace", ""),
                meta["name"],
                options,
                dry_run=write.dry_run,
            )
        return {
            "kind": f"{write.resource.kind}List",
            "apiVersion": write.resource.api_version,
            "metadata": {"resourceVersion": str(revision)},
            "items": items,
        }

    def _give_address(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        if spec.get("clusterIP") or spec.get("type") == "ExternalName":
            spec.setdefault("clusterIPs", [spec.get("clusterIP", "None")])
            return
        services, _ = self._registry.list(named("services"), "", Selection())
        taken = {item["spec"].get("clusterIP") for item in services}
        hosts = self._services.hosts()
        free = next(str(address) for address in hosts if str(address) not in taken)
        spec["clusterIP"], spec["clusterIPs"] = free, [free]


def _scheduled() -> Obj:
    return {
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": stamp(),
    }


def _patched(kind: str, old: Obj, patch: Any) -> Obj:
    if kind == "json":
        result = patches.json_patch(old, patch)
    elif kind == "merge":
        result = patches.merge(old, patch)
    else:
        result = patches.strategic(old, patch)
    if not isinstance(result, dict):
        raise patches.PatchError("the patch does not leave an object")
    return result


def _scaled(old: Obj, replicas: int) -> Obj:
    if old["spec"].get("replicas") != replicas:
        old["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
    old["spec"]["replicas"] = replicas
    return old


def _encode_strings(obj: Obj) -> None:
    import base64  # noqa: PLC0415 - few writes need it

    data = obj.setdefault("data", {})
    for key, value in obj.pop("stringData").items():
        data[key] = base64.b64encode(value.encode()).decode()


def _success() -> Obj:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}


def _any(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise status.bad_request(f"error decoding patch: {error}") from error


def _object(body: bytes) -> Obj:
    decoded = _any(body)
    if not isinstance(decoded, dict):
        raise status.bad_request("the object provided is unrecognized: not an object")
    return decoded


def _yaml(body: bytes) -> Obj:
    try:
        return _object(body)
    except StatusError:
        import yaml  # noqa: PLC0415 - only server-side apply of YAML needs it

        try:
            decoded = yaml.safe_load(body)
        except yaml.YAMLError as error:
            raise status.bad_request(f"error decoding YAML: {error}") from error
        if not isinstance(decoded, dict):
            raise status.bad_request("error decoding YAML: not an object") from None
        return decoded
