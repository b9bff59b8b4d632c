"""Development: working on kubeops itself."""

import shlex
import sys

from invoke.exceptions import Exit

from kubeops.cli._app import Invocation, command
from kubeops.cli._options import ANY, Option
from kubeops.errors import UsageError

BENCHMARKS = (
    "read-state",
    "install-overhead",
    "upgrade-overhead",
    "makespan",
    "snapshot-transfer",
    "memory",
    "list-time",
)
ARGUMENTS = Option(
    name="arguments",
    value="'ARGUMENT ...'",
    default="",
    help="More arguments for pytest, as one word: --arguments '-k plan -x'.",
)
BENCHMARK = Option(
    name="name",
    value="NAME",
    default="read-state",
    help=f"Which one: {', '.join(BENCHMARKS)}. Default: read-state.",
)
OPTIONS = Option(
    name="arguments",
    value="'ARGUMENT ...'",
    default="",
    help="Its own options, as one word: --arguments '--rounds 9'.",
)
_CHECKS = {
    "ruff": ("-m", "ruff", "check", "."),
    "format": ("-m", "ruff", "format", "--check", "."),
    "mypy": ("-m", "mypy"),
    "layers": ("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"),
}
_PARALLEL = ("--numprocesses=auto", "--dist=loadfile", "--no-loadscope-reorder")
"""A file's tests share its lab; files go in their order, for those of the lab take longest."""
_TIMEOUT = 3600.0


@command("dev.check", *ANY, development=True)
def check(call: Invocation) -> None:
    """Check lint, formatting, types and layers: everything that needs no test run."""
    failed = [name for name, arguments in _CHECKS.items() if not _passes(*arguments)]
    if failed:
        call.screen.say(f"not clean: {', '.join(failed)}")
        raise Exit(code=1)


@command("dev.test", ARGUMENTS, *ANY, development=True)
def test(_call: Invocation, *, arguments: str) -> None:
    """Run the tests, on all processors."""
    if not _passes("-m", "pytest", *_PARALLEL, *shlex.split(arguments)):
        raise Exit(code=1)


@command("dev.bench", BENCHMARK, OPTIONS, *ANY, development=True)
def bench(_call: Invocation, *, name: str, arguments: str) -> None:
    """Run a benchmark; benchmarks/README.md says what each compares."""
    if name not in BENCHMARKS:
        raise UsageError(f"there is no benchmark {name}", hint=f"--name {' or '.join(BENCHMARKS)}")
    module = f"benchmarks.{name.replace('-', '_')}"
    if not _passes("-m", module, *shlex.split(arguments)):
        raise Exit(code=1)


def _passes(*arguments: str) -> bool:
    """Run this Python with `arguments`, its output as it comes; return whether it ended well."""
    from kubeops.transport.base import Command
    from kubeops.transport.local import LocalRunner

    def show(piece: bytes) -> None:
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()

    command = Command(argv=(sys.executable, *arguments), root=False, timeout=_TIMEOUT)
    result = LocalRunner().stream(command, show)
    sys.stderr.write(result.stderr)
    return result.ok
