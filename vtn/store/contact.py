"""Contacts in the database: when each client was last heard of, and its last refused request."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import select, text

from openadr_profiles.contact import Contact, RefusedRequest
from vtn.store.database import Database
from vtn.store.query import ContactQuery
from vtn.store.stamps import stamp
from vtn.store.tables import contacts

AT_ONCE: Final = 2000
"""Clients that one statement stores; a larger fleet takes several, so that others can write in between."""


class LastHeard(NamedTuple):
    """A contact: the protocol and the time, what the client calls itself, and the time it has (HTTP's ``Date``)."""

    protocol: str
    at: datetime
    software: str | None = None
    date: str | None = None


@dataclass(frozen=True, slots=True)
class News:
    """Hold news of a client: a contact, a refused request (and its protocol)."""

    client_id: str
    heard: LastHeard | None
    refused: tuple[str, RefusedRequest] | None


class ContactStore:
    """The last contact of each client. Rows of all processes are merged: the latest instant counts."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._merge = text(_MERGE.format(rows=_SQLITE_ROWS if database.is_sqlite else _POSTGRESQL_ROWS))

    async def merge(self, news: Sequence[News]) -> None:
        """Store at most AT_ONCE contacts by one statement; what is older than what is stored changes nothing.

        News from before a client was removed is dropped. Merging the same twice is the same as once.
        """
        # In the order of the key: two processes that change the same rows wait for each other, and never in a circle.
        rows = [_row(each) for each in sorted(news, key=lambda each: each.client_id)]
        async with self._database.write() as connection:
            await connection.execute(self._merge, {"rows": json.dumps(rows, ensure_ascii=False)})

    async def search(self, query: ContactQuery) -> list[Contact]:
        """Return one page of contacts in the order of client ids."""
        statement = select(contacts).order_by(contacts.c.client_id).limit(query.page.limit).offset(query.page.skip)
        if query.client_ids is not None:
            statement = statement.where(contacts.c.client_id.in_(query.client_ids))
        return [_contact(row) for row in await self._database.rows(statement)] if query.page.limit else []


# Nothing that is cached is made of this table, so no revision is noted for these statements, which are plain texts.
_MERGE: Final = """
INSERT INTO contacts AS known
    (client_id, protocol, heard_at, refused_at, refused_status, refused_title, refused_request, software,
     clock_offset_s)
SELECT client_id, protocol, heard_at, refused_at, refused_status, refused_title, refused_request, software,
    clock_offset_s
FROM ({rows}) AS news
WHERE NOT EXISTS (
    SELECT 1 FROM removed_clients AS removed
    WHERE removed.client_id = news.client_id AND removed.removed_at >= COALESCE(news.heard_at, news.refused_at)
)
ORDER BY client_id
ON CONFLICT (client_id) DO UPDATE SET
    protocol = CASE
        WHEN COALESCE(excluded.heard_at, excluded.refused_at) >= COALESCE(known.heard_at, known.refused_at)
        THEN excluded.protocol ELSE known.protocol END,
    heard_at = CASE
        WHEN known.heard_at IS NULL OR excluded.heard_at > known.heard_at
        THEN excluded.heard_at ELSE known.heard_at END,
    refused_at = CASE WHEN {newer} THEN excluded.refused_at ELSE known.refused_at END,
    refused_status = CASE WHEN {newer} THEN excluded.refused_status ELSE known.refused_status END,
    refused_title = CASE WHEN {newer} THEN excluded.refused_title ELSE known.refused_title END,
    refused_request = CASE WHEN {newer} THEN excluded.refused_request ELSE known.refused_request END,
    software = CASE WHEN {heard} THEN COALESCE(excluded.software, known.software) ELSE known.software END,
    clock_offset_s = CASE
        WHEN {heard} THEN COALESCE(excluded.clock_offset_s, known.clock_offset_s) ELSE known.clock_offset_s END
""".replace("{heard}", "excluded.heard_at >= COALESCE(known.heard_at, '')").replace(
    "{newer}", "excluded.refused_at > COALESCE(known.refused_at, '')"
)

_COLUMNS: Final = tuple(contacts.columns.keys())
_NUMBERS: Final = {"refused_status": "integer", "clock_offset_s": "double precision"}
_SQLITE_ROWS: Final = (
    "SELECT "  # noqa: S608 (names of columns only)
    + ", ".join(f"json_extract(value, '$[{place}]') AS {name}" for place, name in enumerate(_COLUMNS))
    + " FROM json_each(:rows)"
)
_POSTGRESQL_ROWS: Final = (
    "SELECT "  # noqa: S608 (names of columns only)
    + ", ".join(
        f"CAST(value ->> {place} AS {_NUMBERS[name]}) AS {name}"
        if name in _NUMBERS
        else f'(value ->> {place}) COLLATE "C" AS {name}'
        for place, name in enumerate(_COLUMNS)
    )
    + " FROM json_array_elements(CAST(:rows AS json))"
)


def _row(news: News) -> tuple[str | int | float | None, ...]:
    heard, refused = news.heard, news.refused
    protocol = heard.protocol if heard is not None else "" if refused is None else refused[0]
    of_refused: tuple[str | int | None, ...] = (None, None, None, None)
    if refused is not None:
        last = refused[1]
        of_refused = stamp(last.at), last.status, last.title, last.request
    if heard is None:
        return news.client_id, protocol, None, *of_refused, None, None
    return news.client_id, protocol, stamp(heard.at), *of_refused, heard.software, _offset_s(heard)


def _offset_s(heard: LastHeard) -> float | None:
    """Return by how many seconds the clock of a client is ahead; None if it does not say, or not readably.

    HTTP's ``Date`` leaves out parts of a second.
    """
    if heard.date is None:
        return None
    try:
        said = parsedate_to_datetime(heard.date)
        return (said.replace(tzinfo=said.tzinfo or UTC) - heard.at).total_seconds()
    except (ValueError, OverflowError):
        return None


def _contact(row: Mapping[Any, Any]) -> Contact:
    heard_at, refused_at = row["heard_at"], row["refused_at"]
    refused = (
        None
        if refused_at is None
        else RefusedRequest(
            at=datetime.fromisoformat(refused_at),
            status=row["refused_status"],
            title=row["refused_title"],
            request=row["refused_request"],
        )
    )
    return Contact(
        client_id=row["client_id"],
        protocol=row["protocol"],
        last_contact=None if heard_at is None else datetime.fromisoformat(heard_at),
        last_refused=refused,
        software=row["software"],
        clock_offset_s=None if row["clock_offset_s"] is None else round(row["clock_offset_s"], 1),
    )
