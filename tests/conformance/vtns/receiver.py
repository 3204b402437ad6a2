"""A webhook over HTTPS that answers the VTN's challenge at once and its notifications hardly ever."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from oadr_conformance import ReceiverAddress

from bench.support.net import free_port
from tests.support.pki import Pki, server_context

_NEVER_S = 10.0


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    stopping: threading.Event


class _Receiver(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """Prove that the URL is ours: send the echo back."""
        echo = parse_qs(urlsplit(self.path).query).get("echo", [""])[0]
        self._answer(echo.encode())

    def do_POST(self) -> None:
        """Let the VTN wait."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.stopping.wait(_NEVER_S)
        self._answer(b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def receiver_of(pki: Pki) -> ReceiverAddress:
    """Return a place for the suite's own receiver, on a free port, with a certificate of this authority."""
    files = pki.server()
    return ReceiverAddress(f"https://127.0.0.1:{free_port()}", certificate=files.certificate, key=files.key)


@contextmanager
def receiver(directory: Path) -> Iterator[tuple[str, Pki]]:
    """Yield a running webhook: its URL, and the authority that vouches for it."""
    pki = Pki(Path(tempfile.mkdtemp(prefix="receiver-", dir=directory)), now=lambda: datetime.now(UTC))
    server = _Server(("127.0.0.1", 0), _Receiver)
    server.stopping = threading.Event()
    server.socket = server_context(pki.server()).wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}/callback", pki
    finally:
        server.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()
