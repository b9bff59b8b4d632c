"""Watches the cluster's endpoint while it is changed, as a client would see it."""

from datetime import datetime
from threading import Event as Flag
from threading import Thread
from types import TracebackType
from typing import Self

from kubeops.errors import KubeopsError
from kubeops.model.report import Availability, Outage
from kubeops.ops.session import Session
from kubeops.transport.base import Command

INTERVAL = 1.0
_TIMEOUT = 2


class EndpointWatch:
    """Asks the endpoint for /readyz every second from a control plane, within its `with` block.

    The workstation may have no way to the endpoint; a control plane has. Anybody may ask for
    /readyz (kubeadm binds system:public-info-viewer to everyone), so no secret is needed.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._asked = session.desired.control_planes[-1].name
        self._over = Flag()
        self._thread = Thread(target=self._watch, name="endpoint", daemon=True)
        self._looks = 0
        self._outages: list[Outage] = []

    @property
    def seen(self) -> Availability:
        """What was seen so far."""
        return Availability(asked=self._asked, looks=self._looks, outages=tuple(self._outages))

    def __enter__(self) -> Self:
        """Start asking."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop asking."""
        self._over.set()
        self._thread.join(timeout=2 * _TIMEOUT)

    def _watch(self) -> None:
        clock = self._session.clock
        away: tuple[datetime, str] | None = None
        while not self._over.is_set():
            began = clock.now()
            said = self._ask()
            if said is not None:
                self._looks += 1
                away = self._note(said, began, away)
            self._over.wait(INTERVAL)
        if away is not None:
            self._add(away, clock.now())

    def _note(
        self, said: str, at: datetime, away: tuple[datetime, str] | None
    ) -> tuple[datetime, str] | None:
        if said:
            return away or (at, said)
        if away is not None:
            self._add(away, at)
        return None

    def _add(self, away: tuple[datetime, str], end: datetime) -> None:
        began, said = away
        seconds = round((end - began).total_seconds(), 1)
        self._outages.append(Outage(began=began, seconds=seconds, said=said))

    def _ask(self) -> str | None:
        """Return what is wrong, empty when all is well; None when the question did not get out."""
        endpoint = self._session.desired.endpoint
        command = Command(
            argv=(
                "curl",
                "--insecure",
                "--silent",
                "--show-error",
                "--max-time",
                str(_TIMEOUT),
                "--output",
                "/dev/null",
                "--write-out",
                "%{http_code}",
                f"https://{endpoint}/readyz",
            ),
            root=False,
            timeout=3 * _TIMEOUT,
        )
        try:
            result = self._session.transport.runner(self._asked).run(command)
        except KubeopsError:
            return None
        if result.stdout.strip() == "200":
            return ""
        return result.stderr.strip() or f"HTTP status {result.stdout.strip()}"
