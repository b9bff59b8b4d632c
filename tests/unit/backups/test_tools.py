"""Where the scripts of backups take etcd's programs from."""

import os
from importlib.resources import files
from pathlib import Path

import pytest

from tests.unit import containers

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="a process namespace needs root; run the tests as root"
)

NAME = "etcdutl-of-the-test"
TOOLS = files("kubeops.backups").joinpath("tools.sh").read_text()


def look(directory: Path, where: str, *, path: Path | None = None, container: Path) -> list[str]:
    """Return the status with which a script ends that needs the program, and all it said."""
    script = f"""{TOOLS}
where={where}
found=$(tool "$1") || {{ echo "$1 is not there"; exit 127; }}
echo "$found"
"$found"
"""
    ended = containers.run(
        *("sh", "-c", script, "kubeops", NAME),
        pipes=directory,
        container=container,
        env={"PATH": f"{path or directory / 'none'}:/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    return [str(ended.returncode), *ended.stdout.splitlines(), *ended.stderr.splitlines()]


def program(directory: Path) -> Path:
    directory.mkdir(parents=True)
    file = directory / NAME
    file.write_text(f"#!/bin/sh\necho of {directory.name}\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize("place", ["usr/local/bin", "usr/bin", "bin"])
def test_on_a_host_those_of_the_running_container_will_do(tmp_path: Path, place: str) -> None:
    program(tmp_path / "root" / place)
    status, found, said = look(tmp_path, "host", container=tmp_path / "root")
    assert status == "0"
    assert found.startswith("/proc/")
    assert found.endswith(f"/root/{place}/{NAME}")
    assert said == "of bin"


def test_the_hosts_own_come_first(tmp_path: Path) -> None:
    own = program(tmp_path / "own")
    program(tmp_path / "root/usr/local/bin")
    found = look(tmp_path, "host", path=own.parent, container=tmp_path / "root")
    assert found == ["0", str(own), "of own"]


def test_on_the_workstation_no_container_is_looked_into(tmp_path: Path) -> None:
    program(tmp_path / "root/usr/local/bin")
    found = look(tmp_path, "here", container=tmp_path / "root")
    assert found == ["127", f"{NAME} is not there"]
