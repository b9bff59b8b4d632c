"""Which etcd member is whose."""

from kubeops.model.desired import Host, Role
from kubeops.model.observed import EtcdFacts, EtcdMember


def member(name: str, address: str) -> EtcdMember:
    return EtcdMember(
        id=address,
        name=name,
        peer_urls=(f"https://{address}:2380",),
        client_urls=(),
        learner=False,
        healthy=True,
    )


def host(name: str, address: str) -> Host:
    return Host(name=name, address=address, role=Role.CONTROL_PLANE)


def test_a_member_is_known_by_name_or_by_its_address_until_it_has_started() -> None:
    first, unstarted = member("cp1", "10.0.0.11"), member("", "10.0.0.12")
    etcd = EtcdFacts(asked="cp1", members=(first, unstarted))
    assert etcd.member_of(host("cp1", "10.0.0.99")) == first
    assert etcd.member_of(host("cp2", "10.0.0.12")) == unstarted
    assert etcd.member_of(host("cp4", "10.0.0.1")) is None


def test_a_member_of_an_ipv6_address_is_known_by_it() -> None:
    unstarted = member("", "[fd00::11]")
    etcd = EtcdFacts(asked="cp1", members=(unstarted,))
    assert etcd.member_of(host("cp1", "fd00::11")) == unstarted
    assert etcd.member_of(host("cp1", "fd00::1")) is None
