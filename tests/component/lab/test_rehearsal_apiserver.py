"""The API server's program, over HTTPS, on a real etcd with client certificates."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from rehearsal import pki
from rehearsal.apierrors import ApiError, UnreachableError
from rehearsal.client import Client
from rehearsal.kubeconfig import Access

ROOT = Path(__file__).parents[3] / "kubeops/lab/rehearsal/node"

pytestmark = pytest.mark.etcd


class Server(NamedTuple):
    """A running API server and its etcd."""

    url: str
    ca: pki.Pair
    process: subprocess.Popen[bytes]
    etcd: subprocess.Popen[bytes]


def etcd_binary() -> str:
    """Return an etcd: from PATH, or from the lab's base system."""
    found = shutil.which("etcd")
    bases = sorted(Path("/var/cache/kubeops/lab").glob("base-*/usr/bin/etcd"))
    return found or (str(bases[-1]) if bases else "")


def free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


def client(server: Server, *, user: str, group: str) -> Client:
    pair = pki.issue(server.ca, pki.Request(name=user, organizations=(group,), client=True))
    access = Access(
        server=server.url,
        ca=server.ca.certificate_pem.decode(),
        certificate=pair.certificate_pem.decode(),
        key=pair.key_pem.decode(),
    )
    return Client(access, timeout=10.0)


def until_ready(caller: Client, process: subprocess.Popen[bytes]) -> None:
    pause = time.monotonic() + 30
    while time.monotonic() < pause:
        assert process.poll() is None
        try:
            caller.raw("/readyz")
        except (ApiError, UnreachableError):
            continue
        return
    pytest.fail("the API server did not get ready in 30 s")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    binary = etcd_binary()
    if not binary:
        pytest.skip("no etcd on this machine")
    home = tmp_path_factory.mktemp("rehearsal")
    client_port, peer_port, api_port = free_ports(3)
    ca = pki.authority("kubernetes")
    ca.write(home / "ca")
    local = pki.Request(
        name="node1", dns=("localhost",), addresses=("127.0.0.1",), server=True, client=True
    )
    pki.issue(ca, local).write(home / "server")
    peer = f"http://127.0.0.1:{peer_port}"
    endpoint = f"https://127.0.0.1:{client_port}"
    etcd = subprocess.Popen(
        [
            binary,
            "--name=node1",
            f"--data-dir={home / 'etcd'}",
            f"--listen-client-urls={endpoint}",
            f"--advertise-client-urls={endpoint}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=node1={peer}",
            f"--cert-file={home / 'server.crt'}",
            f"--key-file={home / 'server.key'}",
            "--client-cert-auth=true",
            f"--trusted-ca-file={home / 'ca.crt'}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    api = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "rehearsal.apiserver",
            "--rehearsal-version=1.35.4",
            f"--secure-port={api_port}",
            "--bind-address=127.0.0.1",
            f"--client-ca-file={home / 'ca.crt'}",
            f"--tls-cert-file={home / 'server.crt'}",
            f"--tls-private-key-file={home / 'server.key'}",
            f"--etcd-servers={endpoint}",
            f"--etcd-cafile={home / 'ca.crt'}",
            f"--etcd-certfile={home / 'server.crt'}",
            f"--etcd-keyfile={home / 'server.key'}",
            "--enable-bootstrap-token-auth=true",
            "--service-cluster-ip-range=10.96.0.0/12",
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )
    try:
        running = Server(f"https://127.0.0.1:{api_port}", ca, api, etcd)
        with closing(client(running, user="admin", group="system:masters")) as caller:
            until_ready(caller, api)
        yield running
    finally:
        for process in (api, etcd):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()


@pytest.fixture(scope="module")
def admin(server: Server) -> Iterator[Client]:
    with closing(client(server, user="admin", group="system:masters")) as caller:
        yield caller


def test_objects_live_in_etcd_and_change_by_compare_and_swap(admin: Client) -> None:
    made = admin.create("configmaps", {"metadata": {"name": "a"}, "data": {"x": "1"}})
    admin.patch("configmaps", "a", {"data": {"x": "2"}}, namespace="default")
    with pytest.raises(ApiError) as caught:
        admin.replace("configmaps", made)
    assert caught.value.reason == "Conflict"
    assert admin.get("configmaps", "a", namespace="default")["data"] == {"x": "2"}


def test_a_watch_streams_what_happens(admin: Client) -> None:
    start = admin.list("configmaps", namespace="kube-public")["metadata"]["resourceVersion"]
    body = {"metadata": {"name": "w", "namespace": "kube-public"}}
    admin.create("configmaps", body)
    admin.delete("configmaps", "w", namespace="kube-public")
    watch = admin.watch("configmaps", namespace="kube-public", resource_version=start, timeout=20)
    seen = [next(watch)[0] for _ in range(2)]
    watch.close()  # type: ignore[attr-defined]  # it is a generator
    assert seen == ["ADDED", "DELETED"]


def test_a_certificate_of_another_authority_is_nobody(server: Server) -> None:
    other = server._replace(ca=pki.authority("somebody else"))
    stranger = client(other, user="admin", group="system:masters")
    access = stranger.access._replace(ca=server.ca.certificate_pem.decode())
    with closing(Client(access)) as trusting, pytest.raises(ApiError) as caught:
        trusting.list("nodes")
    assert caught.value.status == 401


def test_an_unknown_server_certificate_is_told_in_kubectls_words(server: Server) -> None:
    access = Access(server=server.url, ca=pki.authority("other").certificate_pem.decode())
    with pytest.raises(UnreachableError) as caught:
        Client(access).raw("/version")
    assert caught.value.as_kubectl() == (
        "Unable to connect to the server: tls: failed to verify certificate: x509: certificate"
        " signed by unknown authority"
    )


def test_without_etcd_the_server_is_not_ready_and_recovers(server: Server, admin: Client) -> None:
    server.etcd.send_signal(signal.SIGSTOP)
    # The signal is sent to all threads; one of them may still answer.
    os.waitid(os.P_PID, server.etcd.pid, os.WSTOPPED | os.WNOWAIT)
    try:
        with pytest.raises(ApiError) as caught:
            admin.raw("/readyz")
    finally:
        server.etcd.send_signal(signal.SIGCONT)
    assert caught.value.status == 500
    assert "[-]etcd failed: reason withheld" in caught.value.message
    until_ready(admin, server.process)


def test_sigterm_ends_it_at_once(server: Server) -> None:
    server.process.terminate()
    assert server.process.wait(timeout=10) == 0
