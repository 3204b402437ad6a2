"""Find the vens that see an event: the rule of ``visibility`` for all vens at once, those that hold a target.

``tests/vtn/console/test_audience.py`` compares it with what a GET shows.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, FromClause, Select, and_, bindparam, literal, select, true, union

from vtn.settings import Privacy
from vtn.store.tables import resources, vens
from vtn.store.types import Targets, overlaps


def sees_event(
    targets: Collection[str], program_targets: Collection[str], privacy: Privacy, *, names: bool = False
) -> ColumnElement[bool]:
    """Return a clause for the vens that see an event with these targets, of a program with those (PRIV-016).

    With ``names`` a ven also holds the names that business logic gave to it and to its resources (V301-009).
    """
    clauses = [_holds(targets, privacy, names=names)]
    if privacy.events_follow_program:
        clauses.append(_holds(program_targets, privacy, names=names))
    return and_(*clauses)


def _holds(targets: Collection[str], privacy: Privacy, *, names: bool) -> ColumnElement[bool]:
    """Return a clause for the vens that hold one of these targets; all of them if there are none (PRIV-005)."""
    return vens.c.id.in_(holding(targets, privacy, names=names)) if targets else true()


def holding(targets: Collection[str], privacy: Privacy, *, names: bool = False) -> CompoundSelect[Any]:
    """Select the ids, as ``ven_id``, of the vens that hold one of these targets (PRIV-003, PRIV-006, V301-009)."""
    wanted = sorted(set(targets))
    one_of = bindparam(None, tuple(wanted), Targets)
    found: list[Select[Any]] = []
    for table, ven_id, source in holders():
        some = table.c.targets != literal((), Targets)  # as the index on them says
        found.append(select(ven_id.label("ven_id")).select_from(source).where(some, overlaps(table.c.targets, one_of)))
        if names:
            named = and_(table.c.named_by_bl, table.c.name.in_(wanted))
            found.append(select(ven_id.label("ven_id")).select_from(source).where(named))
    if privacy.implicit_ven_id_target:
        found.append(select(vens.c.id.label("ven_id")).where(vens.c.id.in_(wanted)))
    return union(*found)


def holders() -> tuple[tuple[Any, ColumnElement[str], FromClause], ...]:
    """Return where targets are held that VENs see events by: those of vens, and of resources of the same client."""
    whose = and_(vens.c.id == resources.c.ven_id, vens.c.client_id == resources.c.client_id)
    return (vens, vens.c.id, vens), (resources, resources.c.ven_id, resources.join(vens, whose))
