"""Kubernetes versions and the arithmetic of version skew."""

import re
from dataclasses import dataclass, field
from typing import Self

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+([0-9A-Za-z.-]+))?")
_MINOR = re.compile(r"v?(\d+)\.(\d+)")


@dataclass(frozen=True, order=True)
class Minor:
    """A minor release such as 1.36."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `1.36` or `v1.36`.

        Raises:
            ValueError: `text` is something else.
        """
        match = _MINOR.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is not a minor release such as 1.36")
        return cls(int(match[1]), int(match[2]))

    @property
    def next(self) -> "Minor":
        """The minor release after this one."""
        return Minor(self.major, self.minor + 1)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True, order=True)
class KubeVersion:
    """A release such as 1.35.4; `build` is what follows a plus sign and does not order."""

    major: int
    minor_number: int
    patch: int
    build: str = field(default="", compare=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `1.35.4`, `v1.35.4` or `v1.35.4+build`.

        Raises:
            ValueError: `text` is something else, or a pre-release.
        """
        match = _VERSION.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is not a version such as 1.35.4")
        if match[4]:
            raise ValueError(f"{text!r} is a pre-release; only releases are supported")
        return cls(int(match[1]), int(match[2]), int(match[3]), match[5] or "")

    @classmethod
    def from_package(cls, text: str) -> Self:
        """Read a package version such as `1.35.4-1.1`.

        Raises:
            ValueError: `text` is something else.
        """
        return cls.parse(text.split("-", 1)[0])

    @property
    def minor(self) -> Minor:
        """The minor release this one belongs to."""
        return Minor(self.major, self.minor_number)

    @property
    def rehearsal(self) -> bool:
        """Whether this is a stand-in of the lab rather than Kubernetes itself."""
        return "rehearsal" in self.build.split(".")

    @property
    def tag(self) -> str:
        """The way kubeadm and image tags spell it: `v1.35.4`."""
        return f"v{self}"

    def __str__(self) -> str:
        return f"{self.major}.{self.minor_number}.{self.patch}"
