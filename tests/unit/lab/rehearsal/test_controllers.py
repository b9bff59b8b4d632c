import base64
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from rehearsal import controllers, pki, scheduler
from rehearsal.controller_nodes import NodeLifecycle
from rehearsal.controller_tokens import detached_jws
from rehearsal.controllers import steps
from rehearsal.leader import take_turn
from rehearsal.objects import moment, stamp
from rehearsal.world import World

Obj = dict[str, Any]
Turn = Callable[..., None]
TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "p", "image": "p:1"}]},
}


@pytest.fixture
def turn(admin: Any) -> Turn:
    """Run the controllers and the scheduler, and a kubelet that starts and stops pods at once."""
    chosen = steps({"cluster-cidr": "10.244.0.0/16", "allocate-node-cidrs": "true"})
    world = World(admin, controllers._WATCHED)

    def kubelet() -> None:
        for pod in admin.list("pods")["items"]:
            name, space = pod["metadata"]["name"], pod["metadata"]["namespace"]
            if "deletionTimestamp" in pod["metadata"]:
                admin.delete("pods", name, namespace=space, grace=0)
            elif pod["spec"].get("nodeName") and pod["status"]["phase"] == "Pending":
                status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
                admin.patch("pods", name, {"status": status}, namespace=space, subresource="status")

    def run(times: int = 1) -> None:
        for _ in range(times):
            world.refresh()
            take_turn(world, [*chosen, scheduler.schedule])
            kubelet()

    return run


def deployment(replicas: int, image: str = "p:1") -> Obj:
    containers = [{"name": "p", "image": image}]
    return {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {**TEMPLATE, "spec": {"containers": containers}},
        },
    }


def images(admin: Any) -> list[str]:
    return [pod["spec"]["containers"][0]["image"] for pod in admin.list("pods")["items"]]


def test_a_deployment_spreads_its_pods_and_reports(admin: Any, add_node: Any, turn: Turn) -> None:
    add_node("w1")
    add_node("w2")
    admin.create("deployments", deployment(4))
    turn(4)
    nodes = [pod["spec"]["nodeName"] for pod in admin.list("pods")["items"]]
    assert sorted(nodes) == ["w1", "w1", "w2", "w2"]
    status = admin.get("deployments", "web", namespace="default")["status"]
    assert (status["readyReplicas"], status["updatedReplicas"]) == (4, 4)
    assert status["observedGeneration"] == 1


def test_a_rollout_never_has_too_few_pods(admin: Any, add_node: Any, turn: Turn) -> None:
    add_node("w1")
    admin.create("deployments", deployment(4))
    turn(4)
    admin.patch("deployments", "web", deployment(4, "p:2"), namespace="default")
    for _ in range(20):
        turn()
        state = admin.get("deployments", "web", namespace="default")["status"]
        assert state["availableReplicas"] >= 3
        assert len(admin.list("pods")["items"]) <= 5
    assert images(admin) == ["p:2"] * 4


def test_a_daemon_runs_on_every_node_and_is_renewed_one_by_one(
    admin: Any, add_node: Any, turn: Turn
) -> None:
    for name in ("w1", "w2", "w3"):
        add_node(name)
    body = {
        "metadata": {"name": "agent", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE},
    }
    admin.create("daemonsets", body)
    admin.patch("nodes", "w3", {"spec": {"unschedulable": True}})
    turn(3)
    pods = admin.list("pods")["items"]
    assert sorted(pod["spec"]["nodeName"] for pod in pods) == ["w1", "w2", "w3"]
    change = {"spec": {"template": {"spec": {"containers": [{"name": "p", "image": "p:2"}]}}}}
    admin.patch("daemonsets", "agent", change, namespace="default")
    turn(12)
    assert images(admin) == ["p:2"] * 3
    status = admin.get("daemonsets", "agent", namespace="default")["status"]
    assert (status["numberReady"], status["updatedNumberScheduled"]) == (3, 3)


def test_cordoned_nodes_get_no_pods(admin: Any, add_node: Any, turn: Turn) -> None:
    add_node("w1", unschedulable=True)
    admin.create("deployments", deployment(1))
    turn(4)
    [pod] = admin.list("pods")["items"]
    assert "nodeName" not in pod["spec"]
    assert pod["status"]["conditions"][0]["message"] == (
        "0/1 nodes are available: 1 node(s) were unschedulable."
    )
    taints = admin.get("nodes", "w1")["spec"]["taints"]
    assert [taint["key"] for taint in taints] == ["node.kubernetes.io/unschedulable"]


@pytest.mark.parametrize(
    ("spec", "allowed"),
    [({"minAvailable": 3}, 0), ({"minAvailable": 2}, 1), ({"maxUnavailable": "34%"}, 2)],
)
def test_a_budget_counts_healthy_pods(
    admin: Any, add_node: Any, turn: Turn, spec: Obj, allowed: int
) -> None:
    add_node("w1")
    admin.create("deployments", deployment(3))
    selector = {"matchLabels": {"app": "web"}}
    meta = {"name": "web", "namespace": "default"}
    admin.create("pdb", {"metadata": meta, "spec": {**spec, "selector": selector}})
    turn(4)
    status = admin.get("pdb", "web", namespace="default")["status"]
    assert status["disruptionsAllowed"] == allowed
    assert (status["currentHealthy"], status["expectedPods"]) == (3, 3)
    assert status["conditions"][0]["reason"] == (
        "SufficientPods" if allowed else "InsufficientPods"
    )


