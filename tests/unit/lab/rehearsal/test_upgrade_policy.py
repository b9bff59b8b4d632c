import pytest
from rehearsal.kubeadm_common import KubeadmError
from rehearsal.kubeadm_upgrade_policy import Verdict, judge
from rehearsal.version import parse


def verdict(target: str, cluster: str, kubeadm: str, *kubelets: str) -> Verdict:
    return judge(
        target=parse(target),
        cluster=parse(cluster),
        kubeadm=parse(kubeadm),
        kubelets=[parse(kubelet) for kubelet in kubelets],
    )


@pytest.mark.parametrize(
    ("target", "cluster", "kubeadm"),
    [
        ("1.35.6", "1.35.4", "1.35.6"),
        ("1.36.1", "1.35.6", "1.36.1"),
        ("1.35.4", "1.36.1", "1.36.1"),
    ],
)
def test_patches_and_one_minor_are_allowed(target: str, cluster: str, kubeadm: str) -> None:
    assert verdict(target, cluster, kubeadm, cluster) == Verdict()


def test_a_newer_minor_than_kubeadm_is_refused_whatever_is_forced() -> None:
    with pytest.raises(KubeadmError) as caught:
        verdict("1.36.1", "1.35.4", "1.35.4").enforce(force=True)
    assert str(caught.value) == (
        "error execution phase preflight: the version argument is invalid due to these fatal "
        "errors:\n\n"
        '\t- Specified version to upgrade to "v1.36.1" is at least one minor release higher '
        "than the kubeadm minor "
        "release (36 > 35). Such an upgrade is not supported\n\n"
        "Please fix the misalignments highlighted above and try upgrading again"
    )


def test_a_newer_patch_than_kubeadm_can_be_forced() -> None:
    found = verdict("1.35.6", "1.35.4", "1.35.4")
    with pytest.raises(KubeadmError) as caught:
        found.enforce(force=False)
    assert str(caught.value) == (
        "error execution phase preflight: the version argument is invalid due to these errors:\n\n"
        '\t- Specified version to upgrade to "v1.35.6" is higher than the kubeadm version '
        '"v1.35.4". Upgrade kubeadm '
        "first using the tool you used to install kubeadm\n\nCan be bypassed if you pass the "
        "--force flag"
    )
    found.enforce(force=True)


def test_two_minors_at_once_are_too_high() -> None:
    (problem,) = verdict("1.36.1", "1.34.7", "1.36.1").mandatory
    assert problem == (
        'Specified version to upgrade to "v1.36.1" is too high; kubeadm can upgrade only 1 '
        "minor version at a time"
    )


def test_kubelets_may_be_three_minors_behind_and_no_more() -> None:
    assert verdict("1.37.0", "1.36.1", "1.37.0", "1.34.1") == Verdict()
    (problem,) = verdict("1.37.0", "1.36.1", "1.37.0", "1.33.4", "1.36.1").skippable
    assert problem == (
        "There are kubelets in this cluster that are too old that have these versions [v1.33.4]"
    )
