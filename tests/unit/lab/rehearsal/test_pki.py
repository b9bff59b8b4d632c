from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from rehearsal import kubeadm_config, pki, version
from rehearsal.kubeadm_pki import Certificates
from rehearsal.layout import Layout
from rehearsal.manifests import Node

FAST = "ECDSA-P256"


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    cluster = kubeadm_config.cluster(
        {
            "controlPlaneEndpoint": "lb.example:6443",
            "encryptionAlgorithm": FAST,
            "apiServer": {"certSANs": ["api.example", "192.0.2.9"]},
        },
        version=version.parse("1.35.4"),
    )
    node = Node(name="node1", address="172.30.77.11")
    return Certificates(layout=Layout(root=tmp_path), cluster=cluster, node=node)


def names(certificate: x509.Certificate) -> tuple[list[str], list[str]]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return (
        found.get_values_for_type(x509.DNSName),
        [str(address) for address in found.get_values_for_type(x509.IPAddress)],
    )


def test_the_api_server_answers_to_every_name_it_is_reached_by(certificates: Certificates) -> None:
    certificates.make_authority("ca")
    made = certificates.make("apiserver")
    assert names(made.certificate) == (
        [
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
            "node1",
            "api.example",
            "lb.example",
        ],
        ["10.96.0.1", "172.30.77.11", "192.0.2.9"],
    )


def test_etcd_certificates_serve_and_call(certificates: Certificates) -> None:
    certificates.make_authority("etcd/ca")
    made = certificates.make("etcd/peer").certificate
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usage) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert names(made) == (["localhost", "node1"], ["172.30.77.11", "127.0.0.1", "::1"])


def test_leafs_last_a_year_and_authorities_ten(certificates: Certificates) -> None:
    ca = certificates.make_authority("front-proxy-ca").certificate
    leaf = certificates.make("front-proxy-client").certificate
    backdate = timedelta(minutes=5)
    assert ca.not_valid_after_utc - ca.not_valid_before_utc == timedelta(days=3650) + backdate
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(days=365) + backdate
    leaf.verify_directly_issued_by(ca)


def test_keys_are_private_and_certificates_are_not(certificates: Certificates) -> None:
    certificates.make_authority("ca")
    folder = certificates.folder
    assert (folder / "ca.key").stat().st_mode & 0o777 == 0o600
    assert (folder / "ca.crt").stat().st_mode & 0o777 == 0o644


def test_an_authority_is_never_replaced(certificates: Certificates) -> None:
    first = certificates.make_authority("ca").certificate_pem
    assert certificates.make_authority("ca").certificate_pem == first


def test_components_talk_to_their_own_api_server_and_people_to_the_endpoint(
    certificates: Certificates,
) -> None:
    certificates.make_authority("ca")
    assert "server: https://lb.example:6443" in certificates.conf("admin")
    assert "server: https://172.30.77.11:6443" in certificates.conf("scheduler")
    assert "user: system:node:node1" in certificates.conf("kubelet")


def test_the_pin_is_of_the_public_key() -> None:
    key = pki.new_key(FAST)
    ca = pki.authority("kubernetes", algorithm=FAST)
    one, two = (
        pki.issue(ca, pki.Request(name=name, client=True), key=key).certificate
        for name in ("one", "two")
    )
    assert pki.pin(one) == pki.pin(two)
    assert pki.pin(one).startswith("sha256:")


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(ValueError, match="Unsupported value"):
        pki.new_key("RSA-512")
