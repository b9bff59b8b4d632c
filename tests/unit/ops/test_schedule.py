"""Units installed, checked by systemd, and removed again; on a scripted machine."""

from dataclasses import replace
from pathlib import Path

import pytest

from kubeops.errors import CommandError, PreflightError, StepError
from kubeops.model.desired import BackupPolicy
from kubeops.ops import schedule
from kubeops.ops.schedule import Manager
from kubeops.transport.fake import FakeRunner, reading, writing
from tests.unit.plan import values

SERVICE = "/etc/systemd/system/kubeops-backup-prod.service"
TIMER = "/etc/systemd/system/kubeops-backup-prod.timer"
ABSENT = 44
POLICY = BackupPolicy(
    store="file:///var/backups/kubeops", metrics_directory=Path("/var/lib/metrics")
)
DESIRED = replace(values.cluster(1, 0, backup=POLICY), name="prod", source=Path("/etc/k/prod.yaml"))
JOB = schedule.job(DESIRED, state=Path("/var/lib/state"))
VERIFY = ("systemd-analyze", "verify", "--man=no", SERVICE, TIMER)


def machine(*, there: bytes | None = None) -> FakeRunner:
    """A machine run by systemd, where units are `there` already or not."""
    fake = FakeRunner("localhost")
    fake.on(("systemctl", "show", "--property=Version"), stdout="252")
    fake.on(("systemd-analyze", "calendar", "*-*-* 02:30:00"))
    for path, mode in (
        ("/var/lib/state", "700"),
        ("/var/backups/kubeops", "700"),
        ("/var/lib/metrics", "755"),
    ):
        fake.on(("mkdir", "-p", "-m", mode, "--", path))
    for path in (SERVICE, TIMER):
        fake.on(reading(path), stdout=there or b"", status=ABSENT if there is None else 0)
        fake.on(writing(path), stdout="changed")
    return fake


def enabled(fake: FakeRunner) -> None:
    timer = "kubeops-backup-prod.timer"
    fake.on(("systemctl", "daemon-reload"))
    fake.on(("systemctl", "enable", timer))
    fake.on(("systemctl", "restart", timer))
    fake.on(("systemctl", "show", timer), stdout="Sun 2026-11-22 02:30:00 UTC\n")


def verbs(fake: FakeRunner) -> list[str]:
    return [" ".join(command.argv[:3]) for command in fake.commands]


def test_it_is_checked_before_it_is_enabled() -> None:
    fake = machine()
    fake.on(VERIFY)
    enabled(fake)
    done = schedule.schedule(JOB, Manager(runner=fake))
    assert done.next == "Sun 2026-11-22 02:30:00 UTC"
    assert done.hint == ""
    fake.assert_all_used()
    order = verbs(fake)
    assert order.index("systemd-analyze verify --man=no") < order.index("systemctl daemon-reload")
    assert [file.path for file in done.files] == [SERVICE, TIMER]


def test_without_systemd_analyze_it_goes_on() -> None:
    fake = FakeRunner("localhost")
    fake.on(("systemd-analyze",), status=127)
    fake.on(("systemctl", "show", "--property=Version"))
    fake.on(("mkdir",))
    for path in (SERVICE, TIMER):
        fake.on(reading(path), status=ABSENT)
        fake.on(writing(path), stdout="changed")
    enabled(fake)
    schedule.schedule(JOB, Manager(runner=fake))


def test_what_systemd_says_of_others_is_not_ours() -> None:
    fake = machine()
    fake.on(VERIFY, status=1, stderr="/etc/systemd/system/other.service:3: Unknown key\n")
    enabled(fake)
    schedule.schedule(JOB, Manager(runner=fake))
    fake.assert_all_used()


def test_a_fault_takes_back_what_was_written() -> None:
    fake = machine()
    fake.on(VERIFY, status=1, stderr="kubeops-backup-prod.service: Command x is not executable\n")
    for path in (SERVICE, TIMER):
        fake.on(("rm", "-f", "--", path))
    with pytest.raises(StepError, match=r"finds fault with the units: .*not executable"):
        schedule.schedule(JOB, Manager(runner=fake))
    fake.assert_all_used()


