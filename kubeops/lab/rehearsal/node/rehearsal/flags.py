"""Command lines of the control plane's programs, read as their real counterparts read them."""

from collections.abc import Iterable


class FlagError(Exception):
    """The command line is wrong; the message is the real program's."""


def parse(argv: list[str], known: Iterable[str]) -> dict[str, str]:
    """Return the value of every flag given; `--flag` alone means `true`.

    Raises:
        FlagError: a flag the real program does not have, or something that is no flag.
    """
    names = {*known, "rehearsal-version", "v", "vmodule", "logging-format", "feature-gates"}
    values: dict[str, str] = {}
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            raise FlagError(f'unknown command "{word}"')
        name, equals, value = word.lstrip("-").partition("=")
        if name not in names:
            raise FlagError(f"unknown flag: --{name}")
        if not equals:
            follows = bool(rest) and not rest[0].startswith("-")
            value = rest.pop(0) if follows else "true"
        values[name] = value
    return values
