"""What can go wrong between a client and the API server, in the words kubectl and kubeadm use."""

import http.client
import json
import socket
import ssl
from typing import Any

Obj = dict[str, Any]

UNAUTHORIZED = {"kind": "Status", "status": "Failure", "message": "Unauthorized", "code": 401}


class ApiError(Exception):
    """The server answered with a failure.

    Attributes:
        status: HTTP status.
        reason: machine reason such as `NotFound`, `AlreadyExists`, `Conflict`, `TooManyRequests`.
        message: the server's sentence.
        body: the whole Status object.
    """

    def __init__(self, status: int, reason: str, message: str, body: Obj | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.body = body or {}


class UnreachableError(Exception):
    """No answer came from the server.

    Attributes:
        cause: what Go's HTTP stack would say, such as
            `dial tcp 10.0.0.1:6443: connect: connection refused`.
        request: method and URL as Go writes them: `Get "https://..."`.
        server: `host:port`.
    """

    def __init__(self, *, cause: str, request: str, server: str) -> None:
        super().__init__(f"{request}: {cause}")
        self.cause = cause
        self.request = request
        self.server = server

    def as_kubectl(self) -> str:
        """Return the sentence kubectl prints for it."""
        if self.cause.endswith("connection refused"):
            return (
                f"The connection to the server {self.server} was refused"
                " - did you specify the right host or port?"
            )
        return f"Unable to connect to the server: {self.cause}"


def refused_certificate(error: BaseException) -> bool:
    """Whether the server turned our certificate down.

    A real server lets such a client in and answers 401; OpenSSL's server ends the handshake, which
    reaches us as an alert. Both mean the same to the caller.
    """
    reason = getattr(error, "reason", None) or ""
    return isinstance(error, ssl.SSLError) and any(
        word in reason for word in ("ALERT_CERTIFICATE", "ALERT_UNKNOWN_CA", "ALERT_BAD_CERT")
    )


def go_text(error: BaseException, server: str) -> str:
    """Return what Go's HTTP stack would say for a failure to talk to `server` (`host:port`)."""
    text = "EOF"
    if isinstance(error, ssl.SSLEOFError):
        return text
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"tls: failed to verify certificate: x509: {_x509_text(error)}"
    elif isinstance(error, TimeoutError):
        text = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    elif isinstance(error, ConnectionRefusedError):
        text = f"dial tcp {server}: connect: connection refused"
    elif isinstance(error, socket.gaierror):
        text = f"dial tcp: lookup {server.rsplit(':', 1)[0]}: no such host"
    elif isinstance(error, ssl.SSLError):
        text = f"remote error: tls: {(error.reason or str(error)).lower().replace('_', ' ')}"
    elif isinstance(error, OSError) and error.strerror:
        text = f"dial tcp {server}: connect: {error.strerror.lower()}"
    return text


def _x509_text(error: ssl.SSLCertVerificationError) -> str:
    message = error.verify_message
    if "expired" in message or "not yet valid" in message:
        return "certificate has expired or is not yet valid"
    if "self-signed" in message or "unable to get" in message or "signature failure" in message:
        return "certificate signed by unknown authority"
    return message


def failure(status: int, body: bytes, decoded: Obj | None = None) -> ApiError:
    """Return the error for an answer that is not a success, whatever its body is."""
    if decoded is None:
        try:
            decoded = json.loads(body)
        except ValueError:
            decoded = None
    if not isinstance(decoded, dict) or decoded.get("kind") != "Status":
        text = body.decode(errors="replace")
        return ApiError(status, "", text or http.client.responses.get(status, ""), None)
    return ApiError(status, decoded.get("reason", ""), decoded.get("message", ""), decoded)
