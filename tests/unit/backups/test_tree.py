"""The directory of an export."""

import json
from pathlib import Path, PurePosixPath
from typing import Any

import pyrage
import pytest

from kubeops.backups import objects
from kubeops.backups.crypto import Keys
from kubeops.backups.tree import KEY, MARKER, Tree, open_tree
from kubeops.errors import StoreError, UntrustedSnapshotError, UsageError

SECRET = PurePosixPath("shop/secret/login.yaml")
IDENTITY = pyrage.x25519.Identity.generate()


def a_map(name: str, value: str = "1") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"v": value}}


def tree(directory: Path, keys: Keys | None = None, *, cluster: str = "prod") -> Tree:
    return open_tree(directory, cluster=cluster, keys=keys)


def export(directory: Path, *maps: dict[str, Any]) -> Any:
    made = tree(directory)
    for one in maps:
        made.put(objects.place(one), objects.to_yaml(one))
    return made.finish()


def files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def test_one_file_per_object(tmp_path: Path) -> None:
    written = export(tmp_path / "out", a_map("a"), a_map("b"))
    assert files(tmp_path / "out") == {
        "shop/configmap/a.yaml",
        "shop/configmap/b.yaml",
        MARKER,
    }
    assert written.written == ("shop/configmap/a.yaml", "shop/configmap/b.yaml")


def test_what_has_not_changed_is_not_touched(tmp_path: Path) -> None:
    export(tmp_path, a_map("a"), a_map("b"))
    before = (tmp_path / "shop/configmap/a.yaml").stat()
    written = export(tmp_path, a_map("a"), a_map("b", "2"))
    assert (written.written, written.unchanged) == (("shop/configmap/b.yaml",), 1)
    assert (tmp_path / "shop/configmap/a.yaml").stat().st_ino == before.st_ino
    assert (tmp_path / "shop/configmap/a.yaml").stat().st_mtime_ns == before.st_mtime_ns


def test_what_is_gone_is_removed_with_its_directories(tmp_path: Path) -> None:
    export(tmp_path, a_map("a"))
    written = export(tmp_path)
    assert written.removed == ("shop/configmap/a.yaml",)
    assert not (tmp_path / "shop").exists()


def test_what_people_put_there_stays(tmp_path: Path) -> None:
    export(tmp_path, a_map("a"))
    kept = {
        "README.md": "x",
        ".github/workflows/ci.yaml": "on: push",
        "charts/web/values.yaml": "a: 1",
        "shop/configmap/copy.yaml": objects.to_yaml(a_map("a")).decode(),
        "shop/notes/broken.yaml": "[",
        "deep/er/than/ours.yaml": "a: 1",
    }
    for name, content in kept.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert export(tmp_path).removed == ("shop/configmap/a.yaml",)
    assert files(tmp_path) == {*kept, MARKER}


def test_a_directory_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(UsageError, match=r"not made by an export and is not empty: thesis\.txt"):
        tree(tmp_path)
    assert files(tmp_path) == {"thesis.txt"}


def test_a_fresh_repository_is_taken(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    export(tmp_path, a_map("a"))
    assert (tmp_path / "shop/configmap/a.yaml").exists()


def test_the_export_of_another_cluster_is_refused(tmp_path: Path) -> None:
    export(tmp_path)
    with pytest.raises(UsageError, match="holds the export of prod, and this one is of lab"):
        tree(tmp_path, cluster="lab")


@pytest.mark.parametrize(
    "marker", ["", "{", "[]", '{"format": 2, "cluster": "prod"}', '{"format": 1}']
)
def test_a_marker_of_something_else_is_refused(tmp_path: Path, marker: str) -> None:
    (tmp_path / MARKER).write_text(marker)
    with pytest.raises(UsageError, match=MARKER):
        tree(tmp_path)


def test_an_export_that_was_killed_is_gone_on_with(tmp_path: Path) -> None:
    made = tree(tmp_path)
    made.put(objects.place(a_map("a")), objects.to_yaml(a_map("a")))
    assert export(tmp_path, a_map("b")).removed == ("shop/configmap/a.yaml",)


def test_a_file_in_the_way_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="the export"):
        tree(tmp_path / "file")


KEYS = Keys(recipients=(str(IDENTITY.to_public()),))


def sealed(directory: Path, keys: Keys = KEYS, *, version: str = "1") -> Any:
    made = tree(directory, keys)
    made.seal(SECRET, b"hidden", version=version)
    return made.finish()


class TestSecrets:
    def test_they_are_encrypted_and_can_be_read_without_kubeops(self, tmp_path: Path) -> None:
        sealed(tmp_path)
        content = (tmp_path / f"{SECRET}.age").read_bytes()
        assert b"hidden" not in content
        assert pyrage.decrypt(content, [IDENTITY]) == b"hidden"

    def test_what_has_not_changed_is_not_encrypted_again(self, tmp_path: Path) -> None:
        sealed(tmp_path)
        before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
        assert sealed(tmp_path).written == ()
        assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before
        assert sealed(tmp_path, version="2").written == (f"{SECRET}.age",)

    def test_a_file_that_was_lost_is_written_again(self, tmp_path: Path) -> None:
        sealed(tmp_path)
        (tmp_path / f"{SECRET}.age").unlink()
        assert sealed(tmp_path).written == (f"{SECRET}.age",)

    def test_another_key_encrypts_everything_again(self, tmp_path: Path) -> None:
        sealed(tmp_path)
        other = Keys(recipients=(str(pyrage.x25519.Identity.generate().to_public()),))
        assert sealed(tmp_path, other).written == (f"{SECRET}.age",)
        assert sealed(tmp_path, other).written == ()

    def test_those_that_are_gone_are_removed(self, tmp_path: Path) -> None:
        sealed(tmp_path)
        assert tree(tmp_path, KEYS).finish().removed == (f"{SECRET}.age",)

    def test_they_stay_when_nobody_asked_for_them(self, tmp_path: Path) -> None:
        sealed(tmp_path)
        marker = json.loads((tmp_path / MARKER).read_text())
        assert export(tmp_path).removed == ()
        assert json.loads((tmp_path / MARKER).read_text()) == marker
        assert sealed(tmp_path).written == ()


def test_a_passphrase_keeps_its_key(tmp_path: Path) -> None:
    """Files of earlier exports must open with the key.age that is there now."""
    out, file = tmp_path / "out", tmp_path / "passphrase"
    keys = Keys(passphrase_file=file)
    file.write_text("correct horse")
    sealed(out, keys)
    key = (out / KEY).read_bytes()
    assert sealed(out, keys).written == ()
    assert (out / KEY).read_bytes() == key
    identity = pyrage.x25519.Identity.from_str(
        pyrage.passphrase.decrypt(key, "correct horse").decode().strip()
    )
    assert pyrage.decrypt((out / f"{SECRET}.age").read_bytes(), [identity]) == b"hidden"
    file.write_text("wrong")
    with pytest.raises(UntrustedSnapshotError, match="does not open"):
        sealed(out, keys)


def test_secrets_are_never_written_plain(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not say how"):
        tree(tmp_path / "out", Keys())
