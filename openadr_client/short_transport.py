"""Requests of a program that sends a few and ends: Python's own HTTP client in a thread, instead of aiohttp.

Importing aiohttp takes as much processor time as all the rest of a short command, and a command such as ``oadr event
list`` sends two requests, one after the other.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Final, TypeVar
from urllib.parse import urlencode, urlsplit

from openadr_client.errors import AnswerTooLarge, UnexpectedAnswer, Unreachable, UntrustedServer
from openadr_client.transport import ACCEPTED, MAX_BODY, Answer, BaseTransport, origin, unreachable

T = TypeVar("T")

_CHUNK: Final = 65536
_READABLE: Final = ",/:@"
_FORM: Final = "application/x-www-form-urlencoded"


class ShortTransport(BaseTransport):
    """Sends single requests, each on a connection of its own."""

    def open(self) -> None:
        """Make connections possible: there is nothing to do."""

    async def close(self) -> None:
        """Close all connections: each ends with its request."""

    async def _send(
        self,
        method: str,
        url: str,
        query: Iterable[tuple[str, str]],
        headers: Mapping[str, str],
        body: bytes | None,
        form: Mapping[str, str] | None,
    ) -> Answer:
        sent = {"User-Agent": self._user_agent, "Accept": ACCEPTED, "Accept-Encoding": "gzip", **headers}
        if body is None and form is not None:
            sent["Content-Type"], body = _FORM, urlencode(form).encode()
        try:
            connection, path = self._connection(url)
        except (ValueError, http.client.InvalidURL) as error:
            raise Unreachable(f"{url} is not a usable URL", was_sent=False, is_lasting=True) from error
        if pairs := list(query):
            path += f"?{urlencode(pairs, safe=_READABLE)}"

        sockets: list[socket.socket] = []
        over = threading.Event()

        def exchange() -> Answer:
            try:
                connection.connect()
                sockets.append(connection.sock)
                if over.is_set():
                    raise TimeoutError  # nobody waits any more: nothing is sent
                connection.request(method, path, body, sent)
                with connection.getresponse() as response:
                    return Answer(response.status, response.headers, _whole_body(response, url))
            finally:
                connection.close()

        try:
            async with asyncio.timeout(self._timeout_s):
                return await _in_thread(exchange)
        except ssl.SSLError as error:
            raise UntrustedServer(f"no trusted TLS connection to {origin(url)}: {error}") from error
        except http.client.InvalidURL as error:
            raise Unreachable(f"{url} is not a usable URL", was_sent=False, is_lasting=True) from error
        except TimeoutError as error:
            late = f"no answer from {origin(url)} within {self._timeout_s:g} s"
            raise Unreachable(late, was_sent=bool(sockets)) from error
        except (http.client.HTTPException, OSError) as error:
            raise unreachable(url, error, was_sent=bool(sockets)) from error
        finally:
            over.set()
            for each in sockets:  # in case the thread still waits for it
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _connection(self, url: str) -> tuple[http.client.HTTPConnection, str]:
        """Return a connection that is not made yet, and the path to ask for."""
        parts = urlsplit(url)
        if parts.hostname is None:
            raise ValueError("no host")
        path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        if parts.scheme.lower() == "https":
            context, port = self.context, parts.port
            return http.client.HTTPSConnection(parts.hostname, port, timeout=self._timeout_s, context=context), path
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=self._timeout_s), path


def _whole_body(response: http.client.HTTPResponse, url: str) -> bytes:
    """Read a body, unpacked if it is packed, and no more of it than is allowed."""
    unpack = zlib.decompressobj(31) if response.headers.get("Content-Encoding") == "gzip" else None
    body = bytearray()
    while chunk := response.read(_CHUNK):
        body += chunk if unpack is None else _unpacked(unpack.decompress, chunk, MAX_BODY + 1 - len(body))
        if len(body) > MAX_BODY:
            raise AnswerTooLarge(f"{origin(url)} sent more than {MAX_BODY} bytes in one answer")
    if response.length:
        raise http.client.IncompleteRead(bytes(body), response.length)
    if unpack is not None and not unpack.eof:
        raise UnexpectedAnswer(f"{origin(url)} sent an answer that ends too early")
    return bytes(body)


def _unpacked(decompress: Callable[[bytes, int], bytes], chunk: bytes, most: int) -> bytes:
    try:
        return decompress(chunk, most)
    except zlib.error as error:
        raise UnexpectedAnswer(f"an answer that is said to be gzip cannot be unpacked: {error}") from error


async def _in_thread(work: Callable[[], T]) -> T:
    """Do something in a thread that does not outlive the program, whatever it waits for."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type] # there is a result where there is no error

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except Exception as error:
            failure = error
        with suppress(RuntimeError):  # nobody waits any more, and the loop is closed
            loop.call_soon_threadsafe(tell, result, failure)

    threading.Thread(target=run, name="request", daemon=True).start()
    return await done
