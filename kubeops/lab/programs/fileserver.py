"""Serves a directory over HTTP inside a lab's hub: the nodes' package repository.

Run by path with nothing but the standard library; joins the cgroup it is given first thing.
"""

import argparse
import functools
import os
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer


class Handler(SimpleHTTPRequestHandler):
    """Keeps connections open, as apt likes it, and only logs what fails."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing: a request that is answered is no news."""


class Server(ThreadingHTTPServer):
    """Binds without asking name servers what it is called: there may be none."""

    def server_bind(self) -> None:
        """Bind as any TCP server does."""
        TCPServer.server_bind(self)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cgroup", type=Path, required=True)
    parser.add_argument("--listen", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--directory", required=True)
    arguments = parser.parse_args()
    (arguments.cgroup / "cgroup.procs").write_text(str(os.getpid()))
    handler = functools.partial(Handler, directory=arguments.directory)
    Server((arguments.listen, arguments.port), handler).serve_forever()


if __name__ == "__main__":
    main()
