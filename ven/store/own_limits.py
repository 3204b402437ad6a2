"""Keep the limits that we have set on circuits, and the circuits that their owner has taken over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from ven.panel.ownership import Override, OwnLimit
from ven.store.journal import Journal, Statement
from ven.store.sqlite_file import SqliteFile
from ven.store.values import to_instant, to_us


class OwnLimitRecords:
    """Keep one own limit and one override of each circuit at most. What is put is written when the journal is flushed.

    Renewals change one row for all circuits, which says when each limit expires.
    """

    def __init__(self, file: SqliteFile, journal: Journal) -> None:
        self._file = file
        self._journal = journal

    async def own(self) -> list[OwnLimit]:
        """Return our limits."""
        rows = await self._file.rows("select circuit_id, limit_kw, since, seen, taken from own_limit")
        return [
            OwnLimit(
                circuit_id=id_,
                limit_kw=Decimal(kw),
                since=to_instant(since),
                seen=bool(seen),
                taken=bool(taken),
            )
            for id_, kw, since, seen, taken in rows
        ]

    async def expiries(self) -> dict[str, datetime]:
        """Return when limits expire, by circuit id, as of the last renewals that were kept."""
        rows = await self._file.rows("select value from meta where key = 'limits_expire_at'")
        return {id_: to_instant(int(at)) for id_, at in json.loads(rows[0][0]).items()} if rows else {}

    def put_expiries(self, expiries: Mapping[str, datetime]) -> None:
        """Keep when limits expire, by circuit id, instead of what was kept before."""
        told = json.dumps({id_: to_us(at) for id_, at in expiries.items()})
        text = "insert or replace into meta values ('limits_expire_at', ?)"
        self._journal.put(("limits", "expiries"), Statement(text, [(told,)]))

    async def overrides(self) -> list[Override]:
        """Return what the owner has taken over."""
        rows = await self._file.rows("select circuit_id, since, reason, event_ids from override")
        return [
            Override(id_, to_instant(since), reason, frozenset(json.loads(event_ids)))
            for id_, since, reason, event_ids in rows
        ]

    def put(self, own: OwnLimit) -> None:
        """Keep a limit of ours instead of an earlier one on the circuit."""
        row = (own.circuit_id, str(own.limit_kw), to_us(own.since), own.seen, own.taken)
        self._journal.put(
            (f"circuit {own.circuit_id}", "own limit"),
            Statement("insert or replace into own_limit values (?, ?, ?, ?, ?)", [row]),
        )

    def forget(self, circuit_id: str) -> None:
        """Forget our limit on a circuit: it has ended."""
        self._journal.put(
            (f"circuit {circuit_id}", "own limit"),
            Statement("delete from own_limit where circuit_id = ?", [(circuit_id,)]),
        )

    def put_override(self, override: Override) -> None:
        """Keep that a circuit is the owner's."""
        events = json.dumps(sorted(override.event_ids))
        row = (override.circuit_id, to_us(override.since), override.reason, events)
        self._journal.put(
            (f"circuit {override.circuit_id}", "override"),
            Statement("insert or replace into override values (?, ?, ?, ?)", [row]),
        )

    def forget_override(self, circuit_id: str) -> None:
        """Forget that a circuit was the owner's."""
        self._journal.put(
            (f"circuit {circuit_id}", "override"),
            Statement("delete from override where circuit_id = ?", [(circuit_id,)]),
        )
