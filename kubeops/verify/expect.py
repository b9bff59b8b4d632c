"""How a property says that it does not hold: what was expected, what was found, what to type."""

from collections.abc import Iterable


class MismatchError(AssertionError):
    """A property does not hold.

    Args:
        expected: what the inventory wants.
        found: what is there instead.
        cure: what the operator types on the host, or on the workstation.
    """

    def __init__(self, *, expected: str, found: str, cure: str) -> None:
        super().__init__(f"expected {expected}, found {found}")
        self.expected = expected
        self.found = found
        self.cure = cure


def expect(found: object, wanted: object, *, cure: str) -> None:
    """Pass when `found` equals `wanted`.

    Raises:
        MismatchError: it does not.
    """
    if found != wanted:
        raise MismatchError(expected=str(wanted), found=str(found), cure=cure)


def expect_that(holds: object, *, expected: str, found: str, cure: str) -> None:
    """Pass when `holds` is true.

    Raises:
        MismatchError: it is not.
    """
    if not holds:
        raise MismatchError(expected=expected, found=found, cure=cure)


def expect_none(offenders: Iterable[str], *, expected: str, cure: str) -> None:
    """Pass when there are no `offenders`.

    Raises:
        MismatchError: there are; all are named.
    """
    named = list(offenders)
    if named:
        raise MismatchError(expected=expected, found="; ".join(named), cure=cure)
