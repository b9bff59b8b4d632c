"""The verbs about backups, as they are typed."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kubeops.backups import catalog
from kubeops.backups.local import LocalStore
from kubeops.engine.clock import Clock
from kubeops.errors import StoreError
from kubeops.model.desired import Cluster
from kubeops.ops.backup import Taken
from kubeops.ops.session import Session
from kubeops.transport.fake import FakeTransport
from tests.bundles import AT, bundle
from tests.unit.cli.support import document, kubeops

Shown = pytest.CaptureFixture[str]


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = tmp_path / "prod.yaml"
    path.write_text(
        "cluster: {name: prod, kubernetes: '1.35.4', backup: {"
        f"store: 'file://{tmp_path}/store', keep: {{last: 1}}, "
        f"on_failure: [sh, -c, 'cat >{tmp_path}/alarm']}}}}\n"
        "hosts:\n  cp1: {address: 10.0.0.11, role: control-plane, taints: []}\n"
    )

    @contextmanager
    def session(desired: Cluster) -> Iterator[Session]:
        yield Session(
            desired=desired, transport=FakeTransport(()), clock=Clock(), state=tmp_path / "state"
        )

    monkeypatch.setattr("kubeops.ops.session.open_session", session)
    monkeypatch.setenv("KUBEOPS_STATE", str(tmp_path / "state"))
    return str(path)


def put(directory: Path, *days: int) -> list[str]:
    """Store a bundle of so many days before `AT` each; return their names."""
    store = LocalStore(directory / "store")
    made = []
    for number in days:
        one = bundle(AT - timedelta(days=number))
        for part in one.parts:
            with store.create(catalog.prefix(one) + part.name) as sink:
                sink.write(b"x" * part.size)
        catalog.commit(store, one)
        made.append(one.name)
    return made


def taking(monkeypatch: pytest.MonkeyPatch, *, problem: StoreError | None = None) -> None:
    def take(_session: Session, **_options: object) -> Taken:
        return Taken(
            cluster="prod",
            store="file:///store",
            backup=bundle(),
            seconds=3.0,
            removed=(),
            problem=problem,
        )

    monkeypatch.setattr("kubeops.ops.backup.take", take)


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def take(*_arguments: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr("kubeops.ops.backup.take", take)


def test_both_names_are_the_same_verb(
    inventory: str, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    taking(monkeypatch)
    for name in ("backup", "backup.take"):
        assert kubeops(name, "-i", inventory) == 0
        assert capsys.readouterr().out.startswith(f"{bundle().name}   proven")


def test_a_backup_as_json(inventory: str, monkeypatch: pytest.MonkeyPatch, capsys: Shown) -> None:
    taking(monkeypatch)
    assert kubeops("backup", "-i", inventory, "--json") == 0
    told = document(capsys.readouterr().out)
    assert told["kind"] == "backup"
    assert told["data"]["backup"]["name"] == bundle().name
    assert told["data"]["standing"] == "proven"


FULL = StoreError("the store is full", hint="See: invoke backup.list")


@pytest.mark.parametrize("error", [FULL, RuntimeError("a defect")])
def test_a_scheduled_one_that_fails_raises_the_alarm(
    inventory: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Shown,
    tmp_path: Path,
    error: Exception,
) -> None:
    failing(monkeypatch, error)
    status = kubeops("backup", "-i", inventory, "--scheduled", "--json")
    assert status == (5 if isinstance(error, StoreError) else 1)
    told: dict[str, Any] = json.loads((tmp_path / "alarm").read_text())
    assert told["ok"] is False
    assert told["error"]["message"] == str(error)
    see = f"See: kubeops backup.list --inventory {inventory}"
    assert told["error"]["hint"] == (see if error is FULL else "")
    assert document(capsys.readouterr().out)["ok"] is False


def test_somebody_who_watches_needs_no_alarm(
    inventory: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    failing(monkeypatch, StoreError("the store is full"))
    assert kubeops("backup", "-i", inventory) == 5
    assert not (tmp_path / "alarm").exists()


def test_trouble_afterwards_is_a_failure_with_a_backup(
    inventory: str, monkeypatch: pytest.MonkeyPatch, capsys: Shown, tmp_path: Path
) -> None:
    taking(monkeypatch, problem=StoreError("old ones cannot be removed"))
    assert kubeops("backup", "-i", inventory) == 5
    assert not (tmp_path / "alarm").exists()
    capsys.readouterr()
    assert kubeops("backup", "-i", inventory, "--scheduled") == 5
    shown = capsys.readouterr().out
    assert shown.startswith(bundle().name)
    assert "error: old ones cannot be removed" in shown
    told = json.loads((tmp_path / "alarm").read_text())
    assert told["data"]["backup"]["name"] == bundle().name


def test_list(inventory: str, capsys: Shown, tmp_path: Path) -> None:
    names = put(tmp_path, 1, 2)
    assert kubeops("backup.list", "-i", inventory) == 0
    shown = capsys.readouterr().out
    assert shown.index(names[0]) < shown.index(names[1])


class TestPrune:
    def test_a_plan_removes_nothing(self, inventory: str, capsys: Shown, tmp_path: Path) -> None:
        newest, old = put(tmp_path, 1, 2)
        assert kubeops("backup.prune", "-i", inventory, "--plan", "--json") == 0
        told = document(capsys.readouterr().out)["data"]["verdicts"]
        assert {verdict["name"]: verdict["keep"] for verdict in told} == {newest: True, old: False}
        assert (tmp_path / f"store/prod/{old}").exists()

    def test_nobody_to_ask(self, inventory: str, capsys: Shown, tmp_path: Path) -> None:
        _, old = put(tmp_path, 1, 2)
        assert kubeops("backup.prune", "-i", inventory) == 2
        assert "--yes" in capsys.readouterr().err
        assert (tmp_path / f"store/prod/{old}").exists()

    @pytest.mark.parametrize(("answer", "gone"), [("y\n", True), ("\n", False), ("no\n", False)])
    def test_an_answer(
        self,
        inventory: str,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        answer: str,
        *,
        gone: bool,
    ) -> None:
        answers = io.StringIO(answer)
        monkeypatch.setattr(answers, "isatty", lambda: True)
        monkeypatch.setattr("sys.stdin", answers)
        newest, old = put(tmp_path, 1, 2)
        assert kubeops("backup.prune", "-i", inventory) == 0
        assert (tmp_path / f"store/prod/{old}").exists() is not gone
        assert (tmp_path / f"store/prod/{newest}").exists()

    def test_yes(self, inventory: str, capsys: Shown, tmp_path: Path) -> None:
        newest, old = put(tmp_path, 1, 2)
        assert kubeops("backup.prune", "-i", inventory, "--yes", "--json") == 0
        told = document(capsys.readouterr().out)["data"]
        assert [verdict["name"] for verdict in told["removed"]] == [old]
        assert kubeops("backup.prune", "-i", inventory, "--yes") == 0
        assert "nothing to remove" in capsys.readouterr().out
        assert (tmp_path / f"store/prod/{newest}").exists()


def test_status(inventory: str, capsys: Shown, tmp_path: Path) -> None:
    assert kubeops("backup.status", "-i", inventory, "--json") == 8
    assert document(capsys.readouterr().out)["error"]["code"] == "KO-81"
    put(tmp_path, 0)
    assert kubeops("backup.status", "-i", inventory, "--max-age", "1s") == 8
    shown = capsys.readouterr().out
    assert "1 s are allowed" in shown
    assert "take one now: kubeops backup" in shown
    assert kubeops("backup.status", "-i", inventory, "--max-age", "999999h") == 0
    assert kubeops("backup.status", "-i", inventory, "--max-age", "soon") == 2


def test_verify_names_the_rung(inventory: str, capsys: Shown, tmp_path: Path) -> None:
    name = put(tmp_path, 1)[0]
    assert kubeops("backup.verify", "-i", inventory, "--all", "--json") == 8
    told = document(capsys.readouterr().out)
    assert told["error"]["message"].endswith(f"{name} (stored)")
    assert told["data"]["verified"][0]["proof"]["rungs"][0]["name"] == "stored"
    assert kubeops("backup.verify", "-i", inventory, "--all", "--name", name) == 2
    assert kubeops("backup.verify", "-i", inventory, "--name", "20200101T000000Z-aaaaaa") == 2


def test_a_schedule_is_only_shown(inventory: str, capsys: Shown) -> None:
    assert kubeops("backup.schedule", "-i", inventory, "--plan", "--json") == 0
    units = document(capsys.readouterr().out)["data"]["units"]
    assert [Path(path).name for path in units] == [
        "kubeops-backup-prod.service",
        "kubeops-backup-prod.timer",
    ]
    assert kubeops("backup.schedule", "-i", inventory, "--print-crontab") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("30 2 * * * cd ")
    assert lines[0].endswith(f"backup --scheduled --json --inventory {inventory}")


def test_an_export_says_where_to(inventory: str, capsys: Shown) -> None:
    assert kubeops("backup.export", "-i", inventory) == 2
    assert "--output DIRECTORY is required" in capsys.readouterr().err
