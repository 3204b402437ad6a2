"""Resource groups in the database (COMPAT-088)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    CTE,
    ColumnElement,
    CompoundSelect,
    RowMapping,
    Select,
    Text,
    bindparam,
    cast,
    delete,
    exists,
    func,
    insert,
    null,
    select,
    union_all,
)

from openadr_profiles.v31 import RESOURCE_GROUP, GroupChild, Invalid, ResourceGroupRequest
from vtn.access import Caller, business_logic_only
from vtn.errors import Conflict, NotFound
from vtn.nesting import check_nesting
from vtn.settings import ResourceGroups
from vtn.store.database import Database
from vtn.store.engine import AsyncConnection
from vtn.store.failures import ConstraintViolated
from vtn.store.large import WHOLE_BYTES, Large, Row, shown_within
from vtn.store.objects import Objects, members_of, shared_columns
from vtn.store.outbox.notes import Notes
from vtn.store.page_cursors import newest_first
from vtn.store.query import ResourceGroupQuery
from vtn.store.rows import GroupRow, ObjectRow, Precondition, RowPage
from vtn.store.stamps import Stamps
from vtn.store.tables import constraint, resource_group_children, resource_groups, resources, vens
from vtn.store.types import Targets, includes
from vtn.store.visibility import owned, share_a_target, writable

Children: TypeAlias = tuple[tuple[str, str], ...]
"""The type and the id of each child, in their order."""

_LOCK: Final = "resource groups"
_links = resource_group_children


class ResourceGroupStore(Objects):
    """Groups of resources and of other groups, written by business logic.

    A VEN sees the groups that hold a resource of its own, directly or through groups in them, and of their children
    those resources and groups. Its texts, and so its ETags, are made of these only. Every read is one statement: a
    group and its children are of one moment.

    Writers take turns, as two changes that are right by themselves can close a circle together. How far a statement
    has to go is bounded when groups are written (``ResourceGroups``).
    """

    table = resource_groups
    kind = RESOURCE_GROUP

    def __init__(self, database: Database, stamps: Stamps, notes: Notes, limits: ResourceGroups) -> None:
        super().__init__(database, stamps, notes)
        self._limits = limits
        self.watch = self.watch_with_grants = database.watch(_links)  # and resources, through its keys

    async def search(self, query: ResourceGroupQuery, *, visible_to: Caller) -> RowPage | Large:
        """Return one page of the groups the caller may see, the newest first."""
        if not query.page.limit:
            return RowPage()
        visible = _VisibleGroups(visible_to)
        clauses: list[ColumnElement[bool]] = visible.groups()
        if query.targets is not None:
            clauses.append(share_a_target(resource_groups.c.targets, query.targets))
        if query.name is not None:
            clauses.append(resource_groups.c.name == query.name)
        page = select(resource_groups.c.id).where(*clauses).order_by(*newest_first(resource_groups))
        found = page.limit(query.page.limit).offset(query.page.skip).subquery("found")
        joined = resource_groups.join(found, found.c.id == resource_groups.c.id)
        statement = select(*self._in_page, *visible.children()).select_from(joined)
        rows = await self._database.rows(statement.order_by(*newest_first(resource_groups)))
        return await self._seen_page(rows, self._whole_objects, audience=[_children_in(row) for row in rows])

    async def get(self, object_id: str, *, visible_to: Caller) -> ObjectRow | Large:
        """Return one group; raises NotFound also when it is hidden."""
        visible = _VisibleGroups(visible_to)
        columns = *shown_within(resource_groups, WHOLE_BYTES), *visible.children()
        statement = select(*columns).where(resource_groups.c.id == object_id, *visible.groups())
        row = await self._database.row(statement)
        if row is None:
            raise NotFound
        return self._seen_row(row, self._whole_objects, audience=_children_in(row))

    async def create(self, group: ResourceGroupRequest, *, by: Caller) -> ObjectRow:
        """Store a new group.

        Raises Invalid for children that are too many or named twice, NotFound for one that does not exist, Conflict if
        the name is taken or a limit would be exceeded, Forbidden for a VEN.
        """
        business_logic_only(by)
        children = self._checked(group)
        row = self._row(_columns(group))
        try:
            async with self._database.write() as connection:
                await self._take_turn(connection)
                await self._check_children(connection, None, children)
                await self._writes.insert_in(connection, row)
                await _store(connection, row["id"], children)
        except ConstraintViolated as error:
            raise _refused(error) from error
        return self._whole_object({**row, "children": children})

    async def replace(
        self, object_id: str, group: ResourceGroupRequest, *, by: Caller, check: Precondition | None = None
    ) -> ObjectRow:
        """Put a group with its children in the place of another; raises as ``create`` does, NotFound for a VEN."""
        try:
            async with self._database.write() as connection:
                await self._take_turn(connection)
                present = await self._present(connection, object_id, by, check)
                children = self._checked(group)
                if children != _children_in(present):
                    await self._check_children(connection, object_id, children)
                    await connection.execute(delete(_links).where(_links.c.group_id == object_id))
                    await _store(connection, object_id, children)
                return await self._update(connection, {**present, "children": children}, _columns(group))
        except ConstraintViolated as error:
            raise _refused(error) from error

    async def delete(self, object_id: str, *, by: Caller, check: Precondition | None = None) -> ObjectRow:
        """Remove a group, and take it out of those that hold it; its children stay. Returns what it was."""
        async with self._database.write() as connection:
            await self._take_turn(connection)
            present = await self._present(connection, object_id, by, check)
            await self._writes.delete(connection, object_id)
        return self._whole_object(present)

    async def _present(
        self, connection: AsyncConnection, object_id: str, by: Caller, check: Precondition | None
    ) -> RowMapping:
        """Return the group about to change; raises NotFound."""
        statement = select(resource_groups, *_VisibleGroups(by).children())
        return await self._locked(connection, statement.where(resource_groups.c.id == object_id, *writable(by)), check)

    async def _take_turn(self, connection: AsyncConnection) -> None:
        """Wait until no other transaction writes groups. What is read after this is what they have left."""
        if not self._database.is_sqlite:  # it has one writer
            await connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(_LOCK))))

    def _checked(self, group: ResourceGroupRequest) -> Children:
        children = group.children or ()
        if len(children) > self._limits.max_children:
            raise Invalid("children", f"{len(children)} of them; expected {self._limits.max_children} at most")
        known = set[GroupChild]()
        for place, child in enumerate(children):
            if child in known:
                raise Invalid(f"children[{place}].id", "named more than once")
            known.add(child)
        return tuple((child.type, child.id) for child in children)

    async def _check_children(self, connection: AsyncConnection, group_id: str | None, children: Children) -> None:
        """Raise NotFound or Conflict, naming the child, unless the group can hold all of them."""
        limits = self._limits
        ids = _by_place(children, "ven_resource")
        if ids:
            found = await connection.execute(_resources_found(tuple(ids.values()), group_id))
            self._check_each(ids, {row.id: row.groups for row in found}, "resource")
        ids = _by_place(children, "resource_group")
        if ids:
            rows = (await connection.execute(_groups_found(tuple(ids.values()), group_id))).all()
            self._check_each(ids, {row.id: row.groups for row in rows}, "resource group")
            if len(ids) + rows[0].nested > limits.max_nested:
                raise Conflict(f"children: more than {limits.max_nested} places for groups in groups would be taken")
            links = await connection.execute(_around(tuple(ids.values()), group_id))
            check_nesting(group_id, ids, [(row[0], row[1]) for row in links], max_depth=limits.max_depth)

    def _check_each(self, ids: Mapping[int, str], groups: Mapping[str, int], what: str) -> None:
        """``groups`` says of each child that exists in how many other groups it is."""
        for place, child_id in ids.items():
            if child_id not in groups:
                raise NotFound(f"children[{place}].id: there is no such {what}")
            if groups[child_id] >= self._limits.max_groups_each:
                raise Conflict(f"children[{place}].id: this {what} is in {groups[child_id]} groups already")

    def _whole_objects(self, rows: Iterable[Row]) -> Sequence[GroupRow]:
        """Return groups with those of their children that are in the rows."""
        return [GroupRow(*shared_columns(row), children=_children_in(row)) for row in rows]


class _VisibleGroups:
    """Build what a caller sees of groups, as parts of one statement."""

    def __init__(self, caller: Caller) -> None:
        self._own = owned(resources.c.client_id, caller)
        self._seen: CTE | None = None
        if not caller.sees_everything:
            direct = select(_links.c.group_id.label("id")).join(resources, resources.c.id == _links.c.resource_id)
            seen = direct.where(*self._own).cte("seen", recursive=True)
            self._seen = seen.union(select(_links.c.group_id).join(seen, _links.c.child_group_id == seen.c.id))

    def groups(self) -> list[ColumnElement[bool]]:
        """Return clauses for the groups that are visible: all of them for business logic."""
        return [] if self._seen is None else [resource_groups.c.id.in_(select(self._seen.c.id))]

    def children(self) -> tuple[ColumnElement[str], ColumnElement[str]]:
        """Return columns with the visible resources and groups in a group, as ``_children_in`` reads them."""
        inner, groups = _listed(_links.c.resource_id), _listed(_links.c.child_group_id)
        if self._seen is not None:
            inner = inner.where(exists().where(resources.c.id == _links.c.resource_id, *self._own))
            groups = groups.where(_links.c.child_group_id.in_(select(self._seen.c.id)))
        return inner.scalar_subquery().label("resources"), groups.scalar_subquery().label("groups")


def _listed(child: ColumnElement[str]) -> Select[Any]:
    """Select the children of one type in a group, with their places; null if there are none."""
    listed = func.aggregate_strings(cast(_links.c.place, Text) + " " + child, ",")
    return (
        select(listed).select_from(_links).where(_links.c.group_id == resource_groups.c.id).correlate(resource_groups)
    )


def _children_in(row: Mapping[Any, Any]) -> Children:
    """Return the children of a row, in their order: those just written, or those read from the database."""
    written: Children | None = row.get("children")
    if written is not None:
        return written
    found = [
        (int(place), type_, child_id)
        for type_, listed in (("ven_resource", row["resources"]), ("resource_group", row["groups"]))
        if listed
        for place, child_id in (one.split(" ") for one in listed.split(","))
    ]
    return tuple((type_, child_id) for _, type_, child_id in sorted(found))


def _by_place(children: Children, type_: str) -> dict[int, str]:
    """Return the ids of the children of one type, each under its place in the document."""
    return {place: child_id for place, (child_type, child_id) in enumerate(children) if child_type == type_}


def _resources_found(ids: tuple[str, ...], group_id: str | None) -> Select[Any]:
    """Select the id of each of these resources, and the number of other groups it is in; none can be deleted meanwhile.

    A ven is locked before its resources, as where it is deleted: two transactions cannot wait for each other.
    """
    return (
        select(resources.c.id, _groups_of(_links.c.resource_id == resources.c.id, group_id))
        .join(vens)
        .where(includes(bindparam("ids", ids, Targets), resources.c.id))
        .order_by(vens.c.id, resources.c.id)
        .with_for_update(read=True, key_share=True, of=[vens, resources])
    )


def _groups_found(ids: tuple[str, ...], group_id: str | None) -> Select[Any]:
    """Select the id of each of these groups, the number of other groups it is in, and that of all groups in groups."""
    nested = select(func.count()).where(_links.c.child_group_id.is_not(null()), _links.c.group_id != (group_id or ""))
    return select(
        resource_groups.c.id,
        _groups_of(_links.c.child_group_id == resource_groups.c.id, group_id),
        nested.scalar_subquery().label("nested"),
    ).where(includes(bindparam("ids", ids, Targets), resource_groups.c.id))


def _groups_of(child: ColumnElement[bool], group_id: str | None) -> ColumnElement[int]:
    others = select(func.count()).select_from(_links).where(child, _links.c.group_id != (group_id or ""))
    return others.correlate(resources, resource_groups).scalar_subquery().label("groups")


def _around(ids: tuple[str, ...], group_id: str | None) -> CompoundSelect[Any]:
    """Select the links above a group, and those below the groups that it is to hold."""
    pairs = select(_links.c.group_id, _links.c.child_group_id).where(_links.c.child_group_id.is_not(null()))
    below = pairs.where(includes(bindparam("ids", ids, Targets), _links.c.group_id)).cte("below", recursive=True)
    below = below.union(pairs.join(below, below.c.child_group_id == _links.c.group_id))
    above = pairs.where(_links.c.child_group_id == group_id).cte("above", recursive=True)
    above = above.union(pairs.join(above, above.c.group_id == _links.c.child_group_id))
    return union_all(select(below), select(above))


async def _store(connection: AsyncConnection, group_id: str, children: Children) -> None:
    rows = [
        {
            "group_id": group_id,
            "place": place,
            "resource_id": child_id if type_ == "ven_resource" else None,
            "child_group_id": child_id if type_ == "resource_group" else None,
        }
        for place, (type_, child_id) in enumerate(children)
    ]
    if rows:
        await connection.execute(insert(_links), rows)


def _columns(group: ResourceGroupRequest) -> dict[str, Any]:
    members: dict[str, Any] = {"resourceGroupName": group.resource_group_name}
    if group.attributes is not None:
        members["attributes"] = group.attributes
    return {"name": group.resource_group_name, "targets": group.targets or (), "members": members_of(members)}


def _refused(error: ConstraintViolated) -> Exception:
    if error.is_of(constraint(resource_groups, "name")):
        return Conflict("resourceGroupName: another resource group has this name")
    return error
