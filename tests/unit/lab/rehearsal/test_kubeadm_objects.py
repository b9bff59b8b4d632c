import secrets
from pathlib import Path

import pytest
import yaml
from cryptography.exceptions import InvalidTag
from rehearsal import kubeadm_discovery, kubeadm_objects, pki
from rehearsal.client import Client
from rehearsal.kubeadm_common import KubeadmError
from rehearsal.layout import Layout

FAST = "ECDSA-P256"
TOKEN = "s2a5sy.0123456789abcdef"  # noqa: S105 - nobody's


def test_certificates_travel_encrypted_and_come_back_whole(admin: Client, tmp_path: Path) -> None:
    here, there = Layout(root=tmp_path / "here"), Layout(root=tmp_path / "there")
    key = secrets.token_hex(32)
    pki.authority("kubernetes", algorithm=FAST).write(here.pki / "ca")
    pki.authority("etcd-ca", algorithm=FAST).write(here.pki / "etcd/ca")
    kubeadm_objects.upload_certificates(admin, here, "/etc/kubernetes/pki", key)
    kubeadm_objects.download_certificates(admin, there, "/etc/kubernetes/pki", key)
    for name in ("ca.crt", "ca.key", "etcd/ca.crt", "etcd/ca.key"):
        assert (there.pki / name).read_bytes() == (here.pki / name).read_bytes()
    assert (there.pki / "ca.key").stat().st_mode & 0o777 == 0o600


def test_a_wrong_certificate_key_is_told_as_kubeadm_does(admin: Client, tmp_path: Path) -> None:
    layout = Layout(root=tmp_path)
    pki.authority("kubernetes", algorithm=FAST).write(layout.pki / "ca")
    kubeadm_objects.upload_certificates(admin, layout, "/etc/kubernetes/pki", "0a" * 32)
    with pytest.raises(KubeadmError) as caught:
        kubeadm_objects.download_certificates(admin, layout, "/etc/kubernetes/pki", "0b" * 32)
    assert str(caught.value) == (
        "error execution phase control-plane-prepare/download-certs: error downloading "
        "certs: error decoding secret "
        "data with provided key: cipher: message authentication failed"
    )


def test_missing_certificates_name_the_command_that_uploads_them(
    admin: Client, tmp_path: Path
) -> None:
    with pytest.raises(KubeadmError, match="kubeadm init phase upload-certs --upload-certs"):
        kubeadm_objects.download_certificates(
            admin, Layout(root=tmp_path), "/etc/kubernetes/pki", "0a" * 32
        )


def test_encryption_is_never_the_same_twice() -> None:
    key = "0c" * 32
    one, two = (kubeadm_objects.encrypt(b"text", key) for _ in range(2))
    assert one != two
    assert kubeadm_objects.decrypt(one, key) == b"text"
    with pytest.raises(InvalidTag):
        kubeadm_objects.decrypt(one[:-1] + bytes([one[-1] ^ 1]), key)


def test_tokens_look_like_tokens() -> None:
    first, _, second = kubeadm_objects.new_token().partition(".")
    assert (len(first), len(second)) == (6, 16)


def test_a_signature_is_the_token_owner_s_alone() -> None:
    identifier, _, secret = TOKEN.partition(".")
    signed = kubeadm_discovery.sign("text", identifier, secret)
    assert signed.startswith("eyJhbGciOiJIUzI1NiIsImtpZCI6InMyYTVzeSJ9..")
    assert signed != kubeadm_discovery.sign("text", identifier, secret[::-1])
    assert signed != kubeadm_discovery.sign("other", identifier, secret)


def test_cluster_info_says_where_the_cluster_is(admin: Client) -> None:
    kubeadm_objects.cluster_info(admin, server="https://lb.example:6443", ca=b"CA")
    found = admin.get("configmaps", "cluster-info", namespace="kube-public")
    conf = yaml.safe_load(found["data"]["kubeconfig"])
    assert conf["clusters"][0]["cluster"]["server"] == "https://lb.example:6443"


def test_putting_an_object_twice_replaces_it(admin: Client) -> None:
    for value in ("one", "two"):
        kubeadm_objects.put(admin, "configmaps", kubeadm_objects.config_map("x", {"k": value}))
    assert admin.get("configmaps", "x", namespace="kube-system")["data"] == {"k": "two"}
