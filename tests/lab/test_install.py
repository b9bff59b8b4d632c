import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from kubeops.lab import lifecycle
from kubeops.lab.model import Lab
from kubeops.model.desired import Role
from kubeops.transport.base import MASK, Result
from tests.lab.verbs import Ended, Operator, calls, is_whole, nodes_ready

pytestmark = pytest.mark.lab

MakeLab = Callable[..., Lab]
Ssh = Callable[..., Result]

TOKEN = re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b")
PRIVATE = (
    "sudo sh -c 'cat /etc/kubernetes/pki/*.key /etc/kubernetes/pki/etcd/*.key "
    "/var/lib/kubelet/pki/*.pem 2>/dev/null; cat /etc/kubernetes/*.conf'"
)
KUBECTL = "sudo kubectl --kubeconfig /etc/kubernetes/admin.conf"
KUBEADMS_TAINT = "node-role.kubernetes.io/control-plane:NoSchedule"
ADDON = """\
apiVersion: v1
kind: Namespace
metadata: {{name: greeting}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: words, namespace: greeting}}
data: {{hello: {hello}}}
"""
READING = {
    ("kubeadm", "version"),
    ("kubeadm", "config"),
    ("kubectl", "get"),
    ("kubectl", "version"),
    ("kubelet", "--version"),
}


@dataclass(frozen=True, kw_only=True)
class Installed:
    """A cluster that one `install` made of bare nodes, and how that ended."""

    lab: Lab
    operator: Operator
    ended: Ended


@pytest.fixture(scope="module", params=[(1, 0), (1, 2), (3, 2)], ids=lambda it: f"{sum(it)}-nodes")
def installed(
    request: pytest.FixtureRequest,
    lab_factory: MakeLab,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installed]:
    lab = lab_factory(*request.param)
    operator = Operator(lab=lab, directory=tmp_path_factory.mktemp("operator"))
    last = lab.nodes[-1]
    operator.describe(
        hosts={last.name: {"labels": {"disk": "ssd"}, "taints": ["gpu=true:PreferNoSchedule"]}}
    )
    yield Installed(lab=lab, operator=operator, ended=operator.install())
    lifecycle.down(lab.name)


def test_one_command_makes_a_cluster_of_bare_nodes(installed: Installed) -> None:
    assert "done after" in installed.ended.must().stdout
    status = installed.operator.json("status")
    is_whole(status, installed.lab)
    last = next(
        one for one in status["api"]["nodes"] if one["name"] == installed.lab.nodes[-1].name
    )
    assert last["labels"]["disk"] == "ssd"
    assert "gpu=true:PreferNoSchedule" in last["taints"]
    assert {run["state"] for run in installed.operator.runs()} == {"done"}


def test_again_there_is_nothing_to_do_and_nothing_is_done(installed: Installed, ssh: Ssh) -> None:
    installed.ended.must()
    runs = installed.operator.runs()
    before = {node.name: len(calls(ssh, installed.lab, node.name)) for node in installed.lab.nodes}
    assert "nothing to do" in installed.operator.install().must().text
    assert installed.operator.runs() == runs
    for node in installed.lab.nodes:
        for call in calls(ssh, installed.lab, node.name)[before[node.name] :]:
            words = [word for word in call["argv"] if word in {"get", "version", "config"}]
            words += [word for word in call["argv"] if word == "--version"]
            assert (call["command"], *words[:1]) in READING | {("crictl",)}, call


def test_secrets_stay_secret(installed: Installed, ssh: Ssh) -> None:
    installed.ended.must()
    lab, operator = installed.lab, installed.operator
    private = {
        line
        for node in lab.nodes
        for line in _key_material(ssh(lab, node.name, PRIVATE).must().stdout)
    }
    assert len(private) > 10
    journals = list(operator.state.glob("*/*.jsonl"))
    kept = [*journals, *operator.state.glob("*/*.log")]
    assert len(kept) >= 2
    texts = {str(path): path.read_text() for path in kept}
    texts |= {"stdout": installed.ended.stdout, "stderr": installed.ended.stderr}
    for node in lab.nodes:  # what sudo and sshd wrote down of every command line
        texts[f"{node.name}'s journal"] = ssh(lab, node.name, "sudo journalctl -o cat").stdout
    for where, text in texts.items():
        assert not TOKEN.findall(text), where
        assert not [line for line in private if line in text], where
    for path in journals:
        for line in map(json.loads, path.read_text().splitlines()[1:]):
            if line["kind"] == "command":
                assert MASK not in line["text"], "a secret was in argv"
    for node in lab.nodes:
        made = calls(ssh, lab, node.name)
        assert any(call["command"] == "kubeadm" for call in made)
        assert not [call for call in made if "***" in " ".join(call["argv"])]


