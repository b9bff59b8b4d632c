import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kubeops.engine.context import DONE, NEEDED, Check, State
from kubeops.errors import CommandError, GateError, StepError
from kubeops.handlers.network import _ROUTE, APPLY_MANIFEST, CONFIGURE_BRIDGE
from kubeops.model.observed import ClusterFacts
from kubeops.plan.actions import ApplyManifest, ConfigureBridge
from kubeops.transport.fake import writing
from tests.unit.handlers.values import Bench, put, script
from tests.unit.plan.values import observed

BRIDGE = ConfigureBridge(node="w1", via="cp1")
CONFLIST = "/etc/cni/net.d/10-kubeops-bridge.conflist"
UNIT = "/etc/systemd/system/kubeops-pod-routes.service"
KUBECTL = "kubectl --kubeconfig /etc/kubernetes/admin.conf"
APPLY = f"{KUBECTL} apply --server-side --force-conflicts -f -"
URL = "https://example.org/kube-flannel.yml"


def nodes(**subnets: str) -> str:
    """What `kubectl get nodes -o json` says; `cp1="10.244.0.0/24"`, empty for none yet."""
    return json.dumps(
        {
            "items": [
                {
                    "kind": "Node",
                    "metadata": {"name": name, "labels": {}},
                    "spec": {"podCIDR": subnet} if subnet else {},
                    "status": {
                        "addresses": [{"type": "InternalIP", "address": f"10.0.0.{number}"}],
                        "conditions": [],
                        "nodeInfo": {
                            "kubeletVersion": "v1.35.4",
                            "containerRuntimeVersion": "containerd://2.1.9",
                        },
                    },
                }
                for number, (name, subnet) in enumerate(subnets.items(), 11)
            ]
        }
    )


class TestBridge:
    def test_routes_are_up_before_the_network_is(self, bench: Bench) -> None:
        """The CNI configuration makes the node Ready: it comes last, and says that all is done."""
        bench.runner("cp1").on(("kubectl",), stdout=nodes(cp1="10.244.0.0/24", w1="10.244.1.0/24"))
        host = bench.runner("w1")
        host.on(writing(UNIT), stdout="changed")
        host.on(writing(CONFLIST), stdout="changed")
        host.on(script(_ROUTE))

        CONFIGURE_BRIDGE.apply(BRIDGE, bench.context("w1"))

        assert bench.done("w1") == [
            put(UNIT),
            f"route {UNIT}",
            put(CONFLIST),
        ]
        unit, conflist = (host.commands[number].stdin or b"" for number in (0, -1))
        assert b"\nExecStart=ip route replace 10.244.0.0/24 via 10.0.0.11 proto 107\n" in unit
        assert b"10.244.1.0" not in unit
        plugin = json.loads(conflist)["plugins"][0]
        assert plugin["ipam"]["ranges"] == [[{"subnet": "10.244.1.0/24"}]]
        assert plugin["ipam"]["routes"] == [{"dst": "0.0.0.0/0"}]

    def test_subnets_are_waited_for_and_missing_ones_named(self, bench: Bench) -> None:
        via = bench.runner("cp1")
        via.on(("kubectl",), stdout=nodes(cp1="", w1="10.244.1.0/24", w2=""), times=2)
        via.on(
            ("kubectl",),
            stdout=nodes(cp1="10.244.0.0/24", w1="10.244.1.0/24", w2="10.244.2.0/24"),
        )
        host = bench.runner("w1")
        host.on(writing(UNIT), stdout="same")
        host.on(writing(CONFLIST), stdout="changed")
        host.on(script(_ROUTE))

        CONFIGURE_BRIDGE.apply(BRIDGE, bench.context("w1"))

        assert bench.said[0] == "waiting for the nodes' pod subnets: cp1, w2 has none yet"
        assert bench.done("w1")[1] == f"route {UNIT}"

    def test_a_node_that_never_gets_one_is_named_in_the_error(self, bench: Bench) -> None:
        bench.runner("cp1").on(("kubectl",), stdout=nodes(cp1="10.244.0.0/24"))
        with pytest.raises(GateError, match=r"not within 120 s; last seen: w1 has none yet"):
            CONFIGURE_BRIDGE.apply(BRIDGE, bench.context("w1"))

    def test_files_that_are_there_do_not_say_that_their_routes_are(self, bench: Bench) -> None:
        """A run may have been killed between the unit's file and its start."""
        assert CONFIGURE_BRIDGE.check(BRIDGE, bench.context("w1")) == NEEDED
        assert bench.done("w1") == []


def manifest(path: Path, name: str = "addon.yaml", text: str = "kind: List\n") -> ApplyManifest:
    path.write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return ApplyManifest(name=name, source=str(path), digest=digest)


