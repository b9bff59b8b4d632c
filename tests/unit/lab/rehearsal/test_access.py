import base64
from datetime import timedelta
from typing import Any

import pytest
from rehearsal.apierrors import ApiError
from rehearsal.objects import moment, stamp

Obj = dict[str, Any]

JOINING = "system:bootstrappers:kubeadm:default-node-token"


def token(identity: str, *, hours: float = 1.0, authenticates: bool = True) -> Obj:
    data = {
        "token-id": identity,
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-authentication": str(authenticates).lower(),
        "auth-extra-groups": JOINING,
        "expiration": stamp(moment() + timedelta(hours=hours)),
    }
    return {
        "metadata": {"name": f"bootstrap-token-{identity}", "namespace": "kube-system"},
        "type": "bootstrap.kubernetes.io/token",
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }


def refusal(call: Any) -> tuple[int, str]:
    with pytest.raises(ApiError) as caught:
        call()
    return caught.value.status, caught.value.message


def test_nobody_sees_the_probes_only(as_user: Any) -> None:
    nobody = as_user("")
    assert nobody.send("GET", "/livez").code in (200, 500)
    assert nobody.raw("/version")
    assert refusal(lambda: nobody.raw("/metrics")) == (
        403,
        'forbidden: User "system:anonymous" cannot get path "/metrics"',
    )
    assert refusal(lambda: nobody.list("nodes")) == (
        403,
        (
            'nodes is forbidden: User "system:anonymous" cannot list resource "nodes"'
            ' in API group "" at the cluster scope'
        ),
    )


def test_everybody_reads_cluster_info(admin: Any, as_user: Any) -> None:
    admin.create("configmaps", {"metadata": {"name": "cluster-info", "namespace": "kube-public"}})
    found = as_user("").get("configmaps", "cluster-info", namespace="kube-public")
    assert found["metadata"]["name"] == "cluster-info"


@pytest.mark.parametrize(
    ("made", "used"),
    [
        pytest.param(token("abcdef"), "abcdef.fedcba9876543210", id="wrong-secret"),
        pytest.param(token("abcdef"), "unknwn.0123456789abcdef", id="unknown"),
        pytest.param(token("abcdef", hours=-1), "abcdef.0123456789abcdef", id="expired"),
        pytest.param(
            token("abcdef", authenticates=False),
            "abcdef.0123456789abcdef",
            id="for-signing-only",
        ),
    ],
)
def test_bad_tokens_are_nobody(admin: Any, as_user: Any, made: Obj, used: str) -> None:
    admin.create("secrets", made)
    joining = as_user("", token=used)
    assert refusal(lambda: joining.list("nodes")) == (401, "Unauthorized")


def test_a_joining_node_reads_what_kubeadm_needs_and_no_more(admin: Any, as_user: Any) -> None:
    admin.create("secrets", token("abcdef"))
    for name in ("kubeadm-config", "kubelet-config"):
        admin.create("configmaps", {"metadata": {"name": name, "namespace": "kube-system"}})
    joining = as_user("", token="abcdef.0123456789abcdef")  # noqa: S106 - the test's own
    assert joining.get("configmaps", "kubeadm-config", namespace="kube-system")
    assert joining.get("configmaps", "kubelet-config", namespace="kube-system")
    made = joining.create(
        "csr",
        {
            "metadata": {"generateName": "csr-"},
            "spec": {"signerName": "kubernetes.io/kube-apiserver-client-kubelet"},
        },
    )
    assert made["spec"]["username"] == "system:bootstrap:abcdef"
    assert JOINING in made["spec"]["groups"]
    assert refusal(lambda: joining.list("secrets", namespace="kube-system")) == (
        403,
        (
            'secrets is forbidden: User "system:bootstrap:abcdef" cannot list resource "secrets"'
            ' in API group "" in the namespace "kube-system"'
        ),
    )


def test_a_kubelet_changes_its_own_node_only(add_node: Any, as_user: Any) -> None:
    add_node("w1")
    add_node("w2")
    kubelet = as_user("system:node:w1", "system:nodes")
    kubelet.patch("nodes", "w1", {"metadata": {"labels": {"a": "b"}}})
    assert refusal(lambda: kubelet.patch("nodes", "w2", {"metadata": {"labels": {}}}))[0] == 403
    assert refusal(lambda: kubelet.delete("nodes", "w1")) == (
        403,
        (
            'nodes "w1" is forbidden: User "system:node:w1" cannot delete resource "nodes"'
            ' in API group "" at the cluster scope'
        ),
    )
    assert refusal(lambda: kubelet.list("secrets"))[0] == 403


def test_others_get_what_rbac_grants(admin: Any, as_user: Any, add_node: Any) -> None:
    add_node("w1")
    jane = as_user("jane", "viewers")
    assert refusal(lambda: jane.list("nodes"))[0] == 403
    admin.create(
        "clusterrolebindings",
        {
            "metadata": {"name": "viewers"},
            "roleRef": {"kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "Group", "name": "viewers"}],
        },
    )
    assert len(jane.list("nodes")["items"]) == 1
    assert refusal(lambda: jane.delete("nodes", "w1"))[0] == 403
