"""What is remembered of runs of `backup` on this machine: the last one, and the last good one."""

import json
import os
from datetime import datetime
from pathlib import Path

from kubeops.model.backup import Attempt, Attempts

_NAME = "last-backup.json"


def read(state: Path, cluster: str) -> Attempts | None:
    """Return what is remembered; None when nothing is, or when it cannot be understood."""
    try:
        document = json.loads((state / cluster / _NAME).read_bytes())
        last = document["last"]
        success = document["last_success"]
        return Attempts(
            last=Attempt(**last | {"at": datetime.fromisoformat(last["at"])}),
            last_success=datetime.fromisoformat(success) if success else None,
        )
    except (OSError, ValueError, LookupError, TypeError):
        return None


def remember(state: Path, cluster: str, last: Attempt) -> Attempts:
    """Remember a run, and return what is remembered now.

    Raises:
        OSError: the file cannot be written.
    """
    known = read(state, cluster)
    before = known.last_success if known is not None else None
    attempts = Attempts(last=last, last_success=last.at if last.ok else before)
    document = {
        "last": {
            "at": last.at.isoformat(),
            "seconds": last.seconds,
            "exit_status": last.exit_status,
            "name": last.name,
            "message": last.message,
        },
        "last_success": attempts.last_success.isoformat() if attempts.last_success else None,
    }
    directory = state / cluster
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = directory / f".{_NAME}.{os.getpid()}"
    part.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    part.replace(directory / _NAME)
    return attempts
