"""Record with each write who wants to hear of it, in its own transaction (GEN-020, WEBHOOK-022).

Nothing is recorded that nobody wants to hear of. Objects are copied into ``notifications`` as they are at the moment:
after a creation or an update, and before a deletion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    Boolean,
    ColumnElement,
    FromClause,
    Insert,
    Select,
    Table,
    Text,
    and_,
    any_,
    bindparam,
    case,
    cast,
    exists,
    false,
    func,
    insert,
    literal,
    null,
    or_,
    select,
)

from vtn.settings import Privacy
from vtn.store.appends import Unless
from vtn.store.database import Database, touch
from vtn.store.engine import AsyncConnection
from vtn.store.outbox.reads import Reads
from vtn.store.outbox.recipients import Recipients
from vtn.store.outbox.rows import BY_TARGETS, Operation, Push
from vtn.store.stamps import Stamps
from vtn.store.tables import (
    deliveries,
    endpoint_operations,
    endpoints,
    events,
    notifications,
    programs,
    reports,
    resources,
    subscriptions,
    vens,
)
from vtn.store.types import KEY, Targets

Clauses: TypeAlias = Callable[[Table], ColumnElement[bool]]
"""Makes the condition that chooses objects in a table."""

_TYPES: Final = {
    programs.name: "PROGRAM",
    events.name: "EVENT",
    reports.name: "REPORT",
    subscriptions.name: "SUBSCRIPTION",
    vens.name: "VEN",
    resources.name: "RESOURCE",
}
_NOBODY: Final = cast(null(), KEY)
_BY_TARGETS: Final = frozenset(name for name, kind in _TYPES.items() if kind in BY_TARGETS)
"""Tables whose objects are seen by their targets: each of their changes is looked at with the eyes of a whole fleet."""
_LOOKED_AT_ONCE: Final = 16
"""Changes of such objects whose recipients one statement finds: times 10,000 vens it still ends in time."""
_DELIVERED_AT_ONCE: Final = 5000


class _Before(NamedTuple):
    """The columns of a notification that say what a program or event was before an update."""

    modified_at: BindParameter[str]
    targets: BindParameter[Any]
    members: BindParameter[str]
    target_records: BindParameter[str]
    program_id: BindParameter[str]
    targets_inside: BindParameter[bool]


_BEFORE: Final = _Before(
    bindparam("before_modified_at", type_=KEY),
    bindparam("before_targets", type_=Targets),
    bindparam("before_members", type_=Text),
    bindparam("before_target_records", type_=Text),
    bindparam("before_program_id", type_=KEY),
    bindparam("before_targets_inside", type_=Boolean),
)


_EVERYTHING: Final = or_(
    endpoints.c.push == str(Push.MQTT),
    and_(endpoints.c.push == str(Push.WEBSOCKET), endpoints.c.wanted_until > bindparam("noted_at", type_=KEY)),
)
"""The endpoints that are told of everything."""
ANYBODY: Final = exists().where(or_(endpoints.c.push == str(Push.WEBHOOK), _EVERYTHING))
"""A clause: there is somebody who may want to hear of something. Its parameter is ``noted_at``."""


class Notes:
    """Record changes of objects in the outbox, for one server. Called by whoever writes, inside its transaction."""

    def __init__(
        self,
        database: Database,
        stamps: Stamps,
        privacy: Privacy,
        *,
        tell_reads: bool = True,
        names: bool = False,
        open_face: str | None = None,
    ) -> None:
        self.reads = Reads(database, self.read, lambda table: _TYPES.get(table.name), enabled=tell_reads)
        self._sqlite = database.is_sqlite
        self._stamps = stamps
        self._follows = privacy.events_follow_program
        self._statements: dict[tuple[object, ...], Insert] = {}
        self._recipients = Recipients(privacy, sqlite=self._sqlite, names=names, open_face=open_face)
        self._wanted = {name: _wants(name, Operation.CREATE) for name in _TYPES}

    @cached_property
    def _deliver(self) -> Insert:
        """The statement that makes deliveries, written for the first change: a start does not wait for it."""
        these = (
            notifications.c.seq.between(bindparam("first"), bindparam("last"))
            if self._sqlite  # there is one writer, so these are all its own
            else notifications.c.seq == any_(cast(bindparam("seqs", type_=ARRAY(Text)), ARRAY(BigInteger)))
        )
        return self._recipients.statement(these)

    def wants_new(self, table: Table) -> Unless | None:
        """Return a condition: somebody wants to hear of new objects of a table; None if nobody ever does."""
        clause = self._wanted.get(table.name)
        return None if clause is None else Unless(clause, self.moment())

    def moment(self) -> dict[str, str]:
        """Return the value of the parameter of ``ANYBODY``."""
        return {"noted_at": self._stamps.now}

    def covers(self, table: Table) -> bool:
        """Return True if anybody is ever told of objects of a table; of resource groups nobody is."""
        return table.name in _TYPES

    async def created(self, connection: AsyncConnection, table: Table, ids: Sequence[str]) -> bool:
        """Record new objects, in the order of their creation; return True if somebody wanted to hear of them."""
        return await self._note(connection, table, Operation.CREATE, "ids", _chosen, {"ids": tuple(ids)})

    async def updated(self, connection: AsyncConnection, table: Table, present: Mapping[Any, Any]) -> None:
        """Record that an object was changed in this transaction; ``present`` is the row before."""
        before = {}
        if table.name in _BY_TARGETS:
            before = {f"before_{name}": present[name] for name in _Before._fields if name in table.c}
        await self._note(connection, table, Operation.UPDATE, "one", _one, {"id": present["id"], **before})

    async def many_updated(self, connection: AsyncConnection, table: Table, ids: Sequence[str]) -> None:
        """Record that objects of one table were changed, none of which is seen by its targets."""
        await self._note(connection, table, Operation.UPDATE, "ids", _chosen, {"ids": tuple(ids)})

    async def deleted(self, connection: AsyncConnection, table: Table, object_id: str) -> None:
        """Record that an object is about to be deleted, with all that goes with it, children first (SUBS-028).

        The transaction has locked the object. What goes with it is locked too, parents first: nobody changes it or adds
        to it, between being told of and being deleted.
        """
        children = _CHILDREN.get(table.name, ())
        for child, clause in () if self._sqlite else reversed(children):
            locked = select(child.c.id).where(clause(child)).with_for_update(of=child).subquery()
            await connection.execute(select(func.count()).select_from(locked), {"id": object_id})
        for child, clause in (*children, (table, _one)):
            await self._note(connection, child, Operation.DELETE, table.name, clause, {"id": object_id})

    async def many_deleted(self, connection: AsyncConnection, table: Table, ids: Sequence[str]) -> None:
        """Record that objects of one table are about to be deleted."""
        await self._note(connection, table, Operation.DELETE, "ids", _chosen, {"ids": tuple(ids)})

    async def read(self, connection: AsyncConnection, table: Table, object_id: str, *, reader: str) -> None:
        """Record that a client has read one object (SUBS-029)."""
        await self._note(connection, table, Operation.READ, "one", _one, {"id": object_id}, reader=reader)

    async def _note(
        self,
        connection: AsyncConnection,
        table: Table,
        operation: Operation,
        key: str,
        clauses: Clauses,
        values: Mapping[str, Any],
        *,
        reader: str | None = None,
    ) -> bool:
        """Record one operation on the objects that ``clauses`` choose; ``key`` names the clauses."""
        if not self.covers(table):
            return False
        name = (table.name, operation, key)
        statement = self._statements.get(name)
        if statement is None:
            statement = self._statements[name] = self._statement(table, operation, clauses)
        noted = {**self.moment(), **values}
        seqs = sorted((await connection.execute(statement, noted)).scalars().all())
        at_once = _LOOKED_AT_ONCE if table.name in _BY_TARGETS else _DELIVERED_AT_ONCE
        for place in range(0, len(seqs), at_once):
            some = seqs[place : place + at_once]
            # A list of texts, since the driver has to ask the database what a list of numbers is, on each connection.
            these = {"first": some[0], "last": some[-1]} if self._sqlite else {"seqs": [str(seq) for seq in some]}
            await connection.execute(self._deliver, {**these, "reader": reader})
        if seqs:
            touch(connection, deliveries)
        return bool(seqs)

    def _statement(self, table: Table, operation: Operation, clauses: Clauses) -> Insert:
        """Return an INSERT of objects into ``notifications`` if anybody wants to hear of them; it gives the numbers."""
        chosen = self._changes(table, operation).where(clauses(table), _wants(table.name, operation))
        chosen = chosen.order_by(table.c.created_at, table.c.id)
        statement = insert(notifications).from_select([str(column.key) for column in chosen.selected_columns], chosen)
        return statement.returning(notifications.c.seq)

    def _changes(self, table: Table, operation: Operation) -> Select[Any]:
        """Select the columns of ``notifications`` for objects of a table."""
        c = table.c
        client = c.client_id if "client_id" in c else _NOBODY
        program: ColumnElement[Any] = _NOBODY
        ven: ColumnElement[Any] = _NOBODY
        inside: ColumnElement[Any] = false()
        targets = c.targets if "targets" in c else cast(null(), Targets)
        its_program: ColumnElement[Any] = literal((), Targets)
        source: FromClause = table
        if table is events:
            source = table.join(programs, programs.c.id == c.program_id)
            program, inside = c.program_id, c.targets_inside
            if operation is Operation.UPDATE:
                inside = or_(inside, _BEFORE.targets_inside)
            if self._follows:
                its_program = programs.c.targets
        elif table is programs:
            program = c.id
        elif table is reports:
            source, program = table.join(events, events.c.id == c.event_id), events.c.program_id
        elif table is subscriptions:
            program = c.program_id
        elif table is vens:
            ven = c.id
        elif table is resources:
            source = table.join(vens, vens.c.id == c.ven_id)
            ven = case((vens.c.client_id == c.client_id, c.ven_id), else_=_NOBODY)
        columns: dict[str, ColumnElement[Any]] = {
            "noted_at": bindparam("noted_at", type_=KEY),
            "object_type": literal(_TYPES[table.name]),
            "operation": literal(str(operation)),
            "object_id": c.id,
            "client_id": client,
            "program_id": program,
            "ven_id": ven,
            "targets_inside": inside,
            "has_tokens": c.has_tokens if table is subscriptions else false(),
            "created_at": c.created_at,
            "modified_at": c.modified_at,
            "targets": targets,
            "program_targets": its_program,
            "members": c.members,
            "target_records": c.target_records if "target_records" in c else cast(null(), Text),
        }
        if operation is Operation.UPDATE:
            columns |= self._before(table)
        return select(*(value.label(name) for name, value in columns.items())).select_from(source)

    def _before(self, table: Table) -> dict[str, ColumnElement[Any]]:
        """Return the columns of what a program or event was; null where its readers are the same as before."""
        if table.name not in _BY_TARGETS:
            return {}
        moved = table.c.targets != _BEFORE.targets
        its_program: ColumnElement[Any] = literal((), Targets)
        if table is events:
            moved = or_(moved, table.c.program_id != _BEFORE.program_id)
            if self._follows:
                earlier = programs.alias("earlier_program")
                its_program = select(earlier.c.targets).where(earlier.c.id == _BEFORE.program_id).scalar_subquery()
        values: dict[str, ColumnElement[Any]] = {
            "before_modified_at": _BEFORE.modified_at,
            "before_targets": _BEFORE.targets,
            "before_program_targets": its_program,
            "before_members": _BEFORE.members,
            "before_target_records": _BEFORE.target_records,
        }
        if table is events:
            values["before_program_id"] = _BEFORE.program_id
        return {name: case((moved, value), else_=null()) for name, value in values.items()}


def _wants(table: str, operation: Operation) -> ColumnElement[bool]:
    """Return a clause: somebody wants to hear of this operation on objects of the table of this name."""
    operations = {str(operation)} | ({str(Operation.DELETE)} if operation is Operation.UPDATE else set())
    listed = endpoint_operations.c
    named = or_(*(listed.operation == word for word in sorted(operations)))
    by_webhook = exists().where(listed.object_type == literal(_TYPES[table]), named)
    return by_webhook if operation is Operation.READ else or_(exists().where(_EVERYTHING), by_webhook)


def _one(table: Table) -> ColumnElement[bool]:
    return table.c.id == bindparam("id", type_=KEY)


def _chosen(table: Table) -> ColumnElement[bool]:
    return table.c.id.in_(bindparam("ids", expanding=True, type_=KEY))


def _of_event(_: Table) -> ColumnElement[bool]:
    return reports.c.event_id == bindparam("id", type_=KEY)


def _of_program(table: Table) -> ColumnElement[bool]:
    its = bindparam("id", type_=KEY)
    if table is reports:
        return reports.c.event_id.in_(select(events.c.id).where(events.c.program_id == its).correlate(None))
    return table.c.program_id == its


def _of_ven(_: Table) -> ColumnElement[bool]:
    return resources.c.ven_id == bindparam("id", type_=KEY)


_CHILDREN: Final[dict[str, tuple[tuple[Table, Clauses], ...]]] = {
    programs.name: ((reports, _of_program), (events, _of_program), (subscriptions, _of_program)),
    events.name: ((reports, _of_event),),
    vens.name: ((resources, _of_ven),),
}
"""Objects that are deleted with another one, because they refer to it: the deepest first."""
