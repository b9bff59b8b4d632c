"""The scripts as they are, on this machine: root or not, in every shell, with little installed."""

import json
import os
import shutil
import socket
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kubeops.facts.host import host_facts
from kubeops.facts.probe import About, Sections, cluster_probe, host_probe, split
from kubeops.model.observed import HostFacts
from kubeops.transport.base import Command
from kubeops.transport.local import LocalRunner

PATH_LINE = b"PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
MANIFEST_LINE = b"manifest=/etc/kubernetes/manifests/etcd.yaml\n"
ETCD = {"members", "health", "status", "alarms"}
BARE = ("sh", "awk", "date", "stat", "uname", "cat", "tr")


def run(command: Command, *, shell: str = "sh", path: str = "", manifest: str = "") -> Sections:
    script = command.stdin
    assert script is not None
    assert (MANIFEST_LINE in script) == (b"member_flags" in script)
    script = script.replace(MANIFEST_LINE, f"manifest={manifest or '/nowhere'}\n".encode())
    if path:
        assert PATH_LINE in script
        script = script.replace(PATH_LINE, f"PATH={path}\n".encode())
    argv = (shutil.which(shell) or shell, *command.argv[1:])
    result = LocalRunner().run(replace(command, argv=argv, stdin=script))
    assert result.stderr == ""
    return split(result.must().stdout, host="here")


def read(*, shell: str = "sh", path: str = "") -> HostFacts:
    sent = datetime.now(UTC)
    sections = run(host_probe(), shell=shell, path=path)
    return host_facts("here", sections, sent=sent, received=datetime.now(UTC))


def tools(folder: Path, *names: str) -> str:
    for name in names:
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    return str(folder)


