"""Balances TCP connections over a lab's control planes, inside its hub: the API's endpoint.

Run by path with nothing but the standard library; joins the cgroup it is given first thing.

It behaves as HAProxy does with `option httpchk GET /readyz` and `on-marked-down shutdown-sessions`:

* Every backend's /readyz is asked all the time, over TLS and without verification.
* A new connection goes to the ready backend with the fewest; if none is, to any that accepts.
* A backend that refuses or is silent when a connection is opened is passed over for the next.
* The connections of a backend that has stopped answering are closed, so that clients connect anew.
"""

import argparse
import asyncio
import contextlib
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path

INTERVAL = 0.5  # seconds between two health checks of a backend
TIMEOUT = 1.5  # seconds a backend may take to accept a connection, or to answer a health check
FALL = (
    2  # health checks in a row that a backend leaves unanswered before its connections are closed
)
CHUNK = 65536

Address = tuple[str, int]
Writers = tuple[asyncio.StreamWriter, asyncio.StreamWriter]


@dataclass
class Backend:
    """One API server: whether it is ready, how often in a row it was silent, who is connected."""

    address: Address
    ready: bool = False
    silent: int = 0
    connections: set[Writers] = field(default_factory=set)


class Balancer:
    """The backends, kept up to date with the file that names them, and the way to them."""

    def __init__(self, backends: Path) -> None:
        self._file = backends
        self._backends: dict[Address, Backend] = {}
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE

    async def watch(self) -> None:
        """Check every backend's health, for ever."""
        while True:
            self._read_backends()
            await asyncio.gather(*(self._check(backend) for backend in self._backends.values()))
            await asyncio.sleep(INTERVAL)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect a client to a backend and carry what they say, until both have ended."""
        for backend in self._in_order():
            upstream = await connect(backend.address)
            if upstream is None:
                backend.ready = False
                continue
            pair = (writer, upstream[1])
            backend.connections.add(pair)
            try:
                await asyncio.gather(carry(reader, upstream[1]), carry(upstream[0], writer))
            finally:
                backend.connections.discard(pair)
                close(upstream[1])
            break
        close(writer)

    def _in_order(self) -> list[Backend]:
        return sorted(
            self._backends.values(),
            key=lambda backend: (not backend.ready, backend.silent, len(backend.connections)),
        )

    def _read_backends(self) -> None:
        lines = self._file.read_text().splitlines()
        wanted = {(host, int(port)) for host, port in (line.split() for line in lines)}
        for address in wanted - self._backends.keys():
            self._backends[address] = Backend(address)
        for address in self._backends.keys() - wanted:
            drop(self._backends.pop(address))

    async def _check(self, backend: Backend) -> None:
        status = await ask(backend.address, tls=self._tls)
        backend.ready = status is not None and b" 200 " in status
        backend.silent = backend.silent + 1 if status is None else 0
        if backend.silent >= FALL:
            drop(backend)


async def connect(
    address: Address, *, tls: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    """Open a connection; None when it is refused or takes too long."""
    try:
        return await asyncio.wait_for(asyncio.open_connection(*address, ssl=tls), TIMEOUT)
    except (OSError, TimeoutError):  # ssl.SSLError is an OSError
        return None


async def ask(address: Address, *, tls: ssl.SSLContext) -> bytes | None:
    """The first line of the answer to `GET /readyz`; None when there is none in time."""
    streams = await connect(address, tls=tls)
    if streams is None:
        return None
    reader, writer = streams
    try:
        writer.write(b"GET /readyz HTTP/1.0\r\nHost: readyz\r\n\r\n")
        return await asyncio.wait_for(reader.readline(), TIMEOUT) or None
    except (OSError, TimeoutError):
        return None
    finally:
        close(writer)


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what is read, then its end; a broken connection ends both directions."""
    try:
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        close(writer)


def drop(backend: Backend) -> None:
    """Close every connection to `backend`, at both ends and at once."""
    for pair in tuple(backend.connections):
        for writer in pair:
            writer.transport.abort()


def close(writer: asyncio.StreamWriter) -> None:
    """Close a connection that may be broken already."""
    with contextlib.suppress(OSError):
        writer.close()


async def run(arguments: argparse.Namespace) -> None:
    """Listen and watch until killed."""
    balancer = Balancer(arguments.backends)
    server = await asyncio.start_server(balancer.serve, arguments.listen, arguments.port)
    async with server:
        await balancer.watch()


def main() -> None:
    """Balance until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cgroup", type=Path, required=True)
    parser.add_argument("--listen", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--backends", type=Path, required=True)
    arguments = parser.parse_args()
    (arguments.cgroup / "cgroup.procs").write_text(str(os.getpid()))
    asyncio.run(run(arguments))


if __name__ == "__main__":
    main()
