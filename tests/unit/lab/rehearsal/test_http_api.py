import json
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
from rehearsal.apierrors import ApiError
from rehearsal.hub import Hub

Obj = dict[str, Any]


def config(name: str, **data: str) -> Obj:
    return {"metadata": {"name": name, "namespace": "default"}, "data": data}


def refused(call: Callable[[], object]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        call()
    return caught.value


def test_objects_are_kept_under_kubernetes_own_keys(admin: Any, store: Any, add_node: Any) -> None:
    admin.create("configmaps", config("a", x="1"))
    add_node("w1")
    assert "/registry/configmaps/default/a" in store.entries
    assert "/registry/minions/w1" in store.entries
    assert "/registry/services/specs/default/kubernetes" in store.entries
    stored = json.loads(store.entries["/registry/configmaps/default/a"].value)
    assert stored["kind"] == "ConfigMap"
    assert "resourceVersion" not in stored["metadata"]


def test_the_texts_of_refusals(admin: Any) -> None:
    admin.create("configmaps", config("a"))
    twice = refused(lambda: admin.create("configmaps", config("a")))
    assert (twice.status, twice.reason) == (409, "AlreadyExists")
    assert twice.message == 'configmaps "a" already exists'
    missing = refused(lambda: admin.get("deployments", "web", namespace="default"))
    assert (missing.status, missing.message) == (404, 'deployments.apps "web" not found')
    nowhere = refused(lambda: admin.request("GET", "/apis/nothing/v1/things"))
    assert nowhere.message == "the server could not find the requested resource"
    invalid = refused(lambda: admin.create("configmaps", config("Not_A_Name")))
    assert (invalid.status, invalid.reason) == (422, "Invalid")
    elsewhere = {"metadata": {"name": "a", "namespace": "nowhere"}}
    assert refused(lambda: admin.create("configmaps", elsewhere)).message == (
        'namespaces "nowhere" not found'
    )


def test_a_stale_resource_version_is_a_conflict(admin: Any) -> None:
    old = admin.create("configmaps", config("a", x="1"))
    admin.patch("configmaps", "a", {"data": {"x": "2"}}, namespace="default")
    error = refused(lambda: admin.replace("configmaps", old))
    assert (error.status, error.reason) == (409, "Conflict")
    assert error.message == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please'
        " apply your changes to the latest version and try again"
    )


def test_a_change_that_changes_nothing_writes_nothing(admin: Any) -> None:
    before = admin.create("configmaps", config("a", x="1"))
    after = admin.patch("configmaps", "a", {"data": {"x": "1"}}, namespace="default")
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


def test_dry_runs_leave_no_trace(admin: Any, store: Any) -> None:
    before = dict(store.entries)
    admin.create("configmaps", config("a"), dry_run=True)
    assert store.entries == before
    admin.create("configmaps", config("a", x="1"))
    before = dict(store.entries)
    admin.patch("configmaps", "a", {"data": {"x": "2"}}, namespace="default", dry_run=True)
    admin.delete("configmaps", "a", namespace="default", dry_run=True)
    assert store.entries == before


def test_the_status_is_changed_only_through_its_subresource(admin: Any, add_node: Any) -> None:
    node = add_node("w1")
    admin.patch("nodes", "w1", {"status": {"phase": "x"}})
    assert "phase" not in admin.get("nodes", "w1")["status"]
    patch = {"status": {"phase": "x"}, "spec": {"unschedulable": True}}
    changed = admin.patch("nodes", "w1", patch, subresource="status")
    assert changed["status"]["phase"] == "x"
    assert changed["spec"] == node["spec"]


def test_a_running_pod_is_marked_and_left_to_its_kubelet(admin: Any, add_pod: Any) -> None:
    add_pod("p", node="w1")
    marked = admin.delete("pods", "p", namespace="default")
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 30
    assert admin.get("pods", "p", namespace="default")["metadata"]["deletionTimestamp"]
    admin.delete("pods", "p", namespace="default", grace=0)
    assert admin.find("pods", "p", namespace="default") is None


def test_a_pending_pod_goes_at_once(admin: Any, add_pod: Any) -> None:
    add_pod("p")
    admin.delete("pods", "p", namespace="default")
    assert admin.find("pods", "p", namespace="default") is None


def test_a_delete_with_another_uid_is_refused(admin: Any) -> None:
    admin.create("configmaps", config("a"))
    error = refused(lambda: admin.delete("configmaps", "a", namespace="default", uid="another"))
    assert error.status == 409
    assert "Precondition failed: UID in precondition: another" in error.message


def test_a_finalizer_keeps_an_object_until_it_is_taken_off(admin: Any) -> None:
    body = config("a")
    body["metadata"]["finalizers"] = ["example.org/keep"]
    admin.create("configmaps", body)
    admin.delete("configmaps", "a", namespace="default")
    assert admin.get("configmaps", "a", namespace="default")["metadata"]["deletionTimestamp"]
    admin.patch("configmaps", "a", {"metadata": {"finalizers": None}}, namespace="default")
    assert admin.find("configmaps", "a", namespace="default") is None


