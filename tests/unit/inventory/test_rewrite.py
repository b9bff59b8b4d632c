"""An upgrade writes the new version into the inventory, and touches nothing else."""

from pathlib import Path

import pytest

from kubeops.errors import InventoryError
from kubeops.inventory import rewrite_kubernetes
from kubeops.model.version import KubeVersion
from tests.unit.inventory.writing import write

NEW = KubeVersion(1, 36, 1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            '# top\ncluster:\n  kubernetes:   "1.35.4"   # why\n  name: x # 1.35.4\n',
            '# top\ncluster:\n  kubernetes:   "1.36.1"   # why\n  name: x # 1.35.4\n',
            id="comments-and-double-quotes",
        ),
        pytest.param(
            "cluster: {kubernetes: '1.35.4', name: x}\n",
            "cluster: {kubernetes: '1.36.1', name: x}\n",
            id="flow-and-single-quotes",
        ),
        pytest.param(
            "cluster:\n  kubernetes: 1.35.4", "cluster:\n  kubernetes: 1.36.1", id="plain"
        ),
        pytest.param("cluster: {kubernetes: v1.35.4}", "cluster: {kubernetes: v1.36.1}", id="v"),
        pytest.param(
            'cluster:\r\n  kubernetes: "1.35.4"\r\nx: é\r\n',
            'cluster:\r\n  kubernetes: "1.36.1"\r\nx: é\r\n',
            id="windows-line-ends",
        ),
        pytest.param(
            "\ufeffé: ü\ncluster:\n  kubernetes: &v '1.35.4'\nx: *v\n",
            "\ufeffé: ü\ncluster:\n  kubernetes: &v '1.36.1'\nx: *v\n",
            id="byte-order-mark-and-anchor",
        ),
        pytest.param(
            "cluster:\n  kubernetes:\n    1.35.4\n",
            "cluster:\n  kubernetes:\n    1.36.1\n",
            id="below",
        ),
    ],
)
def test_only_the_value_changes(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "prod.yaml"
    path.write_bytes(before.encode())
    assert rewrite_kubernetes(path, NEW) == path
    assert path.read_bytes().decode() == after
    assert list(tmp_path.iterdir()) == [path]


def test_the_base_is_rewritten_when_the_value_is_there(tmp_path: Path) -> None:
    base = write(tmp_path, 'cluster: {kubernetes: "1.35.4"}\n', name="base.yaml")
    text = "extends: base.yaml\ncluster: {name: x}\n"
    path = write(tmp_path, text)
    assert rewrite_kubernetes(path, NEW) == base
    assert base.read_text() == 'cluster: {kubernetes: "1.36.1"}\n'
    assert path.read_text() == text


def test_the_nearest_file_is_rewritten_when_both_say_it(tmp_path: Path) -> None:
    base = write(tmp_path, 'cluster: {kubernetes: "1.34.1"}\n', name="base.yaml")
    path = write(tmp_path, "extends: base.yaml\ncluster: {kubernetes: 1.35.4}\n")
    assert rewrite_kubernetes(path, NEW) == path
    assert base.read_text() == 'cluster: {kubernetes: "1.34.1"}\n'
    assert path.read_text() == "extends: base.yaml\ncluster: {kubernetes: 1.36.1}\n"


def test_mode_stays_and_links_stay_links(tmp_path: Path) -> None:
    real = write(tmp_path, 'cluster: {kubernetes: "1.35.4"}\n', name="real.yaml")
    real.chmod(0o640)
    link = tmp_path / "link.yaml"
    link.symlink_to(real)
    rewrite_kubernetes(link, NEW)
    assert link.is_symlink()
    assert real.read_text() == 'cluster: {kubernetes: "1.36.1"}\n'
    assert real.stat().st_mode & 0o7777 == 0o640


def test_what_says_so_already_is_not_written_again(tmp_path: Path) -> None:
    path = write(tmp_path, 'cluster: {kubernetes: "1.36.1"}\n')
    inode = path.stat().st_ino
    rewrite_kubernetes(path, NEW)
    assert path.stat().st_ino == inode


@pytest.mark.parametrize(
    "text", ["cluster: {name: x}\n", "cluster: {kubernetes: }\n", "a: [\n", "- 1"]
)
def test_a_value_that_is_gone(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InventoryError) as caught:
        rewrite_kubernetes(path, NEW)
    assert (
        str(caught.value) == f"{path} could not be updated: it has no cluster.kubernetes any more"
    )
    assert caught.value.hint == 'Write kubernetes: "1.36.1" below cluster, which is what runs now.'
    assert path.read_text() == text


def test_a_value_written_with_escapes_is_left_to_the_operator(tmp_path: Path) -> None:
    text = 'cluster:\n  kubernetes: "1.35\\x2e4"\n'
    path = write(tmp_path, text)
    with pytest.raises(InventoryError) as caught:
        rewrite_kubernetes(path, NEW)
    assert str(caught.value) == (
        f"{path}:2: cluster.kubernetes is written in a way that cannot be rewritten"
    )
    assert path.read_text() == text


def test_a_failure_to_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    text = 'cluster: {kubernetes: "1.35.4"}\n'
    path = write(tmp_path, text)
    monkeypatch.setattr("kubeops.inventory.rewrite.os.fsync", full)
    with pytest.raises(InventoryError) as caught:
        rewrite_kubernetes(path, NEW)
    assert str(caught.value) == f"{path}:1 could not be updated: No space left on device"
    assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]
