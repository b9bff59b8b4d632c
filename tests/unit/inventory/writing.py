"""Inventories for the tests: every part stands on a line of its own, known by number."""

from pathlib import Path

import pytest

from kubeops.errors import InventoryError
from kubeops.inventory import load


def inventory(
    *,
    name: str = "prod",
    kubernetes: str = '"1.35.4"',
    extra: str = "addons: []",
    ssh: str = "{user: ops}",
    cp1: str = "{address: 10.0.0.11, role: control-plane}",
    w1: str = "{address: 10.0.0.21, role: worker}",
    more: str = "",
) -> str:
    """Return an inventory; the parameters are lines 2 (name), 3, 4, 5, 7 (cp1), 8 and 9 onwards."""
    return (
        f"cluster:\n  name: {name}\n  kubernetes: {kubernetes}\n  {extra}\n"
        f"ssh: {ssh}\nhosts:\n  cp1: {cp1}\n  w1: {w1}\n{more}"
    )


def write(folder: Path, text: str, *, name: str = "prod.yaml") -> Path:
    """Write `text` to a file of `folder` and return its path."""
    path = folder / name
    path.write_text(text)
    return path


def problems(path: Path) -> list[str]:
    """Load the inventory at `path`, which must fail; return its problems without the folder."""
    with pytest.raises(InventoryError) as caught:
        load(path)
    return [line.replace(f"{path.parent}/", "") for line in caught.value.problems]
