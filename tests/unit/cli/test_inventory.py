from pathlib import Path

import pytest

from tests.unit.cli.support import document, kubeops

Capture = pytest.CaptureFixture[str]

GOOD = """\
cluster:
  name: prod
  kubernetes: "1.35.4"
  networks: {pods: 10.244.0.0/16, services: 10.96.0.0/12}
hosts:
  cp1: {address: 10.0.0.11, role: control-plane}
  w1: {address: 10.0.0.21, role: worker}
"""


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "inventories").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "inventories"


def test_a_good_one_is_summed_up(directory: Path, capsys: Capture) -> None:
    (directory / "prod.yaml").write_text(GOOD)
    assert kubeops("inventory.check", "-i", "prod") == 0
    shown = capsys.readouterr().out
    assert "prod   in order   1 control planes, 1 workers" in shown
    assert "10.0.0.21" in shown


def test_a_good_one_as_json(directory: Path, capsys: Capture) -> None:
    (directory / "prod.yaml").write_text(GOOD)
    assert kubeops("inventory.check", "--json") == 0
    data = document(capsys.readouterr().out)["data"]
    assert data["kubernetes"] == "1.35.4"
    assert [host["name"] for host in data["hosts"]] == ["cp1", "w1"]


def test_every_mistake_of_a_bad_one_is_shown(directory: Path, capsys: Capture) -> None:
    (directory / "prod.yaml").write_text(GOOD.replace("10.0.0.21", "10.0.0").replace("1.35.4", "x"))
    assert kubeops("inventory.check", "-i", "prod") == 2
    shown = capsys.readouterr().err
    assert "hosts.w1.address" in shown
    assert "cluster.kubernetes" in shown
    assert "KO-21" in shown


def test_none_is_a_sentence(capsys: Capture) -> None:
    assert kubeops("inventory.check", "-i", "nowhere") == 2
    assert "nowhere" in capsys.readouterr().err
