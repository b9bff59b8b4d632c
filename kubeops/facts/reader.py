"""Applies a parser to a section, and says which section of which host it was when it fails."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from kubeops.errors import FactsError
from kubeops.facts.probe import Section, Sections

T = TypeVar("T")
D = TypeVar("D")

_NOTHING = Section("", 127)


@dataclass(frozen=True, kw_only=True)
class Reader:
    """The sections of one host. Every method raises FactsError when `parse` is surprised."""

    host: str
    sections: Sections

    def text(self, name: str) -> str:
        """Return a section's text; empty when it is not there."""
        return self.sections.get(name, _NOTHING).text

    def ok(self, name: str) -> bool:
        """Tell whether a section is there and its command ended with status 0."""
        return self.sections.get(name, _NOTHING).ok

    def need(self, name: str, parse: Callable[[str], T]) -> T:
        """Parse a section that every host has."""
        if not self.ok(name):
            raise FactsError(host=self.host, section=name, reason="it could not be read")
        return self.parse(name, parse)

    def maybe(self, name: str, parse: Callable[[str], T], default: D) -> T | D:
        """Parse a section, or return `default` when it is not there or its command failed."""
        return self.parse(name, parse) if self.ok(name) else default

    def parse(self, name: str, parse: Callable[[str], T]) -> T:
        """Parse a section whatever its command's status was; its text is empty if not there."""
        try:
            return parse(self.text(name))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise FactsError(
                host=self.host, section=name, reason=f"{type(error).__name__}: {error}"
            ) from error
