"""Tell failures of both databases apart: a violated constraint, a database that is unavailable now, a fault of ours.

This is the only place that knows the drivers' errors; everybody else knows ``ConstraintViolated`` and ``Unavailable``.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from sqlalchemy import ForeignKeyConstraint, UniqueConstraint
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# Classes of SQLSTATE that say "not now": connection, transaction rollback, resources, object state, operator, system.
_NOT_NOW: Final = frozenset({"08", "40", "53", "55", "57", "58"})
# And those that refuse a connection: authorization, no such database.
_NO_WAY_IN: Final = frozenset({"28", "3D"})
_DISK_FULL: Final = frozenset({"53100", "SQLITE_FULL"})
_UNIQUE: Final = frozenset({"23505", "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"})
_FOREIGN_KEY: Final = frozenset({"23503", "SQLITE_CONSTRAINT_FOREIGNKEY"})

READ_ONLY: Final = frozenset({"25006", "SQLITE_READONLY"})
"""States of a database that answers and cannot be written: a standby, or a file without permission."""

NO_ANSWER: Final = "the database does not answer; try again later"
NO_WRITES: Final = "the database accepts no writes at present; try again later"
NO_ROOM: Final = "the disk of the database is full: nothing was stored; try again later"

CONNECTION_ERRORS: Final = (DBAPIError, OSError, PoolTimeout, DisconnectionError)
"""The errors of SQLAlchemy and of the operating system that ``reason`` and ``violated`` know."""


class ConstraintViolated(Exception):
    """A write was refused, and undone, because of a unique constraint or a foreign key.

    ``name`` is the constraint's on PostgreSQL. SQLite tells the columns of a unique constraint instead, and of a
    foreign key nothing.
    """

    def __init__(self, *, name: str | None, columns: str | None = None) -> None:
        super().__init__(f"violates {name or columns or 'a foreign key'}")
        self._name = name
        self._columns = columns

    def is_of(self, constraint: UniqueConstraint | ForeignKeyConstraint) -> bool:
        """Return True if it is this constraint that was violated."""
        if self._name is not None:
            return self._name == constraint.name
        if isinstance(constraint, ForeignKeyConstraint):
            return self._columns is None
        return self._columns == ", ".join(f"{column.table.name}.{column.name}" for column in constraint.columns)


def violated(error: Exception) -> ConstraintViolated | None:
    """Return what a refused write means for its caller; None if the error is of another kind."""
    origin = _origin(error)
    state = _state(origin)
    if state not in _UNIQUE | _FOREIGN_KEY:
        return None
    name = getattr(getattr(origin, "__cause__", None) or origin, "constraint_name", None)
    columns = str(origin).removeprefix("UNIQUE constraint failed: ") if name is None and state in _UNIQUE else None
    return ConstraintViolated(name=name, columns=columns)


def reason(error: Exception) -> str | None:
    """Return the message for the caller if the database is temporarily unavailable; None for any other error."""
    origin = _origin(error)
    state = _state(origin)
    if state in READ_ONLY:
        return NO_WRITES
    if state in _DISK_FULL:
        return NO_ROOM
    if isinstance(error, DBAPIError):
        not_now = not isinstance(error, IntegrityError) and (
            isinstance(error, OperationalError | InterfaceError)
            or error.connection_invalidated
            or state[:2] in _NOT_NOW | _NO_WAY_IN
            or type(origin) is sqlite3.DatabaseError  # a file that is no database, or a broken one
        )
    elif isinstance(error, sqlite3.Error):  # of the driver itself
        not_now = isinstance(error, sqlite3.OperationalError | sqlite3.InterfaceError) or (
            type(error) is sqlite3.DatabaseError
        )
    else:
        not_now = not state or state[:2] in _NOT_NOW | _NO_WAY_IN
    return NO_ANSWER if not_now else None


def _origin(error: Exception) -> BaseException:
    return error.orig or error if isinstance(error, DBAPIError) else error


def _state(origin: BaseException) -> str:
    """Return the SQLSTATE of PostgreSQL or the name of SQLite's error; an empty text if there is none."""
    state = str(getattr(origin, "sqlstate", None) or getattr(origin, "sqlite_errorname", None) or "")
    return "SQLITE_READONLY" if state.startswith("SQLITE_READONLY") else state  # there are several kinds of it
