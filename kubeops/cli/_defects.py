"""Where a defect of kubeops itself is written down, for the report that follows."""

import os
import platform
import shlex
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from kubeops.engine.clock import Clock
from kubeops.engine.state import state_directory

_PACKAGES = ("kubeops", "invoke", "fabric", "paramiko", "rich", "PyYAML", "Jinja2", "cryptography")


def record(details: str) -> Path | None:
    """Write `details` (a traceback) with versions and command line to a file only we can read.

    Returns:
        The file, or None when the state directory cannot be written.
    """
    now = Clock().now()
    path = state_directory() / "defects" / f"{now:%Y%m%dT%H%M%S}-{os.getpid()}.log"
    text = "\n".join((f"when: {now.isoformat()}", *_versions(), "", details))
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        return None
    return path


def _versions() -> list[str]:
    lines = [f"command: {shlex.join(sys.argv)}"]
    lines += [f"python: {platform.python_version()} on {platform.platform()}"]
    for package in _PACKAGES:
        try:
            lines.append(f"{package}: {version(package)}")
        except PackageNotFoundError:
            lines.append(f"{package}: not installed")
    return lines
