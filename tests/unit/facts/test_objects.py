"""Kubectl's lists, in pieces of any size."""

import json
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from kubeops.errors import CommandError, FactsError
from kubeops.facts.objects import each_object, resource_types
from kubeops.transport.base import Command, Result
from kubeops.transport.fake import FakeRunner

OBJECTS: list[dict[str, Any]] = [
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{index}"}, "data": data}
    for index, data in enumerate(
        ({"a": "]} , {"}, {"b": 'ünïcode \\ " text'}, {"long": "x" * 5000}, {"c": "items: ["})
    )
]


def listed(items: list[dict[str, Any]]) -> bytes:
    document = {
        "apiVersion": "v1",
        "items": items,
        "kind": "List",
        "metadata": {"resourceVersion": ""},
    }
    return json.dumps(document, indent=4, ensure_ascii=False).encode() + b"\n"


@dataclass
class Piecewise:
    """A Runner whose output comes in pieces."""

    output: bytes
    piece: int
    status: int = 0
    host: str = "cp1"

    def run(self, command: Command) -> Result:
        raise AssertionError(command.shown)

    def stream(self, command: Command, write: Callable[[bytes], object]) -> Result:
        for at in range(0, len(self.output), self.piece):
            write(self.output[at : at + self.piece])
        return Result(command=command, host=self.host, status=self.status, stdout="", stderr="no")


def read(runner: Piecewise) -> list[Any]:
    found: list[Any] = []
    each_object(runner, "configmaps", found.append)
    return found


@pytest.mark.parametrize("piece", [1, 7, 64, 100_000])
@pytest.mark.parametrize("count", [0, 1, 4])
def test_all_objects_come_whole_and_in_order(piece: int, count: int) -> None:
    assert read(Piecewise(listed(OBJECTS[:count]), piece)) == OBJECTS[:count]


def test_a_list_without_line_breaks_is_read_too() -> None:
    document = json.dumps(json.loads(listed(OBJECTS)), separators=(",", ":")).encode()
    assert read(Piecewise(document, 10)) == OBJECTS


def test_only_one_object_is_held_at_a_time() -> None:
    """What was handed over is not kept: the text that is left never grows beyond one object."""
    many = listed([OBJECTS[2]] * 4000)
    runner = Piecewise(many, 1 << 16)
    tracemalloc.start()
    try:
        each_object(runner, "configmaps", lambda _object: None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < len(many) / 10


@pytest.mark.parametrize("cut", [30, 500, 2000, -40])
def test_a_list_that_was_cut_off_is_no_list(cut: int) -> None:
    output = listed(OBJECTS[:2])
    end = output.rindex(b"]") if cut < 0 else min(cut, output.rindex(b"]"))
    with pytest.raises(FactsError, match=r"kubectl get configmaps.*in the middle"):
        read(Piecewise(output[:end], 64))


@pytest.mark.parametrize(
    "output", [b"No resources found, and " * 20, b'{"apiVersion":"v1","items":[1]}']
)
def test_something_else_is_no_list(output: bytes) -> None:
    with pytest.raises(FactsError, match=r"cannot be understood: (it begins|among its items)"):
        read(Piecewise(output, 64))


def test_a_refusal_is_said_even_after_output() -> None:
    with pytest.raises(CommandError):
        read(replace(Piecewise(listed(OBJECTS), 64), status=1))


def test_types_are_named_once() -> None:
    fake = FakeRunner("cp1")
    kubectl = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf")
    fake.on(
        (*kubectl, "api-resources", "--verbs=list", "-o", "name"), stdout="pods\nsecrets\npods\n"
    )
    assert resource_types(fake) == ("pods", "secrets")


def test_types_that_are_not_all_known_are_an_error() -> None:
    fake = FakeRunner("cp1")
    fake.on(("kubectl",), status=1, stdout="pods\n", stderr="error: unable to retrieve")
    with pytest.raises(CommandError) as caught:
        resource_types(fake)
    assert "kubectl get apiservices" in caught.value.hint
