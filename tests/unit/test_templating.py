"""Every configuration file kubeops writes, as a person reads it: tests/unit/golden/templates/."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import TemplateNotFound, UndefinedError, meta

from kubeops import templating
from kubeops.plan.hosts import IPV6_SYSCTLS, KEYRING, MODULES, SYSCTLS
from kubeops.plan.network import PodRoute
from kubeops.templating import render
from tests.conftest import Golden

FOLDER = Path(templating.__file__).parent.parent / "templates"
TEMPLATES = sorted(path.name for path in FOLDER.iterdir())
SANDBOX = "registry.k8s.io/pause:3.10.1"
INIT: Mapping[str, Any] = {
    "token": "abcdef.0123456789abcdef",
    "token_ttl": "15m0s",
    "certificate_key": "0123456789abcdef" * 4,
    "address": "10.0.0.11",
    "node": "cp1",
    "taints": None,
    "cluster": "prod",
    "version": "1.35.4",
    "endpoint": "10.0.0.10:6443",
    "image_repository": "registry.k8s.io",
    "pods": "10.244.0.0/16",
    "services": "10.96.0.0/12",
    "dns_domain": "cluster.local",
    "certificate_names": ("10.0.0.10", "10.0.0.11", "10.0.0.12"),
}
JOIN: Mapping[str, Any] = {
    "endpoint": "10.0.0.10:6443",
    "token": "abcdef.0123456789abcdef",
    "ca_hash": f"sha256:{'ab' * 32}",
    "node": "w1",
    "address": "10.0.0.31",
    "taints": None,
    "certificate_key": None,
}
IPV6: Mapping[str, Any] = {
    "address": "fd00::11",
    "endpoint": "[fd00::10]:6443",
    "pods": "fd00:1::/48",
    "services": "fd00:2::/112",
    "certificate_names": ("fd00::10", "1:2:3:4:5:6:7:8"),
}
GPU = [{"key": "gpu", "value": "true", "effect": "NoSchedule"}]
ROUTES = (
    PodRoute(subnet="10.244.0.0/24", address="10.0.0.11"),
    PodRoute(subnet="10.244.2.0/24", address="10.0.0.32"),
)

BACKUP: Mapping[str, Any] = {
    "cluster": "prod",
    "directory": "/srv/kubeops",
    "environment": ('"KUBEOPS_STATE=/var/lib/kubeops/state"',),
    "environment_file": "/etc/kubeops/backup.env",
    "command": '"/usr/bin/kubeops" "backup" "-i" "prod"',
    "writable": ('"/var/backups/kubeops"',),
    "private_tmp": True,
    "user": False,
}

CASES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "backup.service": ("backup.service.j2", BACKUP),
    "backup-user.service": ("backup.service.j2", {**BACKUP, "user": True}),
    "backup.timer": (
        "backup.timer.j2",
        {"cluster": "prod", "calendar": "*-*-* 02:30:00", "delay": "10m"},
    ),
    "bridge.conflist": (
        "bridge.conflist.j2",
        {"subnet": "10.244.1.0/24", "default_route": "0.0.0.0/0"},
    ),
    "bridge-ipv6.conflist": (
        "bridge.conflist.j2",
        {"subnet": "fd00:1:0:1::/64", "default_route": "::/0"},
    ),
    "containerd-1.toml": ("containerd-1.toml.j2", {"sandbox_image": SANDBOX}),
    "containerd-2.toml": ("containerd-2.toml.j2", {"sandbox_image": SANDBOX}),
    "crictl.yaml": ("crictl.yaml.j2", {}),
    "kubeadm-init.yaml": ("kubeadm-init.yaml.j2", INIT),
    "kubeadm-init-ipv6.yaml": ("kubeadm-init.yaml.j2", {**INIT, **IPV6, "taints": []}),
    "kubeadm-join.yaml": ("kubeadm-join.yaml.j2", {**JOIN, "taints": GPU}),
    "kubeadm-join-control-plane.yaml": (
        "kubeadm-join.yaml.j2",
        {**JOIN, "node": "cp2", "certificate_key": INIT["certificate_key"]},
    ),
    "kubernetes.list": (
        "kubernetes.list.j2",
        {
            "minor": "1.35",
            "keyring": KEYRING,
            "url": "https://pkgs.k8s.io/core:/stable:/v1.35/deb/",
        },
    ),
    "modules.conf": ("modules.conf.j2", {"modules": MODULES}),
    "pod-routes.service": ("pod-routes.service.j2", {"routes": ROUTES, "protocol": 107}),
    "pod-routes-alone.service": ("pod-routes.service.j2", {"routes": (), "protocol": 107}),
    "sysctl.conf": ("sysctl.conf.j2", {"sysctls": SYSCTLS + IPV6_SYSCTLS}),
}


def test_every_template_has_a_golden_file() -> None:
    assert {template for template, _ in CASES.values()} == set(TEMPLATES)


def test_no_golden_file_is_left_over() -> None:
    golden = Path(__file__).parent / "golden/templates"
    assert {path.name for path in golden.iterdir()} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_it_reads_as_a_person_would_write_it(name: str, golden: Golden) -> None:
    template, values = CASES[name]
    golden(f"templates/{name}", render(template, **values))


@pytest.mark.parametrize("name", CASES)
def test_it_is_whole_in_its_own_language(name: str) -> None:
    template, values = CASES[name]
    text = render(template, **values)
    assert text.endswith("\n")
    assert "{{" not in text
    assert "{%" not in text
    match Path(name).suffix:
        case ".yaml":
            assert all(isinstance(it, dict) for it in yaml.safe_load_all(text))
        case ".toml":
            assert tomllib.loads(text)["version"] in {2, 3}
        case ".conflist":
            assert json.loads(text)["plugins"][0]["type"] == "bridge"
        case ".service" | ".timer":
            unit = ConfigParser(strict=False, interpolation=None)
            unit.read_string(text)
            assert unit.sections()[:2] == ["Unit", Path(name).suffix[1:].title()]
        case ".conf" | ".list":
            assert all(len(line) > 1 for line in text.splitlines())
        case unknown:
            pytest.fail(f"nobody knows how to read {unknown}")


def missing() -> Iterator[tuple[str, str]]:
    """Every value of every case; a service of the user's is not told where it may write."""
    unused = {("backup-user.service", "writable"), ("backup-user.service", "private_tmp")}
    for name, (_template, values) in CASES.items():
        for value in values:
            if (name, value) not in unused:
                yield name, value


