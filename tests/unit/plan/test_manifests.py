import re
from dataclasses import replace

import pytest

from kubeops.model.desired import Cni
from kubeops.plan.manifests import manifest_sources
from tests.unit.plan.values import cluster

GITHUB, GITHUB_FILES = "https://github.com", "https://raw.githubusercontent.com"
PLAIN = cluster(1, 0)


@pytest.mark.parametrize(
    ("cni", "expected"),
    [
        (Cni(name="bridge"), ()),
        (Cni(name="cilium", source="/srv/cilium.yaml"), (("cilium", "/srv/cilium.yaml"),)),
        (
            Cni(name="flannel", version="0.28.4"),
            (
                (
                    "flannel",
                    f"{GITHUB}/flannel-io/flannel/releases/download/v0.28.4/kube-flannel.yml",
                ),
            ),
        ),
        (
            Cni(name="calico", version="3.31.0"),
            (
                (
                    "calico",
                    f"{GITHUB_FILES}/projectcalico/calico/v3.31.0/manifests/calico.yaml",
                ),
            ),
        ),
        (
            Cni(name="flannel", version="0.28.4", source="/srv/flannel.yml"),
            (("flannel", "/srv/flannel.yml"),),
        ),
        (Cni(name="manifest", source="/srv/own.yml"), (("manifest", "/srv/own.yml"),)),
    ],
    ids=["bridge", "cilium", "flannel", "calico", "a source of its own", "manifest"],
)
def test_plugins_come_from_their_projects_pinned(
    cni: Cni, expected: tuple[tuple[str, str], ...]
) -> None:
    assert manifest_sources(replace(PLAIN, cni=cni)) == expected


def test_the_network_comes_first_and_addons_in_their_order() -> None:
    desired = replace(
        PLAIN,
        cni=Cni(name="manifest", source="/srv/own.yml"),
        addons=("metrics-server", "/srv/a.yaml", "ingress-nginx"),
    )
    assert [name for name, _ in manifest_sources(desired)] == [
        "manifest",
        "metrics-server",
        "a.yaml",
        "ingress-nginx",
    ]


def named(*addons: str) -> list[str]:
    return [name for name, _ in manifest_sources(replace(PLAIN, addons=addons))]


def test_two_files_of_one_name_are_two_addons() -> None:
    first, second = named("/srv/ingress/deploy.yaml", "/srv/monitoring/deploy.yaml")
    assert first == "deploy.yaml"
    assert re.fullmatch(r"deploy\.yaml-[0-9a-f]{8}", second)
    assert named("/srv/ingress/deploy.yaml", "/srv/monitoring/deploy.yaml") == [first, second]


@pytest.mark.parametrize(
    ("addon", "name"),
    [
        ("https://example.org/x.yaml?ref=v1&raw=1", "x.yaml"),
        ("https://example.org/", "manifest"),
        ("/srv/with blank (1).yaml", "with-blank-1-.yaml"),
    ],
)
def test_a_name_may_be_a_key_of_a_configmap(addon: str, name: str) -> None:
    assert named(addon) == [name]
