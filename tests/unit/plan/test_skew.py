"""The version skew policy, at its limits."""

from collections.abc import Mapping

import pytest

from kubeops.model.version import KubeVersion
from kubeops.plan.actions import UpgradeApply, UpgradeKubeadm, UpgradeKubelet, UpgradeNode
from kubeops.plan.skew import Components, violations


def at(**minors: int) -> Mapping[str, KubeVersion]:
    return {name: KubeVersion(1, minor, 1) for name, minor in minors.items()}


def components(
    *,
    apiservers: Mapping[str, KubeVersion] | None = None,
    controllers: Mapping[str, KubeVersion] | None = None,
    schedulers: Mapping[str, KubeVersion] | None = None,
    kubelets: Mapping[str, KubeVersion] | None = None,
    kubectls: Mapping[str, KubeVersion] | None = None,
    kube_proxy: int | None = None,
) -> Components:
    """Two control planes at 1.36, but for what is said."""
    return Components(
        control_planes=frozenset({"cp1", "cp2"}),
        apiservers=apiservers or at(cp1=36, cp2=36),
        controllers=controllers or {},
        schedulers=schedulers or {},
        kubelets=kubelets or {},
        kubectls=kubectls or {},
        kube_proxy=None if kube_proxy is None else KubeVersion(1, kube_proxy, 1),
    )


@pytest.mark.parametrize(
    "found",
    [
        components(),
        components(apiservers=at(cp1=36, cp2=35)),
        components(kubelets=at(w1=33)),
        components(kubelets=at(w1=36)),
        components(apiservers=at(cp1=37, cp2=36), kubelets=at(cp1=37, w1=34)),
        components(controllers=at(cp1=35), schedulers=at(cp1=36)),
        components(kube_proxy=33, kubelets=at(w1=36)),
        components(kubectls=at(cp1=37, cp2=35)),
        Components(
            control_planes=frozenset(),
            apiservers={},
            controllers={},
            schedulers={},
            kubelets=at(w1=30),
            kubectls={},
        ),
    ],
)
def test_allowed(found: Components) -> None:
    assert violations(found) == ()


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (components(apiservers=at(cp1=37, cp2=35)), "API servers run 1.35.1 and 1.37.1"),
        (components(kubelets=at(w1=32)), "w1's kubelet 1.32.1 is more than 3 minor"),
        (components(kubelets=at(w1=37)), "w1's kubelet 1.37.1 is newer than its API server"),
        (
            components(apiservers=at(cp1=37, cp2=36), kubelets=at(w1=37)),
            "w1's kubelet 1.37.1 is newer than its API server 1.36.1",
        ),
        (
            components(apiservers=at(cp1=37, cp2=36), kubelets=at(cp2=37)),
            "cp2's kubelet 1.37.1 is newer than its API server 1.36.1",
        ),
        (
            components(apiservers=at(cp1=37, cp2=36), kubelets=at(w1=33)),
            "w1's kubelet 1.33.1 is more than 3 minor releases older than API server 1.37.1",
        ),
        (components(controllers=at(cp1=34)), "cp1's controller manager 1.34.1 does not fit"),
        (components(controllers=at(cp1=37)), "cp1's controller manager 1.37.1 does not fit"),
        (components(schedulers=at(cp2=37)), "cp2's scheduler 1.37.1 does not fit"),
        (components(kube_proxy=37), "kube-proxy 1.37.1 is newer than API server 1.36.1"),
        (components(kube_proxy=32), "kube-proxy 1.32.1 is more than 3 minor releases older"),
        (
            components(kube_proxy=36, kubelets=at(w1=32)),
            "kube-proxy 1.36.1 and w1's kubelet 1.32.1 are more than 3",
        ),
        (components(kubectls=at(cp1=38)), "cp1's kubectl 1.38.1 is more than 1 minor"),
        (components(kubectls=at(cp1=34)), "cp1's kubectl 1.34.1 is more than 1 minor"),
    ],
)
def test_forbidden(found: Components, text: str) -> None:
    assert any(line.startswith(text) for line in violations(found))


def test_control_planes_take_kube_proxy_along_with_the_last() -> None:
    begin = components(kube_proxy=36, kubelets=at(cp1=36))
    first = begin.after(UpgradeApply(version="1.37.0"), "cp1")
    assert first.apiservers == {"cp1": KubeVersion(1, 37, 0), "cp2": KubeVersion(1, 36, 1)}
    assert first.controllers["cp1"] == first.schedulers["cp1"] == KubeVersion(1, 37, 0)
    assert first.kube_proxy == KubeVersion(1, 36, 1)
    last = first.after(UpgradeNode(version="1.37.0"), "cp2")
    assert last.kube_proxy == KubeVersion(1, 37, 0)
    assert last.kubelets == begin.kubelets


def test_kubelets_take_kubectl_along() -> None:
    begin = components(kubelets=at(cp1=36, w1=35), kubectls=at(cp1=36))
    after = begin.after(UpgradeKubelet(node="cp1", version="1.37.0"), "cp1").after(
        UpgradeKubelet(node="w1", version="1.37.0"), "w1"
    )
    assert set(after.kubelets.values()) == {KubeVersion(1, 37, 0)}
    assert after.kubectls == {"cp1": KubeVersion(1, 37, 0)}


def test_the_rest_changes_no_version() -> None:
    begin = components(kubelets=at(w1=36))
    assert begin.after(UpgradeKubeadm(version="1.37.0"), "cp1") == begin
    assert begin.after(UpgradeNode(version="1.37.0"), "w1") == begin
