"""The load balancer, run as in a lab but on loopback, in front of API servers that misbehave."""

import http.client
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kubeops.engine.clock import Clock
from kubeops.engine.gates import Gate, Reading, wait_until
from kubeops.lab import places, shell


@dataclass
class Api:
    """An API server: /who gives its name, /readyz `status`, or nothing while it is `silent`."""

    name: str
    port: int
    status: int = 200
    silent: threading.Event = field(default_factory=threading.Event)
    speaks: threading.Event = field(default_factory=threading.Event)


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    shell.run(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-nodes", "-subj", "/CN=api", "-keyout", str(path), "-out", f"{path}.crt"),
    )
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@contextmanager
def serving(name: str, certificate: Path, *, port: int = 0) -> Iterator[Api]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/readyz" and api.silent.is_set():
                api.speaks.wait(30.0)
            self.send_response(api.status if self.path == "/readyz" else 200)
            body = name.encode()
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name upstream
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Clients that go away without a word are what these tests are about."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Server(("127.0.0.1", port), Handler) as server:
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        api = Api(name, server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield api
        finally:
            api.speaks.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def balance(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Starts a balancer over API servers; gives the port it listens on."""
    with ExitStack() as stack:

        def start(*ports: int) -> int:
            (tmp_path / "backends").write_text("".join(f"127.0.0.1 {port}\n" for port in ports))
            port = free_port()
            process = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", places.PROGRAMS / "balancer.py"),
                    *("--cgroup", tmp_path, "--listen", "127.0.0.1", "--port", str(port)),
                    *("--backends", tmp_path / "backends"),
                ]
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            becomes_true(lambda: accepts(port))
            assert (tmp_path / "cgroup.procs").read_text() == str(process.pid)
            return port

        yield start


def becomes_true(condition: Callable[[], bool]) -> None:
    def look() -> Reading:
        return Reading(ok=condition(), text="not yet")

    gate = Gate(name="the balancer", look=look, timeout=15.0, successes=1, interval=0.05)
    wait_until(gate, clock=Clock(), progress=lambda _text: None)


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


def connection(port: int) -> http.client.HTTPSConnection:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=10.0, context=context)


def who(port: int) -> str:
    """The name of the server that a new connection leads to; empty when it leads nowhere."""
    with closing(connection(port)) as opened:
        try:
            opened.request("GET", "/who")
            return opened.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            return ""


def ended(stream: socket.socket) -> bool:
    """Wait for a byte or an end; whether it was an end."""
    try:
        return stream.recv(1) == b""
    except ConnectionResetError:
        return True


def test_new_connections_go_to_a_server_that_is_ready(
    balance: Callable[..., int], certificate: Path
) -> None:
    with serving("one", certificate) as one, serving("two", certificate) as two:
        one.status = 500
        port = balance(one.port, two.port)
        becomes_true(lambda: [who(port) for _ in range(5)] == ["two"] * 5)
        one.status, two.status = 200, 500
        becomes_true(lambda: [who(port) for _ in range(5)] == ["one"] * 5)


def test_a_server_that_is_not_ready_is_better_than_none(
    balance: Callable[..., int], certificate: Path
) -> None:
    with serving("one", certificate) as one:
        one.status = 500
        port = balance(one.port, free_port())
        assert who(port) == "one"


def test_a_server_that_refuses_is_passed_over_at_once(
    balance: Callable[..., int], certificate: Path
) -> None:
    with serving("two", certificate) as two:
        with serving("one", certificate) as one:
            port = balance(one.port, two.port)
            becomes_true(lambda: {who(port) for _ in range(5)} <= {"one", "two"})
        assert [who(port) for _ in range(5)] == ["two"] * 5


def test_connections_to_a_server_that_fell_silent_are_closed(
    balance: Callable[..., int], certificate: Path
) -> None:
    with serving("one", certificate) as one:
        port = balance(one.port)
        with closing(connection(port)) as opened:
            opened.request("GET", "/who")
            assert opened.getresponse().read() == b"one"
            one.silent.set()
            assert opened.sock is not None
            # Nobody sends anything more: this only returns when the balancer closes.
            assert ended(opened.sock)
        one.silent.clear()
        one.speaks.set()
        becomes_true(lambda: who(port) == "one")


def test_servers_come_and_go_with_the_file_that_names_them(
    balance: Callable[..., int], certificate: Path, tmp_path: Path
) -> None:
    with serving("one", certificate) as one, serving("two", certificate) as two:
        port = balance(one.port)
        assert who(port) == "one"
        (tmp_path / "backends").write_text(f"127.0.0.1 {two.port}\n")
        becomes_true(lambda: who(port) == "two")
        (tmp_path / "backends").write_text("")
        becomes_true(lambda: who(port) == "")
