"""The inventories that come with kubeops: they load, and the example explains every key."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from kubeops.errors import InventoryError
from kubeops.inventory import load
from kubeops.inventory.load import CNI_VERSIONS
from kubeops.inventory.schema import ANY, paths

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "inventories"
EXAMPLE = FOLDER / "example.yaml"


@pytest.mark.parametrize(
    ("name", "warned"), [("example", 0), ("single", 0), ("vagrant", 1)], ids=str
)
def test_loads(name: str, warned: int) -> None:
    cluster = load(FOLDER / f"{name}.yaml")
    assert cluster.name == name
    assert len(cluster.warnings) == warned


def uncommented() -> str:
    """The example with every `#key:` that is not set in it set."""
    return re.sub(r"^( *)#(?=[a-z0-9_]+:)", r"\1", EXAMPLE.read_text(), flags=re.MULTILINE)


def leaves(node: object, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every path that is written below `node`."""
    if isinstance(node, dict):
        for key, below in node.items():
            yield (*above, str(key))
            yield from leaves(below, (*above, str(key)))


def matches(written: tuple[str, ...], path: tuple[str, ...]) -> bool:
    return len(written) == len(path) and all(
        wanted in (ANY, found) for found, wanted in zip(written, path, strict=True)
    )


# Said in the text only: they cannot stand next to `source` and `passphrase_file`; a host's `ssh`
# has the keys of `ssh`.
ELSEWHERE = {
    ("cluster", "cni", "manifest"),
    ("cluster", "backup", "encrypt", "recipients"),
    ("cluster", "backup", "encrypt", "identity_file"),
}


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in paths()
        if path not in ELSEWHERE
        and path[:3] not in {("hosts", ANY, "ssh"), ("hosts", ANY, "vagrant")}
    ],
    ids=".".join,
)
def test_the_example_has_every_key(path: tuple[str, ...]) -> None:
    assert any(matches(written, path) for written in leaves(yaml.safe_load(uncommented())))


def test_the_example_says_the_rest_in_words() -> None:
    text = EXAMPLE.read_text()
    assert "cni: {manifest: ./plugin.yaml}" in text
    assert "encrypt: {recipients: [age1" in text
    assert ", ".join(CNI_VERSIONS.values()) in text
    assert re.search(r"^ +ssh: \{port: 2222\}", text, re.MULTILINE)
    assert re.search(r"^ +#vagrant: \{cpus: 4, memory: 8192\}", text, re.MULTILINE)


def test_the_example_is_right_in_what_it_does_not_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for file in (".ssh/id_ed25519", ".config/kubeops/sudo"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).touch()
    (tmp_path / "base.yaml").write_text("cluster: {}\n")
    path = tmp_path / "all.yaml"
    path.write_text(uncommented())
    cluster = load(path)
    assert cluster.hosts[0].ssh.jump == "ops@bastion.example"
    assert cluster.runtime.version == "2.1.4"


@pytest.mark.parametrize("path", list(paths()), ids=".".join)
def test_every_key_of_the_schema_is_read(tmp_path: Path, path: tuple[str, ...]) -> None:
    """A key that nobody reads would take any value: none takes a list of mappings."""
    document = yaml.safe_load(EXAMPLE.read_text())
    place = document
    names = [name if name != ANY else "w1" if at == 1 else "disk" for at, name in enumerate(path)]
    for name in names[:-1]:
        place = place.setdefault(name, {})
    place[names[-1]] = [{"nonsense": 1}]
    file = tmp_path / "broken.yaml"
    file.write_text(yaml.safe_dump(document))
    with pytest.raises(InventoryError) as caught:
        load(file)
    assert any(f": {'.'.join(names)}" in problem for problem in caught.value.problems)


def vagrant(*, cwd: Path, home: Path, inventory: str = "") -> "subprocess.CompletedProcess[str]":
    if shutil.which("vagrant") is None:
        pytest.skip("vagrant is not installed (Debian: apt-get install vagrant)")
    data = home / "data"
    data.mkdir()
    return subprocess.run(
        ("vagrant", "validate", "--ignore-provider"),
        cwd=cwd,
        env={
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            "VAGRANT_HOME": str(home / "vagrant"),
            "VAGRANT_DOTFILE_PATH": str(data),
            "KUBEOPS_INVENTORY": inventory,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("inventory", ["", "single", "example"])
def test_vagrant_takes_the_inventories(tmp_path: Path, inventory: str) -> None:
    done = vagrant(cwd=ROOT / "vagrant", home=tmp_path, inventory=inventory)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Vagrantfile validated successfully." in done.stdout
    hosts = load(FOLDER / f"{inventory or 'vagrant'}.yaml").hosts
    assert [host.name for host in hosts] == re.findall(r"==> (\S+): Ignoring", done.stdout)


def test_vagrant_follows_extends(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text((FOLDER / "vagrant.yaml").read_text())
    (tmp_path / "more.yaml").write_text(
        "extends: base.yaml\nhosts:\n  w1:\n  w3: {address: 192.168.56.23, role: worker}\n"
    )
    done = vagrant(cwd=ROOT / "vagrant", home=tmp_path, inventory=str(tmp_path / "more.yaml"))
    assert re.findall(r"==> (\S+): Ignoring", done.stdout) == ["cp1", "cp2", "cp3", "w2", "w3"]


def test_vagrant_refuses_in_words(tmp_path: Path) -> None:
    done = vagrant(cwd=ROOT / "vagrant", home=tmp_path, inventory="nowhere")
    assert done.returncode != 0
    assert (
        "vagrant/Vagrantfile: there is no inventory nowhere; KUBEOPS_INVENTORY takes a name or"
        in done.stderr
    )