def test_deleting_a_deployment_takes_its_pods_along(admin: Any, add_node: Any, turn: Turn) -> None:
    add_node("w1")
    admin.create("deployments", deployment(2))
    turn(3)
    admin.delete("deployments", "web", namespace="default")
    turn(3)
    assert admin.list("pods")["items"] == []
    assert admin.list("replicasets")["items"] == []


def test_a_deleted_namespace_is_emptied_and_goes(admin: Any, turn: Turn) -> None:
    admin.create("namespaces", {"metadata": {"name": "tmp"}})
    admin.create("configmaps", {"metadata": {"name": "a", "namespace": "tmp"}})
    admin.delete("namespaces", "tmp")
    assert admin.get("namespaces", "tmp")["status"]["phase"] == "Terminating"
    turn(2)
    assert admin.find("namespaces", "tmp") is None


def test_nodes_get_pod_networks(admin: Any, add_node: Any, turn: Turn) -> None:
    add_node("w1")
    add_node("w2")
    turn()
    found = [node["spec"]["podCIDR"] for node in admin.list("nodes")["items"]]
    assert found == ["10.244.0.0/24", "10.244.1.0/24"]


def test_a_silent_node_becomes_unknown_and_is_tainted(admin: Any, add_node: Any) -> None:
    add_node("w1")
    world = World(admin, controllers._WATCHED)
    lifecycle = NodeLifecycle(grace=0.0)
    for _ in range(3):
        world.refresh()
        lifecycle(world)
    node = admin.get("nodes", "w1")
    ready = next(item for item in node["status"]["conditions"] if item["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("Unknown", "NodeStatusUnknown")
    assert [(taint["key"], taint["effect"]) for taint in node["spec"]["taints"]] == [
        ("node.kubernetes.io/unreachable", "NoSchedule"),
        ("node.kubernetes.io/unreachable", "NoExecute"),
    ]


def token(identity: str, *, hours: float) -> Obj:
    data = {
        "token-id": identity,
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-signing": "true",
        "expiration": stamp(moment() + timedelta(hours=hours)),
    }
    return {
        "metadata": {"name": f"bootstrap-token-{identity}", "namespace": "kube-system"},
        "type": "bootstrap.kubernetes.io/token",
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }


def test_tokens_sign_cluster_info_until_they_expire(admin: Any) -> None:
    info = {"metadata": {"name": "cluster-info", "namespace": "kube-public"}}
    admin.create("configmaps", {**info, "data": {"kubeconfig": "x", "jws-kubeconfig-gone00": "y"}})
    admin.create("secrets", token("abcdef", hours=1))
    admin.create("secrets", token("oldold", hours=-1))
    world = World(admin, controllers._WATCHED)
    world.refresh()
    take_turn(world, steps({"controllers": "*,bootstrapsigner,tokencleaner"}))
    assert admin.get("configmaps", "cluster-info", namespace="kube-public")["data"] == {
        "kubeconfig": "x",
        "jws-kubeconfig-abcdef": detached_jws("x", "abcdef", "0123456789abcdef"),
    }
    assert admin.find("secrets", "bootstrap-token-oldold", namespace="kube-system") is None


def test_a_detached_jws_has_the_form_kubeadm_reads() -> None:
    header, payload, signature = detached_jws("x", "abcdef", "0123456789abcdef").split(".")
    assert base64.urlsafe_b64decode(header + "=") == b'{"alg":"HS256","kid":"abcdef"}'
    assert payload == ""
    assert len(base64.urlsafe_b64decode(signature + "=")) == 32


def test_a_joining_kubelet_gets_its_certificate(admin: Any, as_user: Any, tmp_path: Path) -> None:
    authority = pki.authority("kubernetes", algorithm="ECDSA-P256")
    authority.write(tmp_path / "ca")
    key = pki.new_key("ECDSA-P256")
    joining = as_user("system:bootstrap:abcdef", "system:bootstrappers:kubeadm:default-node-token")
    request = pki.signing_request(key, name="system:node:w1", organization="system:nodes")
    spec = {
        "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
        "request": base64.b64encode(request).decode(),
        "usages": ["digital signature", "client auth"],
    }
    made = joining.create("csr", {"metadata": {"generateName": "csr-"}, "spec": spec})
    flags = {
        "cluster-signing-cert-file": str(tmp_path / "ca.crt"),
        "cluster-signing-key-file": str(tmp_path / "ca.key"),
    }
    world = World(admin, controllers._WATCHED)
    for _ in range(2):
        world.refresh()
        take_turn(world, steps(flags))
    status = joining.get("csr", made["metadata"]["name"])["status"]
    assert status["conditions"][0]["message"] == (
        "Auto approving kubelet client certificate after SubjectAccessReview."
    )
    certificate = x509.load_pem_x509_certificate(base64.b64decode(status["certificate"]))
    assert certificate.subject.rfc4514_string() == "CN=system:node:w1,O=system:nodes"
    certificate.verify_directly_issued_by(authority.certificate)


def test_a_flag_the_real_program_lacks_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert controllers.main(["--no-such-flag=1"]) == 1
    assert scheduler.main(["--no-such-flag=1"]) == 1
    assert capsys.readouterr().err == "Error: unknown flag: --no-such-flag\n" * 2