def stub(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def member(folder: Path) -> str:
    """The manifest of an etcd member, as kubeadm writes it; most of what it holds left out."""
    file = folder / "etcd.yaml"
    file.write_text(
        "spec:\n  containers:\n  - command:\n    - etcd\n    - --cert-file=/cert\n"
        "    - --key-file=/key\n    - --peer-cert-file=/peer\n    - --trusted-ca-file=/ca\n"
        "    - --listen-client-urls=https://127.0.0.1:2379,https://10.0.0.11:2379\n"
    )
    return str(file)


@pytest.mark.parametrize("shell", ["sh", "dash", "bash"])
def test_this_machine_can_be_read(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    facts = read(shell=shell)
    assert facts.hostname == socket.gethostname()
    assert facts.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert facts.cpus == len(os.sched_getaffinity(0))
    assert facts.architecture == os.uname().machine
    assert facts.memory > 0
    assert facts.disk_free["/"] > 0
    assert facts.sysctls["net.ipv4.ip_forward"] in {"0", "1"}
    assert "mount" in facts.programs
    assert facts.files["/etc/fstab"].owner == "root:root"
    assert abs(facts.clock_skew) < 60


def test_a_machine_with_next_to_nothing_can_be_read(tmp_path: Path) -> None:
    facts = read(path=tools(tmp_path, *BARE))
    assert facts.hostname == socket.gethostname()
    assert facts.programs == frozenset()
    assert (facts.packages, facts.units) == ({}, {})


@pytest.mark.skipif(shutil.which("ip") is None, reason="iproute2 is not installed")
def test_the_addresses_are_those_that_ip_shows() -> None:
    shown = LocalRunner().run(Command(argv=("ip", "-j", "addr", "show", "scope", "global"))).must()
    entries = (entry for link in json.loads(shown.stdout) for entry in link.get("addr_info", ()))
    found = {entry["local"] for entry in entries if entry}
    assert set(read().addresses) == found


def test_a_listener_is_found_with_ss_and_without(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for path in ("", tools(tmp_path, *BARE)):
            found = [entry for entry in read(path=path).listeners if entry.port == port]
            assert [entry.address for entry in found] == ["127.0.0.1"]


def test_a_package_source_that_answers_and_one_that_does_not(tmp_path: Path) -> None:
    stub(
        tmp_path,
        "curl",
        "case $* in *good*) printf 'Package: kubeadm\\nVersion: 1.35.4-1.1\\n\\nPackage: kubelet\\n"
        "Version: 1.35.5-1.1\\n200 0.04\\n' ;; *) echo 'curl: (6) no' >&2; exit 6; esac",
    )
    path = tools(tmp_path, *BARE)
    assert run(host_probe("http://good/"), path=path)["source"].text == "1.35.4-1.1\n200 0.04"
    refused = run(host_probe("http://bad/"), path=path)["source"]
    assert (refused.text, refused.status) == ("curl: (6) no", 6)


WGET_WORDS = {
    "good": "200 0.",
    "gone": "404 0.",
    "no name": "wget: unable to resolve host address 'x'",
    "hangs": "wget: no answer within 10 s",
    "mute": "wget failed without a word",
}


@pytest.mark.parametrize("host", WGET_WORDS)
def test_wget_answers_as_curl_does(host: str, tmp_path: Path) -> None:
    stub(
        tmp_path,
        "wget",
        """case $* in
        *-q*) ;;
        *good*) echo 'Package: kubeadm'; echo 'Version: 1.35.4-1.1'; echo '2026 URL:x [9/9]' >&2 ;;
        *gone*) printf 'http://x:\\n2026-11-21 18:58:40 ERROR 404: Not Found.\\n' >&2; exit 8 ;;
        *name*) echo "wget: unable to resolve host address 'x'" >&2; exit 4 ;;
        *hangs*) printf 'Package: kubeadm\\n'; exit 124 ;;
        *) exit 1 ;;
        esac""",
    )
    stub(tmp_path, "timeout", 'shift; exec "$@"')
    source = run(host_probe(f"http://{host}/"), path=tools(tmp_path, *BARE))["source"]
    *versions, last = source.text.splitlines()
    assert last.startswith(WGET_WORDS[host])
    assert versions == (["1.35.4-1.1"] if host == "good" else [])
    assert source.ok == last.startswith(("200", "404"))


@pytest.mark.skipif(shutil.which("wget") is None, reason="wget is not installed")
def test_the_real_wget_has_words_for_a_failure(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    path = tools(tmp_path, *BARE, "wget", "timeout")
    source = run(host_probe(f"http://127.0.0.1:{port}/"), path=path)["source"]
    assert "Connection refused" in source.text


def test_of_fstab_only_swap_leaves_the_host(tmp_path: Path) -> None:
    fstab = tmp_path / "fstab"
    swap = "/swap.img\tnone\tswap\tsw\t0\t0\n  LABEL=a#b none swap\n"
    fstab.write_text(
        f"{swap}# /dev/sdz none swap sw 0 0\n #UUID=1 none swap sw 0 0\n"
        "LABEL=data /mnt/swap ext4 defaults 0 2\nLABEL=more /mnt/more auto swap 0 2\n"
    )
    probe = host_probe()
    assert probe.stdin is not None
    moved = probe.stdin.replace(b"/etc/fstab", str(fstab).encode())
    sections = run(replace(probe, stdin=moved), path=tools(tmp_path, *BARE))
    assert sections[str(fstab)].text == swap


def test_slow_programs_do_not_mix_their_sections(tmp_path: Path) -> None:
    for program in ("kubeadm", "kubelet", "kubectl", "containerd", "dpkg-query"):
        stub(tmp_path, program, f"i=0; while [ $i -lt 400 ]; do echo {program}; i=$((i + 1)); done")
    sections = run(host_probe(), path=tools(tmp_path, *BARE))
    for name, program in {
        "kubeadm": "kubeadm",
        "packages": "dpkg-query",
    }.items():
        lines = sections[name].text.splitlines()
        assert set(lines[:-1]) == {program}
        assert program.startswith(lines[-1])


def test_a_probe_does_not_take_itself_for_a_running_kubeadm(tmp_path: Path) -> None:
    stub(tmp_path, "kubeadm", "echo v1.35.4")
    assert not read(path=tools(tmp_path, *BARE)).kubeadm_running


def test_all_of_the_cluster_is_asked_at_once_and_large_answers_are_whole(tmp_path: Path) -> None:
    stub(
        tmp_path,
        "kubectl",
        'i=0; while [ $i -lt 3000 ]; do echo "kubectl says: $*"; i=$((i + 1)); done',
    )
    stub(tmp_path, "etcdctl", 'echo "etcdctl $*"; echo trouble >&2; exit 1')
    path = tools(tmp_path, *BARE, "timeout", "head")
    sections = run(cluster_probe("cp1", "all"), path=path, manifest=member(tmp_path))
    assert sections["objects"].ok
    wanted = "kubectl says: --request-timeout=5s -n kube-system get nodes,deployments,daemonsets"
    assert sections["objects"].text.count(wanted) == 3000
    assert sections["health"].status == 1
    assert "endpoint health --cluster -w json" in sections["health"].text
    flags = "--endpoints https://127.0.0.1:2379 --cacert /ca --cert /cert --key /key"
    assert flags in sections["health"].text
    assert sections["health.err"].text == "trouble"


def test_etcdctl_comes_from_the_container_when_the_host_has_none(tmp_path: Path) -> None:
    stub(tmp_path, "kubectl", "echo kubectl $*")
    stub(tmp_path, "crictl", 'case $1 in ps) echo 0a1b ;; *) echo "crictl $*"; esac')
    path = tools(tmp_path, *BARE, "timeout", "head")
    sections = run(cluster_probe("cp1", "all"), path=path, manifest=member(tmp_path))
    wanted = "crictl exec 0a1b etcdctl --endpoints https://127.0.0.1:2379 --cacert /ca"
    assert sections["members"].text.startswith(wanted)


def test_etcdctl_comes_through_the_api_when_there_is_no_crictl(tmp_path: Path) -> None:
    stub(tmp_path, "kubectl", "echo kubectl $*")
    path = tools(tmp_path, *BARE, "timeout", "head")
    sections = run(cluster_probe("cp1", "all"), path=path, manifest=member(tmp_path))
    assert "-n kube-system exec etcd-cp1 -- etcdctl" in sections["members"].text


@pytest.mark.parametrize(
    ("written", "changed"),
    [
        ("    - --cert-file=/cert\n", '    - "--cert-file=/cert"\n'),
        ("    - --cert-file=/cert\n", "    - '--cert-file=/cert'\n"),
        ("    - --cert-file=/cert\n", "    - --cert-file=/cert  # of our own authority\n"),
    ],
)
def test_flags_are_understood_as_people_write_them(
    written: str, changed: str, tmp_path: Path
) -> None:
    stub(tmp_path, "etcdctl", "echo etcdctl $*")
    manifest = Path(member(tmp_path))
    manifest.write_text(manifest.read_text().replace(written, changed).rstrip("\n"))
    path = tools(tmp_path, *BARE, "timeout", "head")
    sections = run(cluster_probe("cp1", "etcd"), path=path, manifest=str(manifest))
    flags = "--endpoints https://127.0.0.1:2379 --cacert /ca --cert /cert --key /key"
    assert flags in sections["members"].text


def test_a_member_without_certificates_is_not_asked_and_says_why(tmp_path: Path) -> None:
    manifest = Path(member(tmp_path))
    manifest.write_text(manifest.read_text().replace("    - --key-file=/key\n", ""))
    path = tools(tmp_path, *BARE, "timeout", "head")
    sections = run(cluster_probe("cp1", "etcd"), path=path, manifest=str(manifest))
    assert sections["members"].status == 1
    assert sections["members.err"].text == f"{manifest} has no flag --key-file"
    assert "health" not in sections


def test_etcd_is_left_alone_where_it_does_not_run(tmp_path: Path) -> None:
    stub(tmp_path, "kubectl", "echo kubectl $*")
    sections = run(cluster_probe("w1", "all"), path=tools(tmp_path, *BARE, "timeout", "head"))
    assert "members" not in sections
    assert sections["version"].ok


@pytest.mark.parametrize(
    ("about", "asked"),
    [
        ("all", {"version", "objects", "named", *ETCD}),
        ("objects", {"objects", *ETCD}),
        ("etcd", ETCD),
    ],
)
def test_only_what_is_wanted_is_asked(about: About, asked: set[str], tmp_path: Path) -> None:
    stub(tmp_path, "kubectl", "echo kubectl $*")
    stub(tmp_path, "etcdctl", "echo etcdctl $*")
    path = tools(tmp_path, *BARE, "timeout", "head")
    sections = run(cluster_probe("cp1", about), path=path, manifest=member(tmp_path))
    assert {name for name in sections if not name.endswith(".err")} == asked | {"ended"}