def test_a_fault_puts_back_what_was_there() -> None:
    fake = machine(there=b"old")
    fake.on(VERIFY, status=1, stderr="kubeops-backup-prod.timer:4: Unknown key\n")
    with pytest.raises(StepError):
        schedule.schedule(JOB, Manager(runner=fake))
    written = [command.stdin for command in fake.commands if command.argv[3:4] == ("kubeops-put",)]
    assert written[2:] == [b"old", b"old"]


def test_a_machine_without_systemd_is_told_of_cron() -> None:
    fake = FakeRunner("localhost")
    said = "System has not been booted with systemd as init system (PID 1)."
    fake.on(("systemctl", "show", "--property=Version"), status=1, stderr=said)
    with pytest.raises(PreflightError, match="no systemd runs on this machine") as caught:
        schedule.schedule(JOB, Manager(runner=fake))
    assert "--print-crontab" in caught.value.hint


def test_a_time_that_systemd_does_not_know_is_said() -> None:
    fake = FakeRunner("localhost")
    fake.on(("systemctl", "show", "--property=Version"))
    fake.on(("systemd-analyze", "calendar"), status=1, stderr="Failed to parse")
    with pytest.raises(CommandError):
        schedule.schedule(JOB, Manager(runner=fake))


def a_user(fake: FakeRunner) -> Manager:
    return Manager(
        runner=fake,
        directory=Path("/home/ops/.config/systemd/user"),
        settings=Path("/home/ops/.config/kubeops"),
        owner="1000:1000",
        user="ops",
    )


@pytest.mark.parametrize(("linger", "hint"), [("yes", ""), ("no", "loginctl enable-linger ops")])
def test_a_users_timer_needs_lingering(linger: str, hint: str) -> None:
    fake = FakeRunner("localhost")
    fake.on(("systemctl", "--user"))
    fake.on(("systemd-analyze",))
    fake.on(("mkdir",))
    fake.on(("loginctl", "show-user", "ops"), stdout=f"{linger}\n")
    for kind in ("service", "timer"):
        path = f"/home/ops/.config/systemd/user/kubeops-backup-prod.{kind}"
        fake.on(reading(path), status=ABSENT)
        fake.on(writing(path), stdout="changed")
    done = schedule.schedule(JOB, a_user(fake))
    assert done.hint == hint
    assert {file.owner for file in done.files} == {"1000:1000"}
    assert "systemd-analyze --user verify" in verbs(fake)


def test_exactly_these_are_removed() -> None:
    fake = FakeRunner("localhost")
    fake.on(reading(TIMER), stdout="x")
    fake.on(reading(SERVICE), stdout="x")
    fake.on(("systemctl", "disable", "--now", "kubeops-backup-prod.timer"))
    fake.on(("systemctl", "clean", "--what=state", "kubeops-backup-prod.timer"), status=1)
    fake.on(("rm", "-f", "--", TIMER, SERVICE))
    fake.on(("systemctl", "daemon-reload"))
    assert schedule.unschedule("prod", Manager(runner=fake)) == (TIMER, SERVICE)
    fake.assert_all_used()


def test_nothing_there_is_nothing_to_do() -> None:
    fake = FakeRunner("localhost")
    fake.on(reading(TIMER), status=ABSENT)
    fake.on(reading(SERVICE), status=ABSENT)
    assert schedule.unschedule("prod", Manager(runner=fake)) == ()


def test_the_job_has_absolute_paths_only() -> None:
    assert JOB.command[0].startswith("/")
    assert JOB.command[-2:] == ("--inventory", "/etc/k/prod.yaml")
    assert "--scheduled" in JOB.command
    assert JOB.environment["KUBEOPS_STATE"] == "/var/lib/state"
    assert (JOB.directory / "kubeops/cli/__main__.py").exists()


def test_a_bucket_needs_no_directory() -> None:
    desired = replace(DESIRED, backup=BackupPolicy(store="s3://bucket/x"))
    assert list(schedule.job(desired, state=Path("/s")).writable) == [Path("/s")]
