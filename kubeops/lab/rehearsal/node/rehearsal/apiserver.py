"""kube-apiserver's stand-in: the flags, the HTTPS server, and the objects a new cluster has.

It serves the resources of `resources.py` out of etcd, with client certificates and bootstrap
tokens, and takes the flags of a kubeadm manifest. What has no meaning here (aggregation, account
tokens, audit, encryption) is accepted and ignored; a flag a real server lacks ends it at once.
"""

import base64
import hashlib
import ipaddress
import os
import signal
import socket
import ssl
import sys
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from rehearsal.flags import FlagError, parse
from rehearsal.http_api import Api, Request, Response
from rehearsal.hub import Hub
from rehearsal.objects import micro_stamp
from rehearsal.registry import Registry
from rehearsal.resources import named
from rehearsal.status import StatusError
from rehearsal.store import EtcdStore, StoreError

Obj = dict[str, Any]

_FLAGS = (
    "advertise-address",
    "allow-privileged",
    "anonymous-auth",
    "api-audiences",
    "audit-log-maxage",
    "audit-log-maxbackup",
    "audit-log-maxsize",
    "audit-log-path",
    "audit-policy-file",
    "authorization-mode",
    "bind-address",
    "client-ca-file",
    "default-not-ready-toleration-seconds",
    "default-unreachable-toleration-seconds",
    "disable-admission-plugins",
    "enable-admission-plugins",
    "enable-aggregator-routing",
    "enable-bootstrap-token-auth",
    "encryption-provider-config",
    "encryption-provider-config-automatic-reload",
    "etcd-cafile",
    "etcd-certfile",
    "etcd-compaction-interval",
    "etcd-keyfile",
    "etcd-prefix",
    "etcd-servers",
    "event-ttl",
    "goaway-chance",
    "kubelet-certificate-authority",
    "kubelet-client-certificate",
    "kubelet-client-key",
    "kubelet-preferred-address-types",
    "max-mutating-requests-inflight",
    "max-requests-inflight",
    "oidc-client-id",
    "oidc-groups-claim",
    "oidc-issuer-url",
    "oidc-username-claim",
    "profiling",
    "proxy-client-cert-file",
    "proxy-client-key-file",
    "request-timeout",
    "requestheader-allowed-names",
    "requestheader-client-ca-file",
    "requestheader-extra-headers-prefix",
    "requestheader-group-headers",
    "requestheader-username-headers",
    "runtime-config",
    "secure-port",
    "service-account-issuer",
    "service-account-key-file",
    "service-account-lookup",
    "service-account-signing-key-file",
    "service-cluster-ip-range",
    "service-node-port-range",
    "shutdown-delay-duration",
    "tls-cert-file",
    "tls-cipher-suites",
    "tls-min-version",
    "tls-private-key-file",
    "watch-cache",
)
_HANDSHAKE = 10.0
_IDLE = 180.0
_LINGER = 1.0
_RENEW = 10.0


class ApiServer(ThreadingHTTPServer):
    """Serves an `Api` over TLS, one thread per connection."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, api: Api, *, port: int, tls: ssl.SSLContext, address: str = "") -> None:
        self.api = api
        self._tls = tls
        if not address and socket.has_dualstack_ipv6():
            self.address_family = socket.AF_INET6
        super().__init__((address, port), _Handler)

    def server_bind(self) -> None:
        """Take IPv4 and IPv6 on one socket where the node has both."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # HTTPServer's own method looks the node's name up, which takes long without DNS.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = socket.gethostname(), self.server_address[1]

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Do the TLS handshake in the connection's own thread, then serve it."""
        request.settimeout(_HANDSHAKE)
        secured = self._tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        try:
            secured.do_handshake()
        except OSError:
            _hang_up(secured)
            return
        secured.settimeout(_IDLE)
        super().process_request_thread(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent about callers who went away; report what is a defect."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def _hang_up(secured: ssl.SSLSocket) -> None:
    """Close after a failed handshake so that the caller still reads why.

    Closing with unread data would reset the connection and lose the alert on its way.
    """
    with socket.socket(fileno=secured.detach()) as plain:
        plain.settimeout(_LINGER)
        try:
            plain.shutdown(socket.SHUT_WR)
            while plain.recv(4096):
                pass
        except OSError:
            return


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: ApiServer

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        certificate: Any = self.connection.getpeercert()
        response = self.server.api.handle(
            Request(
                method=self.command,
                path=parts.path,
                query=dict(parse_qsl(parts.query, keep_blank_values=True)),
                body=self.rfile.read(length) if length else b"",
                content_type=self.headers.get("Content-Type", "application/json"),
                authorization=self.headers.get("Authorization", ""),
                subject=(certificate or {}).get("subject"),
            )
        )
        self.send_response(response.code)
        self.send_header("Content-Type", response.content_type)
        self._send_body(response)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - http.server's names

    def _send_body(self, response: Response) -> None:
        if isinstance(response.body, bytes):
            self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            self.wfile.write(response.body)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        self._stream(response.body)

    def _stream(self, lines: Iterator[bytes]) -> None:
        for line in lines:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Write nothing: a log line per request would drown the rest."""


def server_tls(*, certfile: str, keyfile: str, cafile: str) -> ssl.SSLContext:
    """Return a context that asks for client certificates and works without them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certfile, keyfile)
    if cafile:
        context.load_verify_locations(cafile=cafile)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


