"""Find the vens that see an event: the rule of ``visibility`` for all vens at once, those that hold a target.

``tests/vtn/facts/test_audience.py`` compares it with what a GET shows.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, Select, and_, bindparam, select, true, union

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
    if not targets:
        return true()
    wanted = sorted(set(targets))
    one_of = bindparam(None, tuple(wanted), Targets)
    its = and_(vens.c.id == resources.c.ven_id, vens.c.client_id == resources.c.client_id)
    of_resources = select(resources.c.ven_id).join(vens, its)
    holders: list[Select[tuple[str]]] = [
        select(vens.c.id).where(overlaps(vens.c.targets, one_of)),
        of_resources.where(overlaps(resources.c.targets, one_of)),
    ]
    if privacy.implicit_ven_id_target:
        holders.append(select(vens.c.id).where(vens.c.id.in_(wanted)))
    if names:
        holders.append(select(vens.c.id).where(vens.c.name.in_(wanted), vens.c.named_by_bl))
        holders.append(of_resources.where(resources.c.name.in_(wanted), resources.c.named_by_bl))
    return vens.c.id.in_(union(*holders))
