"""Offer what a person may choose for an event: programs, targets, vens and resources by their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from sqlalchemy import cast, func, or_, select, true, union

from vtn.store.audience import holders
from vtn.store.console.preview import elements
from vtn.store.database import Database
from vtn.store.fact_cache import FactCache
from vtn.store.rows import ObjectRow
from vtn.store.stamps import Stamps
from vtn.store.tables import programs, resources, vens
from vtn.store.types import KEY

MOST_TARGETS: Final = 200
"""Targets that are offered to choose from: those that most vens hold."""


class KnownTarget(Struct, frozen=True, kw_only=True):
    """A target that VENs hold, and how many."""

    target: str
    vens: int


class ChoiceStore:
    """Reads what there is to choose from."""

    def __init__(self, database: Database, _: Stamps) -> None:
        self._database = database
        self._sqlite = database.is_sqlite
        self._targets: FactCache[list[KnownTarget]] = FactCache(database.watch(vens, resources), most=1)

    async def known_targets(self) -> list[KnownTarget]:
        """Return the targets that vens and their resources hold, those of most vens first; at most MOST_TARGETS."""
        return await self._targets.get("", self._known_targets)

    async def _known_targets(self) -> list[KnownTarget]:
        parts = []
        for table, ven_id, source in holders():
            each = elements(self._sqlite, table.c.targets, f"each_{table.name}")
            parts.append(
                select(ven_id.label("ven_id"), cast(each.c.value, KEY).label("target")).select_from(
                    source.join(each, true())
                )
            )
        held = union(*parts).subquery("held")
        count = func.count().label("vens")
        statement = (
            select(held.c.target, count)
            .group_by(held.c.target)
            .order_by(count.desc(), held.c.target)
            .limit(MOST_TARGETS)
        )
        return [KnownTarget(target=row["target"], vens=row["vens"]) for row in await self._database.rows(statement)]

    async def vens_called(self, words: Sequence[str]) -> dict[str, str]:
        """Return the ids of vens by the words, names or ids, that name them."""
        statement = select(vens.c.id, vens.c.name).where(or_(vens.c.name.in_(words), vens.c.id.in_(words)))
        found: dict[str, str] = {}
        for row in await self._database.rows(statement):
            found |= {word: row["id"] for word in (row["id"], row["name"]) if word in words}
        return found

    async def resources_called(self, names: Sequence[str]) -> dict[str, list[tuple[str, ...]]]:
        """Return the targets of resources by their names; several may have one."""
        statement = select(resources.c.name, resources.c.targets).where(resources.c.name.in_(names)).limit(1000)
        found: dict[str, list[tuple[str, ...]]] = {}
        for row in await self._database.rows(statement):
            found.setdefault(row["name"], []).append(tuple(row["targets"]))
        return found

    async def program_names(self, limit: int = 200) -> list[str]:
        """Return names of programs, the newest first."""
        statement = select(programs.c.name).order_by(programs.c.created_at.desc()).limit(limit)
        return [row["name"] for row in await self._database.rows(statement)]

    async def program_named(self, name: str) -> ObjectRow | None:
        """Return the program of a name; None if there is none."""
        row = await self._database.row(select(programs).where(programs.c.name == name))
        if row is None:
            return None
        return ObjectRow(row["id"], row["created_at"], row["modified_at"], row["members"], tuple(row["targets"]))
