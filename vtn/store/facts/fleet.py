"""Tell how the fleet is now: who is online, what is drawn, and what could be shed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Select, and_, case, distinct, func, literal, select, union_all

from openadr_profiles.fleet.recipients import capacity_kw
from openadr_profiles.v31 import Attribute, ValuesMap
from vtn.store.database import Database
from vtn.store.fact_cache import FactCache
from vtn.store.facts.instants import in_ms, known_from_ms
from vtn.store.facts.results import FleetNow, rounded
from vtn.store.facts.tables import meters
from vtn.store.stamps import stamp
from vtn.store.tables import contacts, resources, vens

ONLINE: Final = timedelta(minutes=15)
"""A ven that was heard of within this time is online."""
RECENT: Final = timedelta(hours=1)
"""A reading that ended within this time says what is drawn now."""
_AT_ONCE: Final = 2000
_SAYS: Final = f'%"{Attribute.MAX_POWER_CONSUMPTION}"%'


class _Sheddable(NamedTuple):
    kw: float | None
    saying: int


class _Attributes(msgspec.Struct, frozen=True):
    """Hold what a ven or a resource says of itself, without all else."""

    attributes: tuple[ValuesMap, ...] | None = None


_DECODER: Final = msgspec.json.Decoder(_Attributes)


class FleetFacts:
    """Sum up all vens. What they can shed is read again when a ven or a resource has changed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sheddable: FactCache[_Sheddable] = FactCache(database.watch(vens, resources), most=1)

    async def now(self, at: datetime) -> FleetNow:
        """Return the numbers at a moment."""
        at_ms = in_ms(at)
        online = (
            select(func.count().label("vens"), func.sum(case((contacts.c.heard_at >= stamp(at - ONLINE), 1), else_=0)))
            .select_from(vens.outerjoin(contacts, contacts.c.client_id == vens.c.client_id))
            .subquery(
                "all_vens",
            )
        )
        recent = and_(
            meters.c.is_whole,
            meters.c.latest_ends_at_ms > at_ms - RECENT // timedelta(milliseconds=1),
            meters.c.latest_ends_at_ms <= at_ms,
        )
        drawn = (
            select(
                func.sum(meters.c.latest_kw).label("power_kw"),
                func.count(distinct(meters.c.client_id)).label("metered"),
                func.min(meters.c.latest_ends_at_ms).label("read_at_ms"),
            )
            .select_from(meters.join(vens, vens.c.client_id == meters.c.client_id))
            .where(recent)
            .subquery("drawn")
        )
        counts, online_count = online.c
        statement = select(counts, online_count.label("online"), drawn).select_from(
            online.join(drawn, literal(value=True))
        )
        row = (await self._database.rows(statement))[0]
        sheddable = await self._sheddable.get("", self._read_sheddable)
        return FleetNow(
            at=at,
            vens=row["vens"],
            online=row["online"] or 0,
            power_kw=rounded(row["power_kw"]),
            metered=row["metered"],
            read_at=known_from_ms(row["read_at_ms"]),
            sheddable_kw=rounded(sheddable.kw),
            saying=sheddable.saying,
        )

    async def _read_sheddable(self) -> _Sheddable:
        """Sum up what vens say they can shed (``capacity_kw``); a part of the fleet is in memory at a time."""
        total, saying = Decimal(0), 0
        after = ""
        while True:
            ids = [row["id"] for row in await self._database.rows(_some_vens(after))]
            if not ids:
                return _Sheddable(float(total) if saying else None, saying)
            for kw in _capacities(await self._database.rows(_said_by(ids[0], ids[-1]))):
                total += kw
                saying += 1
            after = ids[-1]


def _some_vens(after: str) -> Select[Any]:
    return select(vens.c.id).where(vens.c.id > after).order_by(vens.c.id).limit(_AT_ONCE)


def _said_by(first: str, last: str) -> Any:
    """Select what vens and their resources say of what they draw, ven by ven, the ven itself first."""
    own = select(vens.c.id.label("ven_id"), literal(0).label("place"), vens.c.members).where(
        vens.c.id >= first, vens.c.id <= last, vens.c.members.like(_SAYS)
    )
    its = select(resources.c.ven_id, literal(1), resources.c.members).where(
        resources.c.ven_id >= first, resources.c.ven_id <= last, resources.c.members.like(_SAYS)
    )
    said = union_all(own, its).subquery("said")
    return select(said).order_by(said.c.ven_id, said.c.place)


def _capacities(rows: Sequence[Any]) -> Iterator[Decimal]:
    for _, group in groupby(rows, key=lambda row: row["ven_id"]):
        of_ven, of_resources = _Attributes(), list[_Attributes]()
        for row in group:
            said = _attributes(row["members"])
            if row["place"]:
                of_resources.append(said)
            else:
                of_ven = said
        kw = capacity_kw(of_ven, of_resources)
        if kw is not None:
            yield kw


def _attributes(members: str) -> _Attributes:
    try:
        return _DECODER.decode(f"{{{members}}}")
    except (msgspec.DecodeError, UnicodeError):  # one that an earlier version stored says nothing
        return _Attributes()
