from pathlib import Path

import pytest

from kubeops.errors import CommandError, InventoryError, KubeopsError, PreflightError
from kubeops.render.errors import defect, error
from kubeops.render.inventory import inventory
from kubeops.render.lab import lab
from tests.conftest import Golden
from tests.unit.render.values import cluster, text_of

COMMAND = CommandError(
    host="cp1",
    shown="kubeadm init --config /run/kubeops/init.yaml",
    status=1,
    output="\n".join(f"line {number}" for number in range(1, 21)),
    hint="read the lines above, then run the same command again",
)
INVENTORY = InventoryError(
    "inventories/prod.yaml: 2 mistakes",
    problems=("prod.yaml:3: cluster.name: is missing", "prod.yaml:9: hosts: there are none"),
)
PREFLIGHT = PreflightError("2 findings forbid the run:\n  blocking  swap: cp1: swap is on")


@pytest.mark.parametrize(
    ("name", "problem"),
    [("command", COMMAND), ("inventory", INVENTORY), ("preflight", PREFLIGHT)],
    ids=["command", "inventory", "preflight"],
)
def test_an_error_says_what_where_why_and_what_next(
    golden: Golden, name: str, problem: KubeopsError
) -> None:
    golden(f"error-{name}-80.txt", text_of(error(problem), width=80))


def test_brackets_are_text_not_markup() -> None:
    assert "[ERROR Swap]" in text_of(error(KubeopsError("[ERROR Swap] is on")), width=80)


def test_a_defect_names_its_log_or_says_there_is_none() -> None:
    assert "the details are in /x.log" in text_of(defect("KeyError: 'a'", log="/x.log"), width=80)
    assert "no log file" in text_of(defect("KeyError: 'a'", log=""), width=80)


def test_an_inventory_that_is_in_order(golden: Golden) -> None:
    golden("inventory-120.txt", text_of(inventory(cluster()), width=120))


def test_a_lab(golden: Golden) -> None:
    shown = lab(
        name="lab",
        about=(("inventory", str(Path("inventories/lab.yaml"))),),
        nodes=(("cp1", "control-plane", "10.98.0.11", "running"),),
        following=("kubeops install --inventory lab",),
    )
    golden("lab-80.txt", text_of(shown, width=80))
