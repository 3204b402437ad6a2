"""The load generator: keep-alive connections with one request under way each, and every answer looked at.

It must never be what limits a measurement: requests are ready bytes, an answer costs one read of its head, and bodies
are read into one buffer per connection and dropped. ``Sample.generator_cpu`` shows whether it was the limit.
"""

from __future__ import annotations

import asyncio
import gc
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

from bench.errors import WrongAnswer
from bench.wire import HEAD_END, Address, Head, chunked_end, read_head

_BUFFER = 512 * 1024
_PATIENCE_S = 60.0

Requests = Callable[[], bytes]
"""Gives the next request to send; StopIteration when there are no more."""


@dataclass(slots=True)
class Sample:
    """The result of one run of load. ``latencies_s`` has an entry for every answer that came within ``seconds``."""

    seconds: float
    latencies_s: array[float]
    bytes_received: int = 0
    generator_cpu: float = 0.0
    """Part of one core that the generator used."""

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies_s) / self.seconds


@dataclass(slots=True)
class _Run:
    requests: Requests
    expect: int
    pace_s: float | None
    deadline: float = 0.0
    latencies: array[float] = field(default_factory=lambda: array("d"))
    received: int = 0
    failure: BaseException | None = None

    def fail(self, error: BaseException) -> None:
        self.failure = self.failure or error


class _Connection(asyncio.BufferedProtocol):
    """One connection. ``done`` is set when it has had its last answer, or failed."""

    def __init__(self, run: _Run, loop: asyncio.AbstractEventLoop) -> None:
        self._run = run
        self._loop = loop
        self.done: asyncio.Future[None] = loop.create_future()
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._filled = 0
        self._head: Head | None = None
        self._missing = 0
        self._chunks = bytearray()
        self._sent_at = 0.0
        self._due = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without saying so

    def start(self) -> None:
        """Send the first request."""
        self._due = time.perf_counter()
        self._send()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._run.received += nbytes
        try:
            if self._head is None:
                self._read_head(nbytes)
            elif self._head.length is None:
                self._chunks += self._view[:nbytes]
            else:
                self._missing -= nbytes
            if self._head is not None:
                self._finish_if_whole(self._head)
        except (WrongAnswer, ValueError) as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self._fail(exc or WrongAnswer("the server hung up in the middle of an answer"))

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    def _send(self) -> None:
        assert self._transport is not None
        try:
            request = self._run.requests()
        except StopIteration:
            self._stop()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def _read_head(self, nbytes: int) -> None:
        filled = self._filled + nbytes
        end = self._buffer.find(HEAD_END, 0, filled)
        if end < 0:
            if filled == _BUFFER:
                raise WrongAnswer("the head of an answer does not end")
            self._filled = filled
            return
        self._filled = 0
        self._head = head = read_head(bytes(self._view[:end]))
        body = end + len(HEAD_END)
        if head.status != self._run.expect:
            start = bytes(self._view[body : min(filled, body + 300)])
            raise WrongAnswer(f"status {head.status} instead of {self._run.expect}: {start!r}")
        if head.length is None:
            self._chunks[:] = self._view[body:filled]
        else:
            self._missing = head.length - (filled - body)

    def _finish_if_whole(self, head: Head) -> None:
        if head.length is None:
            end = chunked_end(self._chunks)
            if end is None:
                return
            self._missing = end - len(self._chunks)
        if self._missing > 0:
            return
        if self._missing < 0:
            raise WrongAnswer("the answer is longer than it says")
        if head.closes:
            raise WrongAnswer("the server closes the connection after an answer; keep-alive is needed")
        self._head = None
        self._answered()

    def _answered(self) -> None:
        now = time.perf_counter()
        run = self._run
        if now <= run.deadline:
            run.latencies.append(now - self._sent_at)
        if now >= run.deadline or run.failure is not None:
            self._stop()
        elif run.pace_s is None:
            self._send()
        else:
            self._due = max(self._due + run.pace_s, now)
            self._loop.call_later(self._due - now, self._send_if_time)

    def _send_if_time(self) -> None:
        if time.perf_counter() >= self._run.deadline or self._run.failure is not None:
            self._stop()
        else:
            self._send()

    def _stop(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def _fail(self, error: BaseException) -> None:
        self._run.fail(error)
        self._stop()


async def load(
    address: Address,
    requests: Requests,
    *,
    connections: int,
    seconds: float,
    expect: int,
    per_second: float | None = None,
) -> Sample:
    """Send requests over ``connections`` for ``seconds`` or until there are no more, each after the previous answer.

    With ``per_second`` all connections together send that many, evenly; a slow answer is not made up for.

    Raises:
        WrongAnswer: an answer has another status than ``expect``, is cut off, or the server hangs up.
    """
    loop = asyncio.get_running_loop()
    run = _Run(requests, expect, None if per_second is None else connections / per_second)
    open_: list[_Connection] = []
    try:
        for _ in range(connections):
            _, connection = await loop.create_connection(
                lambda: _Connection(run, loop), address.host, address.port, ssl=address.tls
            )
            open_.append(connection)
        with _undisturbed():
            cpu = time.process_time()
            started = time.perf_counter()
            run.deadline = started + seconds
            for connection in open_:
                connection.start()
            await asyncio.wait_for(asyncio.gather(*(each.done for each in open_)), seconds + _PATIENCE_S)
            elapsed = time.perf_counter() - started
            cpu = time.process_time() - cpu
    except OSError as error:
        raise WrongAnswer(f"cannot connect to {address.url}: {error}") from error
    except TimeoutError as error:
        raise WrongAnswer(f"{address.url} does not answer within {_PATIENCE_S:g} s") from error
    finally:
        for connection in open_:
            connection.done.cancel()
            connection.close()
    if run.failure is not None:
        raise run.failure if isinstance(run.failure, WrongAnswer) else WrongAnswer(str(run.failure))
    return Sample(min(seconds, elapsed), run.latencies, run.received, cpu / elapsed)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Spare what is measured the pauses of the garbage collector: one takes 100 ms of this process.

    A load that begins or ends beside another one, a probe for instance, leaves the collector as it is.
    """
    if not gc.isenabled():
        yield
        return
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
