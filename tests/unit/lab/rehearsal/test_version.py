import pytest
from rehearsal import version


@pytest.mark.parametrize("text", ["1.35.4", "v1.35.4", "v1.35.4+rehearsal"])
def test_every_way_to_write_a_version_means_the_same(text: str) -> None:
    found = version.parse(text)
    assert (str(found), found.full, found.series) == ("v1.35.4", "v1.35.4+rehearsal", "1.35")


@pytest.mark.parametrize("text", ["", "1.35", "v1.x.4", "stable-1"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="could not parse"):
        version.parse(text)


def test_images_are_those_kubeadm_lists() -> None:
    assert version.images(version.parse("1.35.4")) == (
        "registry.k8s.io/kube-apiserver:v1.35.4",
        "registry.k8s.io/kube-controller-manager:v1.35.4",
        "registry.k8s.io/kube-scheduler:v1.35.4",
        "registry.k8s.io/kube-proxy:v1.35.4",
        "registry.k8s.io/coredns/coredns:v1.13.1",
        "registry.k8s.io/pause:3.10.1",
        "registry.k8s.io/etcd:3.6.6-0",
    )


def test_a_configuration_names_a_coredns_of_its_own_or_leaves_addons_out() -> None:
    addons = version.images(
        version.parse("1.36.1"), dns={"imageTag": "v1.12.9"}, proxy={"disabled": True}
    )
    assert "registry.k8s.io/coredns/coredns:v1.12.9" in addons
    assert not any("kube-proxy" in image for image in addons)
    without = version.images(version.parse("1.36.1"), dns={"disabled": True})
    assert not any("dns" in image for image in without)


def test_a_mirror_has_coredns_without_its_folder() -> None:
    found = version.images(version.parse("1.36.1"), repository="mirror.example/k8s", etcd_tag="x")
    assert found[4:] == (
        "mirror.example/k8s/coredns:v1.14.2",
        "mirror.example/k8s/pause:3.10.2",
        "mirror.example/k8s/etcd:x",
    )


def test_only_released_images_can_be_pulled() -> None:
    assert version.pullable("registry.k8s.io/kube-proxy:v1.35.4")
    assert not version.pullable("registry.k8s.io/kube-proxy:v1.35.99")
    assert not version.pullable("registry.k8s.io/kube-proxy:latest")
    assert version.pullable("registry.example/shop:2")
