from ipaddress import IPv4Network
from pathlib import Path

import pytest

from kubeops.lab import model
from kubeops.lab.model import Lab, Source, Wish


@pytest.fixture
def wish(tmp_path: Path) -> Wish:
    return Wish(
        name="practice",
        control_planes=3,
        workers=2,
        kubernetes="1.35.4",
        source=Source.REHEARSAL,
        disk_bytes=2**30,
        inventory=tmp_path / "inventories/lab.yaml",
        repository=tmp_path / "repository",
    )


@pytest.fixture
def lab(wish: Wish, tmp_path: Path) -> Lab:
    directory = tmp_path / "labs/practice"
    directory.mkdir(parents=True)
    return model.lab(
        wish,
        directory=directory,
        subnet=IPv4Network("10.231.4.0/24"),
        cgroup=Path("/sys/fs/cgroup/user.slice/kubeops-practice"),
        base=Path("/var/cache/kubeops/lab/base-0123"),
    )
