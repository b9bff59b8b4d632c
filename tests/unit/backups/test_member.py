"""Which member a snapshot is taken from."""

from dataclasses import replace

import pytest

from kubeops.backups.member import choose
from kubeops.errors import PreflightError
from kubeops.model.observed import ClusterFacts, EtcdFacts, EtcdMember, StaticPod, Unreachable
from tests.unit.plan import values

DESIRED = values.cluster(3, 0)
FLAGS = {
    "listen-client-urls": "https://127.0.0.1:2379,https://10.0.0.11:2379",
    "trusted-ca-file": "/etc/kubernetes/pki/etcd/ca.crt",
    "cert-file": "/etc/kubernetes/pki/etcd/server.crt",
    "key-file": "/etc/kubernetes/pki/etcd/server.key",
    "data-dir": "/var/lib/etcd",
}
API = {
    "encryption-provider-config": "/etc/kubernetes/enc/config.yaml",
    "audit-policy-file": "/etc/kubernetes/audit.yaml",
    "etcd-prefix": "/other/",
    "tls-cert-file": "/etc/kubernetes/pki/apiserver.crt",
    "audit-log-path": "/var/log/audit.log",
}
PODS = {
    "etcd": StaticPod(name="etcd", image="etcd", flags=FLAGS),
    "kube-apiserver": StaticPod(name="kube-apiserver", image="api", flags=API),
}


def member(name: str, number: int, **changed: object) -> EtcdMember:
    one = EtcdMember(
        id=str(number),
        name=name,
        peer_urls=(f"https://10.0.0.1{number}:2380",),
        client_urls=(f"https://10.0.0.1{number}:2379",),
        learner=False,
        healthy=True,
        version="3.6.6",
    )
    return replace(one, **changed)  # type: ignore[arg-type]  # attributes by name


def facts(*members: EtcdMember, alarms: tuple[str, ...] = ()) -> ClusterFacts:
    hosts = {
        host.name: replace(values.bare(host), static_pods=PODS) for host in DESIRED.control_planes
    }
    etcd = EtcdFacts(asked="cp1", members=members, alarms=alarms)
    return ClusterFacts(at=values.NOON, hosts=hosts, etcd=etcd)


def test_a_follower_is_asked() -> None:
    chosen = choose(DESIRED, facts(member("cp1", 1, leader=True), member("cp2", 2)))
    assert chosen.host == "cp2"
    assert choose(DESIRED, facts(member("cp1", 1, leader=True))).host == "cp1"


def test_a_member_goes_by_its_address_too() -> None:
    assert choose(DESIRED, facts(member("", 2))).host == "cp2"


def test_what_is_asked_with() -> None:
    chosen = choose(DESIRED, facts(member("cp1", 1)))
    assert chosen.arguments == (
        "https://127.0.0.1:2379",
        "/etc/kubernetes/pki/etcd/ca.crt",
        "/etc/kubernetes/pki/etcd/server.crt",
        "/etc/kubernetes/pki/etcd/server.key",
    )
    assert chosen.registry_prefix == "/other"
    assert chosen.encryption_configuration == "/etc/kubernetes/enc/config.yaml"
    assert chosen.configuration == (
        "/etc/kubernetes/pki",
        "/etc/kubernetes/manifests",
        "/etc/kubernetes/patches",
        "/etc/kubernetes/admin.conf",
        "/etc/kubernetes/audit.yaml",
        "/etc/kubernetes/enc/config.yaml",
    )


@pytest.mark.parametrize(
    ("observed", "said"),
    [
        (ClusterFacts(at=values.NOON, hosts={}, etcd_error="refused"), "does not answer: refused"),
        (facts(member("cp1", 1), alarms=("CORRUPT 1",)), "its data is damaged"),
        (
            facts(member("cp1", 1, healthy=False), member("cp2", 2, learner=True)),
            "cp1 is not healthy; cp2 is a learner still; cp3 is no member",
        ),
        (
            replace(
                facts(member("cp1", 1)),
                hosts={},
                unreachable={"cp1": Unreachable(host="cp1", reason="timed out")},
            ),
            "cp1 was not reached (timed out); cp2 was not reached (not asked)",
        ),
        (
            replace(facts(member("cp1", 1)), hosts={"cp1": values.bare(DESIRED.control_planes[0])}),
            "cp1 has no static pod of etcd",
        ),
    ],
)
def test_nobody_can_be_asked(observed: ClusterFacts, said: str) -> None:
    with pytest.raises(PreflightError) as caught:
        choose(DESIRED, observed)
    assert said in caught.value.message


def test_a_full_database_is_saved_all_the_same() -> None:
    assert choose(DESIRED, facts(member("cp1", 1), alarms=("NOSPACE 1",))).host == "cp1"
