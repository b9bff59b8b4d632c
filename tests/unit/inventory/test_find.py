"""Which file `--inventory` means."""

from pathlib import Path

import pytest

from kubeops.errors import UsageError
from kubeops.inventory import find


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inventories = tmp_path / "inventories"
    inventories.mkdir()
    (inventories / "example.yaml").write_text("cluster: {}\n")
    return inventories


def refusal(asked: str | None, *, directory: Path, variable: str = "") -> tuple[str, str]:
    with pytest.raises(UsageError) as caught:
        find(asked, environment={"KUBEOPS_INVENTORY": variable}, directory=directory)
    return str(caught.value), caught.value.hint


@pytest.mark.parametrize("asked", ["prod", "prod.yaml", "inventories/prod.yaml"])
def test_a_name_or_a_path(folder: Path, asked: str) -> None:
    (folder / "prod.yaml").touch()
    (folder / "other.yaml").touch()
    expected = folder / "prod.yaml"
    assert find(asked, environment={}, directory=folder.parent) == expected
    variable = {"KUBEOPS_INVENTORY": asked}
    assert find(None, environment=variable, directory=folder.parent) == expected
    assert find(str(expected), environment=variable, directory=folder.parent) == expected


def test_the_option_beats_the_variable(folder: Path) -> None:
    (folder / "prod.yaml").touch()
    (folder / "other.yaml").touch()
    found = find("prod", environment={"KUBEOPS_INVENTORY": "other"}, directory=folder.parent)
    assert found == folder / "prod.yaml"


def test_home_is_expanded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert find("~/example.yaml", environment={}, directory=Path("/")) == folder / "example.yaml"


def test_the_only_one_is_the_default(folder: Path) -> None:
    (folder / "prod.yaml").touch()
    found = find(None, environment={"KUBEOPS_INVENTORY": ""}, directory=folder.parent)
    assert found == folder / "prod.yaml"


def test_files_that_others_extend_do_not_count(folder: Path) -> None:
    (folder / "base.yaml").write_text("cluster: {}\n")
    (folder / "prod.yaml").write_text("extends: base.yaml\n")
    assert find(None, environment={}, directory=folder.parent) == folder / "prod.yaml"


def test_several(folder: Path) -> None:
    (folder / "prod.yaml").touch()
    (folder / "lab.yaml").write_text("not: [yaml\n")
    assert refusal(None, directory=folder.parent) == (
        f"there is more than one inventory in {folder}, so a command must say which",
        "Type --inventory NAME with one of lab, prod, or --inventory PATH.",
    )


@pytest.mark.parametrize("made", [True, False], ids=["only-the-example", "no-folder"])
def test_none(folder: Path, *, made: bool) -> None:
    directory = folder.parent if made else folder.parent / "elsewhere"
    where = directory / "inventories"
    assert refusal(None, directory=directory) == (
        f"there is no inventory in {where}, so a command must say which",
        (
            f"Copy inventories/example.yaml to {where}/NAME.yaml, edit it and type --inventory "
            "NAME, or type --inventory PATH."
        ),
    )


def test_unknown_name_lists_what_there_is(folder: Path) -> None:
    (folder / "prod.yaml").touch()
    assert refusal("prdo", directory=folder.parent) == (
        f"there is no inventory 'prdo' (--inventory): {folder}/prdo.yaml does not exist",
        "Type --inventory NAME with one of prod, or --inventory PATH.",
    )


def test_unknown_path_in_the_variable(folder: Path) -> None:
    (folder / "prod.yaml").touch()
    assert refusal(None, directory=folder.parent, variable="x/y.yaml") == (
        (
            f"there is no inventory 'x/y.yaml' (KUBEOPS_INVENTORY): {folder.parent}/x/y.yaml "
            "does not exist"
        ),
        "Type --inventory NAME with one of prod, or --inventory PATH.",
    )


def test_a_folder_named_like_the_inventory_is_not_it(folder: Path) -> None:
    (folder.parent / "prod").mkdir()
    message, _ = refusal("prod", directory=folder.parent)
    assert message.startswith("there is no inventory 'prod'")


def test_a_path_that_cannot_be_looked_up(folder: Path) -> None:
    message, _ = refusal("x/" * 3000, directory=folder.parent)
    assert message.endswith("cannot be looked up: File name too long")
