"""A file as it has to be on a host."""

import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class File:
    """A file as it has to be on a host.

    Attributes:
        path: absolute path. A link there is followed.
        content: the whole content.
        mode: permission bits.
        owner: `user:group`, by names or by numbers.
        secret: the content is a secret; such a file is refused to everyone but its owner.
    """

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o644
    owner: str = "root:root"
    secret: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for a relative path, or a secret that others may read."""
        if not self.path.startswith("/"):
            raise ValueError(f"{self.path} is not an absolute path")
        if self.secret and self.mode & 0o077:
            raise ValueError(f"{self.path} is secret, but its mode is {self.mode:04o}")

    @property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of the content."""
        return hashlib.sha256(self.content).hexdigest()
