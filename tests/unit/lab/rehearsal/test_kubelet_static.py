import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from rehearsal.kubelet_static import StaticPods, environment, old_etcd_flag, process_command
from rehearsal.layout import Layout
from rehearsal.runtime import Container, Runtime


class Processes(Runtime):
    """A runtime whose processes are numbers: those in `living` run, those that get SIGTERM end."""

    living: set[int]
    signals: list[tuple[int, signal.Signals]]

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout=layout)
        object.__setattr__(self, "living", set())
        object.__setattr__(self, "signals", [])

    def check(self) -> None:
        """Answer."""

    def start(self, container: Container, *, env: Mapping[str, str]) -> Container:
        assert "PYTHONPATH" in env
        pid = 10**6 + len(self.signals) + container.created % 10**5
        self.living.add(pid)
        return self.save(replace(container, pid=pid))

    def alive(self, container: Container) -> bool:
        return container.pid in self.living

    def send(self, container: Container, number: signal.Signals) -> None:
        self.signals.append((container.pid, number))
        self.living.discard(container.pid)


@pytest.fixture
def runtime(tmp_path: Path) -> Processes:
    return Processes(Layout(root=tmp_path))


@pytest.fixture
def pods(runtime: Processes, tmp_path: Path) -> StaticPods:
    folder = tmp_path / "etc/kubernetes/manifests"
    folder.mkdir(parents=True)
    return StaticPods(runtime=runtime, folder=folder, node="cp1", log=lambda _: None)


def manifest(name: str = "kube-scheduler", tag: str = "v1.35.4") -> str:
    container: dict[str, Any] = {
        "name": name,
        "command": [name, "--leader-elect=true"],
        "image": f"registry.k8s.io/{name}:{tag}",
    }
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "kube-system"},
            "spec": {"containers": [container], "hostNetwork": True},
        }
    )


def put(pods: StaticPods, text: str, name: str = "kube-scheduler") -> Path:
    path = pods.folder / f"{name}.yaml"
    path.write_text(text)
    return path


def test_a_manifest_that_appears_is_started(pods: StaticPods, runtime: Processes) -> None:
    put(pods, manifest())
    pods.sync()
    (container,) = runtime.containers()
    assert (container.pod, container.running) == ("kube-scheduler-cp1", True)
    assert container.command[-1] == "--rehearsal-version=v1.35.4"
    assert runtime.has_image("registry.k8s.io/kube-scheduler:v1.35.4")


def test_a_manifest_that_goes_is_stopped_and_forgotten(
    pods: StaticPods, runtime: Processes
) -> None:
    path = put(pods, manifest())
    pods.sync()
    path.unlink()
    for _ in range(3):
        pods.sync()
    assert [number for _, number in runtime.signals] == [signal.SIGTERM]
    assert runtime.containers() == []


def test_a_changed_manifest_replaces_the_process(pods: StaticPods, runtime: Processes) -> None:
    put(pods, manifest())
    pods.sync()
    first = pods.running()["kube-scheduler"]
    put(pods, manifest(tag="v1.35.6"))
    for _ in range(3):
        pods.sync()
    second = pods.running()["kube-scheduler"]
    assert second.image.endswith("v1.35.6")
    assert (second.pid, second.attempt) != (first.pid, 1)
    assert len(runtime.living) == 1


def test_a_crash_is_answered_at_once_the_first_time(pods: StaticPods, runtime: Processes) -> None:
    put(pods, manifest())
    pods.sync()
    runtime.living.clear()
    pods.sync()
    assert pods.running()["kube-scheduler"].attempt == 1
    runtime.living.clear()
    pods.sync()
    assert pods.running() == {}, "the second crash is followed by a pause"


def test_a_new_kubelet_takes_over_what_runs(pods: StaticPods, runtime: Processes) -> None:
    put(pods, manifest())
    pods.sync()
    successor = StaticPods(runtime=runtime, folder=pods.folder, node="cp1", log=lambda _: None)
    successor.adopt()
    successor.sync()
    assert len(runtime.containers()) == 1
    assert runtime.signals == []


def test_an_image_nobody_has_keeps_a_pod_from_starting(
    pods: StaticPods, runtime: Processes
) -> None:
    put(pods, manifest(tag="v1.35.99"))
    pods.sync()
    assert runtime.containers() == []


@pytest.mark.parametrize("text", ["{", "kind: Pod", "[]", "spec: {containers: []}"])
def test_what_is_no_pod_is_skipped(pods: StaticPods, text: str) -> None:
    put(pods, text)
    assert pods.wanted() == {}


def test_etcd_gets_its_flags_under_their_old_names() -> None:
    assert old_etcd_flag("--watch-progress-notify-interval=5s") == (
        "--experimental-watch-progress-notify-interval=5s"
    )
    assert old_etcd_flag("--name=cp1") == "--name=cp1"
    assert process_command({"command": ["etcd", "--feature-gates=InitialCorruptCheck=true"]}) == (
        "/usr/bin/etcd",
        "--experimental-initial-corrupt-check=true",
    )


def test_other_programs_are_not_run() -> None:
    with pytest.raises(ValueError, match="executable file not found"):
        process_command({"command": ["/bin/sh"], "image": "x:1"})


@pytest.mark.parametrize("kept", [True, False])
def test_components_compile_nothing_where_the_kubelet_does_not(
    monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", not kept)
    assert ("PYTHONDONTWRITEBYTECODE" in environment({})) is not kept
