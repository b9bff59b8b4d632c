"""The transport over networks that fail, and through jump hosts."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from kubeops.errors import (
    HostKeyError,
    TransportError,
)
from kubeops.transport.base import Command
from kubeops.transport.ssh import SshTransport
from kubeops.transport.ssh_session import Patience
from tests.component.conftest import IMPATIENT, Site, Sshd, free_port, logins, run

pytestmark = pytest.mark.sshd

Wait = Callable[[Callable[[], bool]], None]


# The network


@contextmanager
def flaky(server: Sshd, refusals: int) -> Iterator[tuple[int, list[int]]]:
    """A port that hangs up `refusals` times before it is the server's; gives it and a count."""
    accepted: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                accepted.append(1)
                if len(accepted) <= refusals:
                    client.close()
                    continue
                upstream = socket.create_connection(("127.0.0.1", server.port))
                for source, sink in ((client, upstream), (upstream, client)):
                    threading.Thread(target=pump, args=(source, sink), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], accepted
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(20)


def pump(source: socket.socket, sink: socket.socket) -> None:
    with source:
        while piece := _received(source):
            sink.sendall(piece)
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return


def _received(source: socket.socket) -> bytes:
    try:
        return source.recv(65536)
    except OSError:
        return b""


def test_a_server_that_hangs_up_is_tried_again(site: Site) -> None:
    server = site.server()
    with flaky(server, 2) as (port, accepted):
        site.know(server, port=port)
        transport = site.transport(port)
        assert run(transport.runner("cp1"), "true").ok
        assert len(accepted) == 3
        transport.close()


def test_a_server_that_always_hangs_up(site: Site) -> None:
    with flaky(site.server(), 99) as (port, accepted):
        with pytest.raises(TransportError, match=f"no SSH connection to 127.0.0.1 port {port}"):
            run(site.transport(port).runner("cp1"), "true")
        assert len(accepted) == IMPATIENT.attempts


def test_nothing_listens(site: Site) -> None:
    port = free_port()
    with pytest.raises(TransportError, match=f"port {port}: Connection refused") as caught:
        run(site.transport(port).runner("cp1"), "true")
    assert type(caught.value) is TransportError
    assert caught.value.hint == f"try: ssh -i {site.key} -p {port} root@127.0.0.1 true"


def test_something_listens_and_says_nothing(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        patience = Patience(connect=1, banner=0.3, attempts=2, pause=0.01)
        with pytest.raises(TransportError, match="does not greet as an SSH server in time"):
            run(site.transport(port, patience).runner("cp1"), "true")


def test_no_such_name(site: Site) -> None:
    (site.home / ".ssh/config").write_text("Host *\n  HostName no-such-host.invalid\n")
    with pytest.raises(TransportError, match=r"no SSH connection to no-such-host\.invalid"):
        run(site.transport(22).runner("cp1"), "true")


# Jump hosts


def through(site: Site, inner: Sshd, *hops: Sshd, **ssh: object) -> SshTransport:
    jump = ",".join(f"root@127.0.0.1:{hop.port}" for hop in hops)
    return site.transport(inner, jump=jump, **ssh)


def test_through_two_jump_hosts(site: Site, eventually: Wait) -> None:
    inner, *hops = (site.server() for _ in range(3))
    transport = through(site, inner, *hops)
    runner = transport.runner("cp1")
    content = os.urandom(5 << 20)
    output = bytearray()
    runner.stream(Command(argv=("cat",), stdin=content), output.extend)
    assert output == content
    assert [logins(server) for server in site.servers] == [1, 1, 1]
    transport.close()
    for server in site.servers:
        eventually(lambda server=server: not server.sessions())  # type: ignore[misc] # bound now


def test_a_cut_jump_host_is_connected_to_again(site: Site, eventually: Wait) -> None:
    inner, hop = site.server(), site.server()
    runner = through(site, inner, hop).runner("cp1")
    run(runner, "true")
    hop.cut()
    eventually(lambda: not inner.sessions())
    assert run(runner, "true").ok
    assert (logins(hop), logins(inner)) == (2, 2)


def test_the_host_key_of_a_jump_host_is_checked(site: Site) -> None:
    inner, hop = site.server(), site.server(known=False)
    with pytest.raises(HostKeyError, match=r"cp1: behind jump host root@.* is unknown") as caught:
        run(through(site, inner, hop).runner("cp1"), "true")
    assert caught.value.host == "cp1"
    assert logins(hop) == 0


def test_the_host_key_behind_a_jump_host_is_checked(site: Site) -> None:
    inner, hop = site.server(known=False), site.server()
    with pytest.raises(HostKeyError, match=rf"cp1: the host key of \[127.*{inner.port}"):
        run(through(site, inner, hop).runner("cp1"), "true")
    assert logins(inner) == 0


def test_a_jump_host_that_cannot_reach_the_host(site: Site) -> None:
    hop = site.server()
    gone = Sshd(site.home, free_port())
    with pytest.raises(TransportError, match="the jump host cannot reach it"):
        run(through(site, gone, hop).runner("cp1"), "true")
    assert logins(hop) == 1


def test_a_jump_host_that_is_away(site: Site) -> None:
    inner, gone = site.server(), Sshd(site.home, free_port())
    with pytest.raises(TransportError, match=r"cp1: behind jump host .*Connection refused"):
        run(through(site, inner, gone).runner("cp1"), "true")
