import gzip
import hashlib
import subprocess
from pathlib import Path

import pytest

from kubeops.errors import CommandError
from kubeops.lab.rehearsal import packages, repository

SUITES = {f"core:/stable:/v{series}/deb" for series in packages.releases()} | {"runtime/deb"}


def run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A whole repository, and the folder of its signing key."""
    root = tmp_path_factory.mktemp("rehearsal")
    directory, signing = root / "served", root / "signing"
    repository.build(directory, progress=lambda _: None, signing=signing)
    return directory, signing


def stanzas(folder: Path) -> list[dict[str, str]]:
    return [
        dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line)
        for stanza in (folder / "Packages").read_text().strip().split("\n\n")
    ]


def test_every_minor_is_laid_out_as_in_the_real_repository(built: tuple[Path, Path]) -> None:
    directory, _ = built
    for suite in SUITES:
        folder = directory / suite
        names = {path.name for path in folder.iterdir() if path.is_file()}
        assert names == {
            "InRelease",
            "Packages",
            "Packages.gz",
            "Release",
            "Release.gpg",
            "Release.key",
        }
        assert (
            gzip.decompress((folder / "Packages.gz").read_bytes()).decode()
            == (folder / "Packages").read_text()
        )


def test_signatures_are_those_of_the_published_key(
    built: tuple[Path, Path], tmp_path: Path
) -> None:
    directory, _ = built
    folder = directory / "core:/stable:/v1.35/deb"
    keyring = tmp_path / "keyring.gpg"
    run(
        "gpg",
        "--homedir",
        str(tmp_path),
        "--dearmor",
        "-o",
        str(keyring),
        str(folder / "Release.key"),
    )
    run("gpgv", "--keyring", str(keyring), str(folder / "InRelease"))
    run("gpgv", "--keyring", str(keyring), str(folder / "Release.gpg"), str(folder / "Release"))


def test_indexes_name_files_that_are_there_and_whole(built: tuple[Path, Path]) -> None:
    directory, _ = built
    for suite in SUITES:
        for stanza in stanzas(directory / suite):
            path = directory / suite / stanza["Filename"]
            assert hashlib.sha256(path.read_bytes()).hexdigest() == stanza["SHA256"]


def test_a_minor_offers_its_patch_releases_and_companions(built: tuple[Path, Path]) -> None:
    directory, _ = built
    found = stanzas(directory / "core:/stable:/v1.35/deb")
    versions = {stanza["Version"] for stanza in found if stanza["Package"] == "kubeadm"}
    assert {"1.35.4-1.1", "1.35.6-1.1"} <= versions
    assert {stanza["Package"] for stanza in found} == {
        "kubeadm",
        "kubelet",
        "kubectl",
        "cri-tools",
        "kubernetes-cni",
    }


def test_no_two_packages_of_a_node_own_the_same_file(built: tuple[Path, Path]) -> None:
    directory, _ = built
    core, runtime = directory / "core:/stable:/v1.35/deb/amd64", directory / "runtime/deb/amd64"
    debs = [
        *(core / f"{name}_1.35.4-1.1_amd64.deb" for name in ("kubeadm", "kubelet", "kubectl")),
        *core.glob("cri-tools_*"),
        *core.glob("kubernetes-cni_*"),
        runtime / "containerd_2.1.9-1_amd64.deb",
    ]
    owners: dict[str, str] = {}
    for deb in debs:
        for line in run("dpkg-deb", "--contents", str(deb)).splitlines():
            path = line.split()[5]
            if not path.endswith("/"):
                assert path not in owners, f"{path}: {owners.get(path)} and {deb.name}"
                owners[path] = deb.name
    assert "./usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf" in owners
    assert "./etc/kubernetes/manifests/.kubelet-keep" in owners


def test_a_launcher_says_which_version_it_plays(built: tuple[Path, Path], tmp_path: Path) -> None:
    directory, _ = built
    deb = directory / "core:/stable:/v1.36/deb/amd64/kubeadm_1.36.1-1.1_amd64.deb"
    run("dpkg-deb", "--extract", str(deb), str(tmp_path))
    assert '"v1.36.1+rehearsal"' in (tmp_path / "usr/bin/kubeadm").read_text()
    assert run("dpkg-deb", "--field", str(deb), "Version") == "1.36.1-1.1\n"


def test_programs_come_compiled(built: tuple[Path, Path], tmp_path: Path) -> None:
    directory, _ = built
    deb = directory / "core:/stable:/v1.36/deb/amd64/kubectl_1.36.1-1.1_amd64.deb"
    run("dpkg-deb", "--extract", str(deb), str(tmp_path))
    library = tmp_path / "usr/lib/kubeops-rehearsal/kubectl/rehearsal"
    ready = {path.name.split(".")[0] for path in (library / "__pycache__").iterdir()}
    assert ready == {path.stem for path in library.glob("*.py")}
    assert "sys.dont_write_bytecode = True\n" in (tmp_path / "usr/bin/kubectl").read_text()


def test_a_repository_for_another_python_is_built_again(
    built: tuple[Path, Path], tmp_path: Path
) -> None:
    directory, signing = built
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\ncase $3 in *print*) echo cb0d0d0a ;; *) exit 3 ;; esac\n")
    other.chmod(0o755)
    said: list[str] = []
    with pytest.raises(CommandError, match="status 3"):
        repository.build(directory, progress=said.append, signing=signing, python=(str(other),))
    assert said == ["building the rehearsal's package repository"]
    assert (directory / repository.STAMP).exists()


def test_an_unchanged_repository_is_not_built_again(built: tuple[Path, Path]) -> None:
    directory, signing = built
    said: list[str] = []
    before = (directory / repository.STAMP).stat().st_ino
    repository.build(directory, progress=said.append, signing=signing)
    assert said == []
    assert (directory / repository.STAMP).stat().st_ino == before
