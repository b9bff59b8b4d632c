"""Every mistake an inventory can hold, and the words it is answered with: see problems.yaml."""

from pathlib import Path

import pytest
import yaml

from tests.unit.inventory.writing import inventory, problems, write

CASES: dict[str, dict[str, str]] = yaml.safe_load(
    Path(__file__).with_name("problems.yaml").read_text()
)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_problem(tmp_path: Path, case: dict[str, str]) -> None:
    lines = {line: written for line, written in case.items() if line != "says"}
    found = problems(write(tmp_path, inventory(**lines)))
    assert found == [f"prod.yaml:{problem}" for problem in case["says"].splitlines()]


def test_all_problems_come_at_once_by_line(tmp_path: Path) -> None:
    text = inventory(
        name="Prod",
        kubernetes="1.30",
        extra="cni: {name: wave}",
        ssh="{port: 0}",
        cp1="{address: 10.0.0.11, role: master}",
        w1="{address: 10.0.0.11}",
        more="host: {}\n",
    )
    found = problems(write(tmp_path, text))
    assert [line.split(": ")[0:2] for line in found] == [
        ["prod.yaml:2", "cluster.name"],
        ["prod.yaml:3", "cluster.kubernetes"],
        ["prod.yaml:4", "cluster.cni.name"],
        ["prod.yaml:5", "ssh.port"],
        ["prod.yaml:7", "hosts.cp1.role"],
        ["prod.yaml:8", "hosts.w1.role"],
        ["prod.yaml:8", "hosts.w1.address"],
        ["prod.yaml:9", "host"],
    ]


def test_nothing_at_all(tmp_path: Path) -> None:
    assert problems(write(tmp_path, "{}\n")) == [
        "prod.yaml:1: cluster.name: is missing; write it, such as name: prod",
        'prod.yaml:1: cluster.kubernetes: is missing; write it, such as kubernetes: "1.35.4"',
        (
            "prod.yaml:1: hosts: is missing; write one line per machine, such as "
            "cp1: {address: 10.0.0.11, role: control-plane}"
        ),
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(
            b"", "1: is empty; copy inventories/example.yaml here and edit the copy", id="empty"
        ),
        pytest.param(
            b"# only words\n",
            "1: is empty; copy inventories/example.yaml here and edit the copy",
            id="comments-only",
        ),
        pytest.param(
            b"- a\n",
            "1: is a list, not a mapping; an inventory has the keys cluster, ssh and hosts",
            id="list",
        ),
        pytest.param(
            b"prod\n",
            "1: is a single value, not a mapping; an inventory has the keys cluster, ssh and hosts",
            id="scalar",
        ),
        pytest.param(
            b"cluster: {}\nname: \xe9\n",
            "2: is not UTF-8 text; save the file as UTF-8",
            id="latin-1",
        ),
        pytest.param(
            b"a: 1\nb: \x07\n", "2: holds a character that YAML forbids; take it out", id="bell"
        ),
        pytest.param(
            b"cluster:\n\tname: x\n",
            "2: is not YAML: a tab stands where only spaces may; indent with spaces",
            id="tab",
        ),
        pytest.param(
            b"a: 1\n---\nb: 2\n",
            "2: holds a second YAML document (`---`); one file is one cluster",
            id="documents",
        ),
        pytest.param(
            b"cluster:\n  name: x\n hosts:\n",
            "3: is not YAML: while parsing a block mapping, expected <block end>, but found "
            "'<block mapping start>'; look at this line and the ones just above it",
            id="indentation",
        ),
        pytest.param(
            b"a: " + b"[" * 5000, "1: is nested too deeply to be an inventory", id="nesting"
        ),
    ],
)
def test_what_is_no_inventory_at_all(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "prod.yaml"
    path.write_bytes(content)
    assert problems(path) == [f"prod.yaml:{expected}"]


def test_missing_file(tmp_path: Path) -> None:
    assert problems(tmp_path / "prod.yaml") == [
        (
            "prod.yaml:1: there is no such file; `--inventory` takes a path or a name below "
            "inventories/"
        )
    ]


def test_directory(tmp_path: Path) -> None:
    (tmp_path / "prod.yaml").mkdir()
    assert problems(tmp_path / "prod.yaml") == [
        "prod.yaml:1: is a directory; name the YAML file in it"
    ]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(
            PermissionError(13, "Permission denied"),
            "cannot be read: permission denied; check owner and mode with `ls -l`",
            id="permission",
        ),
        pytest.param(
            OSError(5, "Input/output error"), "cannot be read: Input/output error", id="io"
        ),
    ],
)
def test_unreadable_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, expected: str
) -> None:
    def fail(_path: Path) -> bytes:
        raise error

    monkeypatch.setattr(Path, "read_bytes", fail)
    assert problems(tmp_path / "prod.yaml") == [f"prod.yaml:1: {expected}"]
