"""Command lines as Cobra reads them.

`--flag value`, `--flag=value` and `-f` anywhere between the words; unknown flags are refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field


class FlagError(Exception):
    """The command line is refused; the text is Cobra's."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """The flags a command takes.

    Attributes:
        values: flags with a value; given several times, or with commas, they make a list.
        switches: flags without one (`--flag=false` turns them off).
        short: one-letter names and what they stand for.
        defaults: switches that are on unless turned off.
    """

    values: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()
    short: dict[str, str] = field(default_factory=dict)
    defaults: tuple[str, ...] = ()

    def __or__(self, other: "Spec") -> "Spec":
        return Spec(
            values=self.values + other.values,
            switches=self.switches + other.switches,
            short=self.short | other.short,
            defaults=self.defaults + other.defaults,
        )


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a command line said."""

    words: tuple[str, ...]
    found: dict[str, tuple[str, ...]]
    defaults: tuple[str, ...] = ()

    def value(self, name: str, default: str = "") -> str:
        """Return the last value of a flag."""
        return self.found[name][-1] if name in self.found else default

    def values(self, name: str) -> tuple[str, ...]:
        """Return every value of a flag that makes a list."""
        return tuple(part for text in self.found.get(name, ()) for part in text.split(",") if part)

    def has(self, name: str) -> bool:
        """Whether a flag was given at all."""
        return name in self.found

    def switch(self, name: str) -> bool:
        """Whether a switch is on."""
        return self.value(name, "true" if name in self.defaults else "false") == "true"


def parse(argv: Sequence[str], spec: Spec) -> Given:
    """Read `argv`.

    Raises:
        FlagError: a flag is unknown, lacks its value, or is not what it must be.
    """
    words: list[str] = []
    found: dict[str, tuple[str, ...]] = {}
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            words += rest
            break
        if not word.startswith("-") or word == "-":
            words.append(word)
            continue
        name, value = _named(word, spec)
        if name in spec.values:
            if value is None:
                if not rest:
                    raise FlagError(f"flag needs an argument: {word}")
                value = rest.pop(0)
        elif value is None:
            value = "true"
        elif value not in {"true", "false"}:
            raise FlagError(
                f'invalid argument "{value}" for "--{name}" flag: strconv.ParseBool: parsing '
                f'"{value}": invalid syntax'
            )
        found[name] = (*found.get(name, ()), value)
    return Given(words=tuple(words), found=found, defaults=spec.defaults)


def _named(word: str, spec: Spec) -> tuple[str, str | None]:
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        if name not in spec.values and name not in spec.switches:
            raise FlagError(f"unknown flag: --{name}")
        return name, value if equals else None
    letter, tail = word[1], word[2:]
    if letter not in spec.short:
        raise FlagError(f"unknown shorthand flag: '{letter}' in {word}")
    return spec.short[letter], tail.removeprefix("=") or None
