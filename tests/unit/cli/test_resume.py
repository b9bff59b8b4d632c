"""runs.resume calls the verb of a run again, with the options it had."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from kubeops.cli.cluster import install
from kubeops.cli.program import main
from kubeops.engine.clock import Clock
from kubeops.engine.journal import Journal
from kubeops.model.event import Event, Kind
from kubeops.plan.model import Plan


def record(state: Path, *, arguments: Mapping[str, object], status: str) -> str:
    clock = Clock()
    with Journal.create(
        state,
        cluster="prod",
        kind="install",
        plan=Plan(kind="install", cluster="prod", summary=""),
        arguments=arguments,
        clock=clock,
    ) as journal:
        journal.record(
            Event(at=clock.now(), kind=Kind.RUN_ENDED, data={"status": status, "seconds": 1.0})
        )
        return journal.run_id


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KUBEOPS_STATE", str(tmp_path))
    return tmp_path


def test_the_verb_is_called_with_its_options(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[dict[str, object]] = []
    monkeypatch.setattr(install, "body", lambda _context, **values: called.append(values))
    options = {"inventory": "/etc/prod.yaml", "limit": ["w1"], "accept": []}
    record(state, arguments={"verb": "install", "options": options}, status="failed")
    main(["kubeops", "runs.resume", "--yes"])
    (values,) = called
    assert values["inventory"] == "/etc/prod.yaml"
    assert values["limit"] == ["w1"]
    assert values["yes"] is True
    assert values["plan"] is False


def test_a_finished_run_is_not_resumed(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = record(state, arguments={"verb": "install", "options": {}}, status="done")
    with pytest.raises(SystemExit) as caught:
        main(["kubeops", "runs.resume"])
    assert caught.value.code == 2
    assert f"run {run} (install) is done" in capsys.readouterr().err


def test_a_verb_that_nothing_can_resume_is_typed_again(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(state, arguments={"verb": "lab.demo", "options": {}}, status="failed")
    with pytest.raises(SystemExit) as caught:
        main(["kubeops", "runs.resume"])
    assert caught.value.code == 2
    assert "type its verb again" in capsys.readouterr().err
