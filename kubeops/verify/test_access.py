"""The host answers, we are root there, and its clock agrees with the others'."""

from statistics import median

import pytest
from testinfra.host import Host as Remote

from kubeops.model.desired import Host
from kubeops.verify.expect import expect, expect_that
from kubeops.verify.suite import Suite, says

CLOCK = "date +%s.%N"
CLOCK_TOLERANCE = 5.0


@says("answers over SSH, as root")
def test_answers(host: Remote) -> None:
    expect(host.check_output("id -u"), "0", cure="under `ssh` in the inventory: `sudo: true`")


@says("its clock agrees with the other hosts'")
def test_clock(wanted: Host, suite: Suite) -> None:
    offsets = {host.name: _offset(suite, host.name) for host in suite.hosts}
    own = offsets.pop(wanted.name)
    others = [offset for offset in offsets.values() if offset is not None]
    if own is None or not others:
        pytest.skip("there is no other host to compare with")
    ahead = own - median(others)
    expect_that(
        abs(ahead) <= CLOCK_TOLERANCE,
        expected=f"at most {CLOCK_TOLERANCE:g} s from the others",
        found=f"{abs(ahead):.1f} s {'ahead' if ahead > 0 else 'behind'}",
        cure="timedatectl   (is a time service running?)",
    )


def _offset(suite: Suite, name: str) -> float | None:
    """The host's clock minus ours, in seconds; None when it does not tell."""
    answer = suite.questions.ask(name, CLOCK)
    if answer.result is None or not answer.result.ok:
        return None
    return float(answer.result.stdout) - answer.at.timestamp()
