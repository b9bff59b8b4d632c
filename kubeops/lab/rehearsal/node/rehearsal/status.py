"""The Status objects an API server answers failures with, in its own words."""

from typing import Any

from rehearsal.resources import Resource

Obj = dict[str, Any]


class StatusError(Exception):
    """A request that fails; `body` is the Status object that says so."""

    def __init__(self, code: int, reason: str, message: str, details: Obj | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.body: Obj = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            **({"reason": reason} if reason else {}),
            **({"details": details} if details else {}),
            "code": code,
        }


def _details(resource: Resource, name: str, **more: Any) -> Obj:
    group = {"group": resource.group} if resource.group else {}
    return {"name": name, **group, "kind": resource.plural, **more}


def not_found(resource: Resource, name: str) -> StatusError:
    """There is no such object."""
    return StatusError(
        404, "NotFound", f'{resource.qualified} "{name}" not found', _details(resource, name)
    )


def no_such_path() -> StatusError:
    """There is no such resource type or path."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(resource: Resource, name: str) -> StatusError:
    """An object of that name is there already."""
    message = f'{resource.qualified} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, _details(resource, name))


def conflict(resource: Resource, name: str, why: str = "") -> StatusError:
    """The object has changed since the caller read it."""
    why = why or (
        "the object has been modified; please apply your changes to the latest version and try"
        " again"
    )
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return StatusError(409, "Conflict", message, _details(resource, name))


def invalid(resource: Resource, name: str, causes: list[tuple[str, str, str]]) -> StatusError:
    """The object is wrong; `causes` are `(field, reason, message)`."""
    shown = [f"{field}: {message}" for field, _, message in causes]
    text = shown[0] if len(shown) == 1 else f"[{', '.join(shown)}]"
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    details = [
        {"reason": reason, "message": message, "field": field} for field, reason, message in causes
    ]
    more = _details(resource, name, causes=details) | {"kind": resource.kind}
    return StatusError(422, "Invalid", f'{kind} "{name}" is invalid: {text}', more)


def forbidden(resource: Resource, name: str, why: str) -> StatusError:
    """The caller may not do that."""
    subject = f'{resource.qualified} "{name}"' if name else resource.qualified
    message = f"{subject} is forbidden: {why}"
    return StatusError(403, "Forbidden", message, _details(resource, name))


def bad_request(message: str) -> StatusError:
    """The request cannot be understood."""
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    """Nobody knows the caller."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def expired(message: str) -> StatusError:
    """The history asked for is gone; the caller lists again."""
    return StatusError(410, "Expired", message)


def internal(message: str) -> StatusError:
    """The server failed, etcd included."""
    return StatusError(500, "", message)


def too_many_requests(message: str, cause: str) -> StatusError:
    """A disruption budget forbids an eviction now; `cause` is the budget's state."""
    causes = [{"reason": "DisruptionBudget", "message": cause}]
    return StatusError(429, "TooManyRequests", message, {"causes": causes})
