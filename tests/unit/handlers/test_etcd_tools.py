"""Where etcd's programs are taken from, with a stand-in for `ctr` that does as recorded.

They have a name here that no machine has on its PATH.
"""

import os
import shutil
from pathlib import Path

import pytest

from kubeops.handlers.etcd_tools import _RUN
from tests.unit import containers

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="a process namespace needs root; run the tests as root"
)

NAME = "etcdutl-of-the-test"
IMAGE = "registry.k8s.io/etcd:3.6.6-0"
# `images unmount` without --rm leaves the snapshot that was mounted behind: recorded in 21.
CTR = """#!/bin/sh
echo "$*" >>"$CALLS"
case "$*" in
  "--namespace k8s.io images list --quiet")
    printf '%s\\n' registry.k8s.io/coredns/coredns:v1.13.1 "$IMAGE" registry.k8s.io/pause:3.10.1 ;;
  "--namespace k8s.io images mount $IMAGE /"*)
    cp -R "$CONTENT/." "$6"; echo "sha256:1e7c1e2c04378d28"; echo "$6" ;;
  "--namespace k8s.io images unmount --rm /"*) rm -r "$6/usr"; echo "$6" ;;
  *) echo "ctr: nobody told what to do with: $*" >&2; exit 64 ;;
esac
"""


class Machine:
    """A directory of programs, a root for the container or the image, and what ctr was asked."""

    def __init__(self, directory: Path) -> None:
        self.bin, self.root, self.tmp = (directory / name for name in ("bin", "root", "tmp"))
        self.calls = directory / "calls"
        for made in (self.bin, self.root / "usr/local/bin", self.tmp):
            made.mkdir(parents=True)
        self.pipes = directory

    def program(self, path: Path, body: str) -> None:
        path.write_text(body)
        path.chmod(0o755)

    def tool(self, path: Path, *, status: int = 0) -> None:
        self.program(path, f'#!/bin/sh\necho "{path.parent.parent.name}: $*"\nexit {status}\n')

    def run(self, *, container: bool = False) -> tuple[int, str, str]:
        ended = containers.run(
            *("sh", "-euc", _RUN, "kubeops", NAME, "snapshot", "status", "a file"),
            pipes=self.pipes,
            container=self.root if container else None,
            env={
                "PATH": f"{self.bin}:/usr/sbin:/usr/bin:/sbin:/bin",
                "TMPDIR": str(self.tmp),
                "CALLS": str(self.calls),
                "CONTENT": str(self.root),
                "IMAGE": IMAGE,
            },
        )
        return ended.returncode, ended.stdout, ended.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_hosts_own_comes_first(machine: Machine) -> None:
    machine.tool(machine.bin / NAME)
    machine.program(machine.root / f"usr/local/bin/{NAME}", "#!/bin/sh\nexit 9\n")
    machine.program(machine.bin / "ctr", CTR)
    status, said, _errors = machine.run(container=True)
    assert (status, said) == (0, f"{machine.bin.parent.name}: snapshot status a file\n")
    assert not machine.calls.exists()


def test_that_of_the_running_container_comes_next(machine: Machine) -> None:
    machine.tool(machine.root / f"usr/local/bin/{NAME}")
    machine.program(machine.bin / "ctr", CTR)
    assert machine.run(container=True) == (0, "local: snapshot status a file\n", "")
    assert not machine.calls.exists()


@pytest.mark.parametrize("status", [0, 3])
def test_that_of_the_image_is_the_last(machine: Machine, status: int) -> None:
    machine.tool(machine.root / f"usr/local/bin/{NAME}", status=status)
    machine.program(machine.bin / "ctr", CTR)
    assert machine.run() == (status, "local: snapshot status a file\n", "")
    listed, mounted, unmounted = machine.calls.read_text().splitlines()
    assert listed.endswith("images list --quiet")
    where = mounted.split()[-1]
    assert mounted == f"--namespace k8s.io images mount {IMAGE} {where}"
    assert unmounted == f"--namespace k8s.io images unmount --rm {where}"
    assert not list(machine.tmp.iterdir())


@pytest.mark.skipif(shutil.which("ctr") is not None, reason="this machine has a ctr")
def test_a_host_with_none_of_them_says_so(machine: Machine) -> None:
    said = f"{NAME} is not on the PATH, no etcd container runs, and there is no ctr\n"
    assert machine.run() == (127, "", said)
