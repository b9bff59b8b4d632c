"""Every parser against what real systems printed, and against what they might.

`cases/<parser>/<case>.txt` is a section's text, `<case>.json` what comes of it. A case whose JSON
is `{"error": "..."}` must raise, and the text must be in the error.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest

from kubeops.errors import FactsError
from kubeops.facts import parse_certs, parse_etcd, parse_host, parse_kube, parse_packages
from kubeops.facts.cluster import api_facts, etcd_facts
from kubeops.facts.host import DIRECTORIES, host_facts
from kubeops.facts.probe import split
from kubeops.facts.reader import Reader
from kubeops.model.version import KubeVersion

CASES = Path(__file__).parent / "cases"
SENT = datetime.fromisoformat("2026-11-21T00:07:00+00:00")
RECEIVED = datetime.fromisoformat("2026-11-21T00:07:01+00:00")


def _filesystems(text: str) -> object:
    free = parse_host.parse_disk_free(text, directories=DIRECTORIES)
    return {"cgroup": parse_host.parse_cgroup(text), "free": free}


def _apt_locked(text: str) -> object:
    locks, stats = text.split("---\n")
    return parse_host.parse_apt_locked(locks, stats=parse_host.parse_stats(stats))


def _packages(text: str) -> object:
    return {
        "installed": parse_packages.parse_packages(text),
        "half": parse_packages.parse_half_installed(text),
    }


def _modules(text: str) -> object:
    return parse_host.parse_modules(*text.split("---\n"))


def _host(text: str) -> object:
    return host_facts("cp1", split(text, host="cp1"), sent=SENT, received=RECEIVED)


def _api(text: str) -> object:
    return api_facts(Reader(host="cp1", sections=split(text, host="cp1")))


def _etcd(text: str) -> object:
    return etcd_facts(Reader(host="cp1", sections=split(text, host="cp1")))


PARSERS: Mapping[str, Callable[[str], object]] = {
    "alarms": parse_etcd.parse_alarms,
    "allowed_processors": parse_host.parse_allowed_processors,
    "api": _api,
    "apt_locked": _apt_locked,
    "certificate": partial(parse_certs.parse_certificate, "ca"),
    "client_certificate": partial(parse_certs.parse_client_certificate, "admin.conf"),
    "cluster_configuration": parse_kube.parse_cluster_configuration,
    "containerd": parse_packages.parse_containerd,
    "etcd": _etcd,
    "fib_trie": parse_host.parse_fib_trie,
    "filesystems": _filesystems,
    "host": _host,
    "if_inet6": parse_host.parse_if_inet6,
    "kibibytes": parse_host.parse_kibibytes,
    "kubectl": parse_packages.parse_kubectl,
    "listeners": parse_host.parse_listeners,
    "memory": parse_host.parse_memory,
    "modules": _modules,
    "moment": parse_host.parse_moment,
    "nodes": parse_kube.parse_nodes,
    "os_release": parse_host.parse_os_release,
    "packages": _packages,
    "processors": parse_host.parse_processors,
    "release": parse_packages.parse_release,
    "sandbox_image": parse_packages.parse_sandbox_image,
    "server": parse_certs.parse_server,
    "server_version": parse_kube.parse_server_version,
    "source": parse_host.parse_source,
    "static_pod": parse_kube.parse_static_pod,
    "stats": parse_host.parse_stats,
    "sums": parse_host.parse_sums,
    "swap": parse_host.parse_swap,
    "tcp": parse_host.parse_tcp,
    "units": parse_host.parse_units,
    "workloads": parse_kube.parse_workloads,
}


def _default(field: Field[object]) -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()


def as_json(value: object) -> object:
    """Return a parser's value the way the case files write it down: defaults are left out."""
    match value:
        case KubeVersion():
            shown: object = f"{value}+{value.build}" if value.build else str(value)
        case datetime():
            shown = value.isoformat()
        case Mapping():
            shown = {key: as_json(entry) for key, entry in value.items()}
        case frozenset() | tuple():
            shown = [as_json(entry) for entry in (value if type(value) is tuple else sorted(value))]
        case _ if is_dataclass(value):
            shown = {
                field.name: as_json(getattr(value, field.name))
                for field in fields(value)
                if getattr(value, field.name) != _default(field)
            }
        case _:
            shown = value
    return shown


@pytest.mark.parametrize(
    "case", sorted(CASES.glob("*/*.txt")), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_case(case: Path) -> None:
    parse = PARSERS[case.parent.name]
    expected = json.loads(case.with_suffix(".json").read_text())
    if isinstance(expected, dict) and "error" in expected:
        with pytest.raises(
            (ValueError, LookupError, TypeError, AttributeError, FactsError)
        ) as info:
            parse(case.read_text())
        assert expected["error"] in str(info.value)
    else:
        assert as_json(parse(case.read_text())) == expected


def test_every_parser_has_a_case() -> None:
    assert {folder.name for folder in CASES.iterdir()} == set(PARSERS)


def test_no_case_holds_a_private_key() -> None:
    for case in CASES.rglob("*.*"):
        text = case.read_text()
        assert "PRIVATE KEY" not in text
        assert "client-key-data" not in text
