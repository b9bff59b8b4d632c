import json
from typing import Any

import pytest
from rehearsal.apierrors import ApiError

Obj = dict[str, Any]


@pytest.fixture
def budget(admin: Any, add_pod: Any) -> Obj:
    """A budget of six for six pods, counted; nothing may go."""
    for number in range(6):
        add_pod(f"web-{number}", node="w1", labels={"app": "web"}, owner=("ReplicaSet", "web"))
    admin.create(
        "pdb",
        {
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"minAvailable": 6, "selector": {"matchLabels": {"app": "web"}}},
        },
    )
    status = {
        "observedGeneration": 1,
        "disruptionsAllowed": 0,
        "currentHealthy": 6,
        "desiredHealthy": 6,
        "expectedPods": 6,
    }
    changed: Obj = admin.patch(
        "pdb", "web", {"status": status}, namespace="default", subresource="status"
    )
    return changed


def allow(admin: Any, number: int) -> None:
    patch = {"status": {"disruptionsAllowed": number}}
    admin.patch("pdb", "web", patch, namespace="default", subresource="status")


@pytest.mark.usefixtures("budget")
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_budget_without_room_refuses_in_the_recorded_words(admin: Any, *, dry_run: bool) -> None:
    with pytest.raises(ApiError) as caught:
        admin.evict("web-0", "default", dry_run=dry_run)
    assert caught.value.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "Cannot evict pod as it would violate the pod's disruption budget.",
        "reason": "TooManyRequests",
        "details": {
            "causes": [
                {
                    "reason": "DisruptionBudget",
                    "message": "The disruption budget web needs 6 healthy pods and has 6 currently",
                }
            ]
        },
        "code": 429,
    }


@pytest.mark.usefixtures("budget")
def test_every_eviction_spends_the_budget(admin: Any) -> None:
    allow(admin, 1)
    admin.evict("web-0", "default")
    state = admin.get("pdb", "web", namespace="default")["status"]
    assert state["disruptionsAllowed"] == 0
    assert list(state["disruptedPods"]) == ["web-0"]
    assert "deletionTimestamp" in admin.get("pods", "web-0", namespace="default")["metadata"]
    with pytest.raises(ApiError):
        admin.evict("web-1", "default")


@pytest.mark.usefixtures("budget")
def test_a_dry_run_spends_nothing(admin: Any) -> None:
    allow(admin, 1)
    for name in ("web-0", "web-1"):
        answer = admin.evict(name, "default", dry_run=True)
        assert json.dumps(answer, separators=(",", ":")) == (
            '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","code":201}'
        )
        assert "deletionTimestamp" not in admin.get("pods", name, namespace="default")["metadata"]


@pytest.mark.usefixtures("budget")
def test_a_budget_that_has_not_been_counted_refuses(admin: Any) -> None:
    allow(admin, 1)
    admin.patch("pdb", "web", {"spec": {"minAvailable": 5}}, namespace="default")
    with pytest.raises(ApiError) as caught:
        admin.evict("web-0", "default")
    assert "still being processed" in caught.value.body["details"]["causes"][0]["message"]


def test_a_pod_without_budget_goes(admin: Any, add_pod: Any) -> None:
    add_pod("bare", node="w1")
    admin.evict("bare", "default", grace=5)
    assert (
        admin.get("pods", "bare", namespace="default")["metadata"]["deletionGracePeriodSeconds"]
        == 5
    )
    with pytest.raises(ApiError, match='pods "gone" not found'):
        admin.evict("gone", "default")


@pytest.mark.usefixtures("budget")
def test_two_budgets_for_a_pod_are_too_many(admin: Any) -> None:
    admin.create(
        "pdb",
        {
            "metadata": {"name": "also", "namespace": "default"},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
        },
    )
    with pytest.raises(ApiError, match="more than one PodDisruptionBudget"):
        admin.evict("web-0", "default")
