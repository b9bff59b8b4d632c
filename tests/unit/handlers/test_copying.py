"""Files on their way from one host to another."""

import base64
import os
from pathlib import Path

import pytest

from kubeops.errors import CommandError
from kubeops.handlers.copying import _RECEIVED, _SENT, copy_files
from tests.unit.handlers.test_restore import running
from tests.unit.handlers.test_scripts import Node
from tests.unit.handlers.values import Bench

FILES = ("etc/kubernetes/audit.yaml",)


def test_files_go_through_here_on_stdin_alone(bench: Bench) -> None:
    secret = base64.b64encode(b"tar").decode()
    bench.runner("cp1").on(running(_SENT, *FILES), stdout=secret)
    bench.runner("cp2").on(running(_RECEIVED))
    copy_files(bench.context("cp2"), FILES, via="cp1")
    (received,) = bench.runner("cp2").commands
    assert received.stdin == secret.encode()
    assert secret not in " ".join(received.argv)


# A pipe ends as its last program does: what tar misses is known by its complaint alone.
@pytest.mark.parametrize("status", [0, 2])
def test_a_file_that_is_missing_there_is_named(bench: Bench, status: int) -> None:
    bench.runner("cp1").on(running(_SENT), status=status, stderr="audit.yaml: No such file")
    with pytest.raises(CommandError, match=r"audit\.yaml") as caught:
        copy_files(bench.context("cp2"), FILES, via="cp1")
    assert "No such file" in caught.value.output
    assert not bench.runner("cp2").commands


@pytest.mark.skipif(os.geteuid() != 0, reason="a mount namespace needs root; run as root")
def test_files_arrive_as_they_were(tmp_path: Path) -> None:
    here, there = Node(tmp_path / "here"), Node(tmp_path / "there")
    here.write("etc/kubernetes/audit.yaml", "rules")
    (here.root / "etc/kubernetes/audit.yaml").chmod(0o640)
    sent = here.run(_SENT, *FILES)
    assert sent.stderr == ""
    received = there.run(_RECEIVED, stdin=sent.stdout)
    assert received.returncode == 0, received.stderr
    assert there.read("etc/kubernetes/audit.yaml") == "rules"
    assert (there.root / "etc/kubernetes/audit.yaml").stat().st_mode & 0o777 == 0o640
