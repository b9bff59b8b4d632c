"""Commands that are said to be typed next are about the cluster that was asked about."""

import sys
from pathlib import Path

import pytest
from rich.console import Group
from rich.table import Table
from rich.text import Text

from kubeops.cli._app import Invocation, Later, Report, Verb, command
from kubeops.cli._hints import completed, completed_text
from kubeops.cli._options import ANY, INVENTORY
from kubeops.engine.clock import Clock
from kubeops.engine.journal import Journal
from kubeops.engine.recorder import Recorder
from kubeops.errors import StepError
from kubeops.model.event import Kind
from kubeops.render.errors import error, whole
from tests.unit.cli.support import document, exit_status, kubeops
from tests.unit.render.values import install


@pytest.fixture(autouse=True)
def program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/invoke"])


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("See: invoke status.", "See: invoke status --inventory x."),
        ("invoke reset --limit w1", "invoke reset --inventory x --limit w1"),
        (
            "Finish: invoke restore --from b, or: invoke reset",
            "Finish: invoke restore --inventory x --from b, or: invoke reset --inventory x",
        ),
        ("(`invoke lock.show`)", "(`invoke lock.show --inventory x`)"),
        ("for cron: kubeops backup.list", "for cron: invoke backup.list --inventory x"),
        (
            "is --inventory what you mean? invoke backup.list\n--inventory",
            "is --inventory what you mean? invoke backup.list --inventory x\n--inventory",
        ),
        (
            "invoke status, then invoke install --inventory y",
            "invoke status --inventory x, then invoke install --inventory y",
        ),
    ],
)
def test_a_verb_that_takes_an_inventory_gets_the_one_given(said: str, told: str) -> None:
    assert completed(said, "x") == told


@pytest.mark.parametrize(
    "said",
    [
        "invoke runs.resume",
        "invoke inventory.check --inventory /etc/prod.yaml",
        "kubeops installs on Debian; kubeops backup of prod",
        "they invoke nothing",
        "",
    ],
)
def test_everything_else_stays(said: str) -> None:
    assert completed(said, "prod") == said


def test_without_an_inventory_there_is_none_to_give() -> None:
    assert completed("invoke status", None) == "invoke status"


def test_it_is_quoted_for_the_shell() -> None:
    assert completed("invoke status", "a b.yaml") == "invoke status --inventory 'a b.yaml'"


def test_the_program_is_called_what_the_operator_called_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/kubeops"])
    assert completed("invoke runs.resume", None) == "kubeops runs.resume"


def test_what_is_sent_to_hosts_or_came_from_one_stays() -> None:
    said = {"waves": ["invoke status"], "output": "invoke status", "hint": ["invoke status"]}
    assert completed(said, "x") == {**said, "hint": ["invoke status --inventory x"]}


def test_lines_keep_their_looks() -> None:
    line = whole("next:  ", "invoke status, or wait")
    table = Table()
    shown = completed_text(Later(lambda: Group(line, table, "invoke status")), "prod")
    assert isinstance(shown, Group)
    first, second, third = shown.renderables
    assert isinstance(first, Text)
    assert first.plain == "next:  invoke status --inventory prod, or wait"
    assert (first.no_wrap, first.spans) == (True, line.spans)
    assert second is table
    assert third == "invoke status --inventory prod"


FAILURE = StepError("w1 failed: see invoke status", hint="type invoke reset --limit w1")


def raising() -> Verb:
    @command("install", INVENTORY, *ANY)
    def install(_call: Invocation) -> Report:
        """Raise."""
        raise FAILURE

    return install


def reporting() -> Verb:
    @command("install", INVENTORY, *ANY)
    def install(_call: Invocation) -> Report:
        """Report."""
        return Report(data={"cure": "invoke status"}, text=error(FAILURE), error=FAILURE)

    return install


@pytest.mark.parametrize("verb", [raising(), reporting()], ids=["raised", "reported"])
def test_every_end_of_a_verb_is_completed(verb: Verb, capsys: pytest.CaptureFixture[str]) -> None:
    hint = "type invoke reset --inventory prod --limit w1"
    exit_status(verb, inventory="prod")
    shown = capsys.readouterr()
    assert f"next:  {hint}" in shown.out + shown.err
    exit_status(verb, inventory="prod", json=True)
    shown = capsys.readouterr()
    envelope = document(shown.out)
    assert envelope["error"]["hint"] == hint
    assert envelope["error"]["message"].endswith("see invoke status --inventory prod")
    assert envelope.get("data") in (None, {"cure": "invoke status --inventory prod"})
    assert hint in shown.err


@pytest.mark.parametrize("options", ["--json", "--verbose"])
def test_a_past_run_is_about_its_own_inventory(
    options: str, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    arguments = {"verb": "install", "options": {"inventory": "/etc/prod.yaml"}}
    with Journal.create(
        state, cluster="prod", kind="install", plan=install(), arguments=arguments, clock=clock
    ) as journal:
        recorder = Recorder(journal=journal, sink=lambda _event: None, clock=clock)
        step = next(install().steps)
        failure = {
            "step": step.id,
            "host": step.host,
            "title": step.title,
            "message": "failed",
            "code": "KO-50",
            "exit_status": 5,
            "hint": "see invoke status",
        }
        recorder.emit(Kind.STEP_FAILED, step=step, data={"failure": failure})
        recorder.emit(Kind.RUN_ENDED, data={"status": "failed", "seconds": 1.0})
    assert kubeops("runs.show", options) == 0
    assert "see invoke status --inventory /etc/prod.yaml" in capsys.readouterr().out
