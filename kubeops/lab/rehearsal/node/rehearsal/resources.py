"""The resources the API server knows: their names, paths and places in etcd.

Paths and etcd prefixes are Kubernetes' own (nodes live under `/registry/minions`), so snapshots and
`kubectl` look as they do on a real cluster. A resource missing from the table does not exist: the
server answers 404 and kubectl says that it has no such resource type.
"""

from typing import NamedTuple


class Resource(NamedTuple):
    """One resource type.

    Attributes:
        group: API group, empty for the core group.
        version: the only version served.
        plural: name in REST paths and messages.
        kind: `kind` of its objects.
        namespaced: whether objects live in namespaces.
        prefix: etcd path below `/registry/`.
        short: other names kubectl accepts.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    prefix: str
    short: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """`apiVersion` of its objects, such as `v1` or `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """Name as the server writes it in messages: `nodes`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def singular(self) -> str:
        """Lower-case kind, with the group for other than core: `node`, `deployment.apps`."""
        kind = self.kind.lower()
        return f"{kind}.{self.group}" if self.group else kind

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """REST path of the collection, of an object or of its subresource."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/".join(parts)

    def key(self, namespace: str, name: str) -> str:
        """Etcd key of an object."""
        return f"{self.keys(namespace)}{name}"

    def keys(self, namespace: str = "") -> str:
        """Etcd prefix of the collection, ending in a slash."""
        scope = f"{namespace}/" if self.namespaced and namespace else ""
        return f"/registry/{self.prefix}/{scope}"


def _core(
    plural: str, kind: str, *short: str, namespaced: bool = True, prefix: str = ""
) -> Resource:
    return Resource("", "v1", plural, kind, namespaced, prefix or plural, short)


def _group(
    group: str, plural: str, kind: str, *short: str, namespaced: bool = True, prefix: str = ""
) -> Resource:
    return Resource(group, "v1", plural, kind, namespaced, prefix or plural, short)


_RBAC = "rbac.authorization.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"

RESOURCES: tuple[Resource, ...] = (
    _core("nodes", "Node", "no", namespaced=False, prefix="minions"),
    _core("namespaces", "Namespace", "ns", namespaced=False),
    _core("pods", "Pod", "po"),
    _core("configmaps", "ConfigMap", "cm"),
    _core("secrets", "Secret"),
    _core("services", "Service", "svc", prefix="services/specs"),
    _core("endpoints", "Endpoints", "ep", prefix="services/endpoints"),
    _core("serviceaccounts", "ServiceAccount", "sa"),
    _core("events", "Event", "ev"),
    _core("persistentvolumes", "PersistentVolume", "pv", namespaced=False),
    _core("persistentvolumeclaims", "PersistentVolumeClaim", "pvc"),
    _core("resourcequotas", "ResourceQuota", "quota"),
    _core("limitranges", "LimitRange", "limits"),
    _core("replicationcontrollers", "ReplicationController", "rc", prefix="controllers"),
    _group("apps", "deployments", "Deployment", "deploy"),
    _group("apps", "daemonsets", "DaemonSet", "ds"),
    _group("apps", "replicasets", "ReplicaSet", "rs"),
    _group("apps", "statefulsets", "StatefulSet", "sts"),
    _group("apps", "controllerrevisions", "ControllerRevision"),
    _group("batch", "jobs", "Job"),
    _group("batch", "cronjobs", "CronJob", "cj"),
    _group("policy", "poddisruptionbudgets", "PodDisruptionBudget", "pdb"),
    _group("coordination.k8s.io", "leases", "Lease"),
    _group(
        "certificates.k8s.io",
        "certificatesigningrequests",
        "CertificateSigningRequest",
        "csr",
        namespaced=False,
    ),
    _group(_RBAC, "clusterroles", "ClusterRole", namespaced=False),
    _group(_RBAC, "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
    _group(_RBAC, "roles", "Role"),
    _group(_RBAC, "rolebindings", "RoleBinding"),
    _group("storage.k8s.io", "storageclasses", "StorageClass", "sc", namespaced=False),
    _group("storage.k8s.io", "csinodes", "CSINode", namespaced=False),
    _group("storage.k8s.io", "csidrivers", "CSIDriver", namespaced=False),
    _group("storage.k8s.io", "volumeattachments", "VolumeAttachment", namespaced=False),
    _group("discovery.k8s.io", "endpointslices", "EndpointSlice"),
    _group("networking.k8s.io", "ingresses", "Ingress", "ing", prefix="ingress"),
    _group("networking.k8s.io", "ingressclasses", "IngressClass", namespaced=False),
    _group("networking.k8s.io", "networkpolicies", "NetworkPolicy", "netpol"),
    _group("scheduling.k8s.io", "priorityclasses", "PriorityClass", "pc", namespaced=False),
    _group(
        "autoscaling",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        "hpa",
    )._replace(version="v2"),
    _group(
        _ADMISSION,
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
        namespaced=False,
    ),
    _group(
        _ADMISSION,
        "mutatingwebhookconfigurations",
        "MutatingWebhookConfiguration",
        namespaced=False,
    ),
    _group(
        "apiextensions.k8s.io",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        "crd",
        "crds",
        namespaced=False,
        prefix="apiextensions.k8s.io/customresourcedefinitions",
    ),
    _group(
        "apiregistration.k8s.io",
        "apiservices",
        "APIService",
        namespaced=False,
        prefix="apiregistration.k8s.io/apiservices",
    ),
)

_BY_PLACE = {(item.group, item.version, item.plural): item for item in RESOURCES}
_BY_KIND = {(item.api_version, item.kind): item for item in RESOURCES}
_BY_NAME: dict[str, Resource] = {}
for _item in RESOURCES:
    for _name in (_item.plural, _item.kind.lower(), *_item.short):
        _BY_NAME.setdefault(_name, _item)
        _BY_NAME.setdefault(f"{_name}.{_item.group}", _item)
        _BY_NAME.setdefault(f"{_name}.{_item.version}.{_item.group}", _item)


def find(name: str) -> Resource | None:
    """Return the resource a user calls `name` (plural, singular, short, with or without group)."""
    return _BY_NAME.get(name.lower())


def named(name: str) -> Resource:
    """Return the resource called `name`.

    Raises:
        LookupError: there is none; callers name resources in code, so it is a defect.
    """
    resource = find(name)
    if resource is None:
        raise LookupError(f"no resource is called {name!r}")
    return resource


def by_kind(api_version: str, kind: str) -> Resource | None:
    """Return the resource of an object's `apiVersion` and `kind`, or None when not served."""
    return _BY_KIND.get((api_version, kind))


def by_place(group: str, version: str, plural: str) -> Resource | None:
    """Return the resource at a REST path, or None when not served."""
    return _BY_PLACE.get((group, version, plural))
