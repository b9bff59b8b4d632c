"""Whether every node that is to be drained can be: tried before anything starts.

What is known comes from evictions that the API server was asked to try only (dry run).
"""

from collections.abc import Callable, Iterator

from kubeops.model.upgrading import Drainability
from kubeops.plan.findings import acceptable, blocking, warning
from kubeops.plan.model import Finding
from kubeops.plan.standing import Cordon, cordon, node_of
from kubeops.plan.upgrade_situation import Situation

SHOWN = 5

Make = Callable[..., Finding]


def drain_checks(situation: Situation) -> Iterator[Finding]:
    """Yield what draining would meet, node by node, and what was chosen that hurts."""
    yield from _policy(situation)
    found = {one.node: one for one in situation.more.drainability}
    for node in situation.drains:
        one = found.get(node)
        if one is None or one.error:
            yield acceptable(
                "drainability",
                "draining it could not be tried: " + (one.error if one else "nobody asked"),
                f"Try by hand: kubectl drain {node} --ignore-daemonsets --dry-run=server "
                "--timeout=30s",
                host=node,
            )
        else:
            yield from _budgets(situation, one)
            yield from _pods(one)


def _policy(situation: Situation) -> Iterator[Finding]:
    if situation.all_at_once and situation.drains:
        yield acceptable(
            "all-at-once",
            "all workers are upgraded together: their pods are deleted, and nothing runs on them "
            "meanwhile",
            "invoke upgrade --strategy rolling, or accept the downtime: --accept all-at-once",
        )
    elif situation.desired.upgrade.drain.pdb == "force" and situation.drains:
        yield acceptable(
            "pdb-force",
            "upgrade.drain.pdb is force: pods are deleted, whatever PodDisruptionBudgets say",
            "Write upgrade.drain.pdb: wait, or accept it for this run: --accept pdb-force",
        )


def _budgets(situation: Situation, one: Drainability) -> Iterator[Finding]:
    make = _severity(situation, one)
    for pod in one.blocked:
        by = f" by PodDisruptionBudget {', '.join(pod.budgets)}" if pod.budgets else ""
        yield make(
            "drainability",
            f"eviction of {pod.pod} is refused now{by}: {pod.message}",
            "kubectl get pdb -A; give its workload a replica more, or mend the one that is away.",
            host=one.node,
        )


def _severity(situation: Situation, one: Drainability) -> Make:
    """Budgets that will not be asked only warn, and so do those of a drain that is under way."""
    node = node_of(one.node, situation.facts)
    policy = situation.desired.upgrade.drain.pdb
    if situation.all_at_once or policy == "force" or cordon(node) is Cordon.OURS:
        return warning
    return blocking if policy == "fail" else acceptable


def _pods(one: Drainability) -> Iterator[Finding]:
    if one.bare:
        yield acceptable(
            "bare-pods",
            f"{_some(one.bare)}: nobody creates them again once they are evicted",
            "Give them a Deployment, or accept that they are deleted: --accept bare-pods",
            host=one.node,
        )
    if one.empty_dir:
        yield warning(
            "empty-dir",
            f"{_some(one.empty_dir)}: what they keep in an emptyDir is lost with them",
            "Nothing, if that is a cache; else give them a PersistentVolumeClaim.",
            host=one.node,
        )


def _some(pods: tuple[str, ...]) -> str:
    """The first pods by name, and how many more there are."""
    more = f" and {len(pods) - SHOWN} more" if len(pods) > SHOWN else ""
    return ("pod " if len(pods) == 1 else "pods ") + ", ".join(pods[:SHOWN]) + more
