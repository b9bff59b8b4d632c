"""Verbs as Invoke tasks, and the boundary where every outcome becomes an exit status.

What Invoke would do on its own and must not: take a parameter without default as a positional (then
`install --help` runs `install` with a value of `--help`), derive short flags that change when an
option is added, call two tasks equal because their wrappers share code (and run only one of them),
pretend with `--dry` that every command succeeded, and print tracebacks.
"""

import functools
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.parser.argument import Argument
from invoke.tasks import Task

from kubeops.cli._options import Option, Options, Value, split
from kubeops.errors import InterruptedRunError, KubeopsError, UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kubeops.model.desired import Cluster
    from kubeops.render.screen import Screen

MODES = frozenset({"plan", "yes", "approve", "json", "verbose"})
"""Options that say how this call runs, not what it is about."""


@dataclass(frozen=True)
class Later:
    """A text that is made when it is printed, and not for nothing when the answer is JSON."""

    make: "Callable[[], RenderableType]"

    def __rich__(self) -> "RenderableType":
        """Make the text, for Rich."""
        return self.make()


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a verb found or did: `data` for programs (any value of the model), `text` for people.

    `error` is for a verb that ended badly and has a report all the same, such as a run that
    failed: it gives the exit status; `text` has explained it already. `inventory` is the one the
    report is about, when the verb takes none.
    """

    data: object
    text: "RenderableType"
    error: KubeopsError | None = None
    inventory: str | None = None


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """One call of a verb.

    Attributes:
        verb: its full name, e.g. `runs.list`.
        options: the common options.
        screen: where output goes.
        given: the options as typed, without those that say how to run (`--plan`, `--yes`, ...).
        values: the same options as values, for calling the verb again.
    """

    verb: str
    options: Options
    screen: "Screen"
    given: tuple[str, ...] = ()
    values: Mapping[str, Value] = field(default_factory=dict)

    def cluster(self, *, warn: bool = True) -> "Cluster":
        """Load the inventory that was asked for; with `warn`, say its warnings on stderr.

        Raises:
            UsageError, InventoryError: none was found, or it is wrong.
        """
        from kubeops.inventory import find, load

        path = find(self.options.inventory, environment=os.environ, directory=Path.cwd())
        cluster = load(path)
        if warn and cluster.warnings:
            from rich.text import Text

            for warning in cluster.warnings:
                self.screen.say(Text.assemble(("warning: ", "yellow"), warning))
        return cluster

    def repeated(self, **changed: Value) -> dict[str, Value]:
        """Return the options (JSON values) that call this verb again, some of them `changed`."""
        return {**self.values, **changed}

    def command_line(self, *extra: str) -> str:
        """Return this call as it is typed again, with `extra` options."""
        return typed(self.verb, *self.given, *extra)


def typed(verb: str, *arguments: str) -> str:
    """Return a command line for `verb`, through the program the operator used."""
    path = PurePath(sys.argv[0])
    called = path.parent.name if path.name == "__main__.py" else path.name  # python -m invoke
    return shlex.join(("invoke" if called in {"inv", "invoke"} else "kubeops", verb, *arguments))


class Verb(Task[Any]):
    """A task whose options are declared rather than guessed. `path` is its full name.

    `development` verbs are shown in a checkout only.
    """

    def __init__(
        self,
        body: Callable[..., None],
        *,
        path: str,
        options: tuple[Option, ...],
        development: bool,
    ) -> None:
        self.path = path
        self.options = options
        self.development = development
        super().__init__(body, name=path.rpartition(".")[2], positional=[], auto_shortflags=False)

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def get_arguments(
        self,
        ignore_unknown_help: bool | None = None,  # noqa: ARG002, FBT001 - Invoke's signature
    ) -> list[Argument]:
        """Return the declared options; none is ever positional."""
        return [option.argument() for option in self.options]


def command(
    path: str, *options: Option, development: bool = False
) -> Callable[[Callable[..., Report | None]], Verb]:
    """Declare a verb called `path` (`install`, `runs.list`) with its options.

    The function gets the Invocation, then its own (not the common) options as keyword arguments,
    already parsed. What it returns is printed as text or JSON; what it raises is explained. Its
    docstring, up to `Raises:` and the like, is the verb's help.
    """

    def declare(body: Callable[..., Report | None]) -> Verb:
        @functools.wraps(body)
        def run(context: Context, **values: Value) -> None:
            from kubeops.render.screen import open_screen

            screen = open_screen(json=bool(values.get("json")), verbose=bool(values.get("verbose")))
            given = values.get("inventory")
            inventory = given if isinstance(given, str) else None
            with boundary(path, screen=screen, inventory=inventory):
                if context.config.run.dry:
                    raise UsageError(
                        "--dry would take every answer of every host for granted",
                        hint=f"{typed(path, '--plan')} shows what would be done",
                    )
                common, own = split(options, values)
                call = Invocation(
                    verb=path,
                    options=common,
                    screen=screen,
                    given=_given(options, values),
                    values={name: value for name, value in values.items() if name not in MODES},
                )
                report = body(call, **own)
                if report is not None:
                    _publish(report, call)

        return Verb(run, path=path, options=options, development=development)

    return declare


@contextmanager
def boundary(verb: str, *, screen: "Screen", inventory: str | None = None) -> Iterator[None]:
    """Turn whatever is raised inside into an explanation and an exit status.

    `inventory` is what `--inventory` says: commands in the explanation are about the same one.

    Raises:
        Exit: with the status of the outcome, when it is not 0.
    """
    try:
        yield
    except KubeopsError as error:
        _explain(error, verb=verb, screen=screen, inventory=inventory)
        raise Exit(code=error.exit_status) from None
    except KeyboardInterrupt:
        interrupted = InterruptedRunError("interrupted", hint="the same command goes on from here")
        _explain(interrupted, verb=verb, screen=screen)
        raise Exit(code=interrupted.exit_status) from None
    except BrokenPipeError:
        from kubeops.render.screen import silence

        silence(screen.stdout)
        raise Exit(code=0) from None
    except Exit:
        raise
    except Exception as error:  # noqa: BLE001 - the last stop: a defect is logged, never shown raw
        _admit(error, verb=verb, screen=screen)
        raise Exit(code=1) from None


def _given(options: tuple[Option, ...], values: dict[str, Value]) -> tuple[str, ...]:
    words: list[str] = []
    for option in options:
        if option.attribute not in MODES:
            words += option.typed(values.get(option.attribute))
    return tuple(words)


def _publish(report: Report, call: Invocation) -> None:
    from kubeops.cli._hints import completed, completed_text

    inventory = call.options.inventory or report.inventory
    if not call.screen.json:
        call.screen.result(completed_text(report.text, inventory))
    else:
        from kubeops.render import jsonout

        if report.error is None:
            envelope = jsonout.success(call.verb, report.data)
        else:
            call.screen.say(completed_text(report.text, inventory))
            envelope = jsonout.failure(call.verb, report.error, data=report.data)
        call.screen.document(completed(envelope, inventory))
    if report.error is not None:
        raise Exit(code=report.error.exit_status)


def _explain(
    error: KubeopsError, *, verb: str, screen: "Screen", inventory: str | None = None
) -> None:
    from kubeops.cli._hints import completed, completed_text
    from kubeops.render import errors, jsonout

    if screen.json:
        screen.document(completed(jsonout.failure(verb, error), inventory))
    screen.say(completed_text(errors.error(error), inventory))


def _admit(error: Exception, *, verb: str, screen: "Screen") -> None:
    """Explain a defect: a sentence on screen, everything in a log file of the operator's own."""
    import traceback

    from kubeops.cli._defects import record
    from kubeops.render import errors, jsonout

    details = "".join(traceback.format_exception(error))
    summary = f"{type(error).__name__}: {error}".splitlines()[0]
    log = record(details)
    if screen.json:
        defect = KubeopsError(summary, hint=f"the details are in {log}" if log else "")
        screen.document(jsonout.failure(verb, defect))
    if screen.verbose:
        screen.err.out(details, highlight=False)
    screen.say(errors.defect(summary, log=str(log or "")))
