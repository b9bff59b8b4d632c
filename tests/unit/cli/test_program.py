import re

import pytest

from kubeops import __version__
from tests.unit.cli.support import document, kubeops

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("runs.lst",), "there is no verb runs.lst; did you mean runs.list?"),
        (("runs.list", "stray"), "there is no verb stray"),
        (("lab.up", "--wokers", "2"), "lab.up has no option --wokers; did you mean --workers?"),
        (("--lst",), "kubeops has no option --lst; did you mean --list?"),
        (("runs.show", "--run"), "needed value and was not given one"),
        (("runs.list", "--dry"), "--plan prints what would be done"),
        (("runs.list", "--dry-run"), "--plan prints what would be done"),
        (("--help", "nothing"), "there is no verb nothing"),
        (("--list", "nothing"), "'nothing' not found"),
        (("lab.up", "--workers", "two"), "--workers two: a whole number is wanted"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_command_line_ends_with_2_and_says_what_was_meant(
    words: tuple[str, ...], told: str, capsys: Capture
) -> None:
    assert kubeops(*words) == 2
    shown = capsys.readouterr()
    assert told in shown.err
    assert shown.out == ""


def test_a_wrong_command_line_is_a_document_with_json(capsys: Capture) -> None:
    assert kubeops("runs.lst", "--json") == 2
    assert document(capsys.readouterr().out)["error"]["code"] == "KO-20"


def test_nothing_to_do_but_help(capsys: Capture) -> None:
    assert kubeops() == 0
    shown = capsys.readouterr().out
    assert "Usage: kubeops VERB" in shown
    assert "--hide" not in shown


def test_the_list_is_grouped_and_without_developers_verbs(capsys: Capture) -> None:
    assert kubeops("--list") == 0
    shown = capsys.readouterr().out
    assert re.search(r"^Past runs:\n  runs.list +List the runs on record", shown, re.MULTILINE)
    assert "dev." not in shown


def test_a_noun_can_be_listed_alone(capsys: Capture) -> None:
    assert kubeops("--list", "runs") == 0
    shown = capsys.readouterr().out
    assert "runs.show" in shown
    assert "lab.up" not in shown


def test_help_explains_options_with_their_values(capsys: Capture) -> None:
    assert kubeops("inventory.check", "--help") == 0
    shown = capsys.readouterr().out
    assert "-i, --inventory NAME|PATH" in shown
    assert "Validate an inventory" in shown


def test_version(capsys: Capture) -> None:
    assert kubeops("--version") == 0
    assert capsys.readouterr().out == f"kubeops {__version__}\n"


def test_a_defect_outside_of_any_verb_is_a_sentence_too(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def broken(*_arguments: object) -> None:
        raise RuntimeError("a surprise")

    monkeypatch.setattr("kubeops.cli.program.KubeopsProgram.list_flat", broken)
    assert kubeops("--list") == 1
    shown = capsys.readouterr().err
    assert "kubeops failed unexpectedly: RuntimeError: a surprise" in shown
    assert "Traceback" not in shown
