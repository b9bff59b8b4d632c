"""The console script `kubeops`: the namespace as a program of its own.

Plain `invoke` in a checkout runs the same verbs; two things only this program can do: exit with
status 2 (Invoke: 1) and a suggestion when the command line itself is wrong, and leave out Invoke's
options for tasks that run shell commands, which mean nothing here.
"""

import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from invoke.collection import Collection
from invoke.exceptions import Exit, ParseError
from invoke.parser.argument import Argument
from invoke.program import Program

from kubeops import __version__
from kubeops.cli._app import boundary, typed
from kubeops.cli._options import meant
from kubeops.cli.namespace import namespace
from kubeops.errors import UsageError
from kubeops.render import help as help_texts

_CORE = {
    "complete": "",
    "debug": "",
    "help": "Explain kubeops, or the verb it follows.",
    "list": "List the verbs.",
    "list-depth": "",
    "list-format": "",
    "print-completion-script": "Print what bash, zsh or fish needs to complete verbs and options.",
    "version": "Print the version.",
    "write-pyc": "",
}
"""Invoke's own options that are kept, with the help of those worth showing."""

_UNKNOWN = re.compile(r"No idea what '(?P<token>.*)' is!", re.DOTALL)
_DRY = frozenset({"--dry", "--dry-run", "-R", "--check", "-n"})


class KubeopsProgram(Program):
    """Invoke's program, with our help, our suggestions and our exit statuses."""

    def core_args(self) -> list[Argument]:
        """Return the core options that are kept; compiled modules are kept as well."""
        kept = [argument for argument in super().core_args() if argument.name in _CORE]
        for argument in kept:
            if argument.name == "write-pyc":
                argument.default = not sys.dont_write_bytecode
        return kept

    def update_config(self, merge: bool = True) -> None:  # noqa: FBT001, FBT002 - Invoke's signature
        """Take nothing over from core options: those that configure tasks were left out."""
        if merge:
            self.config.merge()

    def parse_core(self, argv: list[str] | None) -> None:
        """Parse the options before the verb."""
        with self._usage():
            super().parse_core(argv)

    def parse_tasks(self) -> None:
        """Parse the verb and its options."""
        with self._usage():
            super().parse_tasks()

    def parse_cleanup(self) -> None:
        """Answer `--help`, `--list` and the like."""
        with self._usage():
            super().parse_cleanup()

    def print_help(self) -> None:
        """Print what kubeops is and all its verbs."""
        options = [(f"--{name}", text) for name, text in _CORE.items() if text]
        groups = [*_groups(self.collection), ("Options", options)]
        sys.stdout.write(help_texts.overview(version=__version__, groups=groups, width=_width()))

    def list_flat(self) -> None:
        """Print the verbs: those at the top first, then noun by noun."""
        groups = _groups(self.scoped_collection)
        sys.stdout.write(help_texts.listing(groups, width=_width()))

    def print_task_help(self, name: str) -> None:
        """Print one verb's usage, contract and options."""
        verb = self.collection[name]
        rows = [(option.spelled, option.help) for option in verb.options]
        usage = f"{typed(verb.path)} [options]"
        sys.stdout.write(
            help_texts.verb(usage=usage, docstring=verb.__doc__ or "", options=rows, width=_width())
        )

    @contextmanager
    def _usage(self) -> Iterator[None]:
        try:
            yield
        except ParseError as error:
            self._refuse(self._translated(error))
        except Exit as error:
            if error.message is None:
                raise
            self._refuse(UsageError(error.message))

    def _refuse(self, error: UsageError) -> None:
        from kubeops.render.screen import open_screen

        with boundary("kubeops", screen=open_screen(json="--json" in self.argv)):
            raise error

    def _translated(self, error: ParseError) -> UsageError:
        """Return Invoke's complaint in our words, with what was probably meant."""
        unknown = _UNKNOWN.fullmatch(str(error))
        verb = error.context.name if error.context is not None else None
        if unknown is None:
            return UsageError(str(error).rstrip("!"), hint=typed(verb or "--help", "--help"))
        token = unknown["token"]
        if token in _DRY:
            return UsageError(
                f"there is no {token}: it could only pretend",
                hint="--plan prints what would be done, and stops",
            )
        if token.startswith("-") and error.context is not None:
            flags = [flag for flag in error.context.flags if flag.startswith("--")]
            return UsageError(
                f"{verb or 'kubeops'} has no option {token}{meant(token, flags)}",
                hint=f"{typed(*(verb, '--help') if verb else ('--help',))} lists the options",
            )
        return UsageError(
            f"there is no verb {token}{meant(token, self.collection.task_names)}",
            hint=f"{typed('--list')} lists the verbs; values follow their option: --limit HOST",
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Run `kubeops`; `argv` (program name included) is sys.argv unless given."""
    arguments = list(argv) if argv is not None else sys.argv
    program = KubeopsProgram(
        namespace=namespace(), version=__version__, name="kubeops", binary="kubeops"
    )
    try:
        program.run(arguments)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the boundary sorts them
        sys.exit(_end(error, arguments))


def _end(error: BaseException, arguments: Sequence[str]) -> int:
    """Explain what happened outside of any verb, and return the exit status."""
    from kubeops.render.screen import open_screen

    try:
        with boundary("kubeops", screen=open_screen(json="--json" in arguments)):
            raise error
    except Exit as end:
        return int(end.code)


def _groups(collection: Collection) -> list[tuple[str, list[help_texts.Row]]]:
    """Return the verbs of a collection: its own, then those of each noun under a title."""
    groups = [("Verbs", _rows(collection))]
    for noun, inner in collection.collections.items():
        title = help_texts.summary(inner.__doc__).partition(":")[0] or noun
        groups.append((title, _rows(inner)))
    return groups


def _rows(collection: Collection) -> list[help_texts.Row]:
    return [(task.path, help_texts.summary(task.__doc__)) for task in collection.tasks.values()]


def _width() -> int:
    return shutil.get_terminal_size().columns
