"""Reading JSON objects of a fixed shape: every key once, of its type, and no key more."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

T = TypeVar("T")

_SHA256 = re.compile(r"[0-9a-f]{64}")


def mapping(value: object) -> dict[str, object]:
    """Return `value` when it is a JSON object.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, dict):
        raise TypeError(f"{str(value)[:80]!r} is not an object")
    return value


class Object:
    """One JSON object that is taken apart key by key; `what` names it in messages.

    Every method takes a key out; `end` is called when all keys are out. A key that is missing
    raises LookupError, a value of another type or shape TypeError or ValueError.
    """

    def __init__(self, value: object, what: str) -> None:
        self._left = dict(mapping(value))
        self._what = what

    def take(self, key: str) -> object:
        """Return the value of `key`, whatever it is."""
        if key not in self._left:
            raise LookupError(f"{self._what} lacks {key}")
        return self._left.pop(key)

    def text(self, key: str) -> str:
        """Return a text."""
        value = self.take(key)
        if not isinstance(value, str):
            raise TypeError(f"{key} of {self._what} is not a text: {value!r}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts."""

        def text(value: object) -> str:
            if not isinstance(value, str):
                raise TypeError(f"{key} of {self._what} holds what is not a text: {value!r}")
            return value

        return self.each(key, text)

    def sha256(self, key: str) -> str:
        """Return a hexadecimal SHA-256."""
        value = self.text(key)
        if _SHA256.fullmatch(value) is None:
            raise ValueError(f"{key} of {self._what} is not a SHA-256: {value[:80]!r}")
        return value

    def count(self, key: str) -> int:
        """Return a whole number of at least 0."""
        value = self.take(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise TypeError(f"{key} of {self._what} is not a count: {value!r}")
        return value

    def seconds(self, key: str) -> float:
        """Return a number."""
        value = self.take(key)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise TypeError(f"{key} of {self._what} is not a number: {value!r}")
        return float(value)

    def flag(self, key: str) -> bool:
        """Return true or false."""
        value = self.take(key)
        if not isinstance(value, bool):
            raise TypeError(f"{key} of {self._what} is neither true nor false: {value!r}")
        return value

    def moment(self, key: str) -> datetime:
        """Return a point in time, with its time zone."""
        value = datetime.fromisoformat(self.text(key))
        if value.tzinfo is None:
            raise ValueError(f"{key} of {self._what} has no time zone")
        return value

    def each(self, key: str, read: Callable[[object], T]) -> tuple[T, ...]:
        """Return a list, each item read by `read`."""
        value = self.take(key)
        if not isinstance(value, list):
            raise TypeError(f"{key} of {self._what} is not a list: {value!r}")
        return tuple(map(read, value))

    def end(self) -> None:
        """Raise ValueError when a key is left that nobody asked for."""
        if self._left:
            raise ValueError(f"{self._what} has unknown keys: {', '.join(sorted(self._left))}")
