"""What only an upgrade asks: who is asked what, and what is made of the answers."""

import json
from dataclasses import replace

import pytest

from kubeops.errors import FactsError, TransportError
from kubeops.facts.parse_upgrade import (
    POD_TABLE,
    Budget,
    drifted_settings,
    parse_budgets,
    parse_deprecated,
    parse_drifted_manifests,
    parse_evictions,
    parse_offers,
    parse_pods,
)
from kubeops.facts.upgrade import gather_upgrade
from kubeops.model.observed import (
    ClusterFacts,
    StaticPod,
)
from kubeops.model.upgrading import BlockedPod, DeprecatedApi, Drainability, Offer, UpgradeFacts
from kubeops.model.version import KubeVersion, Minor
from kubeops.transport.fake import FakeTransport
from tests.unit.plan.values import cluster, observed

BOUNDARY = "3f1c2a4e-0d5b-4a6f-9c7e-8b1d2e3f4a5b"
M36 = Minor(1, 36)
MEMBERS = ("cp1", "w1")
KUBELET = "cgroupDriver: systemd\ncontainerRuntimeEndpoint: ''\nlogging: {verbosity: 0}\n"
OFFERS = "\n".join(
    f"{name} {version}"
    for version in ("1.36.0-1.1", "1.36.1-1.1")
    for name in ("kubeadm", "kubelet", "kubectl")
)
DIFF = """[upgrade/diff] Reading configuration from the "kubeadm-config" ConfigMap...
--- /etc/kubernetes/manifests/kube-apiserver.yaml
+++ new manifest
@@ -16,7 +16,6 @@
     - --allow-privileged=true
-    - --v=4
+    - --profiling=false
     - --authorization-mode=Node,RBAC
"""
REFUSED = "Error from server (TooManyRequests): Cannot evict pod as it would violate the budget."


def pod(name: str, node: str, owner: str = "ReplicaSet", **more: str) -> str:
    columns = {
        "namespace": "shop",
        "name": name,
        "uid": f"uid-{name}",
        "node": node,
        "phase": "Running",
        "owner": owner,
        "mirror": "",
        "leaving": "",
        "empty_dir": "",
        "labels": json.dumps({"app": name.partition("-")[0]}),
    }
    return "\t".join((columns | more).values())


PODS = "\n".join(
    (
        pod("redis-1", "w1"),
        pod("web-1", "w1", empty_dir="{}"),
        pod("tool", "w1", ""),
        pod("agent-1", "w1", "DaemonSet"),
        pod("ended", "w1", "Job", phase="Succeeded"),
        pod("going", "w1", "", leaving="2026-11-21T00:00:00Z"),
        pod("etcd-cp1", "cp1", "Node", mirror="hash"),
    )
)
BUDGETS = json.dumps(
    {
        "items": [
            {
                "metadata": {"namespace": "shop", "name": "redis"},
                "spec": {"selector": {"matchLabels": {"app": "redis"}}},
            }
        ]
    }
)


def framed(**sections: str | tuple[int, str]) -> str:
    """What a script prints; a section's name has spaces where Python's has underscores."""
    text = f"@@facts {BOUNDARY}\n"
    for name, body in {**sections, "ended": ""}.items():
        status, told = body if isinstance(body, tuple) else (0, body)
        spelled = name.replace("__", "-").replace("_", " ").replace("136", "1.36")
        text += f"{told}\n@@{BOUNDARY} {status} {spelled}\n"
    return text


HOST = framed(kubelet__config=KUBELET, offers_136=OFFERS)
CLUSTER = framed(
    kubelet__config=KUBELET,
    deprecated_cp1='apiserver_requested_deprecated_apis{group="policy",removed_release="1.37",'
    'resource="podsecuritypolicies",subresource="",version="v1beta1"} 1',
    pods=PODS,
    budgets=BUDGETS,
    evictions=f"shop\tredis-1\t1\t{REFUSED}\nshop\tweb-1\t0\t{{}}",
)