def applicable(bench: Bench, *, noted: bool = True, fetched: str = "") -> None:
    host = bench.runner("cp1")
    host.on(("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "apply"))
    target = ("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "-n", "kube-system")
    missing = 'Error from server (NotFound): configmaps "kubeops" not found'
    if noted:
        host.on((*target, "patch"))
    else:
        host.on((*target, "patch"), status=1, stderr=missing)
    host.on((*target, "create"))
    host.on(("curl",), stdout=fetched)


class TestManifest:
    def test_a_file_is_sent_and_its_digest_noted(self, bench: Bench, tmp_path: Path) -> None:
        action = manifest(tmp_path / "addon.yaml")
        applicable(bench)

        APPLY_MANIFEST.apply(action, bench.context("cp1"))

        patch = json.dumps({"data": {"addon.yaml": action.digest}})
        assert bench.done("cp1") == [
            APPLY,
            f"{KUBECTL} -n kube-system patch configmap kubeops --type=merge '--patch={patch}'",
        ]
        assert bench.runner("cp1").commands[0].stdin == b"kind: List\n"

    def test_the_first_note_makes_the_configmap(self, bench: Bench, tmp_path: Path) -> None:
        action = manifest(tmp_path / "addon.yaml")
        applicable(bench, noted=False)
        APPLY_MANIFEST.apply(action, bench.context("cp1"))
        assert bench.done("cp1")[-1] == (
            f"{KUBECTL} -n kube-system create configmap kubeops "
            f"--from-literal=addon.yaml={action.digest}"
        )

    def test_a_note_that_fails_for_another_reason_says_so(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        host = bench.runner("cp1")
        host.on(("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "apply"))
        host.on(("kubectl",), status=1, stderr="etcdserver: request timed out")
        with pytest.raises(CommandError) as raised:
            APPLY_MANIFEST.apply(manifest(tmp_path / "addon.yaml"), bench.context("cp1"))
        assert raised.value.output == "etcdserver: request timed out"
        assert "patch" in raised.value.shown

    def test_a_url_is_fetched_by_the_host(self, bench: Bench) -> None:
        applicable(bench, fetched="kind: List\n")
        action = ApplyManifest(name="calico", source=URL, digest="of-the-url")
        APPLY_MANIFEST.apply(action, bench.context("cp1"))
        assert bench.done("cp1")[:2] == [
            f"curl --fail --silent --show-error --location {URL}",
            APPLY,
        ]

    def test_a_url_that_cannot_be_fetched_says_how_to_do_without(self, bench: Bench) -> None:
        bench.runner("cp1").on(("curl",), status=6, stderr="curl: (6) Could not resolve host")
        action = ApplyManifest(name="calico", source=URL, digest="of-the-url")
        with pytest.raises(CommandError) as raised:
            APPLY_MANIFEST.apply(action, bench.context("cp1"))
        assert raised.value.hint.startswith(f"Give a file instead: fetch {URL}")

    def test_flannel_learns_the_clusters_pod_network(self, bench: Bench) -> None:
        applicable(bench, fetched='"Network": "10.244.0.0/16",')
        networks = replace(bench.desired.networks, pods="172.20.0.0/14")  # type: ignore[arg-type]  # as text
        bench.desired = replace(bench.desired, networks=networks)
        action = ApplyManifest(name="flannel", source=URL, digest="of-the-url")
        APPLY_MANIFEST.apply(action, bench.context("cp1"))
        assert bench.runner("cp1").commands[1].stdin == b'"Network": "172.20.0.0/14",'

    @pytest.mark.parametrize("change", ["content", "removal"])
    def test_what_was_planned_is_what_is_applied(
        self, bench: Bench, tmp_path: Path, change: str
    ) -> None:
        path = tmp_path / "addon.yaml"
        action = manifest(path)
        if change == "content":
            path.write_text("kind: Secret\n")
        else:
            path.unlink()
        said = "has changed since the plan" if change == "content" else "cannot be read"
        with pytest.raises(StepError, match=said) as raised:
            APPLY_MANIFEST.apply(action, bench.context("cp1"))
        assert raised.value.hint
        assert bench.done("cp1") == []

    @pytest.mark.parametrize(
        ("applied", "expected"), [({"x": "1"}, DONE), ({"x": "2"}, NEEDED), ({}, NEEDED)]
    )
    def test_the_cluster_knows_what_was_applied(
        self, bench: Bench, applied: dict[str, str], expected: object
    ) -> None:
        bench.clusters["cp1"] = [self.facts(bench, applied=applied)]
        action = ApplyManifest(name="x", source=URL, digest="1")
        assert APPLY_MANIFEST.check(action, bench.context("cp1")) == expected

    def test_without_the_api_nothing_is_decided(self, bench: Bench) -> None:
        silent = replace(observed(bench.desired), api_error="cp1: connection refused")
        bench.clusters["cp1"] = [silent]
        action = ApplyManifest(name="x", source=URL, digest="1")
        assert APPLY_MANIFEST.check(action, bench.context("cp1")) == Check(
            State.UNKNOWN, "cp1: connection refused"
        )

    def facts(self, bench: Bench, **changed: Any) -> ClusterFacts:
        facts = observed(bench.desired, members=("cp1",))
        assert facts.api is not None
        return replace(facts, api=replace(facts.api, **changed))
