"""Find which vens hold a target that decides about a change, and what each sees of it, for a whole fleet at once.

Vens that hold the same of these targets share a key, a short text. What they see is worked out once for each key, and
of single vens nothing is carried on but their ids and keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    CTE,
    ColumnElement,
    CompoundSelect,
    FromClause,
    Integer,
    Text,
    and_,
    cast,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    type_coerce,
    union,
    union_all,
)

from vtn.settings import Privacy
from vtn.store.outbox.rows import BY_TARGETS
from vtn.store.tables import resources, vens
from vtn.store.types import Targets, elements, gathered, numbers_of, overlaps

_FEW: Final = 50
"""Targets that are looked for in an index; of more, all that anybody holds is read, in one go."""


class FleetViews(NamedTuple):
    """Tell who holds what: ``holders`` have (seq, ven id, key), ``views`` (seq, key, held targets, sees now, saw)."""

    holders: CTE
    views: CTE


class FleetHoldings:
    """Build the part of a statement that looks at a change with the eyes of a whole fleet.

    ``sqlite`` says which database it is for. With ``names`` a VEN holds its names as targets (``Visibility``).
    """

    def __init__(self, privacy: Privacy, *, sqlite: bool, names: bool) -> None:
        self._privacy = privacy
        self._sqlite = sqlite
        self._by_names = names

    def of(self, noted: CTE) -> FleetViews:
        """Return the holders of targets of these changes, rows of ``notifications``, and what they see of them."""
        named, inside = self._named(noted), self._inside(noted)
        holders = self._holders(noted, named, inside)
        wanted = union_all(select(named), select(inside)).subquery("wanted")
        return FleetViews(holders, self._views(noted, wanted, holders))

    def _named(self, noted: CTE) -> CTE:
        """Select (seq, target, number) of the targets that each change names; no two rows have one number."""
        its = noted.c
        lists = (its.targets, its.program_targets, its.before_targets, its.before_program_targets)
        each = [elements(one, f"named_{number}", sqlite=self._sqlite) for number, one in enumerate(lists)]
        every = union(
            *(
                select(its.seq, one.c.value.label("target"))
                .select_from(noted.join(one, literal(value=True)))
                .where(its.object_type.in_(BY_TARGETS))
                for one in each
            )
        )
        return self._numbered(every, "named", 1)

    def _inside(self, noted: CTE) -> CTE:
        """Select (seq, target, number) of all that anybody holds, for events with targets inside.

        What is shown of their report descriptors depends on it. The numbers are none of ``_named``.
        """
        every = union(
            *(
                select(noted.c.seq, grant.target.label("target"))
                .select_from(grant.source.join(noted, noted.c.targets_inside))
                .where(grant.holds, _any_inside(noted))
                for grant in self._grants("inside")
            )
        )
        return self._numbered(every, "inside", -1)

    def _numbered(self, targets: CompoundSelect[Any], name: str, step: int) -> CTE:
        every = targets.subquery(f"each_{name}")
        number = func.row_number().over(order_by=(every.c.seq, every.c.target)) * literal_column(str(step), Integer)
        return select(*every.c, (number if self._sqlite else cast(number, Text)).label("number")).cte(name)

    def _holders(self, noted: CTE, named: CTE, inside: CTE) -> CTE:
        """Select (seq, ven id, key) of the vens that hold a target which decides about a change.

        The key names the targets by their numbers. Of a whole fleet it is much smaller than their texts.
        """
        are_few = select(func.count() <= _FEW).select_from(named).scalar_subquery()
        held = []
        for grant in self._grants("held_by"):
            ven_id = grant.ven_id.label("ven_id")
            relevant, more = (
                select(wanted.c.seq, ven_id, wanted.c.number)
                .select_from(grant.source.join(wanted, wanted.c.target == grant.target))
                .where(grant.holds)
                for wanted in (named, inside)
            )
            held.append(more.where(_any_inside(noted)))
            if self._sqlite or grant.listed is None:
                held.append(relevant)
            else:  # it has an index of targets, and compares each with each where it does not use it
                from sqlalchemy.dialects.postgresql import array  # noqa: PLC0415 # not for SQLite

                holds_it = overlaps(grant.listed, type_coerce(array([named.c.target]), Targets))
                by_index = select(named.c.seq, ven_id, named.c.number).select_from(grant.whose.join(named, holds_it))
                held += [by_index.where(are_few), relevant.where(~are_few)]
        every = union_all(*held).subquery("granted")
        ordered = select(every).order_by(*every.c).subquery("ordered") if self._sqlite else every
        whose = (ordered.c.seq, ordered.c.ven_id)
        return select(*whose, numbers_of(ordered.c.number).label("key")).group_by(*whose).cte("holders")

    def _grants(self, name: str) -> Iterator[_Grant]:
        """Return by what a ven holds targets: by its own list, those of its resources, and its id and names if ruled.

        ``name`` begins the names of the lists in the statement.
        """
        of_ven = and_(vens.c.id == resources.c.ven_id, vens.c.client_id == resources.c.client_id)
        of_resource = resources.join(vens, of_ven)
        for table, whose in ((vens, vens), (resources, of_resource)):
            held = elements(table.c.targets, f"{name}_{table.name}", sqlite=self._sqlite)
            source = whose.join(held, literal(value=True))
            yield _Grant(source, vens.c.id, held.c.value, true(), whose, table.c.targets)
        if self._privacy.implicit_ven_id_target:
            yield _Grant(vens, vens.c.id, vens.c.id, true(), vens)
        if self._by_names:  # those that business logic gave them (V301-009)
            yield _Grant(vens, vens.c.id, vens.c.name, vens.c.named_by_bl, vens)
            yield _Grant(of_resource, vens.c.id, resources.c.name, resources.c.named_by_bl, of_resource)

    def _views(self, noted: CTE, wanted: FromClause, holders: CTE) -> CTE:
        """Select (seq, key, held targets) with True where their holders see the object now, and where they saw it."""
        its = noted.c
        alike = select(holders.c.seq, holders.c.key).distinct().subquery("alike")
        listed = alike.c.key if self._sqlite else func.string_to_array(alike.c.key, ",")
        number = elements(listed, "listed", sqlite=self._sqlite)
        each = alike.join(number, literal(value=True)).join(wanted, wanted.c.number == number.c.value)
        targets = select(*alike.c, wanted.c.target).distinct().select_from(each)
        if self._sqlite:
            targets = targets.order_by(wanted.c.target)
        of_key = targets.subquery("of_key")
        key = (of_key.c.seq, of_key.c.key)
        of_each = select(*key, gathered(of_key.c.target).label("held")).group_by(*key).subquery("of_each")
        held = of_each.c.held
        saw = and_(its.before_modified_at.is_not(None), _sees(its.before_targets, its.before_program_targets, held))
        return (
            select(*of_each.c, _sees(its.targets, its.program_targets, held).label("sees_now"), saw.label("saw"))
            .join_from(noted, of_each, of_each.c.seq == its.seq)
            .cte("views")
        )


class _Grant(NamedTuple):
    """By what vens hold targets: where to find them, and ``listed``, the list of ``whose`` that a target stands in."""

    source: FromClause
    ven_id: ColumnElement[Any]
    target: ColumnElement[Any]
    holds: ColumnElement[bool]
    whose: FromClause
    listed: ColumnElement[Any] | None = None


def _any_inside(noted: CTE) -> ColumnElement[bool]:
    """Return a clause: one of the changes is that of an event with targets inside."""
    return exists().where(noted.alias().c.targets_inside)


def _sees(
    targets: ColumnElement[Any], program_targets: ColumnElement[Any], held: ColumnElement[Any]
) -> ColumnElement[bool]:
    """Return a clause: who holds these targets sees the program or event (PRIV-005, PRIV-006, PRIV-016)."""
    return and_(
        or_(targets == (), overlaps(targets, held)), or_(program_targets == (), overlaps(program_targets, held))
    )
