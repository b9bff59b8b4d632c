"""Verbs to call, and a call to hand to a function."""

import io
import json
from pathlib import Path
from typing import Any

from invoke.config import Config
from invoke.context import Context
from invoke.exceptions import Exit

from kubeops.cli._app import Invocation, Verb
from kubeops.cli._options import Options, Value
from kubeops.cli.program import main
from kubeops.render.screen import Screen


def exit_status(verb: Verb, *, dry: bool = False, **values: Value) -> int:
    """Call a verb as Invoke does and return the exit status it ends with."""
    context = Context(Config(overrides={"run": {"dry": dry}}))
    try:
        verb(context, **values)
    except Exit as end:
        return int(end.code)
    return 0


def kubeops(*words: str) -> int:
    """Run the console script in this process and return its exit status."""
    try:
        main(["kubeops", *words])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def document(text: str) -> Any:
    """Return the one JSON document that `text` is."""
    return json.loads(text)


class Call:
    """An Invocation whose output can be read."""

    def __init__(
        self, *, given: tuple[str, ...] = (), verb: str = "install", **options: Any
    ) -> None:
        self.out = io.StringIO()
        self.err = io.StringIO()
        chosen = Options(**options)
        self.invocation = Invocation(
            verb=verb,
            options=chosen,
            given=given,
            screen=Screen(
                stdout=self.out,
                stderr=self.err,
                width=120,
                json=chosen.json,
                verbose=chosen.verbose,
            ),
        )


def defects(state: Path) -> list[Path]:
    return sorted((state / "defects").glob("*.log"))
