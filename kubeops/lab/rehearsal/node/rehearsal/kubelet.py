"""The kubelet stand-in: static pods are processes, ordinary pods are pretence.

Real are its flags, its files, its TLS bootstrap by certificate signing request, the Node and Lease
it keeps, mirror pods, `/healthz` on 10248 and a TLS listener on 10250 (which refuses every request:
there are no logs, exec or metrics). Not there: cgroups, resource limits, probes of ordinary pods,
volumes, eviction, garbage collection, client certificate rotation.
"""

import http.server
import signal
import ssl
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehearsal import cobra, faults, files, pki
from rehearsal.apierrors import ApiError, UnreachableError
from rehearsal.client import Client
from rehearsal.cobra import Given
from rehearsal.faults import Orders
from rehearsal.kubelet_node import NodeKeeper, Options, connect, host_address
from rehearsal.kubelet_pods import Pods
from rehearsal.kubelet_static import StaticPods
from rehearsal.layout import Layout
from rehearsal.runtime import Runtime

STATIC_SECONDS = 0.2
TICK_SECONDS = 0.25
LEASE_SECONDS = 10.0
STATUS_SECONDS = 60.0
FLAGS = cobra.Spec(
    values=(
        "bootstrap-kubeconfig",
        "kubeconfig",
        "config",
        "node-ip",
        "node-labels",
        "hostname-override",
        "register-with-taints",
        "container-runtime-endpoint",
        "v",
        "pod-infra-container-image",
        "cgroup-driver",
        "cloud-provider",
        "image-credential-provider-bin-dir",
    ),
    switches=("version", "fail-cgroupv1", "fail-swap-on"),
)


class KubeletError(Exception):
    """The kubelet cannot start; the text is the one of the real kubelet."""


def main(argv: Sequence[str], version: str, *, layout: Layout | None = None) -> int:
    """Run `kubelet` with `argv` until SIGTERM. Returns the exit status."""
    layout = layout or Layout()
    try:
        given = cobra.parse(argv, FLAGS)
        if given.switch("version"):
            files.say(f"Kubernetes {version}")
            return 0
        _no_words(given)
        config = _config(given.value("config"))
        options = _options(given, version, layout)
    except cobra.FlagError as error:
        _log(f'"command failed" err="failed to parse kubelet flag: {error}"', level="E")
        return 1
    except KubeletError as error:
        _log(f'"command failed" err="{error}"', level="E")
        return 1
    _log(f'"Kubelet version" kubeletVersion="{version}"')
    return Kubelet(layout=layout, options=options, config=config).run()


def _no_words(given: Given) -> None:
    if given.words:
        raise KubeletError(f"unknown command {given.words}")


def _config(path: str) -> dict[str, Any]:
    file = Path(path or "/var/lib/kubelet/config.yaml")
    try:
        config = files.load_yaml(file.read_text())
    except FileNotFoundError as error:
        raise KubeletError(
            f"failed to load kubelet config file, path: {file}, error: failed to load "
            "Kubelet config file "
            f'{file}, error failed to read kubelet config file \\"{file}\\", error: open {file}: '
            "no such file or directory"
        ) from error
    except Exception as error:
        raise KubeletError(
            f"failed to load kubelet config file, path: {file}, error: {error}"
        ) from error
    if not isinstance(config, dict) or config.get("kind") != "KubeletConfiguration":
        raise KubeletError(
            f"failed to load kubelet config file, path: {file}, error: failed to load "
            "Kubelet config file "
            f"{file}, error couldn't get version/kind; json parse error"
        )
    return config


def _options(given: Given, version: str, layout: Layout) -> Options:
    conf = given.value("kubeconfig") or str(layout.kubelet_conf)
    bootstrap = given.value("bootstrap-kubeconfig") or str(layout.bootstrap_conf)
    if not Path(conf).exists() and not Path(bootstrap).exists():
        raise KubeletError(
            "failed to run Kubelet: unable to load bootstrap kubeconfig: stat "
            f"{bootstrap}: no such file or directory"
        )
    labels = dict(
        pair.split("=", 1) for pair in given.value("node-labels").split(",") if "=" in pair
    )
    taints = tuple(_taint(text) for text in given.value("register-with-taints").split(",") if text)
    return Options(
        name=(given.value("hostname-override") or _hostname()).lower(),
        version=version,
        node_ip=given.value("node-ip"),
        labels=labels,
        taints=taints,
        kubeconfig=conf,
        bootstrap=bootstrap,
    )


def _taint(text: str) -> dict[str, str]:
    rest, _, effect = text.rpartition(":")
    key, _, value = rest.partition("=")
    return {"key": key, "effect": effect} | ({"value": value} if value else {})


