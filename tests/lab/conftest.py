"""Labs for tests: made on order, taken down always.

`make_lab(control_planes, workers, **settings)` makes one for a test, `lab_factory` for a module;
the settings are those of `kubeops.lab.lifecycle.up`. `ssh` runs a command on a node with OpenSSH.
"""

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from kubeops.errors import UsageError
from kubeops.lab import lifecycle, places, requirements, shell
from kubeops.lab.model import Lab
from kubeops.transport.base import Result


class MakeLab(Protocol):
    def __call__(self, control_planes: int = 1, workers: int = 0, **settings: Any) -> Lab: ...


class Ssh(Protocol):
    def __call__(
        self, lab: Lab, node: str, command: str, *, user: str = "ops", stdin: bytes = b""
    ) -> Result: ...


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[MakeLab]:
    with labs(tmp_path) as make:
        yield make


@pytest.fixture(scope="module")
def lab_factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeLab]:
    with labs(tmp_path_factory.mktemp("inventories")) as make:
        yield make


@pytest.fixture(scope="session")
def ssh() -> Ssh:
    def run(lab: Lab, node: str, command: str, *, user: str = "ops", stdin: bytes = b"") -> Result:
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": "2",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(lab.known_hosts),
        }
        flags = (part for name, value in options.items() for part in ("-o", f"{name}={value}"))
        target = f"{user}@{lab.node(node).address}"
        return shell.attempt(
            *("ssh", "-F", "none", "-i", str(lab.key), *flags, target, command), stdin=stdin
        )

    return run


@contextlib.contextmanager
def labs(inventories: Path) -> Iterator[MakeLab]:
    try:
        requirements.check(real=False)
    except UsageError as error:
        pytest.skip(error.message)
    made: list[str] = []

    def make(control_planes: int = 1, workers: int = 0, **settings: Any) -> Lab:
        name = settings.pop("name", f"test-{secrets.token_hex(4)}")
        made.append(name)
        path = settings.pop("inventory_path", inventories / f"{name}.yaml")
        return lifecycle.up(name, control_planes, workers, inventory_path=path, **settings)

    try:
        yield make
    finally:
        for name in made:
            if (places.LABS / name).exists():
                lifecycle.down(name)