# What a new cluster has


def bootstrap(registry: Registry, *, client_ca: str, service_range: str) -> None:
    """Create the objects every API server makes sure of; existing ones are left alone.

    Raises:
        StoreError: etcd is not ready.
    """
    first = str(next(ipaddress.ip_network(service_range.split(",", maxsplit=1)[0]).hosts()))
    wanted: list[tuple[str, str, Obj]] = [
        *(
            ("namespaces", "", {"metadata": {"name": name}})
            for name in ("kube-system", "kube-public", "kube-node-lease", "default")
        ),
        *(
            (
                "priorityclasses",
                "",
                {"metadata": {"name": name}, "value": value, "globalDefault": False},
            )
            for name, value in (
                ("system-node-critical", 2000001000),
                ("system-cluster-critical", 2000000000),
            )
        ),
        *(("clusterroles", "", role) for role in _roles()),
        (
            "configmaps",
            "kube-system",
            {
                "metadata": {"name": "extension-apiserver-authentication"},
                "data": {"client-ca-file": client_ca},
            },
        ),
        (
            "services",
            "default",
            {
                "metadata": {
                    "name": "kubernetes",
                    "labels": {"component": "apiserver", "provider": "kubernetes"},
                },
                "spec": {
                    "clusterIP": first,
                    "clusterIPs": [first],
                    "ports": [{"name": "https", "port": 443, "targetPort": 6443}],
                },
            },
        ),
    ]
    for plural, namespace, body in wanted:
        try:
            registry.create(named(plural), namespace, body)
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise


def _roles() -> list[Obj]:
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    reading = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}
    writing = everything | {
        "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"]
    }
    rules = {"cluster-admin": everything, "admin": writing, "edit": writing, "view": reading}
    return [{"metadata": {"name": name}, "rules": [rule]} for name, rule in rules.items()]


def _identity() -> str:
    digest = hashlib.sha256(socket.gethostname().encode()).digest()[:16]
    return f"apiserver-{base64.b32encode(digest).decode().rstrip('=').lower()}"


def _renew_identity(registry: Registry, holder: str) -> None:
    """Keep this server's identity lease, as `kubectl get lease -n kube-system` shows it."""
    leases, name = named("leases"), _identity()

    def renew(lease: Obj) -> Obj:
        lease["spec"] |= {"holderIdentity": holder, "renewTime": micro_stamp()}
        return lease

    body = {
        "metadata": {
            "name": name,
            "labels": {
                "apiserver.kubernetes.io/identity": "kube-apiserver",
                "kubernetes.io/hostname": socket.gethostname(),
            },
        },
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": 3600,
            "renewTime": micro_stamp(),
        },
    }
    try:
        registry.update(leases, "kube-system", name, renew)
    except StatusError:
        registry.create(leases, "kube-system", body)


def _background(api: Api, *, client_ca: str, service_range: str) -> None:
    holder = f"{_identity()}_{uuid.uuid4()}"
    pause, clock = 0.2, threading.Event()
    while not clock.wait(pause):
        try:
            bootstrap(api.registry, client_ca=client_ca, service_range=service_range)
            api.health.mark_bootstrapped()
            _renew_identity(api.registry, holder)
            pause = _RENEW
        except (StoreError, StatusError):
            pause = min(1.0, pause * 2)


# The program


def main(argv: list[str]) -> int:
    """Run the server until SIGTERM; return the exit status."""
    try:
        flags = parse(argv, _FLAGS)
    except FlagError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    version = flags.get("rehearsal-version") or os.environ.get("REHEARSAL_VERSION", "")
    if not version:
        sys.stderr.write("Error: --rehearsal-version must say which version to play\n")
        return 1
    try:
        server = _prepare(flags, version)
    except OSError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    sys.stderr.write(f'"Serving securely" address="[::]:{server.server_port}"\n')
    server.serve_forever(poll_interval=3600)
    return 0


def _prepare(flags: dict[str, str], version: str) -> ApiServer:
    store = EtcdStore(
        flags.get("etcd-servers", "http://127.0.0.1:2379").split(","),
        cafile=flags.get("etcd-cafile", ""),
        certfile=flags.get("etcd-certfile", ""),
        keyfile=flags.get("etcd-keyfile", ""),
    )
    hub = Hub(store)
    service_range = flags.get("service-cluster-ip-range", "10.0.0.0/24")
    api = Api(
        store,
        hub,
        version=version.removeprefix("v"),
        service_range=service_range,
        token_auth=flags.get("enable-bootstrap-token-auth") == "true",
    )
    authority = flags.get("client-ca-file", "")
    tls = server_tls(
        certfile=flags["tls-cert-file"], keyfile=flags["tls-private-key-file"], cafile=authority
    )
    client_ca = ""
    if authority:
        with open(authority, encoding="utf-8") as file:
            client_ca = file.read()
    address = flags.get("bind-address", "")
    server = ApiServer(
        api,
        port=int(flags.get("secure-port", "6443")),
        tls=tls,
        address="" if address in ("0.0.0.0", "::") else address,  # noqa: S104 - a flag's value
    )
    hub.start()
    threading.Thread(
        target=_background,
        args=(api,),
        kwargs={"client_ca": client_ca, "service_range": service_range},
        daemon=True,
    ).start()
    return server


def _end(_signal: int, _frame: Any) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
