"""Find the events that ask VENs of OpenADR 2.0b for reports, without reading the others.

Which events do is found out once for all VENs, after a change; of each VEN it is then asked which of these it sees.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, case, func, or_, select

from vtn.access import Caller, Entitlement
from vtn.lru import LruCache
from vtn.store.database import Database
from vtn.store.fact_cache import FactCache
from vtn.store.ids import new_id
from vtn.store.large import WHOLE_BYTES, shown_within
from vtn.store.rows import ObjectRow
from vtn.store.stamps import Stamps
from vtn.store.tables import events, resources
from vtn.store.v20b.tables import oadr20b_carriers
from vtn.store.visibility import Visibility, seen_by

MOST_ASKING: Final = 500
"""Events that one VEN is asked for reports of at a time, the newest."""
_READ_AT_ONCE: Final = 8
_KEPT: Final = 500
_REMEMBERED: Final = 50_000
_KEPT_CHARACTERS: Final = 8 * 1024

IS_CARRIER: Final = (
    select(oadr20b_carriers.c.event_id).where(oadr20b_carriers.c.event_id == events.c.id).correlate(events).exists()
)
"""The event stands for reports that belong to no event."""
_ASKS: Final = (events.c.members.contains('"reportDescriptors"'), ~IS_CARRIER)


class _Asking(Struct, frozen=True):
    """The events that ask for reports; ``ids`` is None if there are too many to name them."""

    version: str
    ids: tuple[str, ...] | None


class AskingEvents20b:
    """Events that ask for reports and are not over; those that carry reports of no event are not among them."""

    def __init__(self, database: Database, stamps: Stamps, visibility: Visibility) -> None:
        self._database = database
        self._stamps = stamps
        self._visibility = visibility
        self._asking: FactCache[_Asking] = FactCache(database.watch(events), most=1)
        self._resources: FactCache[str] = FactCache(database.watch(resources), most=_REMEMBERED)
        self._one_at_a_time = asyncio.Lock()
        self._kept: LruCache[str, Mapping[Any, Any]] = LruCache(_KEPT)

    async def version(self, caller: Caller, ven_id: str) -> str:
        """Return a text that changes with each event that asks for reports, and with what the VEN holds.

        Other events and other VENs do not change it, while not too many events ask.
        """

        async def look() -> str:
            its = select(func.max(resources.c.modified_at).label("last"), func.count().label("count"))
            row = await self._database.row(its.where(resources.c.ven_id == ven_id))
            return "" if row is None else f"{row['count']} {row['last']}"

        asking = await self._found()
        if asking.ids == ():
            return asking.version
        entitlement = await self._visibility.entitlement(caller)
        held = "" if entitlement is None else " ".join(sorted(entitlement.granted))
        digest = blake2b(held.encode(), digest_size=16).hexdigest()
        return f"{asking.version} {digest} {await self._resources.get(ven_id, look)}"

    async def seen_by(self, caller: Caller) -> list[ObjectRow]:
        """Return those that a VEN sees, as it sees them; at most MOST_ASKING."""
        asking = await self._found()
        if asking.ids == ():
            return []
        entitlement = await self._visibility.entitlement(caller)
        if entitlement is None:
            return []
        these = _ASKS if asking.ids is None else (events.c.id.in_(asking.ids),)
        rows = await self._database.rows(
            select(events.c.id, events.c.modified_at)
            .where(*self._visibility.event(entitlement), self._not_over(), *these)
            .order_by(events.c.created_at.desc(), events.c.id.desc())
            .limit(MOST_ASKING)
        )
        return await self._read({row["id"]: row["modified_at"] for row in rows}, entitlement)

    async def still_seen(self, caller: Caller, event_ids: Collection[str]) -> dict[str, bool]:
        """Return which of some events a VEN sees, and whether each is over."""
        if not event_ids:
            return {}
        entitlement = await self._visibility.entitlement(caller)
        its = select(events.c.id, case((self._not_over(), 0), else_=1).label("is_over"))
        seen = its.where(events.c.id.in_(event_ids), *self._visibility.event(entitlement))
        return {row["id"]: bool(row["is_over"]) for row in await self._database.rows(seen)}

    async def _found(self) -> _Asking:
        async with self._one_at_a_time:  # after a change all VENs ask; one finds out
            return await self._asking.get("", self._look)

    async def _look(self) -> _Asking:
        its = select(events.c.id, events.c.modified_at).where(self._not_over(), *_ASKS)
        rows = await self._database.rows(its.order_by(events.c.id).limit(MOST_ASKING + 1))
        if len(rows) > MOST_ASKING:
            return _Asking(new_id(), None)
        digest = blake2b("".join(f"{row['id']} {row['modified_at']} " for row in rows).encode(), digest_size=16)
        return _Asking(digest.hexdigest(), tuple(row["id"] for row in rows))

    def _not_over(self) -> ColumnElement[bool]:
        return or_(events.c.ends_at.is_(None), events.c.ends_at > self._stamps.now)

    async def _read(self, versions: Mapping[str, str], entitlement: Entitlement) -> list[ObjectRow]:
        """Return events of these versions, or newer ones, from memory as far as they are there."""
        found: dict[str, Mapping[Any, Any]] = {}
        missing = []
        for id_, modified_at in versions.items():
            kept = self._kept.get(id_)
            if kept is not None and kept["modified_at"] == modified_at:
                found[id_] = kept
            else:
                missing.append(id_)
        for first in range(0, len(missing), _READ_AT_ONCE):
            for row in await self._rows(missing[first : first + _READ_AT_ONCE]):
                if row["members"] is None or row["targets"] is None:
                    continue  # larger than a message may be, so VENs of 2.0b are not told of it either
                found[row["id"]] = row
                if len(row["members"]) <= _KEPT_CHARACTERS:
                    self._kept.put(row["id"], row)
        return seen_by(entitlement, (found[id_] for id_ in versions if id_ in found))

    async def _rows(self, ids: Iterable[str]) -> Sequence[Mapping[Any, Any]]:
        its = select(*shown_within(events, WHOLE_BYTES)).where(events.c.id.in_(list(ids)))
        return [dict(row) for row in await self._database.rows(its)]
