"""What the properties are told: the inventory, the hosts to look at, and how they are asked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import pytest

from kubeops.model.desired import Cluster, Host
from kubeops.verify.questions import Questions

Test = TypeVar("Test", bound=Callable[..., None])
Applies = Callable[[Host, Cluster], bool]


@dataclass(frozen=True, kw_only=True)
class Suite:
    """One run of the suite.

    `api_hosts` are the control planes the API is asked through; they need not be among `hosts`.
    """

    cluster: Cluster
    hosts: tuple[Host, ...]
    api_hosts: tuple[str, ...]
    questions: Questions


SUITE = pytest.StashKey[Suite]()
"""Where pytest's configuration keeps it."""


def every_host(_host: Host, _cluster: Cluster) -> bool:
    """Apply to all hosts."""
    return True


def control_planes(host: Host, _cluster: Cluster) -> bool:
    """Apply to control planes."""
    return host.is_control_plane


def workers(host: Host, _cluster: Cluster) -> bool:
    """Apply to workers."""
    return not host.is_control_plane


def says(text: str, *, of: Applies = every_host) -> Callable[[Test], Test]:
    """Word a property, and say which hosts it is one of.

    `text` follows the host's name and a colon; `{name}` in it is the test's parameter of that name.
    """

    def mark(test: Test) -> Test:
        marked: Test = pytest.mark.says(text, of)(test)
        return marked

    return mark