@pytest.mark.parametrize(("name", "left_out"), list(missing()))
def test_a_value_that_is_not_given_is_an_error(name: str, left_out: str) -> None:
    template, values = CASES[name]
    given = {key: value for key, value in values.items() if key != left_out}
    with pytest.raises(UndefinedError, match=f"'{left_out}' is undefined"):
        render(template, **given)


@pytest.mark.parametrize("template", TEMPLATES)
def test_no_value_is_given_for_nothing(template: str) -> None:
    environment = templating._environment()
    source = (FOLDER / template).read_text(encoding="utf-8")
    wanted = meta.find_undeclared_variables(environment.parse(source))
    for used, values in CASES.values():
        if used == template:
            assert set(values) == wanted


def test_a_template_that_is_not_there_is_an_error() -> None:
    with pytest.raises(TemplateNotFound):
        render("kubeadm-init.yaml")


@pytest.mark.parametrize("name", ["1e3", "007", "yes", "null", "0x1f", "1_000"])
def test_names_that_look_like_something_else_stay_names(name: str) -> None:
    init, cluster, _ = yaml.safe_load_all(
        render("kubeadm-init.yaml.j2", **{**INIT, "node": name, "cluster": name})
    )
    assert (init["nodeRegistration"]["name"], cluster["clusterName"]) == (name, name)
    (join,) = yaml.safe_load_all(render("kubeadm-join.yaml.j2", **{**JOIN, "node": name}))
    assert join["nodeRegistration"]["name"] == name


def test_an_ipv6_address_is_no_number() -> None:
    """YAML 1.1 reads 1:2:3:4:5:6:7:8 in base 60."""
    _, cluster, _ = yaml.safe_load_all(render("kubeadm-init.yaml.j2", **{**INIT, **IPV6}))
    assert cluster["apiServer"]["certSANs"] == ["fd00::10", "1:2:3:4:5:6:7:8"]
