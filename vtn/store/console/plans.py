"""Drafts and templates of events: forms that are kept as they were typed, and that no VEN sees."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct
from sqlalchemy import delete, func, insert, select, update

from vtn.errors import Conflict, NotFound
from vtn.store.console.plan_tables import event_plans
from vtn.store.database import Database
from vtn.store.ids import new_id
from vtn.store.stamps import Stamps

MOST_PLANS: Final = 1000
"""Drafts and templates that are kept at once."""


class PlanKind(StrEnum):
    """Name what a kept form is: the draft of one event, or a template for many."""

    DRAFT = "DRAFT"
    TEMPLATE = "TEMPLATE"


class PlanRow(Struct, frozen=True, kw_only=True):
    """A kept form. ``typed`` is a JSON text of its fields; instants are stamps."""

    id: str
    kind: PlanKind
    name: str
    typed: str
    made_by: str
    made_at: str
    changed_at: str


class PlanStore:
    """Drafts and templates, by their ids."""

    def __init__(self, database: Database, stamps: Stamps) -> None:
        self._database = database
        self._stamps = stamps

    async def keep(self, kind: PlanKind, name: str, typed: str, *, by: str, plan_id: str | None = None) -> str:
        """Keep a form, in place of the one with an id if there is one of that kind; return its id. Raises Conflict."""
        at = self._stamps.next()
        async with self._database.write() as connection:
            if plan_id is not None:
                its = update(event_plans).where(event_plans.c.id == plan_id, event_plans.c.kind == str(kind))
                values = {"name": name, "typed": typed, "changed_at": at}
                if (await connection.execute(its.values(values))).rowcount:
                    return plan_id
            count = (await connection.execute(select(func.count()).select_from(event_plans))).scalar_one()
            if count >= MOST_PLANS:
                raise Conflict(
                    f"there are {count:,} drafts and templates; expected at most {MOST_PLANS:,}: remove some"
                )
            row = {"id": new_id(), "kind": str(kind), "name": name, "typed": typed}
            row |= {"made_by": by, "made_at": at, "changed_at": at}
            await connection.execute(insert(event_plans).values(row))
        return row["id"]

    async def get(self, plan_id: str) -> PlanRow:
        """Return a kept form; raises NotFound."""
        row = await self._database.row(select(event_plans).where(event_plans.c.id == plan_id))
        if row is None:
            raise NotFound("there is no such draft or template; it may have been removed or published")
        return PlanRow(**{**row, "kind": PlanKind(row["kind"])})

    async def all(self, kind: PlanKind, *, skip: int = 0, limit: int = 50) -> Sequence[PlanRow]:
        """Return kept forms of a kind, those changed last first."""
        order = event_plans.c.changed_at.desc(), event_plans.c.id
        chosen = select(event_plans).where(event_plans.c.kind == str(kind)).order_by(*order).limit(limit).offset(skip)
        return [PlanRow(**{**row, "kind": PlanKind(row["kind"])}) for row in await self._database.rows(chosen)]

    async def remove(self, plan_id: str) -> None:
        """Remove a kept form, and the repeats of a template; raises NotFound."""
        async with self._database.write() as connection:
            gone = delete(event_plans).where(event_plans.c.id == plan_id)
            if not (await connection.execute(gone)).rowcount:
                raise NotFound("there is no such draft or template; it may have been removed before")
