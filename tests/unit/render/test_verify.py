from dataclasses import replace

import pytest

from kubeops.model.verify import Verdict, Verified, VerifyReport
from kubeops.render.verify import host_line, verify
from tests.conftest import Golden
from tests.unit.render.values import text_of


def held(host: str, text: str) -> Verified:
    return Verified(host=host, text=text, verdict=Verdict.PASSED)


HOLDS = (held("cp1", "swap is off"), held("cp1", "kubelet is running"), held("w1", "swap is off"))
FAILS = (
    Verified(
        host="cp1",
        text="the cluster's private keys are for root alone",
        verdict=Verdict.FAILED,
        expected="mode 0600, root:root",
        found="/etc/kubernetes/pki/ca.key 0644 root:root",
        cure="chown root:root /etc/kubernetes/pki/ca.key && chmod 0600 /etc/kubernetes/pki/ca.key",
    ),
    Verified(
        host="w1",
        text="kubelet is held",
        verdict=Verdict.FAILED,
        expected="held",
        found="not held",
        cure="apt-mark hold kubelet",
    ),
)
UNTOLD = Verified(
    host="w1",
    text="its node has the inventory's labels",
    verdict=Verdict.SKIPPED,
    found="the API tells nothing about this node",
)


def report(*properties: Verified) -> VerifyReport:
    return VerifyReport(cluster="prod", hosts=("cp1", "w1"), properties=properties, seconds=3.25)


@pytest.mark.parametrize("width", [80, 120])
def test_every_failure_says_what_to_type(golden: Golden, width: int) -> None:
    shown = verify(report(*HOLDS, *FAILS, UNTOLD))
    golden(f"verify-{width}.txt", text_of(shown, width=width))


def test_verbose_lists_what_holds(golden: Golden) -> None:
    rehearsed = replace(report(*HOLDS), rehearsal=True)
    golden("verify-verbose-120.txt", text_of(verify(rehearsed, verbose=True), width=120))


def test_a_failure_is_counted_in_words() -> None:
    assert "1 property does not hold" in text_of(verify(report(FAILS[0])), width=80)


def test_what_cannot_be_told_is_not_said_to_hold() -> None:
    shown = text_of(verify(report(*HOLDS, UNTOLD)), width=80)
    assert "every property holds" not in shown
    assert "what could be told holds; 1 could not" in shown


def test_a_host_is_one_line() -> None:
    assert host_line("cp1", HOLDS[:2]).plain == "cp1       2 passed"
    assert host_line("w1", (FAILS[1], UNTOLD)).plain == "w1        1 failed, 1 skipped"
