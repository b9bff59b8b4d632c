"""The scripts that pull images, start containerd and set routes, with stand-ins for programs."""

import os
from pathlib import Path

import pytest

from kubeops.handlers.network import _ROUTE
from kubeops.handlers.runtime import _KUBEADM_OF, _PULL, _START
from tests.unit.handlers.test_scripts import Node

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="a mount namespace needs root; run the tests as root"
)

IMAGES = ("registry.k8s.io/kube-proxy:v1.35.4", "registry.k8s.io/pause:3.10.1")
LIST = ("config", "images", "list", "--kubernetes-version=v1.35.4")


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "root")


class TestPull:
    def test_all_are_pulled(self, node: Node) -> None:
        node.program("crictl")
        assert node.run(_PULL, *IMAGES).returncode == 0
        assert sorted(node.calls) == [f"crictl pull {image}" for image in IMAGES]

    @pytest.mark.parametrize("bad", IMAGES)
    def test_one_that_fails_is_the_scripts_failure(self, node: Node, bad: str) -> None:
        node.program("crictl", f'[ "$2" != {bad} ] || exit 4')
        assert node.run(_PULL, *IMAGES).returncode == 4
        assert len(node.calls) == len(IMAGES)


class TestStart:
    def test_an_enabled_unit_is_not_enabled_again(self, node: Node) -> None:
        node.program("systemctl")
        assert node.run(_START, "containerd.service").returncode == 0
        assert node.calls == [
            "systemctl is-enabled --quiet containerd.service",
            "systemctl start containerd.service",
        ]

    def test_a_disabled_one_is(self, node: Node) -> None:
        node.program("systemctl", '[ "$1" != is-enabled ] || exit 1')
        assert node.run(_START, "containerd.service").returncode == 0
        assert node.calls[1:] == [
            "systemctl enable --quiet containerd.service",
            "systemctl start containerd.service",
        ]

    @pytest.mark.parametrize("verb", ["enable", "start"])
    def test_what_fails_is_told(self, node: Node, verb: str) -> None:
        node.program("systemctl", f"case $1 in is-enabled) exit 1 ;; {verb}) exit 5 ;; esac")
        assert node.run(_START, "containerd.service").returncode == 5


@pytest.mark.parametrize(("outdated", "reload"), [("no", []), ("yes", ["systemctl daemon-reload"])])
def test_the_routes_are_enabled_by_path_and_restarted_by_name(
    node: Node, outdated: str, reload: list[str]
) -> None:
    node.program("systemctl", f'[ "$1" != show ] || echo {outdated}')
    unit = "/etc/systemd/system/kubeops-pod-routes.service"
    assert node.run(_ROUTE, unit).returncode == 0
    assert node.calls == [
        "systemctl show --property=NeedDaemonReload --value kubeops-pod-routes.service",
        *reload,
        "systemctl restart kubeops-pod-routes.service",
        f"systemctl enable --quiet --no-reload {unit}",
    ]


class TestKubeadmOf:
    @pytest.mark.parametrize("there", ["1.35.4-1.1", "1.35.40-1.1", "1.34.8-1.1", ""])
    def test_dpkg_tells_which_release_is_installed(self, node: Node, there: str) -> None:
        """Another one is used only where apt's cache has none that fits."""
        node.program("dpkg-query", f"printf %s '{there}'; [ -n '{there}' ]")
        node.program("kubeadm")
        node.program("ls", "exit 2")
        assert node.run(_KUBEADM_OF, "1.35.4", *LIST).returncode == 0
        looked = ["ls"] if there != "1.35.4-1.1" else []
        programs = [call.split()[0] for call in node.calls]
        assert programs == ["dpkg-query", *looked, "kubeadm"]
        assert node.calls[-1] == f"kubeadm {' '.join(LIST)}"

    def test_that_of_the_cache_is_run_from_a_place_of_its_own(self, node: Node) -> None:
        node.program("dpkg-query", "printf 1.34.8-1.1")
        node.program("ls", "echo /var/cache/apt/archives/kubeadm_1.35.4-1.1_amd64.deb")
        node.program("dpkg-deb", "echo package")
        body = r'printf "#!/bin/sh\necho ran \$*\n" >"$4/usr/bin/kubeadm"'
        node.program(
            "tar", f'mkdir -p "$3/usr/bin"; set -- 1 2 3 "$3"; {body}; chmod +x "$4"/usr/bin/*'
        )
        ended = node.run(_KUBEADM_OF, "1.35.4", *LIST)
        assert ended.stdout == f"ran {' '.join(LIST)}\n", ended.stderr
        assert node.tree("var/lib/kubeops") == set()
