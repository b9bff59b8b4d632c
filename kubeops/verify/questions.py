"""Asks hosts, each question once, and all hosts of a role at the same time.

The suite asks one host after the other the same thing. So the first time a command is asked of a
host, every other host of its role is asked too: the whole suite takes as many round trips as it has
commands, however many hosts there are. Every command of the suite only reads; to ask a host what
nobody will look at does no harm.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from kubeops.errors import TransportError
from kubeops.transport.base import Command, Result, Transport

AT_ONCE = 32
TIMEOUT = 60.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a host said, or the error it was met with; `at` is when, by our clock."""

    at: datetime
    result: Result | None = None
    error: Exception | None = None

    def get(self) -> Result:
        """Return the result.

        Raises:
            TransportError, UnknownOutcomeError: the host was not reached, or did not end.
        """
        if self.result is None:
            raise self.error or LookupError("an answer is a result or an error")
        return self.result


class Questions:
    """The answers of all hosts, as far as they were asked.

    Args:
        transport: reaches the hosts.
        groups: the hosts that are asked together, by any name.
        now: our clock.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        groups: Mapping[str, Iterable[str]],
        now: Callable[[], datetime],
    ) -> None:
        self._transport = transport
        self._group = {host: tuple(hosts) for hosts in groups.values() for host in hosts}
        self._now = now
        self._answers: dict[tuple[str, str], Answer] = {}
        self._away: dict[str, Answer] = {}

    def ask(self, host: str, script: str) -> Answer:
        """Return what `host` says to `script`, run as root by sh; asked before, the same again.

        A host that was not reached is not tried again.
        """
        if (host, script) not in self._answers:
            self._ask_all(self._group[host], script)
        return self._answers[host, script]

    def _ask_all(self, hosts: tuple[str, ...], script: str) -> None:
        with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(hosts))) as pool:
            answers = pool.map(lambda host: self._ask_one(host, script), hosts)
            for host, answer in zip(hosts, answers, strict=True):
                self._answers[host, script] = answer
                if isinstance(answer.error, TransportError):
                    self._away[host] = answer

    def _ask_one(self, host: str, script: str) -> Answer:
        if host in self._away:
            return self._away[host]
        command = Command(argv=("sh", "-c", script), timeout=TIMEOUT)
        try:
            result = self._transport.runner(host).run(command)
        except Exception as error:  # noqa: BLE001 - belongs to this host, and is raised where it is asked
            return Answer(at=self._now(), error=error)
        return Answer(at=self._now(), result=result)
