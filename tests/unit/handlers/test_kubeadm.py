"""init and join: what kubeadm is given, what nobody may see, and what an earlier try left."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import yaml

from kubeops.errors import CommandError, GateError, StepError, TransportError
from kubeops.handlers.etcd import _ETCDCTL
from kubeops.handlers.kubeadm import (
    _MARKED,
    _PIPED,
    INIT_CLUSTER,
    JOIN_CONTROL_PLANE,
    JOIN_WORKER,
)
from kubeops.handlers.reset import (
    _DATA_ASIDE,
    _MANIFESTS_ASIDE,
    _NETWORK,
    _ROOM,
    _RUNNING,
    _STOP_ORPHANS,
)
from kubeops.model.desired import Host
from kubeops.model.observed import ClusterFacts
from kubeops.plan.actions import JoinControlPlane, JoinWorker
from kubeops.plan.install import init_cluster
from kubeops.transport.base import MASK, Command
from tests.unit.handlers.values import Bench, script, spoken
from tests.unit.plan.values import cluster, member, observed

ENDPOINT = "10.0.0.10:6443"
CA = """-----BEGIN CERTIFICATE-----
MIIBczCCARmgAwIBAgIUcu7yO4qgY4wCkxx6ZsXu7oD3q0QwCgYIKoZIzj0EAwIw
-----END CERTIFICATE-----
"""
HASH = "sha256:" + "ab" * 32
KUBECTL = "kubectl --kubeconfig /etc/kubernetes/admin.conf"
INIT = (
    "marked init kubeadm init --upload-certs --skip-token-print --skip-certificate-key-print "
    "--config /dev/stdin"
)
UPLOAD = (
    "piped kubeadm init phase upload-certs --upload-certs --skip-certificate-key-print "
    "--config /dev/stdin"
)
SECRET = re.compile(r"[a-z0-9]{6}\.[a-z0-9]{16}|[0-9a-f]{64}")
CONTROL_PLANE = JoinControlPlane(address="10.0.0.12", endpoint=ENDPOINT, via="cp1")
WORKER = JoinWorker(address="10.0.0.31", endpoint=ENDPOINT, via="cp1")
CLEARING = (_ROOM, _MANIFESTS_ASIDE, _STOP_ORPHANS, _RUNNING, _DATA_ASIDE, _NETWORK)
ASIDE = "/var/lib/kubeops/aside/20261121T073000Z"
CLEARED = [
    "room /var/lib/etcd/member /var/lib/kubeops/aside",
    f"manifests-aside {ASIDE}",
    "stop-orphans",
    "running",
    f"data-aside {ASIDE}",
    "kubeadm reset --force",
    f"network {ASIDE}",
]


@pytest.fixture(autouse=True)
def _authority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubeops.handlers.kubeadm.ca_hash", lambda _pem: HASH)


def joinable(bench: Bench, name: str, **changed: Any) -> None:
    """A host kubeadm may start on, and a control plane cp1 that invites it."""
    bench.hosts[name] = [replace(bench.prepared(name), **changed)]
    host, via = bench.runner(name), bench.runner("cp1")
    for constant in (_MARKED, *CLEARING):
        host.on(script(constant))
    host.on(("kubeadm", "reset", "--force"))
    via.on(script(_PIPED))
    via.on(("kubectl",))
    via.on(("cat", "/etc/kubernetes/pki/ca.crt"), stdout=CA)
    via.on(("kubeadm", "token", "delete"))
    bench.clusters["cp1"] = [etcd_of(bench, "cp1")]


def etcd_of(bench: Bench, *names: str, healthy: Sequence[str] | None = None) -> ClusterFacts:
    facts = observed(bench.desired, members=("cp1", "w1"))
    assert facts.etcd is not None
    members = tuple(
        replace(member(bench.desired.host(name)), healthy=healthy is None or name in healthy)
        for name in names
    )
    return replace(facts, etcd=replace(facts.etcd, members=members))


def led(facts: ClusterFacts) -> ClusterFacts:
    """The same etcd, with a leader."""
    assert facts.etcd is not None
    first, *others = facts.etcd.members
    members = (replace(first, leader=True), *others)
    return replace(facts, etcd=replace(facts.etcd, members=members))


def given(bench: Bench, host: str, constant: str, number: int = 0) -> Command:
    found = [c for c in bench.runner(host).commands if c.argv[:3] == ("sh", "-euc", constant)]
    return found[number]


def documents(command: Command) -> list[dict[str, Any]]:
    assert command.stdin is not None
    return list(yaml.safe_load_all(command.stdin))


def secrets_of(bench: Bench) -> set[str]:
    return {
        secret
        for runner in bench.transport.runners.values()
        for command in runner.commands
        for secret in command.secrets
    }


def token_of(bench: Bench) -> str:
    return next(secret for secret in secrets_of(bench) if "." in secret)


def assert_secret(bench: Bench) -> None:
    """No command line shows a secret, and every command that carries some knows them."""
    secrets = secrets_of(bench)
    assert secrets
    for runner in bench.transport.runners.values():
        for command in runner.commands:
            assert not SECRET.search(" ".join(command.argv)), spoken(command)
            text = (command.stdin or b"").decode()
            assert not SECRET.search(command.mask(text).replace(HASH, "")), spoken(command)
    assert not any(secret in line for secret in secrets for line in bench.said)


taints = pytest.mark.parametrize(
    ("texts", "registered"),
    [
        (None, None),
        ((), []),
        (
            ("gpu=true:NoSchedule", "a.b/c:NoExecute"),
            [
                {"key": "gpu", "value": "true", "effect": "NoSchedule"},
                {"key": "a.b/c", "value": "", "effect": "NoExecute"},
            ],
        ),
    ],
    ids=["kubeadm's own", "none", "two"],
)


class TestInit:
    def test_a_prepared_host_gets_the_cluster(self, bench: Bench) -> None:
        bench.hosts["cp1"] = [bench.prepared("cp1")]
        host = bench.runner("cp1")
        host.on(script(_MARKED))
        host.on(("kubeadm", "token", "delete"))
        action = init_cluster(bench.desired, bench.desired.host("cp1"))

        INIT_CLUSTER.apply(action, bench.context("cp1"))

        token = token_of(bench)
        assert bench.done("cp1") == [
            INIT,
            f"kubeadm token delete {token[:6]}",
        ]
        assert_secret(bench)

    def test_kubeadm_is_given_exactly_this(self, bench: Bench) -> None:
        bench.hosts["cp1"] = [bench.prepared("cp1")]
        bench.runner("cp1").on(script(_MARKED))
        bench.runner("cp1").on(("kubeadm",))
        action = init_cluster(bench.desired, bench.desired.host("cp1"))
        INIT_CLUSTER.apply(action, bench.context("cp1"))

        command = given(bench, "cp1", _MARKED)
        token, key = command.secrets
        assert documents(command) == [
            {
                "apiVersion": "kubeadm.k8s.io/v1beta4",
                "kind": "InitConfiguration",
                "bootstrapTokens": [
                    {
                        "token": token,
                        "ttl": "15m0s",
                        "description": "kubeops",
                        "usages": ["signing", "authentication"],
                        "groups": ["system:bootstrappers:kubeadm:default-node-token"],
                    }
                ],
                "certificateKey": key,
                "localAPIEndpoint": {"advertiseAddress": "10.0.0.11", "bindPort": 6443},
                "nodeRegistration": {
                    "name": "cp1",
                    "criSocket": "unix:///run/containerd/containerd.sock",
                    "kubeletExtraArgs": [{"name": "node-ip", "value": "10.0.0.11"}],
                },
            },
            {
                "apiVersion": "kubeadm.k8s.io/v1beta4",
                "kind": "ClusterConfiguration",
                "clusterName": "prod",
                "kubernetesVersion": "v1.35.4",
                "controlPlaneEndpoint": ENDPOINT,
                "imageRepository": "registry.k8s.io",
                "networking": {
                    "podSubnet": "10.244.0.0/16",
                    "serviceSubnet": "10.96.0.0/12",
                    "dnsDomain": "cluster.local",
                },
                "apiServer": {"certSANs": ["10.0.0.10", "10.0.0.11", "10.0.0.12", "10.0.0.13"]},
            },
            {
                "apiVersion": "kubelet.config.k8s.io/v1beta1",
                "kind": "KubeletConfiguration",
                "cgroupDriver": "systemd",
            },
        ]

    @taints
    def test_what_the_action_says_counts_and_not_the_inventory(
        self, bench: Bench, texts: tuple[str, ...] | None, registered: object
    ) -> None:
        bench.hosts["cp1"] = [bench.prepared("cp1")]
        bench.runner("cp1").on(script(_MARKED))
        bench.runner("cp1").on(("kubeadm",))
        planned = init_cluster(bench.desired, bench.desired.host("cp1"))
        action = replace(planned, taints=texts, certificate_names=("k8s.example",))
        INIT_CLUSTER.apply(action, bench.context("cp1"))
        init, configuration, _ = documents(given(bench, "cp1", _MARKED))
        assert init["nodeRegistration"].get("taints") == registered
        assert configuration["apiServer"]["certSANs"] == ["k8s.example"]

    def test_what_an_unfinished_init_left_is_moved_aside_first(self, bench: Bench) -> None:
        half = replace(
            bench.prepared("cp1"), unfinished="init", kubelet_server=f"https://{ENDPOINT}"
        )
        bench.hosts["cp1"] = [half]
        host = bench.runner("cp1")
        for constant in (_MARKED, *CLEARING):
            host.on(script(constant))
        host.on(("kubeadm",))
        action = init_cluster(bench.desired, bench.desired.host("cp1"))

        INIT_CLUSTER.apply(action, bench.context("cp1"))

        assert bench.done("cp1")[:-2] == CLEARED
        assert bench.done("cp1")[-2].startswith("marked init kubeadm init ")

    def test_what_kubeops_did_not_begin_is_left_to_kubeadms_preflight(self, bench: Bench) -> None:
        foreign = observed(bench.desired, members=("cp1",)).hosts["cp1"]
        bench.hosts["cp1"] = [replace(foreign, kubelet_server=None)]
        bench.runner("cp1").on(script(_MARKED), status=1, stderr="[ERROR Port-10250]")
        action = init_cluster(bench.desired, bench.desired.host("cp1"))
        with pytest.raises(CommandError):
            INIT_CLUSTER.apply(action, bench.context("cp1"))
        assert len(bench.done("cp1")) == 1

    def test_a_kubeadm_still_at_work_is_waited_for_and_believed(self, bench: Bench) -> None:
        ended = replace(bench.prepared("cp1"), kubelet_server=f"https://{ENDPOINT}")
        busy = replace(ended, kubeadm_running=True, unfinished="init")
        bench.hosts["cp1"] = [busy, busy, busy, ended]
        action = init_cluster(bench.desired, bench.desired.host("cp1"))

        INIT_CLUSTER.apply(action, bench.context("cp1"))

        assert bench.done("cp1") == []
        assert (
            "waiting for the kubeadm of an earlier run: it is still at work on cp1; "
            "if it hangs, end it there: sudo kill 4711"
        ) in bench.said

    def test_a_kubeadm_that_hangs_is_not_joined_by_a_second_one(self, bench: Bench) -> None:
        bench.hosts["cp1"] = [replace(bench.prepared("cp1"), kubeadm_running=True)]
        action = init_cluster(bench.desired, bench.desired.host("cp1"))
        with pytest.raises(GateError, match="the kubeadm of an earlier run: not within 900 s"):
            INIT_CLUSTER.apply(action, bench.context("cp1"))
        assert bench.done("cp1") == []

    def test_a_node_needs_nothing(self, bench: Bench) -> None:
        bench.hosts["cp1"] = [observed(bench.desired, members=("cp1",)).hosts["cp1"]]
        action = init_cluster(bench.desired, bench.desired.host("cp1"))
        INIT_CLUSTER.apply(action, bench.context("cp1"))
        assert bench.done("cp1") == []

    def test_names_that_look_like_numbers_stay_names(self, bench: Bench) -> None:
        odd = Host(name="1e3", address="10.0.0.11", role=bench.desired.hosts[0].role)
        bench.desired = replace(cluster(1, 0, hosts=(odd,)), name="007")
        bench.__post_init__()
        bench.hosts["1e3"] = [replace(bench.prepared("1e3"))]
        bench.runner("1e3").on(script(_MARKED))
        bench.runner("1e3").on(("kubeadm",))
        INIT_CLUSTER.apply(init_cluster(bench.desired, odd), bench.context("1e3"))
        command = given(bench, "1e3", _MARKED)
        init, configuration, _ = documents(command)
        assert init["nodeRegistration"]["name"] == "1e3"
        assert configuration["clusterName"] == "007"
        assert b'name: "1e3"' in (command.stdin or b"")  # kubeadm's YAML knows more numbers


class TestJoin:
    def test_a_control_plane_is_invited_with_certificates(self, bench: Bench) -> None:
        joinable(bench, "cp2")

        JOIN_CONTROL_PLANE.apply(CONTROL_PLANE, bench.context("cp2"))

        token = token_of(bench)
        assert bench.done("cp1") == [
            "piped kubeadm token create --config /dev/stdin",
            UPLOAD,
            "cat /etc/kubernetes/pki/ca.crt",
            f"kubeadm token delete {token[:6]}",
        ]
        assert bench.done("cp2") == ["marked join kubeadm join --config /dev/stdin"]
        assert_secret(bench)

    def test_kubeadm_is_given_exactly_this(self, bench: Bench) -> None:
        joinable(bench, "cp2")
        JOIN_CONTROL_PLANE.apply(CONTROL_PLANE, bench.context("cp2"))
        command = given(bench, "cp2", _MARKED)
        token, key = command.secrets
        assert documents(command) == [
            {
                "apiVersion": "kubeadm.k8s.io/v1beta4",
                "kind": "JoinConfiguration",
                "discovery": {
                    "bootstrapToken": {
                        "apiServerEndpoint": ENDPOINT,
                        "token": token,
                        "caCertHashes": [HASH],
                    }
                },
                "nodeRegistration": {
                    "name": "cp2",
                    "criSocket": "unix:///run/containerd/containerd.sock",
                    "kubeletExtraArgs": [{"name": "node-ip", "value": "10.0.0.12"}],
                },
                "controlPlane": {
                    "certificateKey": key,
                    "localAPIEndpoint": {"advertiseAddress": "10.0.0.12", "bindPort": 6443},
                },
                "timeouts": {"discovery": "1m0s", "tlsBootstrap": "2m0s"},
            }
        ]

    def test_the_invitation_is_of_the_same_secrets_and_cluster(self, bench: Bench) -> None:
        joinable(bench, "cp2")
        JOIN_CONTROL_PLANE.apply(CONTROL_PLANE, bench.context("cp2"))
        joined = given(bench, "cp2", _MARKED)
        for number in (0, 1):
            made = given(bench, "cp1", _PIPED, number)
            assert made.secrets == joined.secrets
            init, configuration, _ = documents(made)
            assert init["bootstrapTokens"][0]["token"] == joined.secrets[0]
            assert init["certificateKey"] == joined.secrets[1]
            assert init["nodeRegistration"]["name"] == "cp1"
            assert configuration["kubernetesVersion"] == "v1.35.4"

    def test_a_worker_gets_no_certificates(self, bench: Bench) -> None:
        joinable(bench, "w1")
        JOIN_WORKER.apply(WORKER, bench.context("w1"))
        assert not any("upload-certs" in line for line in bench.done("cp1"))
        command = given(bench, "w1", _MARKED)
        (document,) = documents(command)
        assert "controlPlane" not in document
        assert len(command.secrets) == 1
        assert_secret(bench)

    def test_the_invitation_in_an_upgrade_is_of_the_version_that_runs(self, bench: Bench) -> None:
        """The inventory still says 1.35.4, which kubeadm 1.37 refuses even to make a token."""
        joinable(bench, "w1")
        JOIN_WORKER.apply(replace(WORKER, version="1.37.1"), bench.context("w1"))
        _, configuration, _ = documents(given(bench, "cp1", _PIPED))
        assert configuration["kubernetesVersion"] == "v1.37.1"

    def test_a_join_is_given_up_with_the_run_and_an_invitation_is_not(self, bench: Bench) -> None:
        joinable(bench, "cp2")
        JOIN_CONTROL_PLANE.apply(CONTROL_PLANE, bench.context("cp2"))
        assert given(bench, "cp2", _MARKED).expendable
        assert not any(command.expendable for command in bench.runner("cp1").commands)

    def test_every_join_has_secrets_of_its_own(self, bench: Bench) -> None:
        for name in ("w1", "w2"):
            joinable(bench, name)
            JOIN_WORKER.apply(WORKER, bench.context(name))
        first, second = (given(bench, name, _MARKED).secrets[0] for name in ("w1", "w2"))
        assert first != second

    @taints
    def test_nodes_register_with_the_actions_taints(
        self, bench: Bench, texts: tuple[str, ...] | None, registered: object
    ) -> None:
        joinable(bench, "w1")
        JOIN_WORKER.apply(replace(WORKER, taints=texts), bench.context("w1"))
        joinable(bench, "cp2")
        JOIN_CONTROL_PLANE.apply(replace(CONTROL_PLANE, taints=texts), bench.context("cp2"))
        for name in ("w1", "cp2"):
            (document,) = documents(given(bench, name, _MARKED))
            assert document["nodeRegistration"].get("taints") == registered

    def test_an_unfinished_member_leaves_etcd_before_it_is_stopped(self, bench: Bench) -> None:
        """cp2 votes: stopped first it would take the quorum of two along, for good."""
        order: list[str] = []
        joinable(bench, "cp2", unfinished="join", kubelet_server=f"https://{ENDPOINT}")
        bench.clusters["cp1"] = [etcd_of(bench, "cp1", "cp2"), led(etcd_of(bench, "cp1"))]
        bench.runner("cp1").on(script(_ETCDCTL))
        for name in ("cp1", "cp2"):
            bench.runner(name).commands = Shared(order, name)

        JOIN_CONTROL_PLANE.apply(CONTROL_PLANE, bench.context("cp2"))

        order = [line for line in order if "/readyz" not in line]
        assert order[:3] == [
            "cp1: etcdctl member remove id-cp2",
            f"cp1: {KUBECTL} delete node cp2 --ignore-not-found",
            f"cp2: {CLEARED[0]}",
        ]
        assert order[3 : 2 + len(CLEARED)] == [f"cp2: {line}" for line in CLEARED[1:]]
        assert order[-2] == "cp2: marked join kubeadm join --config /dev/stdin"

    def test_a_member_without_which_quorum_is_lost_is_left_running(self, bench: Bench) -> None:
        joinable(bench, "cp2", unfinished="join")
        bench.clusters["cp1"] = [etcd_of(bench, "cp1", "cp2", "cp3", healthy=("cp1", "cp2"))]
        with pytest.raises(StepError, match="1 of the 2 other members are healthy, 2 must be"):
            JOIN_CONTROL_PLANE.apply(CONTROL_PLANE, bench.context("cp2"))
        assert bench.done("cp1") == []
        assert bench.done("cp2") == []

    def test_a_learner_may_always_go(self, bench: Bench) -> None:
        joinable(bench, "cp2")
        facts = etcd_of(bench, "cp1", "cp2", "cp3", healthy=("cp1", "cp2"))
        assert facts.etcd is not None
        members = tuple(replace(m, learner=m.name == "cp2") for m in facts.etcd.members)
        learning = replace(facts, etcd=replace(facts.etcd, members=members))
        bench.clusters["cp1"] = [learning, led(etcd_of(bench, "cp1", "cp3"))]
        bench.runner("cp1").on(script(_ETCDCTL))
        JOIN_CONTROL_PLANE.apply(CONTROL_PLANE, bench.context("cp2"))
        assert bench.done("cp1")[0] == "etcdctl member remove id-cp2"

    def test_an_etcd_that_does_not_answer_stops_the_join(self, bench: Bench) -> None:
        joinable(bench, "cp2", unfinished="join")
        bench.clusters["cp1"] = [
            replace(etcd_of(bench, "cp1"), etcd=None, etcd_error="cp1: no leader")
        ]
        with pytest.raises(StepError, match="etcd does not answer on cp1: cp1: no leader"):
            JOIN_CONTROL_PLANE.apply(CONTROL_PLANE, bench.context("cp2"))
        assert bench.done("cp2") == []

    def test_files_of_its_pods_are_there_before_it_joins_and_after_it_was_cleared(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        joinable(bench, "cp2", unfinished="join")
        done: list[list[str]] = []
        monkeypatch.setattr(
            "kubeops.handlers.kubeadm.copy_files",
            lambda _context, files, *, via: done.append([*bench.done("cp2"), via, *files]),
        )
        wanted = replace(CONTROL_PLANE, files=("etc/kubernetes/audit.yaml",))
        JOIN_CONTROL_PLANE.apply(wanted, bench.context("cp2"))
        assert done == [[*CLEARED, "cp1", "etc/kubernetes/audit.yaml"]]
        assert len(bench.done("cp2")) == len(CLEARED) + 1

    def test_an_unfinished_worker_is_cleared_and_joins_again(self, bench: Bench) -> None:
        joinable(bench, "w1", unfinished="join")
        JOIN_WORKER.apply(WORKER, bench.context("w1"))
        assert bench.done("w1") == [*CLEARED, "marked join kubeadm join --config /dev/stdin"]

    def test_the_token_goes_even_when_the_join_fails(self, bench: Bench) -> None:
        joinable(bench, "w1")
        bench.runner("w1")._answers.clear()
        bench.runner("w1").on(script(_MARKED), status=1, stderr="[ERROR CRI]")
        with pytest.raises(CommandError) as raised:
            JOIN_WORKER.apply(WORKER, bench.context("w1"))
        assert "[ERROR CRI]" in raised.value.output
        assert bench.done("cp1")[-1].startswith("kubeadm token delete ")

    def test_the_token_goes_when_the_certificates_cannot_be_uploaded(self, bench: Bench) -> None:
        joinable(bench, "cp2")
        via = bench.runner("cp1")
        via._answers.clear()
        via.on(script(_PIPED), times=1)
        via.on(script(_PIPED), status=1, stderr="etcdserver: request timed out")
        via.on(("kubeadm", "token", "delete"))
        with pytest.raises(CommandError, match="cp1"):
            JOIN_CONTROL_PLANE.apply(CONTROL_PLANE, bench.context("cp2"))
        assert bench.done("cp1")[-2:] == [UPLOAD, f"kubeadm token delete {token_of(bench)[:6]}"]

    def test_a_token_that_cannot_be_deleted_hides_nothing(self, bench: Bench) -> None:
        joinable(bench, "w1")
        via = bench.runner("cp1")
        via._answers.pop()
        via.on(("kubeadm", "token", "delete"), error=TransportError("gone", host="cp1"))
        bench.runner("w1")._answers.clear()
        bench.runner("w1").on(script(_MARKED), status=1, stderr="[ERROR CRI]")
        with pytest.raises(CommandError, match="w1"):
            JOIN_WORKER.apply(WORKER, bench.context("w1"))

    def test_kubeadms_words_are_shown_without_secrets(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        token = "abcdef.0123456789abcdef"  # noqa: S105 - the one of the documentation
        monkeypatch.setattr("kubeops.handlers.kubeadm.new_token", lambda: token)
        joinable(bench, "w1")
        via = bench.runner("cp1")
        via._answers.clear()
        via.on(("kubectl",))
        via.on(script(_PIPED), status=1, stderr=f'a token "{token}" already exists')
        via.on(("kubeadm", "token", "delete"))
        with pytest.raises(CommandError) as raised:
            JOIN_WORKER.apply(WORKER, bench.context("w1"))
        assert raised.value.output == f'a token "{MASK}" already exists'


class TestGates:
    def test_a_control_plane_is_there_when_its_own_server_answers_and_its_member_votes(
        self, bench: Bench
    ) -> None:
        ready = f"{KUBECTL} --server https://10.0.0.12:6443 --request-timeout=5s get --raw /readyz"
        host = bench.runner("cp2")
        host.on(("kubectl",), status=1, stderr="refused", times=1)
        host.on(("kubectl",))
        learning = etcd_of(bench, "cp1", "cp2")
        assert learning.etcd is not None
        members = tuple(replace(m, learner=m.name == "cp2") for m in learning.etcd.members)
        alone = etcd_of(bench, "cp1")
        bench.clusters["cp1"] = [
            alone,
            alone,
            replace(learning, etcd=replace(learning.etcd, members=members)),
            etcd_of(bench, "cp1", "cp2", healthy=("cp1",)),
            etcd_of(bench, "cp1", "cp2"),
        ]

        bench.await_gate(JOIN_CONTROL_PLANE.gate(CONTROL_PLANE, bench.context("cp2")))

        assert bench.done("cp2") == [ready] * 5
        assert [line.rpartition("cp2: ")[2] for line in bench.said] == [
            "its API server: refused",
            "etcd has no member cp2",
            "etcd member cp2 is a learner",
            "etcd member cp2 is not healthy",
            "API ready, etcd healthy",
        ]

    def test_an_alarm_is_not_healthy(self, bench: Bench) -> None:
        bench.runner("cp1").on(("kubectl",))
        facts = etcd_of(bench, "cp1")
        assert facts.etcd is not None
        alarmed = replace(facts.etcd, alarms=("NOSPACE id-cp1",))
        bench.clusters["cp1"] = [replace(facts, etcd=alarmed)]
        action = init_cluster(bench.desired, bench.desired.host("cp1"))
        with pytest.raises(GateError, match="etcd alarm NOSPACE"):
            bench.await_gate(INIT_CLUSTER.gate(action, bench.context("cp1")))

    def test_ipv6_servers_are_written_in_brackets(self, bench: Bench) -> None:
        hosts = tuple(replace(host, address="fd00::12") for host in bench.desired.hosts)
        bench.desired = replace(bench.desired, hosts=hosts)
        bench.runner("cp2").on(("kubectl",), status=1)
        bench.clusters["cp1"] = [etcd_of(bench, "cp1")]
        with pytest.raises(GateError):
            bench.await_gate(JOIN_CONTROL_PLANE.gate(CONTROL_PLANE, bench.context("cp2")))
        assert "--server 'https://[fd00::12]:6443'" in bench.done("cp2")[0]

    def test_a_worker_is_there_when_its_node_is(self, bench: Bench) -> None:
        via = bench.runner("cp1")
        via.on(("kubectl",), status=1, stderr='nodes "w1" not found', times=2)
        via.on(("kubectl",), stdout="node/w1\n")
        bench.await_gate(JOIN_WORKER.gate(WORKER, bench.context("w1")))
        assert bench.done("cp1") == [f"{KUBECTL} get node w1 -o name"] * 3


def test_a_node_does_not_join_again(bench: Bench) -> None:
    facts = replace(bench.prepared("w1"), kubelet_server="https://10.0.0.10:6443")
    bench.hosts["w1"] = [replace(facts, kubeadm_running=True), facts]
    JOIN_WORKER.apply(WORKER, bench.context("w1"))
    assert (bench.done("cp1"), bench.done("w1")) == ([], [])


class Shared(list[Command]):
    """The commands of one host, also told in an order shared with others."""

    def __init__(self, order: list[str], host: str) -> None:
        super().__init__()
        self.order = order
        self.host = host

    def append(self, command: Command) -> None:
        super().append(command)
        self.order.append(f"{self.host}: {spoken(command)}")
