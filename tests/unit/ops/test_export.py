"""An export, of scripted control planes."""

import json
from pathlib import Path
from typing import Any

import pytest

from kubeops.errors import CommandError, StepError, TransportError, UsageError
from kubeops.ops.export import export
from kubeops.ops.session import Session
from kubeops.transport.fake import FakeRunner
from tests.unit.ops.values import session_of
from tests.unit.plan import values

KUBECTL = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf")


def listed(*items: dict[str, Any]) -> str:
    return json.dumps({"apiVersion": "v1", "items": items, "kind": "List"})


def a_map(name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", "uid": "1", "resourceVersion": "1"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return session_of(values.cluster(3, 0), tmp_path / "state")


def host(session: Session, name: str) -> FakeRunner:
    runner = session.transport.runner(name)
    assert isinstance(runner, FakeRunner)
    return runner


def answers(fake: FakeRunner, types: str, **lists: str) -> None:
    fake.on((*KUBECTL, "api-resources"), stdout=types)
    for name, output in lists.items():
        fake.on((*KUBECTL, "get", name, "--all-namespaces", "-o", "json"), stdout=output)


def test_the_first_control_plane_that_answers_is_asked(session: Session, tmp_path: Path) -> None:
    gone = TransportError("cp1: connection refused", host="cp1")
    host(session, "cp1").on(KUBECTL, error=gone)
    host(session, "cp2").on(KUBECTL, status=1, stderr="refused")
    answers(host(session, "cp3"), "nodes configmaps secrets", configmaps=listed(a_map("a")))
    done = export(session, tmp_path / "out", secrets=False, progress=lambda _text: None)
    assert done.written == ("shop/configmap/a.yaml",)


def test_nobody_answers(session: Session, tmp_path: Path) -> None:
    for name in ("cp1", "cp2", "cp3"):
        host(session, name).on(KUBECTL, status=1, stderr="refused")
    with pytest.raises(StepError, match=r"the API does not answer: cp1: .*; cp2: .*; cp3: "):
        export(session, tmp_path / "out", secrets=False, progress=lambda _text: None)


def test_a_type_that_is_refused_removes_nothing(session: Session, tmp_path: Path) -> None:
    fake = host(session, "cp1")
    answers(fake, "configmaps", configmaps=listed(a_map("a")))
    export(session, tmp_path / "out", secrets=False, progress=lambda _text: None)
    broken = session_of(session.desired, tmp_path / "state")
    host(broken, "cp1").on((*KUBECTL, "api-resources"), stdout="configmaps")
    host(broken, "cp1").on((*KUBECTL, "get"), stdout=listed(), status=1)
    with pytest.raises(CommandError):
        export(broken, tmp_path / "out", secrets=False, progress=lambda _text: None)
    assert (tmp_path / "out/shop/configmap/a.yaml").exists()


def test_secrets_need_encryption_before_anybody_is_asked(session: Session, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not say how"):
        export(session, tmp_path / "out", secrets=True, progress=lambda _text: None)
    assert host(session, "cp1").commands == []
