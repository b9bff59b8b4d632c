"""How long `invoke --list` takes: what is paid before any verb, and at every completion.

    python -m benchmarks.list_time [--rounds N]

The baseline is Invoke listing one empty task. Below the table: the modules whose import takes
longest, from one run with `-X importtime`, which itself takes longer.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.table import Table

from benchmarks import harness

GOAL = 0.3
_SHOWN = 12


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    with TemporaryDirectory() as directory:
        tasks = Path(directory, "tasks.py")
        tasks.write_text("from invoke.tasks import task\n\n\n@task\ndef nothing(c): ...\n")
        measured = harness.compare(
            (
                harness.Contender(name="kubeops", argv=harness.kubeops("--list")),
                harness.Contender(
                    name="Invoke, one empty task",
                    argv=harness.kubeops("--search-root", directory, "--list"),
                ),
            ),
            rounds=arguments.rounds,
        )
    harness.report("invoke --list", measured, goals={})
    print(f"goal: below {GOAL} s; median {measured[0].median:.2f} s\n")
    _imports()


def _imports() -> None:
    """Print the modules that take longest to import, those they import included."""
    ended = subprocess.run(
        (sys.executable, "-X", "importtime", "-m", "invoke", "--list"),
        cwd=harness.CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    rows = []
    for line in ended.stderr.splitlines():
        fields = line.removeprefix("import time:").split("|")
        if line.startswith("import time:") and fields[0].strip().lstrip("-").isdigit():
            rows.append((int(fields[1]), int(fields[0]), fields[2].strip()))
    table = Table(title="imports that take longest", title_justify="left", title_style="bold")
    table.add_column("module")
    table.add_column("with what it imports", justify="right")
    table.add_column("alone", justify="right")
    for whole, alone, name in sorted(rows, reverse=True)[:_SHOWN]:
        table.add_row(name, f"{whole / 1000:.1f} ms", f"{alone / 1000:.1f} ms")
    harness.show(table)


if __name__ == "__main__":
    main()
