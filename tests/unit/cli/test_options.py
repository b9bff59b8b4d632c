from pathlib import Path

import pytest

from kubeops.cli._options import CHANGES, INVENTORY, LIMIT, Option, Options, count, one_of, split
from kubeops.errors import UsageError
from tests.unit.render.values import cluster


def test_common_options_become_one_value_and_own_ones_keywords() -> None:
    to = Option(name="to-version", value="VERSION", help="Where to.")
    options, own = split(
        (*CHANGES, to),
        {"inventory": "prod", "yes": True, "limit": ["cp1,cp2", "w1"], "to_version": "1.36"},
    )
    assert options == Options(inventory="prod", yes=True, limit=("cp1", "cp2", "w1"))
    assert own == {"to_version": "1.36"}


def test_absent_options_have_their_defaults() -> None:
    assert split(CHANGES, {}) == (Options(), {})


def test_a_required_option_is_asked_for() -> None:
    to = Option(name="to", value="VERSION", required=True, help="Where to.")
    with pytest.raises(UsageError, match="--to VERSION is required: Where to"):
        split((to,), {})


@pytest.mark.parametrize("other", [{"yes": True}, {"approve": "0123"}], ids=["yes", "approve"])
def test_printing_and_running_contradict_each_other(other: dict[str, bool | str]) -> None:
    with pytest.raises(UsageError, match="--plan only prints"):
        split(CHANGES, {"plan": True, **other})


@pytest.mark.parametrize("text", ["two", "-1", "1.5", ""])
def test_a_count_is_a_whole_number(text: str) -> None:
    with pytest.raises(ValueError, match="whole number"):
        count(text)


def test_a_choice_names_the_choices() -> None:
    with pytest.raises(ValueError, match="one of a, b"):
        one_of("a", "b")("c")


def test_a_value_that_cannot_be_parsed_names_its_option() -> None:
    number = Option(name="workers", value="N", parse=count, help="How many.")
    with pytest.raises(UsageError, match="--workers two: a whole number"):
        number.read("two")


def test_limit_follows_the_inventory_s_order() -> None:
    assert Options(limit=("w1", "cp1")).hosts(cluster()) == ("cp1", "w1")
    assert Options().hosts(cluster()) == ("cp1", "cp2", "w1", "w2")


def test_limit_to_an_unknown_host_says_which_was_meant() -> None:
    with pytest.raises(UsageError, match="did you mean cp1") as caught:
        Options(limit=("cp11",)).hosts(cluster())
    assert str(Path("inventories/prod.yaml")) in caught.value.message
    assert "cp1, cp2, w1, w2" in caught.value.hint


def test_options_are_typed_again_as_they_were() -> None:
    assert LIMIT.typed(["cp1,cp2", "w1"]) == ("--limit", "cp1,cp2,w1")
    assert INVENTORY.typed("prod") == ("--inventory", "prod")
    assert INVENTORY.typed(None) == ()


def test_no_argument_is_positional_and_short_flags_are_chosen() -> None:
    arguments = [option.argument() for option in CHANGES]
    assert not any(argument.positional for argument in arguments)
    assert sorted(name for one in arguments for name in one.names if len(name) == 1) == ["i", "y"]
