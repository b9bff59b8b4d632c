import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kubeops.engine import process
from kubeops.engine.process import current_process, is_gone, process_from_json

HERE = current_process()


def test_this_process_lives() -> None:
    assert HERE.pid == os.getpid()
    assert not is_gone(HERE)


def test_it_survives_json() -> None:
    assert process_from_json(HERE.to_json()) == HERE


@pytest.mark.parametrize("document", [None, {}, {**HERE.to_json(), "pid": "7"}])
def test_json_that_is_no_process(document: object) -> None:
    with pytest.raises(ValueError, match="process"):
        process_from_json(document)


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        ({"pid_started": "1"}, True),
        ({"pid": 2**22 + 1}, True),
        ({"boot_id": "before"}, True),
        ({"machine_id": "another", "boot_id": "another"}, False),
        ({"workstation": "another", "pid": 2**22 + 1}, False),
        ({"pid_namespace": "another", "pid": 2**22 + 1}, False),
    ],
    ids=["pid reused", "no such pid", "rebooted", "machine", "workstation", "container"],
)
def test_gone_is_said_only_for_certain(change: dict[str, object], gone: bool) -> None:  # noqa: FBT001
    assert is_gone(replace(HERE, **change)) is gone  # type: ignore[arg-type]


def test_a_zombie_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = process._started(child.pid)
    assert started is not None
    zombie = replace(HERE, pid=child.pid, pid_started=started)
    assert not is_gone(zombie)

    assert child.stdin is not None
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert is_gone(zombie)
    child.stdin.close()
    child.wait()


def test_without_proc_the_pid_has_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process, "_PROC", tmp_path)
    here = current_process()

    assert (here.pid_namespace, here.boot_id, here.pid_started) == ("", "", "")
    assert not is_gone(here)
    assert is_gone(replace(here, pid=2**22 + 1))
