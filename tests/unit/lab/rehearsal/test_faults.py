import json
from pathlib import Path

import pytest
from rehearsal import faults
from rehearsal.faults import Invocation, Orders

from kubeops.lab.rehearsal.orders import Fault, to_json


@pytest.fixture
def orders(tmp_path: Path) -> Orders:
    return Orders(path=tmp_path / "faults.json", calls=tmp_path / "log/calls.jsonl")


def order(orders: Orders, *wanted: Fault) -> None:
    orders.path.write_text(to_json(wanted))


def calls(orders: Orders) -> list[dict[str, object]]:
    return [json.loads(line) for line in orders.calls.read_text().splitlines()]


def test_a_program_without_orders_runs_and_is_recorded(orders: Orders) -> None:
    assert faults.call("kubeadm", ["version"], lambda _: 3, orders=orders) == 3
    (call,) = calls(orders)
    assert (call["command"], call["argv"], call["status"]) == ("kubeadm", ["version"], 3)


def test_a_fault_strikes_as_often_as_ordered(
    orders: Orders, capsys: pytest.CaptureFixture[str]
) -> None:
    order(orders, Fault(command="kubeadm join", times=2, status=9, message="no luck"))
    statuses = [
        faults.call("kubeadm", ["join", "10.0.0.1:6443"], lambda _: 0, orders=orders)
        for _ in range(3)
    ]
    assert statuses == [9, 9, 0]
    assert capsys.readouterr().err == "no luck\nno luck\n"


@pytest.mark.parametrize(
    ("command", "argv", "status"),
    [
        ("kubeadm", ["version"], 1),
        ("kubeadm join", ["join", "--config", "x"], 1),
        ("kubeadm jo", ["join"], 0),
        ("kubeadm join", ["init"], 0),
    ],
)
def test_orders_are_prefixes_of_whole_words(
    orders: Orders, command: str, argv: list[str], status: int
) -> None:
    order(orders, Fault(command=command))
    assert faults.call("kubeadm", argv, lambda _: 0, orders=orders) == status


def test_a_fault_can_wait_for_a_phase(orders: Orders) -> None:
    order(orders, Fault(command="kubeadm init", after="certs", status=5))
    passed: list[str] = []

    def main(invocation: Invocation) -> int:
        for phase in ("preflight", "certs", "kubeconfig"):
            passed.append(phase)
            invocation.reached(phase)
        return 0

    assert faults.call("kubeadm", ["init"], main, orders=orders) == 5
    assert passed == ["preflight", "certs"]


def test_a_lasting_order_is_not_used_up(orders: Orders) -> None:
    order(orders, Fault(command="kubelet never-ready"))
    assert [orders.stands("kubelet never-ready") for _ in range(3)] == [True] * 3
    assert not orders.stands("kubelet")


def test_secrets_never_reach_the_log(orders: Orders) -> None:
    token, key = "abcdef.0123456789abcdef", "0f" * 32
    argv = ["join", "--token", token, f"--certificate-key={key}", "--hash", f"sha256:{key}"]
    faults.call("kubeadm", argv, lambda _: 0, orders=orders)
    text = orders.calls.read_text()
    assert token not in text
    assert f"={key}" not in text
    assert f"sha256:{key}" in text
