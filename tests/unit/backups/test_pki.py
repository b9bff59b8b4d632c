"""What is read of a bundle's archive of PKI and configuration."""

from hashlib import sha256
from pathlib import Path

import pytest

from kubeops.backups.pki import read_pki
from kubeops.model.pki import REQUIRED, Pki
from tests.certificates import ENDS, SETTINGS, archive, authority, pki


def read(tmp_path: Path, files: dict[str, bytes]) -> Pki:
    file = tmp_path / "pki.tar"
    file.write_bytes(archive(files))
    return read_pki(file)


def test_whose_it_is_and_how_long_it_lasts(tmp_path: Path) -> None:
    found = read(tmp_path, pki())
    assert found.authority == sha256(authority()).hexdigest()
    assert set(found.expires.values()) == {ENDS}
    assert len(found.expires) == 3
    assert found.missing == ()
    assert found.settings == SETTINGS
    assert found.endpoint == "10.0.0.10:6443"
    assert found.networks["podSubnet"] == "10.244.0.0/16"


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    files = pki()
    del files["etc/kubernetes/pki/sa.key"], files["cluster/kubeadm-config.yaml"]
    found = read(tmp_path, files)
    assert found.missing == ("etc/kubernetes/pki/sa.key",)
    assert (found.settings, found.endpoint, found.networks) == ({}, "", {})
    assert read(tmp_path, {}).authority == ""


@pytest.mark.parametrize(
    ("path", "goes_back"),
    [
        ("etc/kubernetes/pki/oidc.crt", True),
        ("etc/kubernetes/enc/enc.yaml", True),
        ("etc/kubernetes/audit.yaml", True),
        ("etc/kubernetes/patches/etcd.json", True),
        ("etc/kubernetes/manifests/kube-vip.yaml", True),
        ("etc/kubernetes/manifests/etcd.yaml", False),
        ("etc/kubernetes/manifests/.kubelet-keep", False),
        ("etc/kubernetes/manifests/kube-controller-manager.yaml", False),
        ("etc/kubernetes/pki/apiserver-etcd-client.key", False),
        ("etc/kubernetes/pki/etcd/peer.crt", False),
        ("etc/kubernetes/admin.conf", False),
        ("etc/kubernetes/scheduler.conf", False),
        ("etc/../root/.ssh/authorized_keys", False),
        ("root/x", False),
        ("cluster/kubelet-config.yaml", False),
    ],
)
def test_what_goes_back_onto_a_fresh_host(tmp_path: Path, path: str, *, goes_back: bool) -> None:
    found = read(tmp_path, {**pki(), path: b"x"})
    assert (path in found.files) is goes_back
    assert found.beside == ((path,) if goes_back else ())
    assert set(REQUIRED) <= set(found.files)


@pytest.mark.parametrize(
    ("path", "content", "told"),
    [
        ("etc/kubernetes/pki/ca.crt", b"nonsense", "no certificate"),
        ("cluster/kubeadm-config.yaml", b"{", "cannot be understood"),
        ("cluster/kubeadm-config.yaml", b"data: {}", "cannot be understood"),
        ("cluster/kubeadm-config.yaml", b"data: {ClusterConfiguration: x}", "holds no"),
    ],
)
def test_what_cannot_be_understood_is_named(
    tmp_path: Path, path: str, content: bytes, told: str
) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        read(tmp_path, {**pki(), path: content})
    assert path in str(caught.value)


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "pki.tar").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="not an archive"):
        read_pki(tmp_path / "pki.tar")
