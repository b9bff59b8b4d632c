"""Starts a control plane component under its own name.

    python3 -m rehearsal.component kube-apiserver --flag=...

The process is named as the real one, so that `pgrep kube-apiserver` and `ps` show what they would
show on a real node.
"""

import os
import runpy
import sys
from contextlib import suppress

MODULES = {
    "kube-apiserver": "rehearsal.apiserver",
    "kube-controller-manager": "rehearsal.controllers",
    "kube-scheduler": "rehearsal.scheduler",
}


def main() -> None:
    """Become the component named by the first argument."""
    name = sys.argv[1]
    with suppress(OSError), open("/proc/self/comm", "w") as comm:
        comm.write(name[:15])
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.argv = [name, *sys.argv[2:]]
    runpy.run_module(MODULES[name], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
