from pathlib import Path

import pytest

from kubeops.engine.clock import Clock
from kubeops.engine.journal import Journal
from kubeops.engine.recorder import Recorder
from kubeops.model.event import Kind
from tests.unit.cli.support import document, kubeops
from tests.unit.render.values import install

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def run_id(state: Path) -> str:
    """A run that did nothing and failed."""
    clock = Clock()
    journal = Journal.create(
        state, cluster="prod", kind="install", plan=install(), arguments={}, clock=clock
    )
    recorder = Recorder(journal=journal, sink=lambda _event: None, clock=clock)
    recorder.emit(Kind.RUN_ENDED, data={"status": "failed", "seconds": 1.0})
    journal.close()
    return journal.run_id


def test_the_list_names_runs(run_id: str, capsys: Capture) -> None:
    assert kubeops("runs.list", "--cluster", "prod") == 0
    assert run_id in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["runs.list", "runs.show", "runs.resume"])
@pytest.mark.parametrize("name", ["/x", "*", "..", ""])
def test_a_name_that_no_cluster_can_have_is_told(verb: str, name: str, capsys: Capture) -> None:
    assert kubeops(verb, "--cluster", name) == 2
    assert f"--cluster {name}: {name!r} is no DNS label" in capsys.readouterr().err


def test_no_runs_is_a_sentence(state: Path, capsys: Capture) -> None:
    assert kubeops("runs.list") == 0
    assert f"no runs on record in {state}" in capsys.readouterr().out


def test_the_newest_run_is_shown_with_how_to_go_on(run_id: str, capsys: Capture) -> None:
    assert kubeops("runs.show") == 0
    assert f"runs.resume --run {run_id}" in capsys.readouterr().out


def test_a_run_as_json(run_id: str, capsys: Capture) -> None:
    assert kubeops("runs.show", "--run", run_id, "--json") == 0
    data = document(capsys.readouterr().out)["data"]
    assert (data["run_id"], data["state"]) == (run_id, "failed")


def test_an_unknown_run_says_which_was_meant(run_id: str, capsys: Capture) -> None:
    assert kubeops("runs.show", "--run", run_id[:-1]) == 2
    assert f"did you mean {run_id}?" in capsys.readouterr().err
