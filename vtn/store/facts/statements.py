"""Write the statements that put what reports say into tables, each for any number of rows.

Of rows of the same thing the one whose report changed last counts. Which reports speak of the same thing is recorded,
so that what the older one says returns when the newer one goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import TextClause, text

from vtn.store.facts.given import INTEGER, NUMBER, TEXT, TRUTH, given


@dataclass(frozen=True, slots=True)
class FactTable:
    """Hold what is to be known of a table to fill it: its columns in their order, and those of its key."""

    name: str
    key: Sequence[str]
    columns: Mapping[str, str]

    def fill(self, *, sqlite: bool) -> TextClause:
        """Return the statement that stores the rows of its parameter ``rows``, unless there are newer ones.

        A row of a report that is read again counts, whatever it said before.
        """
        columns = ", ".join(self.columns)
        key = ", ".join(self.key)
        changed = ", ".join(f"{each} = excluded.{each}" for each in self.columns if each not in self.key)
        newer = _CHANGED.format("excluded.source_id") + " >= " + _CHANGED.format("known.source_id")
        return text(
            f"INSERT INTO {self.name} AS known ({columns}) "  # noqa: S608 (names of ours only)
            f"SELECT {columns} FROM ({given(self.columns, sqlite=sqlite)}) AS news WHERE true "
            f"ON CONFLICT ({key}) DO UPDATE SET {changed} WHERE {newer}"
        )

    def others(self, *, sqlite: bool) -> TextClause:
        """Return the statement that finds the pairs of reports, of the rows given and of others, for the same thing."""
        same = " AND ".join(f"known.{each} = news.{each}" for each in self.key)
        return text(
            "SELECT DISTINCT news.source_id AS given_id, known.source_id AS known_id "  # noqa: S608 (names of ours only)
            f"FROM ({given(self.columns, sqlite=sqlite)}) AS news JOIN {self.name} AS known ON {same} "
            "WHERE known.source_id <> news.source_id"
        )


_CHANGED: Final = "(SELECT changed_at FROM read_reports WHERE id = {})"

READINGS: Final = FactTable(
    "readings",
    ("meter_id", "kind", "starts_at_ms", "length_ms"),
    {
        "meter_id": INTEGER,
        "kind": INTEGER,
        "starts_at_ms": INTEGER,
        "length_ms": INTEGER,
        "kwh": NUMBER,
        "estimated": TRUTH,
        "source_id": INTEGER,
    },
)
OPTS: Final = FactTable(
    "event_opts",
    ("event_id", "client_id", "resource"),
    {
        "event_id": TEXT,
        "client_id": TEXT,
        "resource": TEXT,
        "opted_in": TRUTH,
        "reason": TEXT,
        "state": TEXT,
        "decided_at_ms": INTEGER,
        "is_participant": TRUTH,
        "source_id": INTEGER,
    },
)
SHEDS: Final = FactTable(
    "event_sheds",
    ("event_id", "client_id", "resource", "starts_at_ms"),
    {
        "event_id": TEXT,
        "client_id": TEXT,
        "resource": TEXT,
        "starts_at_ms": INTEGER,
        "interval_id": INTEGER,
        "ends_at_ms": INTEGER,
        "requested_kw": NUMBER,
        "baseline_kw": NUMBER,
        "demand_kw": NUMBER,
        "delivered_kw": NUMBER,
        "gross_kw": NUMBER,
        "final_kw": NUMBER,
        "state": TEXT,
        "is_total": TRUTH,
        "source_id": INTEGER,
    },
)
TABLES: Final = (READINGS, OPTS, SHEDS)

_MARK: Final = "UPDATE {0} SET {1} = {2} WHERE {3} AND {1} <> {2}"
_PAIR: Final = {"event_id": TEXT, "client_id": TEXT}


def mark_participants(*, sqlite: bool) -> Sequence[TextClause]:
    """Return the statements that mark who speaks for a ven or a panel, and which rows are their totals.

    A ven that speaks for itself (AGGREGATED_REPORT) has circuits; one that does not has panels. The parameter ``rows``
    has the events and clients whose reports were read.
    """
    touched = f"(event_id, client_id) IN ({given(_PAIR, sqlite=sqlite)})"
    speaks = (
        "EXISTS (SELECT 1 FROM event_opts AS own WHERE own.event_id = {0}.event_id AND own.client_id = {0}.client_id "
        "AND own.resource = 'AGGREGATED_REPORT')"
    )
    said = (
        "EXISTS (SELECT 1 FROM event_opts AS one WHERE one.event_id = event_sheds.event_id "
        "AND one.client_id = event_sheds.client_id{0})"
    )
    its_panel = said.format(" AND one.resource = event_sheds.resource")
    whole = "resource = 'AGGREGATED_REPORT'"
    participant = f"({whole} OR NOT {speaks.format('event_opts')})"
    total = f"CASE WHEN {said.format('')} AND NOT {speaks.format('event_sheds')} THEN {its_panel} ELSE {whole} END"
    return (
        text(_MARK.format("event_opts", "is_participant", participant, touched)),
        text(_MARK.format("event_sheds", "is_total", total, touched)),
    )


_METER: Final = {"client_id": TEXT, "resource": TEXT}


def add_meters(*, sqlite: bool) -> TextClause:
    """Return the statement that adds the meters of its parameter ``rows`` which are not known."""
    rows = given(_METER, sqlite=sqlite)
    return text(
        "INSERT INTO meters (client_id, resource, is_whole) "  # noqa: S608 (names of ours only)
        f"SELECT client_id, resource, false FROM ({rows}) AS news WHERE true ON CONFLICT DO NOTHING"
    )


def find_meters(*, sqlite: bool) -> TextClause:
    """Return the statement for the ids of the meters of its parameter ``rows``, and for those that have readings."""
    return text(
        "SELECT meters.id, meters.client_id, meters.resource, meters.latest_ends_at_ms IS NULL AS is_new "  # noqa: S608 (names of ours only)
        f"FROM meters JOIN ({given(_METER, sqlite=sqlite)}) AS news "
        "ON news.client_id = meters.client_id AND news.resource = meters.resource"
    )


def note_latest(*, sqlite: bool) -> TextClause:
    """Return the statement that finds the latest reading of the meters in its parameter ``rows`` again."""
    reading = (
        "FROM readings WHERE readings.meter_id = meters.id AND readings.kind = 1 "
        "ORDER BY readings.starts_at_ms DESC, readings.length_ms LIMIT 1"
    )
    mean = "CAST(3600000 AS double precision) * readings.kwh / readings.length_ms"
    return text(
        f"UPDATE meters SET latest_ends_at_ms = (SELECT readings.starts_at_ms + readings.length_ms {reading}), "  # noqa: S608 (names of ours only)
        f"latest_kw = (SELECT {mean} {reading}) "
        f"WHERE meters.id IN ({given({'id': INTEGER}, sqlite=sqlite)})"
    )


def drop_meters(*, sqlite: bool) -> TextClause:
    """Return the statement that removes the meters in its parameter ``rows`` which have no readings any more."""
    return text(
        f"DELETE FROM meters WHERE id IN ({given({'id': INTEGER}, sqlite=sqlite)}) "  # noqa: S608 (names of ours only)
        "AND NOT EXISTS (SELECT 1 FROM readings WHERE readings.meter_id = meters.id)"
    )


def mark_whole(*, sqlite: bool) -> TextClause:
    """Return the statement that marks which meters of the clients in its parameter ``rows`` are in no other one.

    It is the rule of ``vtn/performance/from_reports.py`` (``meters_of``): the total of a ven if it reports one, else
    all it reports, with the circuits of a panel (``panel/circuit``) in the panel.
    """
    of_panel = (
        "substr(meters.resource, 1, instr(meters.resource, '/') - 1)"
        if sqlite
        else "split_part(meters.resource, '/', 1)"
    )
    has_slash = "instr(meters.resource, '/') > 0" if sqlite else "position('/' in meters.resource) > 0"
    other = (
        "EXISTS (SELECT 1 FROM meters AS other WHERE other.client_id = meters.client_id "
        "AND other.latest_ends_at_ms IS NOT NULL AND other.resource = {})"
    )
    total = other.format("'AGGREGATED_REPORT'")
    return text(
        "UPDATE meters SET is_whole = latest_ends_at_ms IS NOT NULL AND (resource = 'AGGREGATED_REPORT' OR NOT ("  # noqa: S608 (names of ours only)
        f"{total} OR ({has_slash} AND {other.format(of_panel)}))) "
        f"WHERE client_id IN ({given({'client_id': TEXT}, sqlite=sqlite)})"
    )
