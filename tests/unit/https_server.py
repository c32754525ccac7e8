"""A real HTTPS server on 127.0.0.1 that answers as a test tells it to."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from localcloud.certs import ensure_certificates


@dataclass(frozen=True)
class Recorded:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpsServer:
    """`respond` writes the whole answer. `stopping` is set when the test is over: slow answers wait for it."""

    url: str = ""
    requests: list[Recorded] = field(default_factory=list)
    respond: Callable[[BaseHTTPRequestHandler], None] = lambda handler: send(handler, 404, b"")
    stopping: threading.Event = field(default_factory=threading.Event)


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def serve(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpsServer]:
    """Runs while the context lasts; clients of this process trust it through REQUESTS_CA_BUNDLE."""
    ensure_certificates(folder)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder / "certs" / "ca.pem"))
    for proxy in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certs" / "server.pem", folder / "certs" / "server.key")
    script = HttpsServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            script.requests.append(Recorded(self.path, dict(self.headers.items()), body))
            script.respond(self)

        def do_GET(self) -> None:
            script.requests.append(Recorded(self.path, dict(self.headers.items()), b""))
            script.respond(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Clients that hang up are part of the tests."""

    with Server(("127.0.0.1", 0), Handler) as server:
        # Handshakes belong into the handlers' threads, or one bad client would block the others.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        script.url = f"https://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield script
        finally:
            script.stopping.set()
            server.shutdown()
            thread.join()
