"""Schedules as units and as crontab lines."""

import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from kubeops.backups.schedule import Job, calendar, crontab, units
from tests.conftest import Golden

JOB = Job(
    cluster="prod",
    schedule="daily 02:30",
    command=("/usr/bin/python3", "-m", "kubeops.cli", "backup", "--inventory", "/etc/k/prod.yaml"),
    directory=Path("/opt/kubeops"),
    environment={"HOME": "/root", "KUBEOPS_STATE": "/var/lib/kubeops/state"},
    writable={Path("/var/lib/kubeops/state"): 0o700, Path("/var/backups/kubeops"): 0o700},
)
ODD = replace(
    JOB,
    command=("/opt/my python/bin/python", "100%", "$HOME", 'quo"te', "back\\slash"),
    directory=Path("/opt/50% off"),
    environment={"KUBEOPS_STATE": "/var/my state/#1"},
    writable={Path("/var/my state"): 0o700},
)
SCHEDULES = {
    "hourly": ("hourly", "0 * * * *"),
    "daily 02:30": ("*-*-* 02:30:00", "30 2 * * *"),
    "weekly Sun 00:05": ("Sun *-*-* 00:05:00", "5 0 * * 0"),
    "weekly Sat 23:59": ("Sat *-*-* 23:59:00", "59 23 * * 6"),
}


def texts(job: Job, *, user: bool = False) -> list[str]:
    made = units(
        job,
        directory=Path("/etc/systemd/system"),
        environment_file=Path("/etc/kubeops/backup-prod.env"),
        owner="root:root",
        user=user,
    )
    return [file.content.decode() for file in made]


@pytest.mark.parametrize("user", [False, True], ids=["system", "user"])
def test_units(golden: Golden, *, user: bool) -> None:
    golden(f"units-{'user' if user else 'system'}.txt", "\n".join(texts(JOB, user=user)))


def test_paths_of_any_kind_are_quoted(golden: Golden) -> None:
    golden("units-odd.txt", texts(ODD)[0])


def test_a_store_in_tmp_is_not_hidden_from_the_service() -> None:
    assert "PrivateTmp=yes" in texts(JOB)[0]
    assert "PrivateTmp=no" in texts(replace(JOB, writable={Path("/var/tmp/x"): 0o700}))[0]  # noqa: S108 - a path in a text


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_times(schedule: str) -> None:
    expression, line = SCHEDULES[schedule]
    assert calendar(schedule) == expression
    assert crontab(replace(JOB, schedule=schedule)).startswith(f"{line} cd /opt/kubeops && env ")


def test_a_crontab_line_is_one_command() -> None:
    command = crontab(ODD).removeprefix("30 2 * * * ").replace(r"\%", "%")
    words = shlex.split(command)
    assert words[:3] == ["cd", "/opt/50% off", "&&"]
    assert words[3:] == ["env", "KUBEOPS_STATE=/var/my state/#1", *ODD.command]
    assert "\n" not in crontab(ODD)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd")
class TestSystemd:
    @pytest.mark.parametrize("schedule", SCHEDULES)
    def test_it_understands_the_times(self, schedule: str) -> None:
        subprocess.run(["systemd-analyze", "calendar", calendar(schedule)], check=True)

    @pytest.mark.parametrize("user", [False, True], ids=["system", "user"])
    @pytest.mark.parametrize("job", [JOB, replace(ODD, command=("/bin/sh", "%h", "$x", '"'))])
    def test_it_finds_no_fault(self, tmp_path: Path, job: Job, *, user: bool) -> None:
        names = (f"{job.unit}.service", f"{job.unit}.timer")
        for name, text in zip(names, texts(job, user=user), strict=True):
            (tmp_path / name).write_text(text)
        paths = [str(tmp_path / name) for name in names]
        ended = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", *paths],
            capture_output=True,
            text=True,
            check=False,
        )
        assert [line for line in ended.stderr.splitlines() if "kubeops-backup" in line] == []
