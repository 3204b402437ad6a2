"""A VTN without our extensions: ours behind a relay that answers for them as other servers do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@contextmanager
def without_extensions(url: str, *, status: int, body: bytes) -> Iterator[str]:
    """Yield the base URL of a VTN that answers ``GET`` of them with a status and a body, and all else as `url`."""
    real = urlsplit(url)

    class Relay(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if urlsplit(self.path).path.removeprefix(real.path) in {"/contacts", "/subscription_health"}:
                self._answer(status, "text/html", body)
                return
            self._pass_on()

        def do_POST(self) -> None:
            self._pass_on()

        def do_PUT(self) -> None:
            self._pass_on()

        def do_DELETE(self) -> None:
            self._pass_on()

        def log_message(self, *_: object) -> None:
            pass

        def _pass_on(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "accept-encoding"}
            connection = HTTPConnection(real.netloc, timeout=30)
            try:
                connection.request(self.command, self.path, body=sent, headers=headers)
                answer = connection.getresponse()
                self._answer(answer.status, answer.headers["Content-Type"] or "", answer.read())
            finally:
                connection.close()

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Relay) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{real.path}"
        finally:
            server.shutdown()
            thread.join()
