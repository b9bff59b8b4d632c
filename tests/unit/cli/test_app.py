import sys
from pathlib import Path

import pytest
from rich.text import Text

from kubeops import errors
from kubeops.cli._app import Invocation, Report, Verb, command, typed
from kubeops.cli._options import ANY, Option
from tests.unit.cli.support import defects, document, exit_status

Capture = pytest.CaptureFixture[str]

COMMAND = errors.CommandError(
    host="cp1", shown="kubeadm init", status=1, output="line 1\nline 2", hint="look there"
)


def raising(error: BaseException) -> Verb:
    @command("status", *ANY)
    def status(_call: Invocation) -> None:
        """Raise."""
        raise error

    return status


@command("status", *ANY)
def healthy(_call: Invocation) -> Report:
    """Show."""
    return Report(data={"ready": True}, text=Text("all is well"))


def test_a_report_is_text_or_one_json_document(capsys: Capture) -> None:
    assert exit_status(healthy) == 0
    assert capsys.readouterr().out == "all is well\n"
    assert exit_status(healthy, json=True) == 0
    expected = {"kubeops": "1", "kind": "status", "ok": True, "data": {"ready": True}}
    assert document(capsys.readouterr().out) == expected


@pytest.mark.parametrize(
    "error",
    [
        errors.UsageError("no"),
        errors.InventoryError("no"),
        errors.HostKeyError("no", host="cp1"),
        errors.PreflightError("no"),
        COMMAND,
        errors.GateError("no", last="1 of 3"),
        errors.LockedError("no"),
        errors.UntrustedSnapshotError("no"),
        errors.PlanChangedError("no"),
        errors.ChangesPendingError("no"),
        errors.InterruptedRunError("no"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_error_ends_with_its_status_and_code(
    error: errors.KubeopsError, capsys: Capture
) -> None:
    assert exit_status(raising(error)) == error.exit_status
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"{error.code} (exit status {error.exit_status})" in shown.err
    assert "Traceback" not in shown.err


def test_a_failed_command_shows_its_last_lines_and_what_is_next(capsys: Capture) -> None:
    exit_status(raising(COMMAND))
    shown = capsys.readouterr().err
    assert "error: cp1: `kubeadm init` ended with status 1" in shown
    assert "  | line 2" in shown
    assert "next:  look there" in shown


def test_with_json_an_error_is_a_document_and_an_explanation(capsys: Capture) -> None:
    assert exit_status(raising(COMMAND), json=True) == 5
    shown = capsys.readouterr()
    envelope = document(shown.out)
    assert (envelope["ok"], envelope["error"]["code"]) == (False, "KO-51")
    assert "error: cp1" in shown.err


def test_ctrl_c_is_an_interruption(capsys: Capture) -> None:
    assert exit_status(raising(KeyboardInterrupt())) == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_a_reader_that_went_away_is_no_failure(capsys: Capture) -> None:
    assert exit_status(raising(BrokenPipeError())) == 0
    assert capsys.readouterr().err == ""


def test_a_defect_is_logged_for_us_alone_and_told_in_a_sentence(
    state: Path, capsys: Capture
) -> None:
    assert exit_status(raising(KeyError("nodes"))) == 1
    [log] = defects(state)
    assert log.stat().st_mode & 0o777 == 0o600
    assert log.parent.stat().st_mode & 0o777 == 0o700
    written = log.read_text()
    assert "Traceback" in written
    assert "KeyError: 'nodes'" in written
    assert "kubeops: 0.1.0" in written
    shown = capsys.readouterr().err
    assert str(log) in shown
    assert "Traceback" not in shown


def test_verbose_shows_the_traceback_too(capsys: Capture) -> None:
    exit_status(raising(KeyError("nodes")), verbose=True)
    assert "Traceback" in capsys.readouterr().err


def test_a_defect_without_a_place_for_its_log_still_ends_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("KUBEOPS_STATE", str(tmp_path / "file"))
    assert exit_status(raising(RuntimeError("two\nlines")), json=True) == 1
    shown = capsys.readouterr()
    assert document(shown.out)["error"]["code"] == "KO-00"
    assert "no log file could be written" in shown.err


def test_a_report_of_a_bad_end_gives_the_status_and_stays_the_result(capsys: Capture) -> None:
    @command("install", *ANY)
    def install(_call: Invocation) -> Report:
        """End badly, with a report."""
        return Report(data={"done": 3}, text="3 steps done", error=errors.StepError("cp2 failed"))

    assert exit_status(install) == 5
    assert capsys.readouterr().out == "3 steps done\n"
    assert exit_status(install, json=True) == 5
    shown = capsys.readouterr()
    envelope = document(shown.out)
    assert (envelope["ok"], envelope["data"]) == (False, {"done": 3})
    assert envelope["error"]["message"] == "cp2 failed"
    assert "3 steps done" in shown.err


def test_invoke_s_dry_run_is_refused(capsys: Capture) -> None:
    assert exit_status(healthy, dry=True) == 2
    assert "--plan" in capsys.readouterr().err


def test_own_options_arrive_parsed() -> None:
    seen: list[object] = []

    @command("node.drain", Option(name="grace-time", value="S", parse=int, help="Grace."), *ANY)
    def drain(_call: Invocation, *, grace_time: int) -> None:
        """Take note."""
        seen.append(grace_time)

    assert exit_status(drain, grace_time="60") == 0
    assert seen == [60]


def test_verbs_of_one_name_are_not_equal() -> None:
    """Invoke runs equal tasks once: `runs.list backup.list` must run both."""
    first, second = command("runs.list")(print), command("backup.list")(print)
    assert first != second
    assert len({first, second}) == 2


def test_the_command_line_is_typed_as_the_operator_does(monkeypatch: pytest.MonkeyPatch) -> None:
    for program in ("/usr/bin/inv", "invoke", "/usr/lib/python3/invoke/__main__.py"):
        monkeypatch.setattr(sys, "argv", [program, "x"])
        assert typed("install", "--limit", "cp1") == "invoke install --limit cp1"
    monkeypatch.setattr(sys, "argv", ["/usr/bin/kubeops", "x"])
    assert typed("runs.show", "--run", "a b") == "kubeops runs.show --run 'a b'"
