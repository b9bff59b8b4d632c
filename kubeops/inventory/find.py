"""Which inventory file a command is about."""

import re
from collections.abc import Mapping
from os.path import normpath
from pathlib import Path

from kubeops.errors import UsageError
from kubeops.inventory.document import extended_by

FOLDER = "inventories"
VARIABLE = "KUBEOPS_INVENTORY"

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_EXAMPLE = "example"


def find(name_or_path: str | None, *, environment: Mapping[str, str], directory: Path) -> Path:
    """Return the inventory that `--inventory` means.

    A NAME is `inventories/NAME.yaml` below `directory`; anything else is a path. Without either,
    and without KUBEOPS_INVENTORY, it is the only inventory there is: `example.yaml`, and files
    that others extend, do not count.

    Args:
        name_or_path: what `--inventory` says; None or empty when it says nothing.
        environment: where KUBEOPS_INVENTORY is looked up.
        directory: what relative paths start at; the working directory as a rule.

    Raises:
        UsageError: there is no such file, or no default; the message lists what there is.
    """
    asked, origin = name_or_path, "--inventory"
    if not asked:
        asked, origin = environment.get(VARIABLE), VARIABLE
    if asked:
        return _named(asked, origin=origin, directory=directory)
    return _only(directory)


def _named(asked: str, *, origin: str, directory: Path) -> Path:
    folder = directory / FOLDER
    if _NAME.fullmatch(asked):
        candidate = folder / f"{asked.removesuffix('.yaml')}.yaml"
        if candidate.is_file():
            return candidate
        looked = str(candidate)
    else:
        looked = ""
    try:
        path = directory / Path(asked).expanduser()
        exists = path.exists()
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{origin} {asked!r} cannot be looked up: {reason}") from error
    if exists and not (looked and path.is_dir()):
        return path
    raise UsageError(
        f"there is no inventory {asked!r} ({origin}): {looked or path} does not exist",
        hint=_choices(folder),
    )


def _only(directory: Path) -> Path:
    folder = directory / FOLDER
    names = _names(folder)
    bases = {normpath(base) for name in names if (base := extended_by(folder / f"{name}.yaml"))}
    files = [folder / f"{name}.yaml" for name in names]
    candidates = [file for file in files if normpath(file) not in bases]
    if len(candidates) == 1:
        return candidates[0]
    found = "there is no inventory" if not candidates else "there is more than one inventory"
    raise UsageError(f"{found} in {folder}, so a command must say which", hint=_choices(folder))


def _choices(folder: Path) -> str:
    names = _names(folder)
    if names:
        return f"Type --inventory NAME with one of {', '.join(names)}, or --inventory PATH."
    return (
        f"Copy inventories/example.yaml to {folder}/NAME.yaml, edit it and type --inventory NAME, "
        "or type --inventory PATH."
    )


def _names(folder: Path) -> list[str]:
    """Return the names of the inventories in `folder`, the example aside."""
    return sorted(file.stem for file in folder.glob("*.yaml") if file.stem != _EXAMPLE)
