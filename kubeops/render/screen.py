"""Where output goes: results to stdout, progress and errors to stderr, both readable anywhere.

On a pipe nothing is coloured and the width is fixed, so that what a log keeps does not depend on
the terminal that started the run. A stream that cannot say `…` gets `...`. Consoles, and with them
Rich, are made when something is printed for people: who asks for JSON does not wait for them.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import IO, TYPE_CHECKING, TextIO, cast

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

PIPE_WIDTH = 120
_PLAIN = str.maketrans({"…": "...", "→": "->", "\N{EM DASH}": "-", "\N{EN DASH}": "-"})


class _AsciiStream:
    """A text stream that spells in ASCII what its encoding cannot hold."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.encoding = "ascii"

    def write(self, text: str) -> int:
        plain = text.translate(_PLAIN).encode("ascii", "replace").decode("ascii")
        return self._stream.write(plain)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()


@dataclass(frozen=True, kw_only=True)
class Screen:
    """Both streams of one call. With `json` stdout takes a single document and nothing else.

    `verbose` shows what is otherwise folded: every lane of a plan, tracebacks of defects. `width`
    is for tests, else as for `console`.
    """

    stdout: TextIO
    stderr: TextIO
    json: bool = False
    verbose: bool = False
    width: int | None = None

    @cached_property
    def out(self) -> "Console":
        """The console on stdout."""
        return console(self.stdout, width=self.width)

    @cached_property
    def err(self) -> "Console":
        """The console on stderr."""
        return console(self.stderr, width=self.width)

    def result(self, shown: "RenderableType") -> None:
        """Print a result for people; what must not be cut is not."""
        self.out.print(shown, crop=False)

    def document(self, envelope: Mapping[str, object]) -> None:
        """Print the JSON document, unwrapped, whatever the width."""
        try:
            self.stdout.write(json.dumps(envelope, indent=2, ensure_ascii=True) + "\n")
            self.stdout.flush()
        except BrokenPipeError:
            silence(self.stdout)

    def say(self, shown: "RenderableType") -> None:
        """Print progress or an explanation beside the result; on a pipe one thing is one line."""
        self.err.print(shown, crop=False, soft_wrap=not self.err.is_terminal)


def open_screen(*, json: bool = False, verbose: bool = False) -> Screen:
    """Return the screen of this process's stdout and stderr."""
    return Screen(stdout=sys.stdout, stderr=sys.stderr, json=json, verbose=verbose)


def console(stream: TextIO, *, width: int | None = None) -> "Console":
    """Return a console for `stream`; `width` is for tests, else the terminal's or PIPE_WIDTH.

    NO_COLOR and COLUMNS are honoured; texts are printed as they are, never read as markup.
    """
    from kubeops.render.console import PatientConsole  # noqa: PLC0415 - Rich is slow to import

    if width is None and not stream.isatty():
        columns = os.environ.get("COLUMNS", "")
        width = int(columns) if columns.isdigit() and int(columns) > 0 else PIPE_WIDTH
    return PatientConsole(
        file=cast("IO[str]", stream if _speaks_unicode(stream) else _AsciiStream(stream)),
        width=width,
        markup=False,
        emoji=False,
        highlight=False,
    )


def silence(stream: object) -> None:
    """Point `stream` at nothing, so that flushing it at exit does not fail again."""
    fileno = getattr(stream, "fileno", None)
    if fileno is None:
        return
    try:
        target = fileno()
    except OSError:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, target)
    os.close(nowhere)


def _speaks_unicode(stream: TextIO) -> bool:
    return (stream.encoding or "utf-8").lower().replace("-", "").startswith("utf")
