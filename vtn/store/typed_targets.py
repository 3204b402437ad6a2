"""Targets with types, as 3.0.1 has them, beside the plain ones by which everything is decided (V301-001 … V301-008).

``target_records`` of an object holds them as a text of ``openadr_profiles.v301.targets``; null where no target has a
type, which is so for all that is written on 3.1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import structlog
from sqlalchemy import ColumnElement, Table, and_, bindparam, false, or_

from openadr_profiles.v301 import targets as typed
from openadr_profiles.v301.targets import TargetRecord
from vtn.store.query import TargetFilter
from vtn.store.tables import resources, vens
from vtn.store.types import Targets, any_listed, overlaps

Records: TypeAlias = Sequence[TargetRecord]
"""The targets that somebody wrote on 3.0.1; in their place None says that 3.1 was spoken."""


def stored_records(
    given: Records | None, before: str | None, targets: Iterable[str], inside: Iterable[Iterable[str]] = ()
) -> str | None:
    """Return the records of an object that is written, from those ``before``; ``inside`` are those of its descriptors.

    What is written without types keeps those that it had (V301-004).
    """
    if given is not None:
        return typed.stored(given)
    return None if before is None else typed.stored(typed.kept(typed.read(before), targets, inside))


class OwnedRecords(NamedTuple):
    """The targets of a ven or resource as somebody wrote them on 3.0.1; ``untyped`` is the type he reads for none."""

    given: Records
    untyped: str


_log = structlog.get_logger(__name__)

_MOST_LOGGED: Final = 10
_VALUES, _OWN, _RECORDS, _UNTYPED = "filter_values", "filter_own", "filter_records", "filter_untyped"
NOTHING_YET: Final[Mapping[str, Any]] = {"targets": (), "target_records": None, "named_by_bl": None, "name": None}
"""In the place of a ven or resource that is new."""


def owned_records(
    records: OwnedRecords | None, present: Mapping[Any, Any], targets: tuple[str, ...], *, by_business_logic: bool
) -> tuple[tuple[str, ...], str | None]:
    """Return the targets that a ven or resource holds after it is written, and its records.

    ``targets`` are those it would hold without records: what a VEN writes changes none of them (V301-008).
    """
    before = typed.read(present["target_records"])
    if records is None:
        return targets, stored_records(None, present["target_records"], targets)
    if by_business_logic:
        found = typed.granted(before, records.given)
        return typed.texts_of(found), typed.stored(found)
    return targets, typed.stored(typed.described(before, targets, records.given, records.untyped))


def tell_what_is_not_granted(kind: str, present: Mapping[Any, Any], records: OwnedRecords | None) -> None:
    """Log what business logic named and does not grant, as the VEN wrote it itself (V301-008).

    It may only be putting back what it read. ``present`` is the ven or resource as it was before.
    """
    if records is None:
        return
    found = typed.not_granted(typed.read(present["target_records"]), records.given)
    if found:
        _log.warning(
            "business logic named targets that the VEN wrote itself: they grant nothing until it writes them on 3.1",
            kind=kind,
            id=present["id"],
            name=present["name"],
            targets=typed.texts_of(record._replace(descriptive=False) for record in found[:_MOST_LOGGED]),
            how_many=len(found),
        )


def named_by_business_logic(present: Mapping[Any, Any], name: str, *, by_business_logic: bool) -> bool | None:
    """Return True if business logic gave a ven or resource its name; None if its VEN may have done so (V301-009).

    To put back the name that was there gives none.
    """
    if present["name"] == name:
        return present["named_by_bl"] or None
    return by_business_logic or None


def matching(table: Table, wanted: TargetFilter, held: Collection[str] | None = None) -> ColumnElement[bool]:
    """Return a clause for the objects of a table that meet a filter.

    ``held`` are the targets of a reader who sees no others: nobody finds out about what he is not shown. None: all.
    The same clause is right with the ``filter_parameters`` of another filter of the same ``filter_form``.
    """
    given = filter_parameters(wanted, held)
    c, texts = table.c, {name: bindparam(name, values, Targets) for name, values in given.items()}
    plain = overlaps(c.targets, texts[_VALUES]) if _VALUES in texts else None
    if wanted.type is None:
        found = false() if plain is None else plain
        return or_(found, any_listed(c.target_records, texts[_OWN])) if table in {vens, resources} else found
    alternatives: list[ColumnElement[bool]] = [any_listed(c.target_records, texts[_RECORDS])]
    if wanted.untyped:
        alternatives.append(any_listed(c.target_records, texts[_UNTYPED]))
        alternatives.append(and_(c.target_records.is_(None), c.targets != () if plain is None else plain))
    # What is held is found by an index; what a VEN wrote itself has no other place than the records.
    return or_(*alternatives) if plain is None or table in {vens, resources} else and_(plain, or_(*alternatives))


def filter_form(wanted: TargetFilter | None, held: Collection[str] | None) -> tuple[bool, ...] | None:
    """Return what the clause of a filter depends on, beside its parameters."""
    if wanted is None:
        return None
    return wanted.type is None, wanted.values is None and held is None, wanted.untyped


def filter_parameters(wanted: TargetFilter | None, held: Collection[str] | None) -> dict[str, tuple[str, ...]]:
    """Return the parameters of the clause of a filter, by their names."""
    if wanted is None:
        return {}
    values = wanted.values
    if held is not None:
        values = tuple(sorted(held if values is None else set(held) & set(values)))
    found = {} if values is None else {_VALUES: values}
    if wanted.type is None:
        return found | {_OWN: typed.searched_own(values or ())}
    found[_RECORDS] = typed.searched(wanted.type, values)
    return found | ({_UNTYPED: typed.searched(None, values)} if wanted.untyped else {})
