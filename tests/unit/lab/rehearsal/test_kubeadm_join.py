"""What a machine that joins must not be called: as a Node that is there and Ready."""

from typing import Any

import pytest
from rehearsal.cobra import Given
from rehearsal.kubeadm_common import Context, KubeadmError
from rehearsal.kubeadm_join import Join
from rehearsal.layout import Layout
from rehearsal.version import parse


class Api:
    """Knows one Node, or none."""

    def __init__(self, node: dict[str, Any] | None) -> None:
        self.node = node

    def find(self, resource: str, name: str) -> dict[str, Any] | None:
        assert (resource, name) == ("nodes", "cp2")
        return self.node


def joining(monkeypatch: pytest.MonkeyPatch, node: dict[str, Any] | None) -> Join:
    context = Context(layout=Layout(), version=parse("v1.35.4"))
    settings = {"nodeRegistration": {"name": "cp2"}}
    monkeypatch.setattr(Join, "client", lambda _join: Api(node))
    return Join(context=context, given=Given(words=(), found={}), settings=settings)


def ready(status: str) -> dict[str, Any]:
    return {"status": {"conditions": [{"type": "Ready", "status": status}]}}


@pytest.mark.parametrize("node", [None, {}, ready("False"), ready("Unknown")])
def test_a_node_that_is_gone_or_not_ready_is_taken_over(
    monkeypatch: pytest.MonkeyPatch, node: dict[str, Any] | None
) -> None:
    joining(monkeypatch, node)._must_be_new()


def test_the_name_of_a_ready_node_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KubeadmError, match='a Node with name "cp2" and status "Ready" already'):
        joining(monkeypatch, ready("True"))._must_be_new()
