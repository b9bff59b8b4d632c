"""Every action has its handler, so that no plan names what nobody can do."""

from dataclasses import is_dataclass
from types import ModuleType
from typing import get_args, get_type_hints

import pytest

from kubeops.handlers import REGISTRY
from kubeops.plan import actions, restore_actions
from kubeops.plan.model import Step

CARRIED = frozenset(get_args(get_type_hints(Step)["action"]))


def defined(module: ModuleType) -> set[type]:
    return {
        value
        for value in vars(module).values()
        if isinstance(value, type) and is_dataclass(value) and value.__module__ == module.__name__
    }


def test_what_a_step_can_carry_has_a_handler_and_nothing_else_has() -> None:
    assert REGISTRY.keys() == CARRIED


@pytest.mark.parametrize("module", [actions, restore_actions], ids=lambda it: it.__name__)
def test_every_action_can_be_carried_by_a_step(module: ModuleType) -> None:
    assert defined(module)
    assert defined(module) <= CARRIED
