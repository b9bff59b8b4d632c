"""kubectl cordon, uncordon and drain.

The order of things is kubectl's, its surprises included: a drain that refuses has already cordoned
the node; a server-side dry run against a budget without room retries for ever unless `--timeout`
ends it; a client-side dry run asks nothing about budgets. Where kubectl's order is that of a Go map
(the groups of a refusal, parallel evictions), it is the pods' order here.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from typing import Any

from rehearsal.apierrors import ApiError
from rehearsal.kubectl_session import Args, CommandError, Session
from rehearsal.objects import annotations_of, controller_of, full_name, parse_time

Obj = dict[str, Any]

_RETRY = 5.0
_POLL = 1.0
_REFUSED = 429
_DAEMON = "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)"
_DAEMON_IGNORED = "ignoring DaemonSet-managed Pods"
_LOCAL = "cannot delete Pods with local storage (use --delete-emptydir-data to override)"
_BARE = "cannot delete cannot delete Pods that declare no controller (use --force to override)"
_BARE_FORCED = "deleting Pods that declare no controller"
_MIRROR = "kubernetes.io/config.mirror"


def cordon(session: Session, args: Args) -> int:
    """Mark nodes unschedulable."""
    return _mark(session, args, unschedulable=True)


def uncordon(session: Session, args: Args) -> int:
    """Mark nodes schedulable."""
    return _mark(session, args, unschedulable=False)


def drain(session: Session, args: Args) -> int:
    """Cordon nodes, then evict their pods; see the module for what happens on a refusal."""
    failed: list[tuple[str, list[str]]] = []
    nodes = _nodes(session, args)
    for node in nodes:
        _set(session, args, node, unschedulable=True)
    pending = [node["metadata"]["name"] for node in nodes]
    for name in list(pending):
        problems = _drain_node(session, args, name)
        if problems:
            failed.append((name, problems))
            text = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
            _err(
                f'error: unable to drain node "{name}" due to error: {text}, continuing command...'
            )
            continue
        pending.remove(name)
        print(f"node/{name} drained{args.dry_suffix}")
    sys.stdout.flush()
    if not failed:
        return 0
    _err("There are pending nodes to be drained:")
    for name, problems in failed:
        _err(f" {name}")
        for problem in problems:
            _err(problem)
    return 1


def _err(text: str) -> None:
    sys.stdout.flush()
    sys.stderr.write(f"{text}\n")


# Cordoning


def _nodes(session: Session, args: Args) -> list[Obj]:
    """Return the nodes named; a missing one ends the command before any is touched."""
    names = [word.removeprefix("node/") for word in args.words]
    if args.given("selector"):
        if names:
            raise CommandError("error: cannot specify both a node name and a --selector option")
        found = session.client.list("nodes", labels=args.one("selector"))["items"]
        return list(found)
    if not names:
        raise CommandError("error: USAGE: NODE [flags]\nSee 'kubectl help' for help and examples")
    return [session.client.get("nodes", name) for name in names]


def _mark(session: Session, args: Args, *, unschedulable: bool) -> int:
    for node in _nodes(session, args):
        _set(session, args, node, unschedulable=unschedulable)
    return 0


def _set(session: Session, args: Args, node: Obj, *, unschedulable: bool) -> None:
    name = node["metadata"]["name"]
    word = "cordoned" if unschedulable else "uncordoned"
    if bool(node["spec"].get("unschedulable")) == unschedulable:
        print(f"node/{name} already {word}{args.dry_suffix}")
        return
    if args.dry_run != "client":
        patch = {"spec": {"unschedulable": unschedulable or None}}
        session.client.patch(
            "nodes", name, patch, kind="strategic", dry_run=args.dry_run == "server"
        )
    print(f"node/{name} {word}{args.dry_suffix}")


# Choosing pods


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which pods of a node go, and what stands against it.

    Attributes:
        pods: the pods to evict, in order of namespace and name.
        refusals: one sentence per reason, each naming its pods.
        warnings: likewise, of what is allowed by flags.
    """

    pods: tuple[Obj, ...]
    refusals: tuple[str, ...]
    warnings: tuple[str, ...]


