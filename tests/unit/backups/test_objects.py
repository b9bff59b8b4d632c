"""Which objects are exported, where, and what is left out of them."""

from typing import Any

import pytest
import yaml

from kubeops.backups import objects


def an_object(kind: str = "ConfigMap", api: str = "v1", **more: Any) -> dict[str, Any]:
    metadata = {"name": "web", "namespace": "shop", **more.pop("metadata", {})}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **more}


FILLED_IN = {
    "uid": "1",
    "resourceVersion": "12",
    "creationTimestamp": "2026-11-21T00:00:00Z",
    "generation": 3,
    "selfLink": "/x",
    "managedFields": [{"manager": "kubectl"}],
    "annotations": {
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "deployment.kubernetes.io/revision": "4",
    },
}


def test_what_the_cluster_fills_in_is_left_out() -> None:
    given = an_object("Deployment", "apps/v1", metadata=FILLED_IN, spec={"replicas": 2}, status={})
    assert objects.exported(given) == an_object("Deployment", "apps/v1", spec={"replicas": 2})
    assert given["metadata"]["uid"] == "1", "the object itself is left alone"


def test_what_people_wrote_stays() -> None:
    given = an_object(
        metadata={"labels": {"a": "b"}, "annotations": {"team": "x"}, "finalizers": ["y"]},
        data={"status": "kept"},
    )
    assert objects.exported(given) == given


@pytest.mark.parametrize(
    "own",
    [
        an_object("ReplicaSet", "apps/v1", metadata={"ownerReferences": [{"kind": "Deployment"}]}),
        an_object("Secret", type="kubernetes.io/service-account-token"),
        an_object("Secret", type="bootstrap.kubernetes.io/token"),
        an_object(metadata={"name": "kube-root-ca.crt"}),
        an_object(
            "APIService",
            "apiregistration.k8s.io/v1",
            metadata={"labels": {"kube-aggregator.kubernetes.io/automanaged": "onstart"}},
        ),
    ],
    ids=lambda own: f"{own['kind']}-{own.get('type', '')}",
)
def test_the_clusters_own_doing_is_left_out(own: dict[str, Any]) -> None:
    assert objects.exported(own) is None


def test_a_secret_of_people_is_exported() -> None:
    assert objects.exported(an_object("Secret", type="Opaque")) is not None


def a_job(*, manual: bool) -> dict[str, Any]:
    own = {"batch.kubernetes.io/controller-uid": "1", "controller-uid": "1", "app": "x"}
    return an_object(
        "Job",
        "batch/v1",
        metadata={"labels": dict(own)},
        spec={
            "manualSelector": manual,
            "selector": {"matchLabels": {"controller-uid": "1"}},
            "template": {"metadata": {"labels": dict(own)}},
        },
    )


def test_a_jobs_made_up_selector_is_left_out() -> None:
    kept = objects.exported(a_job(manual=False))
    assert kept is not None
    assert "selector" not in kept["spec"]
    assert kept["spec"]["template"]["metadata"]["labels"] == {"app": "x"}
    assert kept["metadata"]["labels"] == {"app": "x"}


def test_a_jobs_own_selector_stays() -> None:
    assert objects.exported(a_job(manual=True)) == a_job(manual=True)


@pytest.mark.parametrize(
    ("obj", "path"),
    [
        (an_object(), "shop/configmap/web.yaml"),
        (an_object("Deployment", "apps/v1"), "shop/deployment.apps/web.yaml"),
        (
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRole",
                "metadata": {"name": "system:node/../x"},
            },
            "_cluster/clusterrole.rbac.authorization.k8s.io/system%3Anode%2F..%2Fx.yaml",
        ),
    ],
)
def test_each_object_has_its_place(obj: dict[str, Any], path: str) -> None:
    assert str(objects.place(obj)) == path


def test_types_that_come_back_by_themselves_are_not_asked_for() -> None:
    types = (
        "nodes",
        "pods",
        "secrets",
        "events.events.k8s.io",
        "pods.metrics.k8s.io",
        "widgets.x.io",
    )
    assert objects.wanted(types, secrets=False) == ("pods", "widgets.x.io")
    assert objects.wanted(types, secrets=True) == ("pods", "secrets", "widgets.x.io")


def test_yaml_is_the_same_whatever_the_order() -> None:
    one = {"kind": "A", "apiVersion": "v1", "list": [{"b": 1, "a": 2}]}
    other = {"apiVersion": "v1", "list": [{"a": 2, "b": 1}], "kind": "A"}
    assert objects.to_yaml(one) == objects.to_yaml(other)


@pytest.mark.parametrize(
    "text",
    [
        "y",
        "N",
        "yes",
        "on",
        "~",
        "null",
        "1e3",
        "0o17",
        "0x1f",
        "1_000",
        "12:30",
        ".5",
        "+1",
        "-",
        "2026-11-21",
        "",
        " lead",
        "a: b",
        "# no",
        "line\nline\n",
        "line\n\n\n",
        "tab\there",
        "ü",
    ],
)
def test_texts_stay_texts(text: str) -> None:
    written = objects.to_yaml({"value": text}).decode()
    assert yaml.safe_load(written) == {"value": text}
    if objects._AMBIGUOUS.fullmatch(text):
        assert written == f"value: '{text}'\n", "YAML 1.1 of kubectl takes it for something else"


def test_texts_of_several_lines_can_be_read_and_compared() -> None:
    assert objects.to_yaml({"conf": "a\nb\n"}) == b"conf: |\n  a\n  b\n"


def test_the_same_value_twice_is_written_twice() -> None:
    shared = {"a": "b"}
    assert b"&" not in objects.to_yaml({"one": shared, "two": shared})
