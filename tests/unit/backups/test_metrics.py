"""What Prometheus is told."""

import re
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from kubeops.backups.metrics import exposition, write
from kubeops.errors import StepError
from kubeops.model.backup import Attempt, Attempts, Entry, Listing, Standing
from tests.bundles import AT, bundle
from tests.conftest import Golden

OK = Attempt(at=AT + timedelta(seconds=12), seconds=12.5, exit_status=0, name=bundle().name)
FAILED = replace(OK, exit_status=8, name="", message="trailer: is not there")


def entry(standing: Standing, chance: str) -> Entry:
    known = bundle(chance=chance) if standing is Standing.PROVEN else None
    return Entry(name=bundle(chance=chance).name, standing=standing, taken=AT, age=12, bundle=known)


def listing(*standings: Standing) -> Listing:
    entries = tuple(entry(one, f"abc12{number}") for number, one in enumerate(standings))
    return Listing(cluster="prod", store="file:///b", at=OK.at, backups=entries)


def test_a_good_run(golden: Golden) -> None:
    found = listing(Standing.UNPROVEN, Standing.PROVEN, Standing.PROVEN)
    attempts = Attempts(last=OK, last_success=OK.at)
    golden("metrics.prom", exposition("prod", attempts, found))


def test_a_bad_run_keeps_the_last_success() -> None:
    before = AT - timedelta(days=1)
    text = exposition("prod", Attempts(last=FAILED, last_success=before), None)
    assert 'kubeops_backup_last_run_success{cluster="prod"} 0' in text
    assert 'kubeops_backup_last_run_exit_status{cluster="prod"} 8' in text
    assert 'kubeops_backup_store_readable{cluster="prod"} 0' in text
    success = f'last_success_timestamp_seconds{{cluster="prod"}} {before.timestamp():.0f}'
    assert success in text
    assert "newest" not in text, "what was not read is not told"


def test_no_proven_backup_is_told_as_such() -> None:
    text = exposition("prod", Attempts(last=FAILED, last_success=None), listing(Standing.UNPROVEN))
    assert 'kubeops_backup_proven{cluster="prod"} 0' in text
    assert 'kubeops_backup_stored{cluster="prod",standing="unproven"} 1' in text
    assert "last_success" not in text


def test_every_line_is_in_prometheus_format() -> None:
    text = exposition("prod", Attempts(last=OK, last_success=OK.at), listing(Standing.PROVEN))
    sample = re.compile(r'kubeops_backup_[a-z_]+\{cluster="prod"(,standing="[a-z]+")?\} [0-9.e+]+')
    comment = re.compile(r"# (HELP kubeops_backup_[a-z_]+ .+|TYPE kubeops_backup_[a-z_]+ gauge)")
    for line in text.splitlines():
        assert (comment if line.startswith("#") else sample).fullmatch(line), line
    described = re.findall(r"# TYPE (\S+)", text)
    assert len(described) == len(set(described))


def test_the_collector_can_read_a_whole_file(tmp_path: Path) -> None:
    path = write(tmp_path, "prod", "a 1\n")
    write(tmp_path, "prod", "a 2\n")
    assert path.read_text() == "a 2\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [one.name for one in tmp_path.iterdir()] == ["kubeops-backup-prod.prom"]


def test_a_directory_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"metrics cannot be written: .*missing.*No such file"):
        write(tmp_path / "missing", "prod", "")
