"""What kube-controller-manager and kube-scheduler have in common: probes, election, the loop."""

import json
import os
import signal
import ssl
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from rehearsal.apierrors import ApiError, UnreachableError
from rehearsal.client import Client
from rehearsal.election import Elector
from rehearsal.kubeconfig import KubeconfigError
from rehearsal.world import World

Step = Callable[[World], None]

_TURN = 1.0
_DEBOUNCE = 0.03
_REQUEST = 5.0


def serve(
    *,
    name: str,
    kubeconfig: str,
    port: int,
    elect: bool,
    resources: tuple[str, ...],
    steps: list[Step],
) -> int:
    """Run a component until SIGTERM; return its exit status.

    Every step runs whenever something watched has changed and at least once a second, while this
    process leads. A step whose request fails is left for the next turn.

    Returns:
        0 after SIGTERM; 1 when the lease is lost or the start fails, as the real ones do.
    """
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    signal.signal(signal.SIGINT, lambda *_: stopped.set())
    try:
        client = Client.from_kubeconfig(kubeconfig, timeout=_REQUEST)
        _probes(name, port)
    except (OSError, KubeconfigError) as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    elector = Elector(client, name)
    if elect and not elector.win(stopped):
        return 0
    sys.stderr.write(f'"successfully acquired lease" lock="kube-system/{name}"\n')
    world = World(client, resources)
    world.start(stopped)
    threading.Thread(target=_turn, args=(world, steps, stopped), daemon=True).start()
    if not elect:
        stopped.wait()
        return 0
    if elector.keep(stopped):
        return 0
    sys.stderr.write('"Leaderelection lost"\n')
    return 1


def _turn(world: World, steps: list[Step], stopped: threading.Event) -> None:
    while not stopped.is_set():
        world.changed.wait(_TURN)
        stopped.wait(_DEBOUNCE)
        world.changed.clear()
        if not world.ready():
            continue
        try:
            take_turn(world, steps)
        except Exception:  # noqa: BLE001 - one bad object must not stop all controllers for good
            traceback.print_exc()


def take_turn(world: World, steps: list[Step]) -> None:
    """Run every step once; a failed request ends that step only."""
    for step in steps:
        try:
            step(world)
        except ApiError as error:
            if error.reason not in ("Conflict", "NotFound", "AlreadyExists"):
                sys.stderr.write(f'"step failed" step={step!r} err="{error}"\n')
        except UnreachableError as error:
            sys.stderr.write(f'"API server not reached" err="{error}"\n')


class _Probe(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer every probe with ok."""
        known = self.path.split("?")[0] in ("/healthz", "/livez", "/readyz")
        body = b"ok" if known else json.dumps({"paths": ["/healthz"]}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Write nothing."""


class _ProbeServer(ThreadingHTTPServer):
    daemon_threads = True
    tls: ssl.SSLContext

    def server_bind(self) -> None:
        """Bind without looking names up, which takes long without DNS."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Do the TLS handshake in the connection's own thread."""
        request.settimeout(_REQUEST)
        try:
            secured = self.tls.wrap_socket(request, server_side=True)
        except OSError:
            self.close_request(request)
            return
        super().process_request_thread(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: a prober that hangs up early is no news."""


def _probes(name: str, port: int) -> None:
    """Serve /healthz on loopback with a certificate made on the spot, as the real ones do.

    Raises:
        OSError: the port is taken.
    """
    server = _ProbeServer(("127.0.0.1", port), _Probe)
    server.tls = _own_certificate(name)
    threading.Thread(target=server.serve_forever, args=(60.0,), daemon=True).start()


def _own_certificate(name: str) -> ssl.SSLContext:
    from cryptography import x509  # noqa: PLC0415 - slow to load, and only the start needs it
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    descriptor, path = tempfile.mkstemp()
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(certificate.public_bytes(serialization.Encoding.PEM))
            file.write(
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
        context.load_cert_chain(path)
    finally:
        os.unlink(path)
    return context
