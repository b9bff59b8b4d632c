import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rehearsal import kubectl
from rehearsal.apierrors import ApiError, UnreachableError
from rehearsal.kubectl_session import Session

Kubectl = Callable[..., tuple[int, str, str]]

MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 6
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: p, image: "registry.k8s.io/pause:3.10.1"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: bare}
spec: {containers: [{name: p, image: "registry.k8s.io/pause:3.10.1"}]}
"""


@pytest.fixture
def run(admin: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Kubectl:
    """Run kubectl as the administrator; return status, stdout and stderr."""
    monkeypatch.setattr(Session, "client", admin)
    monkeypatch.setattr(Session, "access", admin.access)

    def call(*argv: str) -> tuple[int, str, str]:
        status = kubectl.main(list(argv), "1.35.4")
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture
def manifest(tmp_path: Path) -> str:
    path = tmp_path / "w.yaml"
    path.write_text(MANIFEST)
    return str(path)


def test_apply_creates_then_configures_then_leaves_alone(run: Kubectl, manifest: str) -> None:
    assert run("apply", "-f", manifest) == (
        0,
        "deployment.apps/web created\npod/bare created\n",
        "",
    )
    assert run("apply", "-f", manifest)[1] == (
        "deployment.apps/web unchanged\npod/bare unchanged\n"
    )
    Path(manifest).write_text(MANIFEST.replace("replicas: 6", "replicas: 7"))
    assert run("apply", "-f", manifest)[1] == (
        "deployment.apps/web configured\npod/bare unchanged\n"
    )


def test_apply_takes_away_what_was_applied_before(run: Kubectl, admin: Any, tmp_path: Path) -> None:
    path = tmp_path / "cm.yaml"
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
    path.write_text(head + "data: {x: '1', y: '2'}\n")
    run("apply", "-f", str(path))
    admin.patch("configmaps", "a", {"data": {"z": "3"}}, namespace="default")
    path.write_text(head + "data: {x: '1'}\n")
    assert run("apply", "-f", str(path))[1] == "configmap/a configured\n"
    assert admin.get("configmaps", "a", namespace="default")["data"] == {"x": "1", "z": "3"}


def test_server_side_apply_and_dry_runs(run: Kubectl, admin: Any, manifest: str) -> None:
    assert run("apply", "--dry-run=server", "-f", manifest)[1] == (
        "deployment.apps/web created (server dry run)\npod/bare created (server dry run)\n"
    )
    assert admin.list("pods")["items"] == []
    assert run("apply", "--server-side", "-f", manifest)[1] == (
        "deployment.apps/web serverside-applied\npod/bare serverside-applied\n"
    )


def test_the_recorded_raw_eviction(run: Kubectl, add_pod: Any, tmp_path: Path) -> None:
    add_pod("bare", node="w1")
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "deleteOptions": {"dryRun": ["All"]}}
    path = tmp_path / "ev.json"
    path.write_text(json.dumps(body))
    raw = "/api/v1/namespaces/default/pods/bare/eviction"
    assert run("create", "--raw", raw, "-f", str(path)) == (
        0,
        '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","code":201}\n',
        "",
    )


def test_get_prints_objects_lists_and_names(run: Kubectl, add_node: Any) -> None:
    add_node("w1")
    assert json.loads(run("get", "node", "w1", "-o", "json")[1])["kind"] == "Node"
    listed = json.loads(run("get", "nodes", "-ojson")[1])
    assert (listed["kind"], listed["items"][0]["kind"]) == ("List", "Node")
    assert run("get", "no", "-o", "name")[1] == "node/w1\n"
    assert run("get", "node/w1", "-o", 'jsonpath={.metadata.name}{"\\n"}')[1] == "w1\n"
    assert run("get", "nodes", "--no-headers")[1].startswith("w1")


def test_get_says_when_there_is_nothing(run: Kubectl) -> None:
    assert run("get", "pods") == (0, "", "No resources found in default namespace.\n")
    assert run("get", "pods", "-A") == (0, "", "No resources found\n")
    assert run("get", "node", "x") == (
        1,
        "",
        'Error from server (NotFound): nodes "x" not found\n',
    )
    assert run("get", "node", "x", "--ignore-not-found") == (0, "", "")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("frobnicate",), 'error: unknown command "frobnicate" for "kubectl"\n'),
        (("get", "foo"), 'error: the server doesn\'t have a resource type "foo"\n'),
        (
            ("get", "pods", "--bogus"),
            "error: unknown flag: --bogus\nSee 'kubectl get --help' for usage.\n",
        ),
        (
            ("get", "pods", "-Z"),
            "error: unknown shorthand flag: 'Z' in -Z\nSee 'kubectl get --help' for usage.\n",
        ),
        (("drain", "x", "--timeout=20"), None),
        (("create", "quota", "x"), None),
        (("rollout", "undo", "deploy/x"), None),
    ],
)
def test_what_is_not_played_fails_loudly(
    run: Kubectl, argv: tuple[str, ...], message: str | None
) -> None:
    status, out, err = run(*argv)
    assert (status, out) == (1, "")
    assert err.startswith(("error:", "Error from server"))
    assert message is None or err == message


def test_delete_says_from_where(run: Kubectl, add_node: Any) -> None:
    add_node("w1")
    run("create", "cm", "a", "--from-literal=x=1")
    assert run("delete", "cm", "a")[1] == 'configmap "a" deleted from default namespace\n'
    assert run("delete", "node", "w1")[1] == 'node "w1" deleted\n'
    assert run("delete", "node", "w1") == (
        1,
        "",
        'Error from server (NotFound): nodes "w1" not found\n',
    )
    assert run("delete", "node", "w1", "--ignore-not-found") == (0, "", "")


def test_taints_and_labels(run: Kubectl, add_node: Any, admin: Any) -> None:
    add_node("w1")
    assert run("taint", "nodes", "w1", "a=b:NoSchedule")[1] == "node/w1 tainted\n"
    assert run("taint", "nodes", "w1", "a=c:NoSchedule") == (
        1,
        "",
        "error: node w1 already has a taint(s) with same effect(s) and --overwrite is false\n",
    )
    assert run("taint", "nodes", "w1", "a=c:NoSchedule", "--overwrite")[0] == 0
    assert admin.get("nodes", "w1")["spec"]["taints"] == [
        {"key": "a", "value": "c", "effect": "NoSchedule"}
    ]
    assert run("taint", "nodes", "w1", "a-")[1] == "node/w1 untainted\n"
    assert run("taint", "nodes", "w1", "a:NoSchedule-")[2] == (
        'error: taint "a:NoSchedule" not found\n'
    )
    assert run("label", "node", "w1", "disk=ssd")[1] == "node/w1 labeled\n"
    assert run("label", "node", "w1", "disk=hdd")[2] == (
        "error: 'disk' already has a value (ssd), and --overwrite is false\n"
    )
    assert run("label", "node", "w1", "disk-")[1] == "node/w1 unlabeled\n"


def test_patch_says_when_nothing_changed(run: Kubectl, add_node: Any) -> None:
    add_node("w1")
    patch = '{"metadata":{"labels":{"a":"b"}}}'
    assert run("patch", "node", "w1", "-p", patch)[1] == "node/w1 patched\n"
    assert run("patch", "node", "w1", "-p", patch)[1] == "node/w1 patched (no change)\n"


def test_wait(run: Kubectl, add_node: Any) -> None:
    add_node("w1")
    assert run("wait", "--for=condition=Ready", "node/w1")[1] == "node/w1 condition met\n"
    assert run("wait", "--for=condition=Bogus", "node/w1", "--timeout=0.01s") == (
        1,
        "",
        "error: timed out waiting for the condition on nodes/w1\n",
    )


def test_version_carries_the_rehearsal(run: Kubectl) -> None:
    assert run("version")[1] == (
        "Client Version: v1.35.4+rehearsal\nKustomize Version: v5.7.1\n"
        "Server Version: v1.35.4+rehearsal\n"
    )
    assert set(json.loads(run("version", "-o", "json")[1])) == {
        "clientVersion",
        "kustomizeVersion",
        "serverVersion",
    }


def test_approving_a_certificate_request(run: Kubectl, admin: Any) -> None:
    admin.create("csr", {"metadata": {"name": "jane"}, "spec": {"signerName": "x"}})
    assert run("certificate", "approve", "jane")[1] == (
        "certificatesigningrequest.certificates.k8s.io/jane approved\n"
    )
    [condition] = admin.get("csr", "jane")["status"]["conditions"]
    assert (condition["type"], condition["reason"]) == ("Approved", "KubectlApprove")


def test_exec_runs_in_etcd_pods_of_this_node_only(run: Kubectl, add_pod: Any) -> None:
    add_pod("web", node="w1")
    add_pod("etcd-w1", node="some-other-host", labels={"component": "etcd"})
    assert "exec is played for etcd pods only" in run("exec", "web", "--", "ls")[2]
    assert "on the pod's own node only" in run("exec", "etcd-w1", "--", "etcdctl", "version")[2]


def test_errors_in_kubectls_words() -> None:
    assert kubectl.explain(ApiError(401, "Unauthorized", "Unauthorized")) == (
        "error: You must be logged in to the server (Unauthorized)"
    )
    assert kubectl.explain(ApiError(500, "", "etcdserver: request timed out")) == (
        "Error from server: etcdserver: request timed out"
    )
    refused = UnreachableError(
        cause="dial tcp 10.0.0.1:6443: connect: connection refused",
        request='Get "https://10.0.0.1:6443/version"',
        server="10.0.0.1:6443",
    )
    assert refused.as_kubectl() == (
        "The connection to the server 10.0.0.1:6443 was refused - did you specify the right host or"
        " port?"
    )
