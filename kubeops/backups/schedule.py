"""A schedule of backups as what systemd or cron understands. Pure.

One backup at a time, whoever starts it, is the business of `lock`; systemd besides starts no
service that is still running.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kubeops.model.file import File
from kubeops.templating import render

_WEEKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_DELAYS = {"hourly": "5m", "daily": "15m", "weekly": "30m"}
"""How far backups of several clusters are spread, so that they do not all begin at once."""


_TMP = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - what PrivateTmp= hides


@dataclass(frozen=True, kw_only=True)
class Job:
    """A backup that is to be taken again and again.

    Attributes:
        cluster: of which cluster.
        schedule: as the inventory says it: `hourly`, `daily 02:30` or `weekly Sun 02:30`.
        command: the program with absolute paths, and its arguments.
        directory: where it is started.
        environment: what it needs of the environment.
        writable: the directories it writes to, with the mode they are made with; as a system
            service it can write to nothing else.
    """

    cluster: str
    schedule: str
    command: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str]
    writable: Mapping[Path, int]

    @property
    def unit(self) -> str:
        """The name of its units, without what they end with."""
        return f"kubeops-backup-{self.cluster}"


def calendar(schedule: str) -> str:
    """Return systemd's OnCalendar= for a schedule of an inventory."""
    match schedule.split():
        case ["hourly"]:
            return "hourly"
        case ["daily", time]:
            return f"*-*-* {time}:00"
        case ["weekly", day, time]:
            return f"{day} *-*-* {time}:00"
        case _:
            raise AssertionError(schedule)


def crontab(job: Job) -> str:
    """Return the line that does the same as the units in a crontab; it is not hardened."""
    environment = [f"{name}={value}" for name, value in job.environment.items() if name != "HOME"]
    command = shlex.join(("env", *environment, *job.command))
    line = f"cd {shlex.quote(str(job.directory))} && {command}"
    # In a crontab an unescaped % is the end of the line.
    return f"{_cron(job.schedule)} {line}".replace("%", r"\%")


def units(
    job: Job, *, directory: Path, environment_file: Path, owner: str, user: bool
) -> tuple[File, File]:
    """Return service and timer, as files.

    Args:
        job: what they do, and when.
        directory: where the service manager looks for units.
        environment_file: what else is put into the environment, if the file is there.
        owner: who they belong to.
        user: whether they are a user's units: those can be hardened less.
    """
    service = render(
        "backup.service.j2",
        cluster=_literal(job.cluster),
        directory=_literal(str(job.directory)),
        environment=[_quoted(f"{name}={value}") for name, value in job.environment.items()],
        environment_file=_literal(str(environment_file)),
        command=" ".join(_quoted(word).replace("$", "$$") for word in job.command),
        writable=[_quoted(str(path)) for path in job.writable],
        private_tmp=not any(path.is_relative_to(tmp) for path in job.writable for tmp in _TMP),
        user=user,
    )
    timer = render(
        "backup.timer.j2",
        cluster=_literal(job.cluster),
        calendar=calendar(job.schedule),
        delay=_DELAYS[job.schedule.split()[0]],
    )
    texts = {f"{job.unit}.service": service, f"{job.unit}.timer": timer}
    made = [
        File(path=str(directory / name), content=text.encode(), mode=0o644, owner=owner)
        for name, text in texts.items()
    ]
    return made[0], made[1]


def _cron(schedule: str) -> str:
    match schedule.split():
        case ["hourly"]:
            return "0 * * * *"
        case ["daily", time]:
            return f"{_clock(time)} * * *"
        case ["weekly", day, time]:
            return f"{_clock(time)} * * {_WEEKDAYS.index(day)}"
        case _:
            raise AssertionError(schedule)


def _clock(time: str) -> str:
    hour, minute = time.split(":")
    return f"{int(minute)} {int(hour)}"


def _literal(text: str) -> str:
    """Return `text` for a line of a unit: a % is no specifier."""
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    """Return `text` as one word of a line of a unit."""
    escaped = _literal(text).replace("\\", r"\\").replace('"', r"\"")
    plain = escaped == text and not any(character in text for character in " \t'#;")
    return text if plain and text else f'"{escaped}"'
