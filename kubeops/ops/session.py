"""What every verb that talks to a cluster starts with: connections, clock, place for journals."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kubeops.engine.clock import Clock
from kubeops.engine.state import state_directory
from kubeops.facts.gather import gather_cluster
from kubeops.model.desired import Cluster
from kubeops.model.observed import ClusterFacts
from kubeops.transport.base import Transport
from kubeops.transport.ssh import SshTransport


@dataclass(frozen=True, kw_only=True)
class Session:
    """One verb's view of one cluster."""

    desired: Cluster
    transport: Transport
    clock: Clock
    state: Path

    def observe(self, *, ask_source: bool = False) -> ClusterFacts:
        """Read all hosts, the API and etcd; see `kubeops.facts.gather.gather_cluster`."""
        return gather_cluster(
            self.desired, self.transport, now=self.clock.now, ask_source=ask_source
        )


@contextmanager
def open_session(desired: Cluster) -> Iterator[Session]:
    """Open a session over SSH; its connections are closed at the end."""
    transport = SshTransport(desired.hosts)
    try:
        yield Session(desired=desired, transport=transport, clock=Clock(), state=state_directory())
    finally:
        transport.close()
