"""Write what a caller may see as SQL: the rule of ``vtn/access.py``, and there is no third place that decides it.

Targets are data of the statement, its text is the same for every caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    CompoundSelect,
    FromClause,
    Select,
    Text,
    and_,
    bindparam,
    exists,
    false,
    or_,
    select,
    true,
    union_all,
)

from vtn.access import Caller, Entitlement, Role
from vtn.settings import Privacy
from vtn.store.database import Database
from vtn.store.fact_cache import FactCache
from vtn.store.large import Row
from vtn.store.objects import members_of
from vtn.store.rows import ObjectRow
from vtn.store.tables import events, programs, resources, vens
from vtn.store.types import Targets, all_of, includes, only, overlaps

_EVERYBODY: Final = Caller("", Role.BL, frozenset())
_REMEMBERED: Final = 20_000


def grants(client_id: str | BindParameter[str], *, names: bool = False) -> CompoundSelect[Any]:
    """Select (ven id, targets) of the client's ven, and of the ven's resources with the same client (PRIV-003).

    With ``names`` those are held too that business logic gave to the ven and to these resources (V301-009).
    """
    its = vens.c.client_id == client_id
    theirs = and_(resources.c.ven_id == vens.c.id, resources.c.client_id == vens.c.client_id)
    held = [
        select(vens.c.id.label("ven_id"), vens.c.targets.label("held")).where(its),
        select(vens.c.id, resources.c.targets).join(resources, theirs).where(its),
    ]
    if names:
        held.append(select(vens.c.id, only(vens.c.name)).where(its, vens.c.named_by_bl))
        named = select(vens.c.id, only(resources.c.name)).join(resources, theirs)
        held.append(named.where(its, resources.c.named_by_bl))
    return union_all(*held)


def held_at_once(client_id: str | BindParameter[str], *, names: bool = False) -> Select[Any]:
    """Select exactly one row of (ven id, targets): each target once; the ven id is null when the client has no ven."""
    ven_id = select(vens.c.id).where(vens.c.client_id == client_id).scalar_subquery()  # a client has one ven at most
    held = select(grants(client_id, names=names).subquery("granted").c.held).scalar_subquery()
    return select(ven_id.label("ven_id"), all_of(held).label("held"))


_GRANTS: Final = {names: held_at_once(bindparam("client_id", type_=Text), names=names) for names in (False, True)}


class Visibility:
    """Visibility of programs and events to callers. With ``names`` a VEN holds its names as targets (V301-009)."""

    def __init__(self, database: Database, privacy: Privacy, *, names: bool = False) -> None:
        self.names: Final = names
        self._database = database
        self._privacy = privacy
        self._granted: FactCache[Caller] = FactCache(database.watch(vens, resources), most=_REMEMBERED)

    async def entitlement(self, caller: Caller, asked: tuple[str, ...] | None = None) -> Entitlement | None:
        """Return the entitlement of the caller in one request; None if it sees everything."""
        if caller.sees_everything:
            return None
        narrowed = None if asked is None else frozenset(asked)
        if caller.public is not None:
            return Entitlement(frozenset(), narrowed, caller.public)
        granted = caller.granted
        if granted is None:
            granted = (await self.audience(caller)).granted or frozenset()
        return Entitlement(granted, narrowed)

    async def audience(self, caller: Caller) -> Caller:
        """Return a caller that stands for all who see the same programs and events, by the targets held."""
        if caller.sees_everything:
            return _EVERYBODY
        if caller.public is not None:
            return caller
        return await self._granted.get(caller.client_id, lambda: self._look_up(caller.client_id))

    async def _look_up(self, client_id: str) -> Caller:
        held = self.held((await self._database.found(_GRANTS[self.names], {"client_id": client_id}))[0])
        return Caller("", Role.VEN, frozenset(), granted=held)

    def held(self, row: Mapping[Any, Any]) -> frozenset[str]:
        """Return the targets in a row of ``held_at_once``; none without a ven."""
        ven_id = row["ven_id"]
        implied = (ven_id,) if ven_id is not None and self._privacy.implicit_ven_id_target else ()
        return frozenset((*row["held"], *implied))

    def with_grants(self, from_: FromClause, caller: Caller) -> tuple[tuple[ColumnElement[Any], ...], FromClause]:
        """Add what the caller holds to each row, in columns that come first; no columns for who sees everything.

        The number of rows stays the same: all grants are in one row (``held_at_once``). A join with the grants
        themselves would give each row, with all its text, once for every resource of the caller.
        """
        if caller.sees_everything:
            return (), from_
        held = held_at_once(caller.client_id, names=self.names).subquery("held_by_reader")
        return (held.c.ven_id, held.c.held), from_.join(held, true())

    def entitlement_in(self, row: Mapping[Any, Any], caller: Caller) -> Entitlement | None:
        """Return the entitlement of the caller, from a row selected ``with_grants``; None if it sees everything."""
        return None if caller.sees_everything else Entitlement(self.held(row))

    def program(self, entitlement: Entitlement | None) -> list[ColumnElement[bool]]:
        """Return clauses for the visible programs (PRIV-005 … PRIV-008)."""
        if entitlement is None:
            return []
        if entitlement.public is not None:
            return [_untargeted(programs.c.targets, entitlement), _named(entitlement.public)]
        return [_admits(programs.c.targets, entitlement, "effective")]

    def program_for(self, caller: Caller) -> list[ColumnElement[bool]]:
        """Return clauses for the programs visible by the targets that the caller holds when the statement runs."""
        if caller.sees_everything:
            return []
        held = grants(caller.client_id, names=self.names).subquery("held_by_reader")
        shared: list[ColumnElement[bool]] = [overlaps(programs.c.targets, held.c.held)]
        if self._privacy.implicit_ven_id_target:
            shared.append(includes(programs.c.targets, held.c.ven_id))
        return [or_(programs.c.targets == (), exists().select_from(held).where(or_(*shared)))]

    def event(self, entitlement: Entitlement | None, *, shares: type[overlaps] = overlaps) -> list[ColumnElement[bool]]:
        """Return clauses for the events that are visible, themselves and through their program (PRIV-016).

        Who has no token needs a public program without targets, whatever the settings say of programs (COMPAT-017).
        The same clauses are right with the ``values`` of another entitlement of the same form. ``shares`` is the way in
        which the database looks for events by their targets.
        """
        if entitlement is None:
            return []
        if entitlement.public is not None:
            public = select(programs.c.id).where(_named(entitlement.public), programs.c.targets == ())
            return [_untargeted(events.c.targets, entitlement), events.c.program_id.in_(public)]
        clauses = [_admits(events.c.targets, entitlement, "effective", shares)]
        if self._privacy.events_follow_program:
            entitled = _admits(programs.c.targets, Entitlement(entitlement.granted), "granted")
            clauses.append(exists().where(programs.c.id == events.c.program_id, entitled))
        return clauses

    def admits_event(
        self, entitlement: Entitlement | None, targets: tuple[str, ...], program_targets: tuple[str, ...]
    ) -> bool:
        """Return True if an event is visible, itself and through its program."""
        if entitlement is None:
            return True
        return entitlement.admits(
            targets, program_targets=program_targets if self._privacy.events_follow_program else ()
        )


def owned(column: ColumnElement[Any], caller: Caller) -> list[ColumnElement[bool]]:
    """Return clauses for the objects whose client is the caller (PRIV-017); all of them for business logic."""
    return [] if caller.sees_everything else [column == caller.client_id]


def writable(caller: Caller) -> list[ColumnElement[bool]]:
    """Return clauses for the programs and events the caller may change: all for business logic, none for a VEN."""
    return [] if caller.sees_everything else [false()]


def values(entitlement: Entitlement | None) -> dict[str, tuple[str, ...]]:
    """Return the parameter values of an entitlement, for clauses that were built for another one."""
    if entitlement is None:
        return {}
    return {"effective": tuple(entitlement.effective), "granted": tuple(entitlement.granted)}


def shown_to(entitlement: Entitlement | None) -> object:
    """Return all of an entitlement that the texts of visible programs and events depend on."""
    return None if entitlement is None else tuple(sorted(entitlement.effective))


def seen_by(entitlement: Entitlement, rows: Iterable[Row]) -> list[ObjectRow]:
    """Return the programs or events of visible rows, with the targets that may be shown (PRIV-013, EVT-020)."""
    shown: dict[tuple[str, ...], tuple[str, ...]] = {}  # most objects of a page have the same targets
    seen = []
    rows = tuple(rows)
    are_events = bool(rows) and "targets_inside" in rows[0]
    for row in rows:
        targets = tuple(row["targets"])
        visible = shown.get(targets)
        if visible is None:
            visible = shown[targets] = entitlement.shown(targets)
        members = row["members"]
        if are_events and row["targets_inside"]:
            members = _with_visible_descriptors(members, entitlement)
        seen.append(
            ObjectRow(row["id"], row["created_at"], row["modified_at"], members, visible, row["target_records"])
        )
    return seen


def _with_visible_descriptors(members: str, entitlement: Entitlement) -> str:
    """Limit the targets of an event's report descriptors like those of the event (EVT-020).

    A descriptor for others only is left out: without targets it would ask everybody.
    """
    event = msgspec.json.decode(f"{{{members}}}", type=dict[str, msgspec.Raw])  # numbers keep their texts (GEN-017)
    if "reportDescriptors" not in event:
        return members
    descriptors = []
    for descriptor in msgspec.json.decode(event["reportDescriptors"], type=list[dict[str, Any]]):
        if targets := descriptor.get("targets"):
            descriptor["targets"] = entitlement.shown(targets)
            if not descriptor["targets"]:
                continue
        descriptors.append(descriptor)
    return members_of(event | {"reportDescriptors": descriptors})


def form_of(entitlement: Entitlement | None) -> Entitlement | None:
    """Return an entitlement of the same form that holds nothing, for clauses built once and used with ``values``.

    Entitlements of one form have both asked or neither, and both a token or neither.
    """
    if entitlement is None:
        return None
    return Entitlement(frozenset(), None if entitlement.asked is None else frozenset(), entitlement.public)


def targets_searched(entitlement: Entitlement | None, asked: Iterable[str] | None) -> BindParameter[Any] | None:
    """Return the parameter of ``Visibility.event`` or ``share_a_target`` by whose targets events are found, if any."""
    if entitlement is None:
        return None if asked is None else _targets_named("targets", asked)
    return None if entitlement.public is not None else _targets_named("effective", sorted(entitlement.effective))


def share_a_target(
    column: ColumnElement[Any],
    targets: Iterable[str],
    name: str = "targets",
    *,
    shares: type[overlaps] = overlaps,
) -> ColumnElement[bool]:
    """Return a clause for objects with one of these targets (PAGE-025), which are a parameter of the statement."""
    return shares(column, _targets_named(name, targets))


def _targets_named(name: str, targets: Iterable[str]) -> BindParameter[Any]:
    return bindparam(name, tuple(targets), Targets)


def _untargeted(column: ColumnElement[Any], entitlement: Entitlement) -> ColumnElement[bool]:
    """Select what ``_admits`` comes to for who holds nothing: objects without targets, none if any are asked for.

    Written so that SQLite does not take its index of targets, under which most objects are, instead of the program's.
    """
    return (column == ()).is_not(false()) if entitlement.asked is None else false()


def _named(names: Iterable[str]) -> ColumnElement[bool]:
    """Return a clause for the programs with one of these names."""
    return or_(false(), *(programs.c.name == name for name in sorted(names)))


def _admits(
    column: ColumnElement[Any], entitlement: Entitlement, name: str, shares: type[overlaps] = overlaps
) -> ColumnElement[bool]:
    shared = share_a_target(column, sorted(entitlement.effective), name, shares=shares)
    return or_(column == (), shared) if entitlement.asked is None else shared
