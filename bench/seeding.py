"""Many rows at once into our own database, as copies of an object that came in through the API.

The server must not run meanwhile, since it would not notice them.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

from pydantic import SecretStr
from sqlalchemy import Table, delete, insert, select, text

from bench.documents import feeder, feeders
from vtn.settings import DatabaseSettings
from vtn.store.database import Database
from vtn.store.stamps import stamp
from vtn.store.tables import events, reports, resources, vens

T = TypeVar("T")

_BATCH = 2000
_TIMEOUT_S = 300.0
_AT_ONCE = 500_000

CLIENTS = 10_000
"""The number of clients of the fleet that have reports."""


async def fill_events(url: str, template_ids: Sequence[str], number: int) -> None:
    """Exactly ``number`` events besides the templates, each for its feeder, created a second apart; no reports.

    A feeder's events are copies of the templates in turn.
    """
    async with opened(url) as database:
        templates = [await template_of(database, events, template_id) for template_id in template_ids]
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
            for batch in batches(rows):
                await connection.execute(insert(events), batch)


async def fill_vens(url: str, template_id: str, number: int, stored_events: int) -> None:
    """Exactly ``number`` vens besides the template, of the clients ``client_name(0)`` and on, each with its feeder."""
    async with opened(url) as database:
        template = await template_of(database, vens, template_id)
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
            for batch in batches(rows):
                await connection.execute(insert(vens), batch)


async def fill_resources(url: str, panel: str, names: Iterable[str]) -> None:
    """Store the resources of these panels, unless they are there, as copies of those of one with its circuits."""
    async with opened(url) as database:
        of_panel = (resources.c.name == panel) | resources.c.name.startswith(f"{panel}/", autoescape=True)
        templates = [dict(row) for row in await database.rows(select(resources).where(of_panel))]
        there = {row["name"] for row in await database.rows(select(resources.c.name))}
        rows = (
            {
                **template,
                "id": str(uuid.uuid4()),
                "name": template["name"].replace(panel, name, 1),
                "members": template["members"].replace(f'"{panel}', f'"{name}'),
            }
            for name in names
            for template in templates
            if template["name"].replace(panel, name, 1) not in there
        )
        async with database.write() as connection:
            for batch in batches(rows):
                await connection.execute(insert(resources), batch)


async def fill_reports(url: str, template_id: str, number: int) -> None:
    """Exactly ``number`` reports, copies of the template, made by the database itself; one every three seconds.

    A tenth is on the first event, the others are on all events in the order of their time; a tenth is the template's
    client's, the others are of the fleet's clients in turn.
    """
    async with opened(url) as database:
        template = await template_of(database, reports, template_id)
        statement = text(_REPORTS.format(clients=CLIENTS, **(_IN_SQLITE if database.is_sqlite else _IN_POSTGRESQL)))
        same = {"number": number, **{name: template[name] for name in ("event_id", "client_id", "members")}}
        async with database.write() as connection:
            await connection.execute(delete(reports))
            for index in reports.indexes:
                await connection.run_sync(index.drop)
        for start in range(0, number, _AT_ONCE):
            async with database.write() as connection:
                await connection.execute(statement, {**same, "first": start, "end": min(start + _AT_ONCE, number)})
        for index in reports.indexes:
            async with database.write() as connection:
                await connection.run_sync(index.create)


_REPORTS = """
INSERT INTO reports (id, created_at, modified_at, event_id, client_id, client_name, members)
WITH RECURSIVE numbers (n) AS (
    SELECT CAST(:first AS INTEGER) UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :end
), places AS (
    SELECT id, row_number() OVER (ORDER BY created_at, id) - 1 AS place, count(*) OVER () AS total FROM events
), made AS (
    SELECT n, {at} AS at, places.id AS event_id,
        CASE WHEN n % 10 = 5 THEN CAST(:client_id AS TEXT) ELSE 'fleet-' || (n % {clients}) END AS client
    FROM numbers CROSS JOIN (SELECT count(*) AS total FROM events) AS everything
    JOIN places ON places.place = CASE WHEN n % 10 = 0 THEN 0
        ELSE CAST(n AS BIGINT) * everything.total / CAST(:number AS BIGINT) END
)
SELECT {id}, at, at, event_id, client, 'name-' || client,
    replace(replace(:members, :event_id, event_id), :client_id, client)
FROM made
"""

_IN_POSTGRESQL = {
    "at": """to_char(timestamp '2025-01-01' + n * interval '3 seconds', 'YYYY-MM-DD"T"HH24\\:MI\\:SS".000000Z"')""",
    "id": "CAST(gen_random_uuid() AS TEXT)",
}
_IN_SQLITE = {
    "at": "strftime('%Y-%m-%dT%H\\:%M\\:%S.000000Z', '2025-01-01', (3 * n) || ' seconds')",
    "id": "lower(hex(randomblob(16)))",
}

_FLEET = "fleet-"


def client_name(place: int) -> str:
    """Return the client id of the ``place``-th ven of the fleet."""
    return f"{_FLEET}{place}"


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = Database(DatabaseSettings(url=SecretStr(url), timeout_s=_TIMEOUT_S))
    try:
        yield database
    finally:
        await database.close()


async def template_of(database: Database, table: Table, object_id: str) -> dict[str, Any]:
    row = await database.row(select(table).where(table.c.id == object_id))
    assert row is not None
    return dict(row)


def batches(rows: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
