"""The API's objects, one at a time, as kubectl on a control plane prints them.

A whole type is one document of kubectl's, which may be of any size: it is read piece by piece, and
never is more of it held here than its largest object.
"""

import codecs
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from kubeops.errors import FactsError
from kubeops.transport.base import Command, Runner

Object = Mapping[str, Any]

_KUBECTL = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf")
_TIMEOUT = 600.0
_HEAD = re.compile(r'\s*\{\s*"apiVersion":\s*"v1",\s*"items":\s*\[')
_HEAD_LENGTH = 200
_BETWEEN = re.compile(r"[\s,]*")


def resource_types(runner: Runner) -> tuple[str, ...]:
    """Return the types that can be listed, in kubectl's order: `secrets`, `deployments.apps`.

    Raises:
        CommandError: the API does not answer, or an API that is served by a pod of the cluster does
            not: its types are not known then.
    """
    argv = (*_KUBECTL, "api-resources", "--verbs=list", "-o", "name")
    listed = runner.run(Command(argv=argv, timeout=60.0)).must(
        hint="An API service that does not answer hides its types: kubectl get apiservices"
    )
    return tuple(dict.fromkeys(listed.stdout.split()))


def each_object(runner: Runner, resource: str, take: Callable[[Object], object]) -> None:
    """Give `take` every object of the type `resource`, in all namespaces.

    Raises:
        CommandError: the API refused, or did not answer.
        FactsError: what was printed is not a list of objects.
    """
    items = _Items(take)
    argv = (*_KUBECTL, "get", resource, "--all-namespaces", "-o", "json")
    try:
        runner.stream(Command(argv=argv, timeout=_TIMEOUT), items.feed).must()
        items.end()
    except _UnreadableError as error:
        section = f"kubectl get {resource}"
        raise FactsError(host=runner.host, section=section, reason=str(error)) from error


class _UnreadableError(Exception):
    """What was printed is no list of objects; says why."""


class _Items:
    """Takes kubectl's JSON piece by piece, and hands over the items that are complete."""

    def __init__(self, take: Callable[[Object], object]) -> None:
        self._take = take
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace")
        self._json = json.JSONDecoder()
        self._text = ""
        self._begun = self._ended = False
        self._worth = 0

    def feed(self, piece: bytes) -> None:
        """Take the next piece."""
        self._text += self._bytes.decode(piece)
        if len(self._text) >= self._worth:
            self._drain()

    def end(self) -> None:
        """Say that nothing follows."""
        self._drain()
        if not self._ended:
            raise _UnreadableError("it ends in the middle")

    def _drain(self) -> None:
        at = self._begin()
        while self._begun and not self._ended:
            at = self._skip(at)
            self._ended = self._text.startswith("]", at)
            if self._ended or at == len(self._text):
                break
            try:
                item, at = self._json.raw_decode(self._text, at)
            except ValueError:
                # Not whole yet, most likely. Trying at every piece would cost the square of it.
                self._worth = 2 * (len(self._text) - at)
                break
            if not isinstance(item, dict):
                raise _UnreadableError(f"among its items is {item!r}")
            self._take(item)
        else:
            at = len(self._text) if self._ended else at
        self._text = self._text[at:]

    def _begin(self) -> int:
        """Return where the items begin, once; 0 afterwards, and as long as it is not known."""
        if self._begun:
            return 0
        head = _HEAD.match(self._text)
        if head is None:
            if len(self._text) > _HEAD_LENGTH:
                raise _UnreadableError(f"it begins with {self._text[:40]!r}")
            return 0
        self._begun = True
        return head.end()

    def _skip(self, at: int) -> int:
        between = _BETWEEN.match(self._text, at)
        return at if between is None else between.end()