def test_lists_take_selectors(admin: Any, add_pod: Any) -> None:
    add_pod("a", node="w1", labels={"app": "web"})
    add_pod("b", node="w2", labels={"app": "web"})
    add_pod("c", labels={"app": "db"})

    def names(**selectors: str) -> list[str]:
        return [item["metadata"]["name"] for item in admin.list("pods", **selectors)["items"]]

    assert names(labels="app=web") == ["a", "b"]
    assert names(fields="spec.nodeName=w2") == ["b"]
    assert names(fields="status.phase=Pending") == ["c"]
    assert names(labels="app=web", fields="metadata.name!=a") == ["b"]
    error = refused(lambda: admin.list("pods", fields="spec.bogus=1"))
    assert (error.status, error.message) == (400, "field label not supported: spec.bogus")


def test_generations_count_changes_of_the_spec(admin: Any) -> None:
    spec = {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "p", "image": "p:1"}]},
        },
    }
    body = {"metadata": {"name": "web", "namespace": "default"}, "spec": spec}
    made = admin.create("deployments", body)
    assert (made["metadata"]["generation"], made["spec"]["replicas"]) == (1, 1)
    admin.patch("deployments", "web", {"metadata": {"labels": {"a": "b"}}}, namespace="default")
    scaled = admin.patch(
        "deployments", "web", {"spec": {"replicas": 3}}, namespace="default", subresource="scale"
    )
    assert (scaled["metadata"]["generation"], scaled["spec"]["replicas"]) == (2, 3)


def test_apply_creates_and_then_merges(admin: Any) -> None:
    admin.apply("configmaps", config("a", x="1"), manager="test")
    merged = admin.apply("configmaps", config("a", y="2"), manager="test")
    assert merged["data"] == {"x": "1", "y": "2"}


def test_secrets_encode_what_is_given_as_text(admin: Any) -> None:
    body = {"metadata": {"name": "s", "namespace": "default"}, "stringData": {"k": "v"}}
    assert admin.create("secrets", body)["data"] == {"k": "dg=="}


def test_services_get_addresses(admin: Any) -> None:
    assert admin.get("services", "kubernetes", namespace="default")["spec"]["clusterIP"] == (
        "10.96.0.1"
    )
    body = {"metadata": {"name": "s", "namespace": "default"}, "spec": {"ports": [{"port": 80}]}}
    assert admin.create("services", body)["spec"]["clusterIP"] == "10.96.0.2"


def test_a_watch_tells_what_enters_and_leaves_a_selector(admin: Any, hub: Hub) -> None:
    hub.start()
    query = {"watch": "true", "labelSelector": "app=web"}
    answer = admin.send("GET", "/api/v1/namespaces/default/configmaps", query=query)
    for labels in ({"app": "web"}, {"app": "web", "x": "y"}, {"app": "db"}):
        body = config("a")
        body["metadata"]["labels"] = labels
        if admin.find("configmaps", "a", namespace="default"):
            admin.replace("configmaps", body)
        else:
            admin.create("configmaps", body)
    events = [json.loads(line) for line in islice(answer.body, 3)]
    hub.stop()
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]


def test_a_watch_from_before_what_is_kept_must_list_again(admin: Any, hub: Hub) -> None:
    hub.start()
    with hub._changed:
        assert hub._changed.wait_for(lambda: hub.synced, 5.0)
    query = {"watch": "true", "resourceVersion": "1"}
    [line] = admin.send("GET", "/api/v1/configmaps", query=query).body
    hub.stop()
    event = json.loads(line)
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")


def test_the_readiness_page_is_the_recorded_one(api: Any, admin: Any, hub: Hub, store: Any) -> None:
    hub.start()
    api.health.mark_bootstrapped()
    with hub._changed:
        assert hub._changed.wait_for(lambda: hub.synced, 5.0)
    lines = admin.raw("/readyz?verbose").splitlines()
    assert lines[:5] == [
        "[+]ping ok",
        "[+]log ok",
        "[+]etcd ok",
        "[+]etcd-readiness ok",
        "[+]informer-sync ok",
    ]
    assert lines[-3:] == [
        "[+]poststarthook/apiservice-openapiv3-controller ok",
        "[+]shutdown ok",
        "readyz check passed",
    ]
    assert admin.raw("/livez") == "ok"
    store.down = True
    answer = admin.send("GET", "/readyz")
    hub.stop()
    assert answer.code == 500
    assert b"[-]etcd failed: reason withheld\n" in answer.body
    assert answer.body.endswith(b"readyz check failed\n")


def test_without_quorum_requests_fail_as_etcd_does(admin: Any, store: Any) -> None:
    store.down = True
    error = refused(lambda: admin.get("nodes", "w1"))
    assert (error.status, error.message) == (500, "etcdserver: request timed out")


def test_the_version_says_that_it_is_a_rehearsal(admin: Any) -> None:
    version = json.loads(admin.raw("/version"))
    assert version["gitVersion"] == "v1.35.4+rehearsal"
    assert (version["major"], version["minor"]) == ("1", "35")


def test_metrics_count_objects(admin: Any) -> None:
    assert 'apiserver_storage_objects{resource="namespaces"} 4\n' in admin.raw("/metrics")
    admin.raw("/api/v1/componentstatuses")
    assert 'resource="componentstatuses"' in admin.raw("/metrics")
