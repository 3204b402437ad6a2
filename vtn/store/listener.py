"""Receive notice of changes that other hosts made, through PostgreSQL's notifications (ETAG-003).

It runs in a thread with a loop and a connection of its own: a busy server must not take itself for a deaf one. Every
answer to its questions proves that all it should have heard when it asked has arrived; so it is current for a short
time after each question, and not at all while the connection is lost.

It asks steadily while somebody wants to know, and rests when nobody has for a moment: an idle server then takes no
processor time, and the first request afterwards reads the database, because the listener is not current.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final

import structlog
from sqlalchemy.engine import URL

from vtn.store.prepared import connect_arguments

_log = structlog.get_logger(__name__)

CHANNEL: Final = "openadr_changed"
APPLICATION: Final = "openadr-fleet listener"
"""Name of its connection in the server's list of connections."""

_ASK_EVERY_S: Final = 0.02
_CURRENT_FOR_S: Final = 0.08
_WANTED_FOR_S: Final = 1.0
"""Time after the last ``is_current`` for which it goes on asking. A request that comes later reads the database, which
costs as much as two or three questions."""
_REST_S: Final = 1.0
"""Time between two questions that nobody wants; they find a connection that is lost and a server that hangs."""
_RETRY_S: Final = 0.25
_ANSWER_S: Final = 1.0


class PostgresListener:
    """Listen to the triggers of migrations ``0003``, ``0011``, ``0019``, ``0021``, which name the table that changed.

    ``recorded`` is called, in a thread of its own, when somebody may have recorded changes in the outbox.
    """

    tables = frozenset(
        {
            "programs",
            "events",
            "vens",
            "resources",
            "notifications",
            "oadr20b_vens",
            "oadr20b_certificates",
            "oadr20b_outbox",
            "oadr20b_capabilities",
            "read_reports",
            "event_curve",
        }
    )

    def __init__(
        self, url: URL, *, clock: Callable[[], float] = time.monotonic, recorded: Callable[[], None] | None = None
    ) -> None:
        self._recorded = recorded
        self._arguments = connect_arguments(url)
        self._clock = clock
        self._counts = dict.fromkeys(self.tables, 0)
        self._missed = 0
        self._current_until = self._wanted_until = float("-inf")
        self._rests = False
        self._wake = asyncio.Event()
        self._hangs = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._begun = threading.Event()
        self._ended: Future[None] = Future()

    def is_current(self) -> bool:
        """Return True if every change that other hosts had committed until a moment ago has been received."""
        now = self._clock()
        self._wanted_until = now + _WANTED_FOR_S
        if self._rests and self._loop is not None:
            self._rests = False
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._wake.set)
        return now < self._current_until

    def hangs(self) -> bool:
        """Return True while the server answers neither a question nor a new connection, both of which it takes."""
        return self._hangs

    def heard(self, table: str) -> int:
        """Return a number that changes with every change of a table that was heard, or may have been missed."""
        return self._counts.get(table, 0) + self._missed

    def start(self) -> None:
        """Begin to listen; connecting goes on in the background."""
        self._begun.clear()
        self._ended = Future()
        self._thread = threading.Thread(target=self._work, args=(self._ended,), name="changes", daemon=True)
        self._thread.start()
        self._begun.wait()

    async def run(self) -> None:
        """Wait until the thread ends, which it does by a fault only, and raise what ended it; start it if it has."""
        if self._thread is None or self._ended.done():
            self.start()
        await asyncio.wrap_future(self._ended)

    def stop(self) -> None:
        """Close the connection; blocks until the thread has ended."""
        if self._thread is None:
            return
        if self._loop is not None and self._task is not None:
            with suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()
        self._thread = None

    def _work(self, ended: Future[None]) -> None:
        ended.set_running_or_notify_cancel()  # who waits for it may give up, and it goes on
        try:
            asyncio.run(self._listen_until_cancelled())
        except BaseException as error:  # it is for who supervises this
            ended.set_exception(error)
        else:
            ended.set_result(None)
        finally:
            self._hangs = False  # nobody finds out any more that it answers again

    async def _listen_until_cancelled(self) -> None:
        self._loop, self._wake, self._rests = asyncio.get_running_loop(), asyncio.Event(), False
        self._task = asyncio.create_task(self._listen())
        self._begun.set()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _listen(self) -> None:
        import asyncpg  # type: ignore[import-untyped,unused-ignore] # noqa: PLC0415 (untyped; an extra, installed where it is used)

        lost = silent = False
        while True:
            try:
                # One question without an answer may be an accident; two are not.
                connection = await asyncpg.connect(
                    timeout=_ANSWER_S if silent else 5,
                    command_timeout=_ANSWER_S,
                    server_settings={"application_name": APPLICATION},
                    **self._arguments,
                )
                try:
                    await connection.add_listener(CHANNEL, self._hear)
                    self._missed += 1
                    self._tell()
                    silent = self._hangs = False
                    if lost:
                        _log.info("changes of other hosts are heard again")
                    lost = False
                    await self._ask(connection)
                finally:
                    connection.terminate()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
                if not lost:
                    _log.warning(
                        "changes of other hosts are not heard; nothing is answered from memory", error=str(error)
                    )
                lost = True
                self._hangs = silent and isinstance(error, TimeoutError)
                silent = isinstance(error, TimeoutError)
                if not silent or self._hangs:
                    await asyncio.sleep(_RETRY_S)

    async def _ask(self, connection: Any) -> None:
        while True:
            asked_at = self._clock()
            await connection.execute("SELECT 1")
            self._current_until = asked_at + _CURRENT_FOR_S
            if asked_at < self._wanted_until:
                await asyncio.sleep(_ASK_EVERY_S)
            else:
                await self._rest(asked_at)

    async def _rest(self, asked_at: float) -> None:
        """Wait until somebody wants to know, or for a while."""
        self._wake.clear()
        self._rests = True
        if asked_at < self._wanted_until:  # somebody came between the two lines above and saw no rest to end
            self._wake.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(_REST_S):
                await self._wake.wait()
        self._rests = False

    def _hear(self, _connection: object, _pid: int, _channel: str, table: object) -> None:
        if isinstance(table, str) and table in self._counts:
            self._counts[table] += 1
            if table == "notifications":
                self._tell()

    def _tell(self) -> None:
        if self._recorded is not None:
            self._recorded()
