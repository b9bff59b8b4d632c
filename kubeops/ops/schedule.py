"""`backup.schedule` and `backup.unschedule`: a systemd timer on the machine that runs kubeops.

Root gets system units, anybody else units of their own. Nothing is enabled before systemd itself
has found no fault with it.
"""

import getpass
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import kubeops
from kubeops.backups import schedule as schedules
from kubeops.backups.schedule import Job
from kubeops.errors import PreflightError, StepError
from kubeops.model.desired import Cluster
from kubeops.model.file import File
from kubeops.transport import files
from kubeops.transport.base import Command, Result, Runner
from kubeops.transport.local import LocalRunner

_SYSTEM = Path("/etc/systemd/system")
_MISSING = 127


@dataclass(frozen=True, kw_only=True)
class Manager:
    """The service manager that starts the backups.

    Attributes:
        runner: runs commands on its machine.
        directory: where it looks for units.
        settings: where files with more environment are: `backup-CLUSTER.env`.
        owner: who units belong to.
        user: the user whose manager it is; empty for the system's.
    """

    runner: Runner = field(default_factory=LocalRunner)
    directory: Path = _SYSTEM
    settings: Path = Path("/etc/kubeops")
    owner: str = "root:root"
    user: str = ""

    def run(self, *arguments: str) -> Result:
        """Run systemctl."""
        own = ("--user",) if self.user else ()
        return self.runner.run(Command(argv=("systemctl", *own, *arguments), timeout=60.0))


@dataclass(frozen=True, kw_only=True)
class Scheduled:
    """What is installed now: the files, when the next backup is due, and what is left to do."""

    unit: str
    files: tuple[File, ...]
    next: str
    hint: str = ""


def manager_here() -> Manager:
    """Return this machine's service manager for who runs kubeops."""
    if os.geteuid() == 0:
        return Manager()
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Manager(
        directory=settings / "systemd/user",
        settings=settings / "kubeops",
        owner=f"{os.getuid()}:{os.getgid()}",
        user=getpass.getuser(),
    )


def job(desired: Cluster, *, state: Path) -> Job:
    """Return the job that the inventory asks for, of this Python and this kubeops."""
    policy = desired.backup
    writable = {state: 0o700}
    if policy.store.startswith("file://"):
        writable[Path(policy.store.removeprefix("file://"))] = 0o700
    if policy.metrics_directory is not None:
        writable[policy.metrics_directory] = 0o755
    inventory = str(desired.source.absolute())
    return Job(
        cluster=desired.name,
        schedule=policy.schedule,
        command=(
            *(sys.executable, "-m", "kubeops.cli"),
            *("backup", "--scheduled", "--json", "--inventory", inventory),
        ),
        directory=Path(kubeops.__file__).absolute().parents[1],
        environment={"HOME": str(Path.home()), "KUBEOPS_STATE": str(state)},
        writable=writable,
    )


def units(wanted: Job, manager: Manager) -> tuple[File, File]:
    """Return the units that `schedule` would install: service and timer."""
    return schedules.units(
        wanted,
        directory=manager.directory,
        environment_file=manager.settings / f"backup-{wanted.cluster}.env",
        owner=manager.owner,
        user=bool(manager.user),
    )


def schedule(wanted: Job, manager: Manager) -> Scheduled:
    """Install and enable the units; typed again, it brings them up to date.

    Raises:
        PreflightError: the machine is not run by systemd; nothing was touched.
        StepError: systemd finds fault with the units; what was there before is there again.
        CommandError: a file cannot be written, or systemd refuses.
    """
    _require_systemd(manager)
    _check_calendar(wanted, manager)
    for path, mode in wanted.writable.items():
        argv = ("mkdir", "-p", "-m", f"{mode:o}", "--", str(path))
        manager.runner.run(Command(argv=argv, timeout=30.0)).must()
    made = units(wanted, manager)
    _install(made, manager)
    timer = f"{wanted.unit}.timer"
    manager.run("daemon-reload").must()
    manager.run("enable", timer).must()
    # Not `--now`: a timer that runs already would go on by what it was before.
    manager.run("restart", timer).must()
    shown = manager.run("show", timer, "--property=NextElapseUSecRealtime", "--value")
    return Scheduled(
        unit=wanted.unit, files=made, next=shown.stdout.strip(), hint=_lingering(manager)
    )


def unschedule(cluster: str, manager: Manager) -> tuple[str, ...]:
    """Disable and remove the units of a cluster, and return their paths; nothing if none is there.

    A backup that is being taken goes on to its end.

    Raises:
        CommandError: systemd refuses, or a file cannot be removed.
    """
    unit = f"kubeops-backup-{cluster}"
    paths = tuple(str(manager.directory / f"{unit}.{kind}") for kind in ("timer", "service"))
    there = tuple(path for path in paths if files.read(manager.runner, path) is not None)
    if not there:
        return ()
    if paths[0] in there:
        manager.run("disable", "--now", f"{unit}.timer").must()
        # When it last ran; an old systemd cannot forget that, which does no harm.
        manager.run("clean", "--what=state", f"{unit}.timer")
    manager.runner.run(Command(argv=("rm", "-f", "--", *there), timeout=30.0)).must()
    manager.run("daemon-reload").must()
    return there


def _require_systemd(manager: Manager) -> None:
    answer = manager.run("show", "--property=Version")
    if not answer.ok:
        whose = f"systemd does not run for {manager.user}" if manager.user else "no systemd runs"
        raise PreflightError(
            f"{whose} on this machine: {answer.output.strip()}",
            hint="A line for cron instead: kubeops backup.schedule --print-crontab",
        )


def _check_calendar(wanted: Job, manager: Manager) -> None:
    expression = schedules.calendar(wanted.schedule)
    argv = ("systemd-analyze", "calendar", expression)
    manager.runner.run(Command(argv=argv, timeout=30.0)).must(_MISSING)


def _install(made: tuple[File, ...], manager: Manager) -> None:
    """Write the units, and have systemd look at them; put back what was there if it complains."""
    before = {file.path: files.read(manager.runner, file.path) for file in made}
    for file in made:
        files.put(manager.runner, file)
    complaints = _complaints(made, manager)
    if not complaints:
        return
    for file in made:
        content = before[file.path]
        if content is None:
            manager.runner.run(Command(argv=("rm", "-f", "--", file.path), timeout=30.0)).must()
        else:
            old = File(path=file.path, content=content, mode=file.mode, owner=file.owner)
            files.put(manager.runner, old)
    raise StepError(
        f"systemd finds fault with the units: {'; '.join(complaints)}",
        hint="Nothing was enabled. See them: kubeops backup.schedule --plan",
    )


def _complaints(made: tuple[File, ...], manager: Manager) -> tuple[str, ...]:
    """Return what systemd-analyze says of our units; it speaks of others', too."""
    own = ("--user",) if manager.user else ()
    argv = ("systemd-analyze", *own, "verify", "--man=no", *(file.path for file in made))
    result = manager.runner.run(Command(argv=argv, timeout=60.0))
    if result.status == _MISSING:
        return ()
    names = [Path(file.path).name for file in made]
    return tuple(
        line.strip() for line in result.stderr.splitlines() if any(name in line for name in names)
    )


def _lingering(manager: Manager) -> str:
    """Return what a user has to type for timers to run while nobody is logged in."""
    if not manager.user:
        return ""
    argv = ("loginctl", "show-user", manager.user, "--property=Linger", "--value")
    shown = manager.runner.run(Command(argv=argv, timeout=30.0))
    return "" if shown.stdout.strip() == "yes" else f"loginctl enable-linger {manager.user}"
