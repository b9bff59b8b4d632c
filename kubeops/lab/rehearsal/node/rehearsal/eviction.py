"""Evicting a pod, with the accounting of disruption budgets a real API server does."""

from typing import Any

from rehearsal import status
from rehearsal.objects import is_true, labels_of, matches_selector, stamp
from rehearsal.registry import Registry, Selection
from rehearsal.resources import named

Obj = dict[str, Any]

_REFUSAL = "Cannot evict pod as it would violate the pod's disruption budget."
SUCCESS: Obj = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {},
    "status": "Success",
    "code": 201,
}


def evict(registry: Registry, namespace: str, name: str, options: Obj, *, dry_run: bool) -> Obj:
    """Delete a pod if its disruption budget allows one more disruption.

    Returns:
        the Status a server answers with. A dry run decides in the same way and changes nothing.

    Raises:
        StatusError: 404 (no such pod); 429 (the budget forbids it now, or has not been counted
            yet); 500 (several budgets cover the pod).
    """
    pods = named("pods")
    pod = registry.get(pods, namespace, name)
    if not _is_free(pod):
        budgets = _budgets(registry, pod)
        if len(budgets) > 1:
            raise status.StatusError(
                500,
                "InternalError",
                "This pod has more than one PodDisruptionBudget, which the eviction subresource"
                " does not support.",
            )
        for budget in budgets:
            _spend(registry, budget, pod, dry_run=dry_run)
    registry.delete(pods, namespace, name, options, dry_run=dry_run)
    return SUCCESS


def _is_free(pod: Obj) -> bool:
    """Whether the pod is gone or never started, so that no budget counts it."""
    phase = pod.get("status", {}).get("phase")
    return phase in ("Succeeded", "Failed", "Pending") or "deletionTimestamp" in pod["metadata"]


def _budgets(registry: Registry, pod: Obj) -> list[Obj]:
    found, _ = registry.list(
        named("poddisruptionbudgets"), pod["metadata"]["namespace"], Selection()
    )
    return [
        budget
        for budget in found
        if matches_selector(budget["spec"].get("selector"), labels_of(pod))
    ]


def _spend(registry: Registry, budget: Obj, pod: Obj, *, dry_run: bool) -> None:
    """Take one disruption from the budget, or refuse."""
    if not is_true(pod, "Ready") and _ignores_unready(budget):
        return
    meta = budget["metadata"]

    def take(current: Obj) -> Obj:
        state = current.get("status") or {}
        if state.get("observedGeneration", 0) < current["metadata"].get("generation", 1):
            cause = f"The disruption budget {meta['name']} is still being processed by the server."
            raise status.too_many_requests(_REFUSAL, cause)
        allowed = state.get("disruptionsAllowed", 0)
        if allowed < 1:
            raise status.too_many_requests(
                _REFUSAL,
                f"The disruption budget {meta['name']} needs {state.get('desiredHealthy', 0)}"
                f" healthy pods and has {state.get('currentHealthy', 0)} currently",
            )
        state["disruptionsAllowed"] = allowed - 1
        state.setdefault("disruptedPods", {})[pod["metadata"]["name"]] = stamp()
        current["status"] = state
        return current

    registry.update(
        named("poddisruptionbudgets"),
        meta["namespace"],
        meta["name"],
        take,
        part="status",
        dry_run=dry_run,
    )


def _ignores_unready(budget: Obj) -> bool:
    policy = budget["spec"].get("unhealthyPodEvictionPolicy", "IfHealthyBudget")
    if policy == "AlwaysAllow":
        return True
    state = budget.get("status") or {}
    desired = state.get("desiredHealthy", 0)
    return bool(desired > 0 and state.get("currentHealthy", 0) >= desired)
