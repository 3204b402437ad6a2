"""Hears what a server asks its database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Self

from sqlalchemy import event

from tests.vtn.harness import VtnUnderTest


class Statements:
    """The statements that reach the database of a server while it is open, with their values.

    Transactions are not statements, nor is what a server asks in the background now and then: revocations, and who
    wants to hear of reads.
    """

    def __init__(self, vtn: VtnUnderTest) -> None:
        self.sent: list[tuple[str, Any]] = []
        connections: Any = vtn.server._database._connections
        self._driver = connections if connections.is_sqlite else connections.single
        self._engines = {connections.writer.sync_engine}  # on PostgreSQL it hears of what the reader sends, too
        if connections.is_sqlite:
            self._engines.add(connections.reader.sync_engine)

    @property
    def texts(self) -> list[str]:
        """The statements alone."""
        return [text for text, _ in self.sent]

    def __enter__(self) -> Self:
        for engine in self._engines:
            event.listen(engine, "before_cursor_execute", self._hear)
        self._driver._send = self._passing_on(self._driver._send)
        return self

    def __exit__(self, *_: object) -> None:
        for engine in self._engines:
            event.remove(engine, "before_cursor_execute", self._hear)
        del self._driver._send

    def _passing_on(self, send: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def heard(how: str, sql: str, *values: object) -> Any:
            self._note(sql, values)
            return await send(how, sql, *values)

        return heard

    def _hear(self, _connection: Any, _cursor: Any, statement: str, parameters: Any, *_: object) -> None:
        self._note(statement, parameters)

    def _note(self, statement: str, values: Any) -> None:
        in_background = any(
            word in statement
            for word in (
                "removed_clients",
                "signing_keys",
                "clients.tokens_valid_from IS NOT NULL",
                "SELECT endpoint_operations.object_type",
            )
        )
        if not statement.startswith("BEGIN") and not in_background:
            self.sent.append((statement, values))
