"""What the API server says of itself: probes, version, metrics, component statuses."""

import platform
import threading
from typing import Any

from rehearsal.hub import Hub
from rehearsal.resources import RESOURCES
from rehearsal.store import Store, StoreError

Obj = dict[str, Any]

_ETCD_TIMEOUT = 2.0
_FIRST = ("ping", "log", "etcd")
_READY_ONLY = ("etcd-readiness", "informer-sync")
_HOOKS = (
    "poststarthook/start-apiserver-admission-initializer",
    "poststarthook/generic-apiserver-start-informers",
    "poststarthook/priority-and-fairness-config-consumer",
    "poststarthook/priority-and-fairness-filter",
    "poststarthook/storage-object-count-tracker-hook",
    "poststarthook/start-apiextensions-informers",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/crd-informer-synced",
    "poststarthook/start-system-namespaces-controller",
    "poststarthook/start-cluster-authentication-info-controller",
    "poststarthook/start-kube-apiserver-identity-lease-controller",
    "poststarthook/start-kube-apiserver-identity-lease-garbage-collector",
    "poststarthook/start-legacy-token-tracking-controller",
    "poststarthook/start-service-ip-repair-controllers",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/priority-and-fairness-config-producer",
    "poststarthook/bootstrap-controller",
    "poststarthook/start-kubernetes-service-cidr-controller",
    "poststarthook/aggregator-reload-proxy-client-cert",
    "poststarthook/start-kube-aggregator-informers",
    "poststarthook/apiservice-status-local-available-controller",
    "poststarthook/apiservice-status-remote-available-controller",
    "poststarthook/apiservice-registration-controller",
    "poststarthook/apiservice-wait-for-first-sync",
    "poststarthook/apiservice-discovery-controller",
    "poststarthook/kube-apiserver-autoregistration",
    "autoregister-completion",
    "poststarthook/apiservice-openapi-controller",
    "poststarthook/apiservice-openapiv3-controller",
)
_BOOTSTRAP = "poststarthook/rbac/bootstrap-roles"


class Health:
    """The probes and pages of one server.

    Args:
        store: asked whether etcd has a quorum.
        hub: asked whether it has seen etcd.
        version: the server's own, such as `1.35.4`.
    """

    def __init__(self, store: Store, hub: Hub, *, version: str) -> None:
        self._store = store
        self._hub = hub
        self._version = version
        self._bootstrapped = threading.Event()
        self._components_asked = threading.Event()

    def mark_bootstrapped(self) -> None:
        """Note that the system's own objects exist."""
        self._bootstrapped.set()

    def probe(self, path: str, *, verbose: bool) -> tuple[int, str]:
        """Answer `/livez`, `/readyz`, `/healthz` or one check below them."""
        kind, _, single = path[1:].partition("/")
        failed = self._failed()
        if single:
            if single in failed:
                return 500, f"internal server error: {failed[single]}"
            return 200, "ok"
        names = [*_FIRST, *(_READY_ONLY if kind == "readyz" else ()), *_HOOKS]
        if kind == "readyz":
            names.append("shutdown")
        lines = [
            f"[-]{name} failed: reason withheld" if name in failed else f"[+]{name} ok"
            for name in names
        ]
        if any(name in failed for name in names):
            return 500, "\n".join([*lines, f"{kind} check failed", ""])
        return 200, "\n".join([*lines, f"{kind} check passed", ""]) if verbose else "ok"

    def _failed(self) -> dict[str, str]:
        failed: dict[str, str] = {}
        try:
            self._store.revision(timeout=_ETCD_TIMEOUT)
        except StoreError as error:
            failed["etcd"] = failed["etcd-readiness"] = str(error)
        if not self._hub.synced:
            failed["informer-sync"] = "1 informers not started yet: [etcd]"
        if not self._bootstrapped.is_set():
            failed[_BOOTSTRAP] = "not finished"
        return failed

    def version(self) -> Obj:
        """Return the `/version` page; its gitVersion says that this is a rehearsal."""
        major, minor, _ = self._version.split(".", 2)
        return {
            "major": major,
            "minor": minor,
            "emulationMajor": major,
            "emulationMinor": minor,
            "minCompatibilityMajor": major,
            "minCompatibilityMinor": str(int(minor) - 1),
            "gitVersion": f"v{self._version}+rehearsal",
            "gitCommit": "",
            "gitTreeState": "clean",
            "buildDate": "1970-01-01T00:00:00Z",
            "goVersion": f"python{platform.python_version()}",
            "compiler": "cpython",
            "platform": "linux/amd64",
        }

    def components(self) -> Obj:
        """Return the deprecated component statuses; etcd's is asked for, the others assumed."""
        self._components_asked.set()
        etcd = "etcd" not in self._failed()
        healthy = {"scheduler": True, "controller-manager": True, "etcd-0": etcd}
        items = [
            {
                "metadata": {"name": name},
                "conditions": [
                    {
                        "type": "Healthy",
                        "status": str(good),
                        "message": "ok" if good else "",
                    }
                ],
            }
            for name, good in healthy.items()
        ]
        return {
            "kind": "ComponentStatusList",
            "apiVersion": "v1",
            "metadata": {},
            "items": items,
        }

    def metrics(self) -> str:
        """Return the few metrics that operators' tools read."""
        lines = [
            "# TYPE apiserver_requested_deprecated_apis gauge",
        ]
        if self._components_asked.is_set():
            lines.append(
                'apiserver_requested_deprecated_apis{group="",removed_release="",'
                'resource="componentstatuses",subresource="",version="v1"} 1'
            )
        lines += [
            "# TYPE apiserver_storage_objects gauge",
        ]
        for resource in sorted(RESOURCES, key=lambda item: item.qualified):
            count = len(self._store.scan(resource.keys())[0])
            lines.append(f'apiserver_storage_objects{{resource="{resource.qualified}"}} {count}')
        return "\n".join(lines) + "\n"
