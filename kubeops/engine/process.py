"""Which process a run is, and whether that process still lives.

A pid alone proves nothing: pids come back after a reboot, and containers count them anew. So a
process is known by machine, pid namespace, boot, pid and the moment it started.
"""

import getpass
import os
import platform
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, kw_only=True)
class Process:
    """The process of a run. Fields that a system cannot tell are empty."""

    who: str
    workstation: str
    machine_id: str
    pid_namespace: str
    boot_id: str
    pid: int
    pid_started: str

    def to_json(self) -> dict[str, object]:
        """Return the fields as JSON values."""
        return asdict(self)

    def shares_pids_with(self, other: "Process") -> bool:
        """Whether a pid means the same for both: same machine, same pid namespace."""
        return (self.workstation, self.machine_id, self.pid_namespace) == (
            other.workstation,
            other.machine_id,
            other.pid_namespace,
        )


def process_from_json(document: object) -> Process:
    """Read what `Process.to_json` wrote.

    Raises:
        ValueError: a field is missing or has the wrong type.
    """
    if not isinstance(document, dict):
        raise ValueError("a process is an object")  # noqa: TRY004  callers expect one exception
    texts = {
        name: document.get(name)
        for name in ("who", "workstation", "machine_id", "pid_namespace", "boot_id", "pid_started")
    }
    pid = document.get("pid")
    wrong = [name for name, value in texts.items() if not isinstance(value, str)]
    if wrong or not isinstance(pid, int):
        raise ValueError(f"a process lacks {', '.join(wrong) or 'pid'}")
    return Process(pid=pid, **{name: str(value) for name, value in texts.items()})


def current_process() -> Process:
    """Return the process this is."""
    return Process(
        who=_user(),
        workstation=platform.node(),
        machine_id=_read(Path("/etc/machine-id")),
        pid_namespace=_pid_namespace(),
        boot_id=_read(_PROC / "sys/kernel/random/boot_id"),
        pid=os.getpid(),
        pid_started=_started(os.getpid()) or "",
    )


def is_gone(process: Process) -> bool:
    """Whether `process` has certainly ended; False when it lives or when nobody here can know."""
    here = current_process()
    if not here.shares_pids_with(process):
        return False
    if process.boot_id != here.boot_id:
        return True
    if _PROC.joinpath("self/stat").exists():
        return _started(process.pid) != process.pid_started
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid {os.getuid()}"


def _pid_namespace() -> str:
    with suppress(OSError):
        return str((_PROC / "self/ns/pid").readlink())
    return ""


def _read(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="ascii", errors="replace").strip()
    return ""


def _started(pid: int) -> str | None:
    """Return when `pid` started, in clock ticks since boot; None when it is gone or a zombie."""
    stat = _read(_PROC / str(pid) / "stat")
    # The program's name, second field, is in parentheses and may itself hold spaces and those.
    fields = stat.rpartition(")")[2].split()
    if not fields or fields[0] in {"Z", "X"}:
        return None
    return fields[19]