def _key_material(text: str) -> Iterator[str]:
    """Yield the lines of private keys, in PEM or as kubeconfigs hold them."""
    for key in re.findall(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n(.*?)-----END", text, re.DOTALL):
        yield from (line for line in key.splitlines() if len(line) > 40)
    yield from re.findall(r"client-key-data: (\S+)", text)


def test_no_join_token_is_left(installed: Installed, ssh: Ssh) -> None:
    installed.ended.must()
    listed = ssh(installed.lab, "cp1", "sudo kubeadm token list").must().stdout
    assert "authentication" not in listed


@pytest.mark.parametrize("installed", [(1, 0)], indirect=True, ids=["1-nodes"])
def test_kubeconfig_is_merged_and_works(installed: Installed, ssh: Ssh) -> None:
    installed.ended.must()
    path = installed.operator.directory / "kubeconfig"
    other = {"name": "other", "context": {"cluster": "other", "user": "someone"}}
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "other", "cluster": {"server": "https://192.0.2.1:6443"}}],
                "contexts": [other],
                "users": [{"name": "someone", "user": {"token": "x"}}],
                "current-context": "other",
            }
        )
    )
    for _ in range(2):
        installed.operator.on_cluster("kubeconfig", "--output", str(path)).must()
    merged = yaml.safe_load(path.read_text())
    name = installed.lab.name
    assert [context["name"] for context in merged["contexts"]] == ["other", name]
    assert merged["contexts"][0] == other
    assert merged["current-context"] == name
    assert path.stat().st_mode & 0o777 == 0o600
    listing = "cat >/tmp/config; kubectl --kubeconfig /tmp/config get nodes -o name"
    nodes = ssh(installed.lab, "cp1", listing, stdin=path.read_bytes()).must().stdout
    assert nodes.split() == ["node/cp1"]


@pytest.mark.parametrize("installed", [(1, 0)], indirect=True, ids=["1-nodes"])
def test_a_manifest_is_applied_once_and_again_when_it_changes(
    installed: Installed, ssh: Ssh, tmp_path: Path
) -> None:
    installed.ended.must()
    operator = Operator(lab=installed.lab, directory=tmp_path)
    operator.describe(cluster={"addons": ["./addon.yaml"]})
    words = f"{KUBECTL} -n greeting get configmap words -o 'jsonpath={{.data.hello}}'"
    for hello in ("world", "moon"):
        (tmp_path / "addon.yaml").write_text(ADDON.format(hello=hello))
        operator.install().must()
        assert ssh(installed.lab, "cp1", words).must().stdout == hello
        assert "nothing to do" in operator.install().must().text


@pytest.mark.parametrize("installed", [(1, 0)], indirect=True, ids=["1-nodes"])
def test_an_empty_list_takes_kubeadms_taint_off_and_no_other(
    installed: Installed, ssh: Ssh, tmp_path: Path
) -> None:
    installed.ended.must()
    operator = Operator(lab=installed.lab, directory=tmp_path)
    operator.describe(hosts={"cp1": {"taints": []}})
    theirs = "theirs=1:PreferNoSchedule"
    ssh(installed.lab, "cp1", f"{KUBECTL} taint node cp1 {KUBEADMS_TAINT} {theirs}").must()
    operator.install().must()
    found = {node["name"]: node["taints"] for node in operator.json("status")["api"]["nodes"]}
    assert theirs in found["cp1"]
    assert KUBEADMS_TAINT not in found["cp1"]
    assert "nothing to do" in operator.install().must().text


@pytest.mark.parametrize("installed", [(1, 0)], indirect=True, ids=["1-nodes"])
def test_a_host_added_to_the_inventory_is_joined_by_the_next_run(
    installed: Installed, tmp_path: Path
) -> None:
    installed.ended.must()
    grown, node = lifecycle.add_node(installed.lab, Role.WORKER)
    operator = Operator(lab=grown, directory=tmp_path)
    operator.describe()
    arguments = ("-i", str(operator.inventory), "--plan")
    planned = operator("install", *arguments, program="kubeops").must()
    assert f"/workers/{node.name}/join" in planned.stdout
    operator.install().must()
    status = operator.json("status")
    assert nodes_ready(status) == {"cp1": True, "w1": True}
    is_whole(status, grown)
