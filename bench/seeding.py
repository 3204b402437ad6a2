"""Many rows at once into our own database, as copies of an object that came in through the API.

The server must not run meanwhile: it is not told.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

from pydantic import SecretStr
from sqlalchemy import Table, delete, insert, select

from bench.documents import feeder, feeders
from vtn.settings import Database as DatabaseSettings
from vtn.store.database import Database
from vtn.store.stamps import stamp
from vtn.store.tables import events, reports, vens

T = TypeVar("T")

_BATCH = 2000
_TIMEOUT_S = 300.0


async def fill_events(url: str, template_ids: Sequence[str], number: int) -> None:
    """Exactly ``number`` events besides the templates, each for its feeder, created a second apart; no reports.

    A feeder's events are copies of the templates in turn.
    """
    async with _database(url) as database:
        templates = [await _template(database, events, template_id) for template_id in template_ids]
        newest = datetime.now(UTC)
        rows = (
            {
                **templates[place // feeders(number) % len(templates)],
                "id": str(uuid.uuid4()),
                "created_at": (at := stamp(newest - timedelta(seconds=number - place))),
                "modified_at": at,
                "targets": (feeder(place, number),),
            }
            for place in range(number)
        )
        async with database.write() as connection:
            await connection.execute(delete(reports))
            await connection.execute(delete(events).where(events.c.id.not_in(template_ids)))
            for batch in _batches(rows):
                await connection.execute(insert(events), batch)


async def fill_vens(url: str, template_id: str, number: int, stored_events: int) -> None:
    """Exactly ``number`` vens besides the template, of the clients ``client_name(0)`` and on, each with its feeder."""
    async with _database(url) as database:
        template = await _template(database, vens, template_id)
        now = stamp(datetime.now(UTC))
        rows = (
            {
                **template,
                "id": str(uuid.uuid4()),
                "created_at": now,
                "modified_at": now,
                "client_id": client_name(place),
                "name": client_name(place),
                "targets": (feeder(place, stored_events), f"site-{place}"),
                "members": template["members"]
                .replace(template["client_id"], client_name(place))
                .replace(template["name"], client_name(place)),
            }
            for place in range(number)
        )
        async with database.write() as connection:
            await connection.execute(delete(vens).where(vens.c.client_id.like(f"{_FLEET}%")))
            for batch in _batches(rows):
                await connection.execute(insert(vens), batch)


_FLEET = "fleet-"


def client_name(place: int) -> str:
    """The client id of the ``place``-th ven of the fleet."""
    return f"{_FLEET}{place}"


@asynccontextmanager
async def _database(url: str) -> AsyncIterator[Database]:
    database = Database(DatabaseSettings(url=SecretStr(url), timeout_s=_TIMEOUT_S))
    try:
        yield database
    finally:
        await database.close()


async def _template(database: Database, table: Table, object_id: str) -> dict[str, Any]:
    row = await database.row(select(table).where(table.c.id == object_id))
    assert row is not None
    return dict(row)


def _batches(rows: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
