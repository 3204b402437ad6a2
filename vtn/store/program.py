"""Programs in the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

from msgspec.structs import replace
from sqlalchemy import ColumnElement, Select, select

from openadr_profiles.v31 import ObjectType, ProgramRequest, ValuesMap, decode
from vtn.access import Caller, Entitlement, business_logic_only
from vtn.errors import Conflict, NotFound
from vtn.store.database import Database
from vtn.store.failures import ConstraintViolated
from vtn.store.large import Large
from vtn.store.objects import Objects, View, members_of
from vtn.store.outbox.notes import Notes
from vtn.store.query import ProgramQuery
from vtn.store.rows import ObjectRow, Precondition, RowPage
from vtn.store.stamps import Stamps
from vtn.store.tables import constraint, events, programs, reports, resources, vens
from vtn.store.typed_targets import Records, matching, stored_records
from vtn.store.visibility import Visibility, seen_by, share_a_target, shown_to, writable

Keeping: TypeAlias = Callable[[ProgramRequest, Sequence[ValuesMap]], ProgramRequest]
"""Makes a program of one that is written, and of the attributes of the one it takes the place of."""


class ProgramStore(Objects):
    """Programs: seen through their targets, written by business logic, named once (PROG-001 … PROG-016)."""

    table = programs
    kind = ObjectType.PROGRAM

    def __init__(self, database: Database, stamps: Stamps, notes: Notes, visibility: Visibility) -> None:
        super().__init__(database, stamps, notes)
        self._visibility = visibility
        self.watch_with_grants = database.watch(self.table, vens, resources)

    async def audience(self, caller: Caller) -> Caller:
        """Return all that an answer depends on of its caller: the targets held, not the client."""
        return await self._visibility.audience(caller)

    async def search(self, query: ProgramQuery, *, visible_to: Caller) -> RowPage | Large:
        """Return one page of the programs the caller may see, with the targets it may see."""
        entitlement = await self._visibility.entitlement(visible_to, query.targets)
        clauses: list[ColumnElement[bool]] = self._visibility.program(entitlement)
        if entitlement is None and query.targets is not None:
            clauses.append(share_a_target(programs.c.targets, query.targets))
        if query.typed is not None:
            clauses.append(matching(programs, query.typed, None if entitlement is None else entitlement.granted))
        if query.names is not None:
            clauses.append(programs.c.name.in_(query.names))
        rows = await self._page(query.page, clauses)
        return await self._seen_page(rows, self._view(entitlement), audience=shown_to(entitlement))

    async def public_names(self) -> list[str]:
        """Names of programs that everybody may see, the newest first (MDNS-005)."""
        statement = (
            select(programs.c.name).where(programs.c.targets == ()).order_by(programs.c.created_at.desc()).limit(50)
        )
        return [row["name"] for row in await self._database.rows(statement)]

    async def id_named(self, name: str) -> str | None:
        """Return the id of the program of a name, whoever may see it; None if there is none."""
        row = await self._database.row(select(programs.c.id).where(programs.c.name == name))
        return None if row is None else str(row["id"])

    async def get(self, object_id: str, *, visible_to: Caller) -> ObjectRow | Large:
        """Return one program; raises NotFound also when it is hidden (PRIV-010)."""
        entitlement = await self._visibility.entitlement(visible_to)
        clauses = self._visibility.program(entitlement)
        return await self._seen_object(object_id, clauses, self._view(entitlement), audience=shown_to(entitlement))

    async def is_targeted(self, object_id: str, *, visible_to: Caller) -> bool:
        """Return True if a program has targets, whether or not they may be shown; raises NotFound as ``get`` does."""
        clauses = self._visibility.program(await self._visibility.entitlement(visible_to))
        row = await self._database.row(select(programs.c.targets).where(programs.c.id == object_id, *clauses))
        if row is None:
            raise NotFound
        return bool(row["targets"])

    async def create(self, program: ProgramRequest, *, by: Caller, records: Records | None = None) -> ObjectRow:
        """Store a new program; raises Conflict if its name is taken (PROG-002), Forbidden for a VEN."""
        business_logic_only(by)
        try:
            return await self._insert(self._row(_columns(program, records)))
        except ConstraintViolated as error:
            raise _conflict(error) from error

    async def replace(
        self,
        object_id: str,
        program: ProgramRequest,
        *,
        by: Caller,
        check: Precondition | None = None,
        records: Records | None = None,
        keeping: Keeping | None = None,
    ) -> ObjectRow:
        """Put a program in the place of another; raises NotFound, Conflict (PROG-003).

        ``keeping`` makes of both what is stored; without it that is ``program``.
        """
        try:
            async with self._database.write() as connection:
                present = await self._locked(connection, self._selected(object_id, writable(by)), check)
                if keeping is not None:
                    before = decode(f"{{{present['members']}}}", ProgramRequest)
                    program = keeping(program, before.attributes or ())
                return await self._update(connection, present, _columns(program, records, present["target_records"]))
        except ConstraintViolated as error:
            raise _conflict(error) from error

    async def delete(self, object_id: str, *, by: Caller, check: Precondition | None = None) -> ObjectRow:
        """Remove a program with its events and their reports (PROG-012); returns what it was."""
        return self._whole_object(await self._delete(object_id, writable(by), check))

    def _reports_of(self, object_id: str) -> Select[Any]:
        return select(reports.c.id).join(events).where(events.c.program_id == object_id)

    def _events_of(self, object_id: str) -> Select[Any]:
        return select(events.c.id).where(events.c.program_id == object_id)

    def _view(self, entitlement: Entitlement | None) -> View:
        return self._whole_objects if entitlement is None else partial(seen_by, entitlement)


def _columns(program: ProgramRequest, records: Records | None, before: str | None = None) -> dict[str, Any]:
    targets = program.targets or ()
    return {
        "name": program.program_name,
        "targets": targets,
        "target_records": stored_records(records, before, targets),
        "members": members_of(replace(program, targets=None)),
    }


def _conflict(error: ConstraintViolated) -> Exception:
    if error.is_of(constraint(programs, "name")):
        return Conflict("programName: another program has this name")
    return error