def choose(
    pods: list[Obj],
    *,
    ignore_daemonsets: bool,
    delete_local: bool,
    force: bool,
    skip_deleted: float = 0.0,
    now: datetime | None = None,
) -> Choice:
    """Sort a node's pods as kubectl's drain filters do."""
    going: list[Obj] = []
    refusals: dict[str, list[str]] = {}
    warnings: dict[str, list[str]] = {}
    for pod in pods:
        verdict = _judge(
            pod,
            ignore_daemonsets=ignore_daemonsets,
            delete_local=delete_local,
            force=force,
        )
        if _leaving_long(pod, skip_deleted, now or datetime.now(UTC)):
            continue
        if verdict in (_DAEMON, _LOCAL, _BARE):
            refusals.setdefault(verdict, []).append(full_name(pod))
        elif verdict in (_DAEMON_IGNORED, _BARE_FORCED):
            warnings.setdefault(verdict, []).append(full_name(pod))
        if verdict in ("", _BARE_FORCED):
            going.append(pod)
    return Choice(
        pods=tuple(going),
        refusals=tuple(f"{why}: {', '.join(names)}" for why, names in refusals.items()),
        warnings=tuple(f"{why}: {', '.join(names)}" for why, names in warnings.items()),
    )


def _judge(
    pod: Obj,
    *,
    ignore_daemonsets: bool,
    delete_local: bool,
    force: bool,
) -> str:
    """Return a refusal, a warning, `skip`, or nothing for a pod that simply goes."""
    owner = controller_of(pod)
    finished = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    if owner and owner["kind"] == "DaemonSet" and not finished:
        return _DAEMON_IGNORED if ignore_daemonsets else _DAEMON
    if _MIRROR in annotations_of(pod):
        return "skip"
    volumes = pod["spec"].get("volumes") or []
    if any("emptyDir" in volume for volume in volumes) and not finished and not delete_local:
        return _LOCAL
    if not owner and not finished:
        return _BARE_FORCED if force else _BARE
    return ""


def _leaving_long(pod: Obj, limit: float, now: datetime) -> bool:
    when = pod["metadata"].get("deletionTimestamp")
    return bool(limit and when) and (now - parse_time(when)).total_seconds() > limit


def _drain_node(session: Session, args: Args, name: str) -> list[str]:
    """Evict a node's pods; return what went wrong."""
    pods = session.client.list(
        "pods", fields=f"spec.nodeName={name}", labels=args.one("pod-selector")
    )["items"]
    choice = choose(
        pods,
        ignore_daemonsets=args.on("ignore-daemonsets"),
        delete_local=args.on("delete-emptydir-data"),
        force=args.on("force"),
        skip_deleted=float(args.one("skip-wait-for-delete-timeout", "0").rstrip("s")),
    )
    if choice.refusals:
        return list(choice.refusals)
    if choice.warnings:
        _err(f"Warning: {'; '.join(choice.warnings)}")
    removal = Removal(session, args)
    problems = removal.run(list(choice.pods))
    if problems:
        shown = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
        _err(f'There are pending pods in node "{name}" when an error occurred: {shown}')
        for pod in removal.left(list(choice.pods)):
            _err(f"pod/{pod['metadata']['name']}")
    return problems


# Removing pods


