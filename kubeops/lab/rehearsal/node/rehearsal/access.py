"""Who calls the API server, and what they may do.

Authentication is by client certificate (CN is the user, each O a group) or bootstrap token.
Authorization is fixed for administrators, control plane components, kubelets and joining nodes, as
kubeadm's bindings make it on a real cluster; everyone else gets what the stored RBAC objects grant.
Service account tokens, webhooks, aggregation rules and the finer points of the node authorizer are
left out.
"""

import base64
import hmac
from typing import Any, NamedTuple

from rehearsal import status
from rehearsal.objects import moment, parse_time
from rehearsal.registry import Registry, Selection
from rehearsal.resources import Resource, named

Obj = dict[str, Any]

_JOINING = "system:bootstrappers:kubeadm:default-node-token"
_ADMINISTRATORS = {"system:masters", "kubeadm:cluster-admins"}
_COMPONENTS = {"system:kube-controller-manager", "system:kube-scheduler"}
_READ = ("get", "list", "watch")
_PUBLIC_PATHS = ("/livez", "/readyz", "/healthz", "/version")
_KUBEADM_MAPS = ("kubeadm-config", "kubelet-config", "kube-proxy", "kube-root-ca.crt")
_NODE_READS = ("nodes", "pods", "services", "csinodes", "csidrivers", "endpoints", "namespaces")


class User(NamedTuple):
    """A caller."""

    name: str
    groups: tuple[str, ...] = ()


ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))


class Attempt(NamedTuple):
    """What a caller wants to do. `resource` is None for a path outside the resources."""

    verb: str
    path: str
    resource: Resource | None = None
    subresource: str = ""
    namespace: str = ""
    name: str = ""


def certificate_user(subject: Any) -> User | None:
    """Return the user named by a certificate's subject as `ssl` decodes it, or None without CN."""
    names = [pair for group in subject or () for pair in group]
    user = next((value for key, value in names if key == "commonName"), "")
    groups = tuple(value for key, value in names if key == "organizationName")
    return User(user, (*groups, "system:authenticated")) if user else None


def token_user(registry: Registry, token: str) -> User:
    """Return the user of a bootstrap token.

    Raises:
        StatusError: 401; the token is unknown, wrong, expired, or not for authentication.
    """
    identity, _, secret = token.partition(".")
    try:
        stored = registry.get(named("secrets"), "kube-system", f"bootstrap-token-{identity}")
    except status.StatusError as error:
        raise status.unauthorized() from error
    data = {
        key: base64.b64decode(value).decode() for key, value in (stored.get("data") or {}).items()
    }
    valid = (
        stored.get("type") == "bootstrap.kubernetes.io/token"
        and hmac.compare_digest(data.get("token-secret", "").encode(), secret.encode())
        and data.get("usage-bootstrap-authentication") == "true"
        and not token_expired(data.get("expiration", ""))
    )
    if not valid:
        raise status.unauthorized()
    extra = tuple(group for group in data.get("auth-extra-groups", "").split(",") if group)
    return User(
        f"system:bootstrap:{identity}",
        ("system:bootstrappers", *extra, "system:authenticated"),
    )


def token_expired(expiration: str) -> bool:
    """Whether a bootstrap token's expiration has passed; none never does."""
    return bool(expiration) and parse_time(expiration) <= moment()


def authorize(registry: Registry, user: User, attempt: Attempt) -> None:
    """Let the attempt pass, or raise.

    Raises:
        StatusError: 403, in a real server's words.
    """
    groups = set(user.groups)
    if groups & _ADMINISTRATORS or user.name in _COMPONENTS:
        return
    if attempt.resource is None:
        if attempt.path.split("?")[0].startswith(_PUBLIC_PATHS) or _discovery(user, attempt):
            return
        raise status.StatusError(
            403,
            "Forbidden",
            f'forbidden: User "{user.name}" cannot {attempt.verb} path "{attempt.path}"',
            {},
        )
    if _may(registry, user, groups, attempt):
        return
    raise _refusal(user, attempt, attempt.resource)


def allowed(registry: Registry, user: User, attempt: Attempt) -> bool:
    """Whether `authorize` would let the attempt pass."""
    try:
        authorize(registry, user, attempt)
    except status.StatusError:
        return False
    return True


def _discovery(user: User, attempt: Attempt) -> bool:
    """Whether it is one of the things everyone known may ask: what there is, and who they are."""
    reviews = attempt.path.startswith(
        ("/apis/authorization.k8s.io/", "/apis/authentication.k8s.io/")
    )
    lists = attempt.verb == "get" and attempt.path.startswith("/api")
    return "system:authenticated" in user.groups and (reviews or lists)


