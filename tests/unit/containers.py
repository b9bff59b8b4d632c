"""A process namespace with, if wanted, a container of etcd in it: what scripts look for in /proc.

The process is called `etcd` and has a root of its own, and that is all that scripts go by.
"""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_CONTAINER = """
import os, sys
with open("/proc/self/comm", "w") as comm:
    comm.write("etcd")
os.chroot(sys.argv[1])
print("ready", flush=True)
sys.stdin.read()
"""

# $1 a directory for the pipes, $2 the container's root or nothing
_ENTER = """
pipes=$1 container=$2
shift 2
if [ -n "$container" ]; then
  mkfifo "$pipes/ready" "$pipes/end"
  "$PYTHON" -c "$PROGRAM" "$container" <"$pipes/end" >"$pipes/ready" &
  exec 9>"$pipes/end"
  read -r _ <"$pipes/ready"
fi
"$@"
"""


def run(
    *argv: str, pipes: Path, container: Path | None = None, env: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Run `argv` where no process but its own, and that of `container`, can be seen. Needs root."""
    enter = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")
    return subprocess.run(
        (*enter, "sh", "-euc", _ENTER, "enter", str(pipes), str(container or ""), *argv),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**env, "PYTHON": sys.executable, "PROGRAM": _CONTAINER},
    )