def gathered(
    cp1: str = HOST, w1: str = HOST, api: str = CLUSTER
) -> tuple[ClusterFacts, UpgradeFacts, FakeTransport]:
    desired = cluster(1, 1)
    transport = FakeTransport(MEMBERS)
    first = transport.runner("cp1")
    first.on(("sh", "-s", "--", POD_TABLE), stdout=api)
    first.on(("sh", "-s"), stdout=cp1)
    transport.runner("w1").on(("sh", "-s"), stdout=w1)
    facts, more = gather_upgrade(
        desired, observed(desired, members=MEMBERS), transport, minors=(M36,)
    )
    return facts, more, transport


def test_every_host_is_asked_once_and_a_control_plane_once_more() -> None:
    _, more, transport = gathered()
    source = "source:1.36=https://pkgs.k8s.io/core:/stable:/v1.36/deb/"
    assert [one.argv[3:] for one in transport.runner("w1").commands] == [(source,)]
    asked = {one.argv[3:] for one in transport.runner("cp1").commands}
    assert asked == {(source,), (POD_TABLE, "cp1=https://10.0.0.11:6443")}
    versions = (KubeVersion.parse("1.36.0"), KubeVersion.parse("1.36.1"))
    assert more.offers == tuple(Offer(host=n, minor=M36, versions=versions) for n in MEMBERS)


def test_drains_are_tried_node_by_node() -> None:
    _, more, _ = gathered()
    blocked = BlockedPod(pod="shop/redis-1", budgets=("shop/redis",), message=REFUSED)
    assert more.drainability == (
        Drainability(node="cp1"),
        Drainability(node="w1", blocked=(blocked,), bare=("shop/tool",), empty_dir=("shop/web-1",)),
    )


def test_deprecated_apis_are_told_once_with_the_release_that_removes_them() -> None:
    _, more, _ = gathered()
    assert more.deprecated == (
        DeprecatedApi(
            group="policy", version="v1beta1", resource="podsecuritypolicies", removed=Minor(1, 37)
        ),
    )


def test_hand_edited_files_are_found() -> None:
    edited = framed(kubelet__config=KUBELET + "maxPods: 50\n", offers_136=OFFERS, manifests=DIFF)
    facts, _, _ = gathered(cp1=edited)
    assert facts.hosts["cp1"].drifted == (
        (
            "/etc/kubernetes/manifests/kube-apiserver.yaml: `--v=4` would be lost, "
            "`--profiling=false` would come back"
        ),
        "/var/lib/kubelet/config.yaml: maxPods is 50, in the cluster not set",
    )
    assert facts.hosts["w1"].drifted == ()


def test_manifests_are_compared_only_by_a_kubeadm_of_their_own_minor() -> None:
    desired = cluster(1, 0)
    for kubeadm, asked in (("1.35.6", ("manifests:v1.35.4",)), ("1.36.1", ())):
        transport = FakeTransport(("cp1",))
        transport.runner("cp1").on(("sh", "-s", "--", POD_TABLE), stdout=CLUSTER)
        transport.runner("cp1").on(("sh", "-s"), stdout=framed(kubelet__config=KUBELET))
        facts = observed(desired, members=("cp1",))
        host = replace(
            facts.hosts["cp1"],
            kubeadm=KubeVersion.parse(kubeadm),
            static_pods={"kube-apiserver": StaticPod(name="kube-apiserver", image="a:v1.35.4")},
        )
        gather_upgrade(desired, replace(facts, hosts={"cp1": host}), transport, minors=())
        assert {one.argv[3:] for one in transport.runner("cp1").commands} >= {asked}


def test_what_could_not_be_asked_is_an_error_of_its_part() -> None:
    silent = framed(
        kubelet__config=KUBELET,
        offers_136=(22, ""),
        **{"offers_136.err": "curl: (22) The requested URL returned error: 404"},
    )
    away = framed(pods=(1, "Unable to connect to the server: EOF"), budgets=(1, "EOF"))
    _, more, _ = gathered(w1=silent, api=away)
    assert more.offers[1].error == "curl: (22) The requested URL returned error: 404"
    assert {one.error for one in more.drainability} == {"cp1: Unable to connect to the server: EOF"}