def _refusal(user: User, attempt: Attempt, resource: Resource) -> status.StatusError:
    target = resource.plural + (f"/{attempt.subresource}" if attempt.subresource else "")
    scope = (
        f'in the namespace "{attempt.namespace}"' if attempt.namespace else "at the cluster scope"
    )
    return status.forbidden(
        resource,
        attempt.name,
        f'User "{user.name}" cannot {attempt.verb} resource "{target}" in API group'
        f' "{resource.group}" {scope}',
    )


def _may(registry: Registry, user: User, groups: set[str], attempt: Attempt) -> bool:
    if _is_cluster_info(attempt):
        return True
    if "system:nodes" in groups and user.name.startswith("system:node:"):
        return _node_may(user.name.removeprefix("system:node:"), attempt)
    if _JOINING in groups:
        return _joining_may(attempt)
    return _granted(registry, user, groups, attempt)


def _is_cluster_info(attempt: Attempt) -> bool:
    place = (attempt.namespace, attempt.name, attempt.verb)
    return place == ("kube-public", "cluster-info", "get") and _plural(attempt) == "configmaps"


def _plural(attempt: Attempt) -> str:
    return attempt.resource.plural if attempt.resource else ""


def _joining_may(attempt: Attempt) -> bool:
    plural, place = _plural(attempt), (attempt.namespace, attempt.verb)
    if plural == "certificatesigningrequests":
        return attempt.verb in ("create", *_READ) and not attempt.subresource
    if plural == "configmaps" and place == ("kube-system", "get"):
        return attempt.name in _KUBEADM_MAPS
    if plural == "secrets" and place == ("kube-system", "get"):
        return attempt.name == "kubeadm-certs"
    return plural == "nodes" and attempt.verb == "get"


def _node_may(node: str, attempt: Attempt) -> bool:
    plural, verb = _plural(attempt), attempt.verb
    own = attempt.name == node
    verbs: dict[str, tuple[str, ...]] = {
        "configmaps": _READ if attempt.name else (),
        "secrets": ("get",),
        "nodes": ("create", "update", "patch") if own else ("create",),
        "csinodes": ("create", "update", "patch") if own else ("create",),
        "pods": ("create", "delete", "update", "patch"),
        "leases": ("create", "get", "update", "patch", "delete"),
        "events": ("create", "update", "patch"),
        "certificatesigningrequests": () if attempt.subresource else ("create", *_READ),
    }
    elsewhere = attempt.namespace != "kube-node-lease" or not (own or verb == "create")
    if plural == "leases" and elsewhere:
        return False
    return verb in verbs.get(plural, ()) or (verb in _READ and plural in _NODE_READS)


# RBAC objects


def _granted(registry: Registry, user: User, groups: set[str], attempt: Attempt) -> bool:
    bindings, _ = registry.list(named("clusterrolebindings"), "", Selection())
    if attempt.namespace:
        local, _ = registry.list(named("rolebindings"), attempt.namespace, Selection())
        bindings += local
    return any(
        _rule_covers(rule, attempt)
        for binding in bindings
        if _binds(binding, user, groups)
        for rule in _rules(registry, binding)
    )


def _binds(binding: Obj, user: User, groups: set[str]) -> bool:
    for subject in binding.get("subjects") or []:
        if subject["kind"] == "User" and subject["name"] == user.name:
            return True
        if subject["kind"] == "Group" and subject["name"] in groups:
            return True
    return False


def _rules(registry: Registry, binding: Obj) -> list[Obj]:
    role = binding["roleRef"]
    resource = named("clusterroles" if role["kind"] == "ClusterRole" else "roles")
    namespace = binding["metadata"].get("namespace", "")
    try:
        found = registry.get(resource, namespace if resource.namespaced else "", role["name"])
    except status.StatusError:
        return []
    return list(found.get("rules") or [])


def _rule_covers(rule: Obj, attempt: Attempt) -> bool:
    if attempt.resource is None:
        return False
    target = attempt.resource.plural + (f"/{attempt.subresource}" if attempt.subresource else "")
    names = rule.get("resourceNames") or []
    return (
        _among(rule.get("verbs"), attempt.verb)
        and _among(rule.get("apiGroups"), attempt.resource.group)
        and _among(rule.get("resources"), target)
        and (not names or attempt.name in names)
    )


def _among(values: list[str] | None, wanted: str) -> bool:
    return wanted in (values or []) or "*" in (values or [])