def _hostname() -> str:
    import socket  # noqa: PLC0415 - one use

    return socket.gethostname()


@dataclass(kw_only=True)
class Kubelet:
    """One kubelet, from its start to its end."""

    layout: Layout
    options: Options
    config: dict[str, Any]
    orders: Orders = field(default_factory=Orders)
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> int:
        """Work until SIGTERM."""
        runtime = Runtime(layout=self.layout)
        static = StaticPods(
            runtime=runtime,
            folder=Path(self.config.get("staticPodPath") or "/etc/kubernetes/manifests"),
            node=self.options.name,
            log=_log,
        )
        keeper = NodeKeeper(
            layout=self.layout, options=self.options, runtime=runtime, orders=self.orders, log=_log
        )
        pods = Pods(
            node=self.options.name,
            runtime=runtime,
            static=static,
            keeper=keeper,
            address=lambda: self.options.node_ip or host_address(),
            log=_log,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.ended.set())
        static.adopt()
        try:
            self._listen()
        except OSError as error:
            _log(f'"Failed to start healthz server" err="{error}"', level="E")
            return 1
        threading.Thread(target=self._talk, args=(keeper, pods), daemon=True).start()
        while not self.ended.wait(STATIC_SECONDS):
            try:
                static.sync()
            except OSError as error:  # a full or read-only disk must not end the kubelet
                _log(f'"Static pods" err="{error}"', level="E")
        return 0

    def _talk(self, keeper: NodeKeeper, pods: Pods) -> None:
        client: Client | None = None
        while client is None and not self.ended.is_set():
            client = connect(self.layout, self.options, _log)
            if client is None:
                self.ended.wait(0.5)
        if client is None:
            return
        self._until(lambda: keeper.register(client))
        threading.Thread(target=self._follow, args=(client, pods), daemon=True).start()
        lease = status = 0.0
        while not self.ended.wait(TICK_SECONDS):
            try:
                moment = time.monotonic()
                if moment - lease >= LEASE_SECONDS:
                    keeper.beat(client)
                    lease = moment
                if moment - status >= STATUS_SECONDS or keeper.changed():
                    keeper.post(client)
                    status = moment
                pods.tick(client)
            except ApiError as error:
                _log(f'"Error updating node status, will retry" err="{error}"', level="E")
                self.ended.wait(1.0)
            except UnreachableError as error:
                _log(f'"Unable to reach the API server" err="{error}"', level="E")
                self.ended.wait(0.5)
            except OSError as error:
                _log(f'"Pods" err="{error}"', level="E")
                self.ended.wait(1.0)

    def _follow(self, client: Client, pods: Pods) -> None:
        while not self.ended.is_set():
            try:
                pods.follow(client)
            except (ApiError, UnreachableError) as error:
                _log(f'"Watch of pods ended" err="{error}"')
                self.ended.wait(0.5)

    def _until(self, action: Any) -> None:
        last = ""
        while not self.ended.is_set():
            try:
                action()
            except (ApiError, UnreachableError) as error:
                if str(error) != last:
                    last = str(error)
                    _log(f'"Unable to register node with API server" err="{error}"', level="E")
                self.ended.wait(0.3)
            else:
                return

    def _listen(self) -> None:
        address = self.config.get("healthzBindAddress") or "127.0.0.1"
        health = http.server.ThreadingHTTPServer(
            (address, int(self.config.get("healthzPort") or 10248)), _Health
        )
        threading.Thread(target=health.serve_forever, daemon=True).start()
        stem = self.layout.kubelet / "pki/kubelet"
        if not stem.with_name("kubelet.crt").exists():
            ca = pki.authority(f"{self.options.name}-ca@{int(time.time())}")
            pair = pki.issue(
                ca, pki.Request(name=self.options.name, dns=(self.options.name,), server=True)
            )
            pair.write(stem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{stem}.crt", f"{stem}.key")
        server = http.server.ThreadingHTTPServer(("0.0.0.0", 10250), _Refuse)  # noqa: S104 - as the kubelet does
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()


class _Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = self.path == "/healthz"
        self.send_response(200 if found else 404)
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(b"ok" if found else b"404 page not found\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing: health checks come every second."""


class _Refuse(_Health):
    def do_GET(self) -> None:
        self.send_response(401)
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(b"Unauthorized")


def _log(text: str, *, level: str = "I") -> None:
    files.warn(files.klog("kubelet.go:1", text, level=level))


def run(argv: Sequence[str], version: str) -> int:
    """Run the kubelet under the orders for faults; the launcher's entry."""
    return faults.call("kubelet", argv, lambda _: main(argv, version))


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], "v0.0.0+rehearsal"))