def test_a_host_that_is_lost_meanwhile_offers_nothing_and_says_why() -> None:
    desired = cluster(1, 1)
    transport = FakeTransport(MEMBERS)
    transport.runner("cp1").on(("sh", "-s", "--", POD_TABLE), stdout=CLUSTER)
    transport.runner("cp1").on(("sh", "-s"), stdout=HOST)
    transport.runner("w1").on(("sh", "-s"), error=TransportError("w1: no route", host="w1"))
    _, more = gather_upgrade(desired, observed(desired, members=MEMBERS), transport, minors=(M36,))
    assert more.offers[1] == Offer(host="w1", minor=M36, error="w1: no route")


def test_without_an_api_nothing_is_said_of_nodes() -> None:
    desired = cluster(1, 0)
    transport = FakeTransport(("cp1",))
    transport.runner("cp1").on(("sh", "-s"), stdout=HOST)
    facts = replace(observed(desired, members=("cp1",)), api=None, api_error="refused")
    _, more = gather_upgrade(desired, facts, transport, minors=(M36,))
    assert (more.drainability, more.deprecated) == ((), ())
    assert len(transport.runner("cp1").commands) == 1


def test_nonsense_is_a_surprise() -> None:
    with pytest.raises(FactsError, match="offers"):
        gathered(w1=framed(offers_136="kubeadm only-one-more word"))


def test_a_release_counts_when_all_its_programs_are_offered() -> None:
    text = "kubeadm 1.36.0-1.1\nkubelet 1.36.0-1.1\nkubectl 1.36.0-1.1\nkubeadm 1.36.1-1.1\n"
    assert parse_offers(text) == (KubeVersion.parse("1.36.0"),)


@pytest.mark.parametrize(
    ("selector", "covered"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"app": "redis"}}, True),
        ({"matchLabels": {"app": "web"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["redis"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["redis"]}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_budgets_cover_what_their_selector_says(
    selector: dict[str, object] | None, covered: object
) -> None:
    (one,) = parse_pods(pod("redis-1", "w1"))
    budget = Budget(namespace="shop", name="shop/any", selector=selector)
    assert budget.covers(one) is covered
    assert not replace(budget, namespace="other").covers(one)


def test_a_pod_that_was_gone_by_then_is_not_refused() -> None:
    gone = 'Error from server (NotFound): pods "web-1" not found'
    assert parse_evictions(f"shop\tweb-1\t1\t{gone}\nshop\tb\t1\tError\n") == {"shop/b": "Error"}


@pytest.mark.parametrize("selector", [{"matchExpressions": [{"key": "app", "operator": "Like"}]}])
def test_unknown_operators_are_a_surprise(selector: dict[str, object]) -> None:
    (one,) = parse_pods(pod("redis-1", "w1"))
    with pytest.raises(ValueError, match="Like"):
        Budget(namespace="shop", name="shop/any", selector=selector).covers(one)


def test_metrics_of_subresources_and_without_removal() -> None:
    line = (
        'apiserver_requested_deprecated_apis{group="",removed_release="",resource="pods",'
        'subresource="binding",version="v1"} 1'
    )
    (found,) = parse_deprecated(line)
    assert (found.resource, found.removed) == ("pods/binding", None)
    with pytest.raises(ValueError, match="not a line"):
        parse_deprecated("something else")


def test_settings_kubeadm_gives_each_node_are_no_drift() -> None:
    here = "containerRuntimeEndpoint: unix:///run/x.sock\nresolvConf: /run/y\na: {b: 1}\nc: {}\n"
    assert drifted_settings(here, "containerRuntimeEndpoint: ''\na: {b: 1}\n") == ()
    assert drifted_settings("a: {b: 2}", "a: {b: 1}") == ("a.b is 2, in the cluster 1",)


def test_no_difference_is_no_drift() -> None:
    assert parse_drifted_manifests(DIFF.splitlines()[0]) == ()


def test_budgets_are_read() -> None:
    (budget,) = parse_budgets(BUDGETS)
    assert (budget.name, budget.selector) == ("shop/redis", {"matchLabels": {"app": "redis"}})
