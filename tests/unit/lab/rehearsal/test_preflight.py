from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rehearsal import kubeadm_preflight as preflight
from rehearsal.kubeadm_common import Context, KubeadmError
from rehearsal.kubeadm_preflight import Checks, Problem
from rehearsal.layout import Layout
from rehearsal.version import parse


@pytest.fixture
def checks(tmp_path: Path) -> Callable[[str], Checks]:
    """Checks of a machine below the test's folder, for a release."""

    def make(target: str) -> Checks:
        context = Context(version=parse(target), layout=Layout(root=tmp_path))
        return Checks(context=context, name="localhost", target=target)

    return make


def put(root: Path, path: str, text: str = "") -> None:
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def problem(name: str, *, fatal: bool = True) -> Callable[[], Iterator[Problem]]:
    def check() -> Iterator[Problem]:
        yield Problem(name, "no good", fatal=fatal)

    return check


def test_everything_found_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KubeadmError, match="error execution phase preflight: preflight checks"):
        preflight.run([problem("Mem"), problem("Swap", fatal=False), problem("CRI")], ignore=())
    assert capsys.readouterr().err == (
        "\t[WARNING Swap]: no good\n"
        "[preflight] Some fatal errors occurred:\n"
        "\t[ERROR Mem]: no good\n"
        "\t[ERROR CRI]: no good\n"
        "[preflight] If you know what you are doing, you can make a check non-fatal with "
        "`--ignore-preflight-errors=...`\n"
    )


@pytest.mark.parametrize("ignore", [("mem",), ("Mem", "NumCPU"), ("all",)])
def test_named_errors_become_warnings(
    ignore: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    preflight.run([problem("Mem")], ignore=ignore)
    assert capsys.readouterr().err == "\t[WARNING Mem]: no good\n"


def test_leftovers_are_named(checks: Callable[[str], Checks], tmp_path: Path) -> None:
    put(tmp_path, "/etc/kubernetes/manifests/etcd.yaml")
    put(tmp_path, "/var/lib/etcd/member")
    found = checks("v1.35.4")
    (file,) = found.absent("/etc/kubernetes/manifests/etcd.yaml")()
    (folder,) = found.empty("/var/lib/etcd")()
    assert (file.check, file.text) == (
        "FileAvailable--etc-kubernetes-manifests-etcd.yaml",
        "/etc/kubernetes/manifests/etcd.yaml already exists",
    )
    assert (folder.check, folder.text) == (
        "DirAvailable--var-lib-etcd",
        "/var/lib/etcd is not empty",
    )


def test_forwarding_must_be_on(checks: Callable[[str], Checks], tmp_path: Path) -> None:
    put(tmp_path, "/proc/sys/net/ipv4/ip_forward", "0\n")
    (found,) = checks("v1.35.4").forwarding()
    assert found.check == "FileContent--proc-sys-net-ipv4-ip_forward"
    put(tmp_path, "/proc/sys/net/ipv4/ip_forward", "1\n")
    assert not list(checks("v1.35.4").forwarding())


def test_a_kubelet_must_not_be_newer_than_the_control_plane(
    checks: Callable[[str], Checks], tmp_path: Path
) -> None:
    assert [p.check for p in checks("v1.35.4").kubelet_version()] == ["KubeletVersion"]
    put(tmp_path, "/usr/lib/kubeops-rehearsal/kubelet/VERSION", "1.35.6\n")
    assert not list(checks("v1.35.4").kubelet_version())
    (found,) = checks("v1.34.7").kubelet_version()
    assert 'Kubelet version: "1.35.6" Control plane version: "1.34.7"' in found.text


@pytest.mark.parametrize(
    ("target", "fatal"), [("v1.34.4", []), ("v1.36.1", [False]), ("v1.37.0", [True])]
)
def test_containerd_1_ends_with_1_37(
    target: str, fatal: list[bool], checks: Callable[[str], Checks], tmp_path: Path
) -> None:
    put(tmp_path, "/usr/lib/kubeops-rehearsal/containerd/VERSION", "1.7.30\n")
    assert [found.fatal for found in checks(target).runtime_version()] == fatal
