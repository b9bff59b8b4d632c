"""kubectl wait, and rollout status and restart."""

import sys
import time
from collections.abc import Callable
from threading import Event
from typing import Any, NamedTuple

from rehearsal import jsonpath
from rehearsal.kubectl_session import (
    Args,
    CommandError,
    Session,
    named_objects,
    short_name,
)
from rehearsal.objects import condition, stamp
from rehearsal.resources import Resource

Obj = dict[str, Any]

_POLL = 0.25
_DEFAULT = 30.0


def _poll(until: Callable[[], bool], deadline: float) -> bool:
    """Return whether `until` came true before the deadline."""
    pause = Event()
    while not until():
        if time.monotonic() >= deadline:
            return False
        pause.wait(max(0.01, min(_POLL, deadline - time.monotonic())))
    return True


def _deadline(args: Args, default: float) -> float:
    seconds = args.seconds("timeout", default)
    return time.monotonic() + seconds if seconds >= 0 and (seconds or default) else float("inf")


class _Target(NamedTuple):
    resource: Resource
    name: str
    namespace: str


def wait(session: Session, args: Args) -> int:
    """Wait for a condition, a value or the end of objects; all of them share one deadline."""
    goal = args.one("for")
    if not goal:
        raise CommandError("error: --for is required")
    deadline = _deadline(args, _DEFAULT)
    targets = _targets(session, args, gone_is_fine=goal == "delete")
    late = []
    for target in targets:
        if _poll(lambda target=target: _reached(session, target, goal), deadline):  # type: ignore[misc]  # the default binds the loop's value
            print(f"{short_name(target.resource, target.name)} condition met", flush=True)
        else:
            late.append(target)
    for target in late:
        sys.stdout.flush()
        sys.stderr.write(
            "error: timed out waiting for the condition on"
            f" {target.resource.plural}/{target.name}\n"
        )
    return 1 if late else 0


def _targets(session: Session, args: Args, *, gone_is_fine: bool) -> list[_Target]:
    targets = []
    for resource, name in named_objects(args.words):
        space = "" if args.on("all-namespaces") else session.within(resource)
        if name:
            if not gone_is_fine and args.one("for") != "create":
                session.client.get(resource.qualified, name, namespace=space)
            targets.append(_Target(resource, name, space))
            continue
        if not (args.on("all") or args.given("selector") or args.given("field-selector")):
            raise CommandError("error: resource name may not be empty")
        found = session.client.list(
            resource.qualified,
            namespace=space,
            labels=args.one("selector"),
            fields=args.one("field-selector"),
        )["items"]
        targets += [
            _Target(resource, item["metadata"]["name"], item["metadata"].get("namespace", ""))
            for item in found
        ]
    if not targets and not gone_is_fine:
        raise CommandError("error: no matching resources found")
    return targets


def _reached(session: Session, target: _Target, goal: str) -> bool:
    found = session.client.find(target.resource.qualified, target.name, namespace=target.namespace)
    if goal == "delete":
        return found is None
    if found is None:
        return False
    if goal == "create":
        return True
    kind, _, rest = goal.partition("=")
    if kind == "condition":
        name, _, value = rest.partition("=")
        state = str(condition(found, name).get("status", ""))
        return state.lower() == (value or "true").lower()
    if kind == "jsonpath":
        path, _, value = rest.partition("}=")
        values = jsonpath.search(path.strip("{}'"), found)
        return any(str(item) == value.strip("'\"") for item in values) if value else bool(values)
    raise CommandError(f'error: unrecognized condition: "{goal}"')


# Rollouts


def rollout(session: Session, args: Args) -> int:
    """Run `rollout status` or `rollout restart`."""
    if not args.words:
        raise CommandError("error: must specify a subcommand of rollout")
    action, *words = args.words
    if action == "restart":
        return _restart(session, words)
    if action == "status":
        return _status(session, args, words)
    raise CommandError(f'error: rehearsal: "kubectl rollout {action}" is not played')


def _restart(session: Session, words: list[str]) -> int:
    annotation = {"kubectl.kubernetes.io/restartedAt": stamp()}
    for resource, name in named_objects(words):
        session.client.patch(
            resource.qualified,
            name,
            {"spec": {"template": {"metadata": {"annotations": annotation}}}},
            namespace=session.within(resource),
        )
        print(f"{short_name(resource, name)} restarted")
    return 0


def _status(session: Session, args: Args, words: list[str]) -> int:
    tellers = {"Deployment": deployment_progress, "DaemonSet": daemon_set_progress}
    deadline = _deadline(args, 0.0)
    for resource, name in named_objects(words):
        teller = tellers.get(resource.kind)
        if teller is None:
            raise CommandError(f"error: no status viewer has been implemented for {resource.kind}")
        last = ""

        def done(resource: Resource = resource, name: str = name, tell: Any = teller) -> bool:
            nonlocal last
            space = session.within(resource)
            text, complete = tell(session.client.get(resource.qualified, name, namespace=space))
            if text != last:
                print(text, flush=True)
            last = text
            return bool(complete) or not args.on("watch", default=True)

        if not _poll(done, deadline):
            raise CommandError("error: timed out waiting for the condition")
    return 0


def deployment_progress(obj: Obj) -> tuple[str, bool]:
    """Return what `rollout status` says of a Deployment, and whether it is rolled out."""
    name, status = obj["metadata"]["name"], obj.get("status", {})
    start = f'Waiting for deployment "{name}" rollout to finish: '
    if status.get("observedGeneration", 0) < obj["metadata"].get("generation", 1):
        return "Waiting for deployment spec update to be observed...", False
    wanted = obj["spec"].get("replicas", 1)
    updated, total = status.get("updatedReplicas", 0), status.get("replicas", 0)
    available = status.get("availableReplicas", 0)
    if updated < wanted:
        return f"{start}{updated} out of {wanted} new replicas have been updated...", False
    if total > updated:
        return f"{start}{total - updated} old replicas are pending termination...", False
    if available < updated:
        return f"{start}{available} of {updated} updated replicas are available...", False
    return f'deployment "{name}" successfully rolled out', True


def daemon_set_progress(obj: Obj) -> tuple[str, bool]:
    """Return what `rollout status` says of a DaemonSet, and whether it is rolled out."""
    name, status = obj["metadata"]["name"], obj.get("status", {})
    start = f'Waiting for daemon set "{name}" rollout to finish: '
    if status.get("observedGeneration", 0) < obj["metadata"].get("generation", 1):
        return "Waiting for daemon set spec update to be observed...", False
    wanted = status.get("desiredNumberScheduled", 0)
    updated, available = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
    if updated < wanted:
        return f"{start}{updated} out of {wanted} new pods have been updated...", False
    if available < wanted:
        return f"{start}{available} of {wanted} updated pods are available...", False
    return f'daemon set "{name}" successfully rolled out', True