@dataclass
class Removal:
    """Evicts pods (or deletes them, with --disable-eviction) and waits until they are gone."""

    session: Session
    args: Args
    clock: Callable[[], float] = time.monotonic
    wait: Callable[[float], object] = field(default_factory=lambda: Event().wait)

    def run(self, pods: list[Obj]) -> list[str]:
        """Remove the pods; return one sentence per pod that could not be."""
        suffix = self.args.dry_suffix
        evicting = not self.args.on("disable-eviction")
        word = "evicting" if evicting else "deleting"
        if self.args.dry_run == "client":
            for pod in pods:
                print(f"{word} pod {full_name(pod)}{suffix}")
            return []
        limit = self.args.seconds("timeout", 0.0)
        deadline = self.clock() + limit if limit > 0 else float("inf")
        waiting, problems, gone_soon = list(pods), list[str](), list[Obj]()
        retry_at = self.clock()
        while waiting or gone_soon:
            if waiting and self.clock() >= retry_at:
                waiting, started, failed = self._start(waiting, word, evicting=evicting)
                gone_soon += started
                problems += failed
                retry_at = self.clock() + _RETRY
            gone_soon = [pod for pod in gone_soon if not self._is_gone(pod, evicting=evicting)]
            if not waiting and not gone_soon:
                break
            if self.clock() >= deadline:
                shown = self.args.one("timeout")
                return [
                    *problems,
                    *(_timed_out(pod, shown, evicting=True) for pod in waiting),
                    *(_timed_out(pod, shown, evicting=False) for pod in gone_soon),
                ]
            pause = _POLL if gone_soon else retry_at - self.clock()
            self.wait(max(0.05, min(pause, deadline - self.clock())))
        return problems

    def left(self, pods: list[Obj]) -> list[Obj]:
        """Return those pods that are still there."""
        return [pod for pod in pods if self._find(pod) is not None]

    def _start(
        self, pods: list[Obj], word: str, *, evicting: bool
    ) -> tuple[list[Obj], list[Obj], list[str]]:
        """Ask for every pod's removal; return those to ask again, those leaving, the failures."""
        again, leaving, failed = list[Obj](), list[Obj](), list[str]()
        for pod in pods:
            print(f"{word} pod {full_name(pod)}{self.args.dry_suffix}", flush=True)
        for pod in pods:
            meta = pod["metadata"]
            about = f'pods/"{meta["name"]}" -n "{meta["namespace"]}"'
            try:
                self._ask(pod, evicting=evicting)
            except ApiError as error:
                if error.status == _REFUSED:
                    _err(f"error when evicting {about} (will retry after 5s): {error.message}")
                    again.append(pod)
                elif error.reason != "NotFound":
                    failed.append(f"error when evicting {about}: {error.message}")
            else:
                if self.args.dry_run != "server":
                    leaving.append(pod)
        return again, leaving, failed

    def _ask(self, pod: Obj, *, evicting: bool) -> None:
        meta = pod["metadata"]
        grace = int(self.args.one("grace-period", "-1"))
        dry_run = self.args.dry_run == "server"
        seconds = grace if grace >= 0 else None
        client, name, space = self.session.client, meta["name"], meta["namespace"]
        if evicting:
            client.evict(name, space, grace=seconds, dry_run=dry_run)
        else:
            client.delete("pods", name, namespace=space, grace=seconds, dry_run=dry_run)

    def _is_gone(self, pod: Obj, *, evicting: bool) -> bool:
        if self._find(pod) is not None:
            return False
        print(f"pod/{pod['metadata']['name']} {'evicted' if evicting else 'deleted'}", flush=True)
        return True

    def _find(self, pod: Obj) -> Obj | None:
        meta = pod["metadata"]
        found = self.session.client.find("pods", meta["name"], namespace=meta["namespace"])
        return found if found and found["metadata"]["uid"] == meta["uid"] else None


def _timed_out(pod: Obj, limit: str, *, evicting: bool) -> str:
    meta = pod["metadata"]
    if evicting:
        about = f'error when evicting pods/"{meta["name"]}" -n "{meta["namespace"]}"'
    else:
        about = (
            f'error when waiting for pod "{meta["name"]}" in namespace "{meta["namespace"]}" to'
            " terminate"
        )
    return f"{about}: global timeout reached: {limit}"
