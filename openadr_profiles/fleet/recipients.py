"""Find who an event reaches, when the VTN last heard of each, and what each says it can shed. Rules without I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Protocol

from openadr_profiles.contact import Contact
from openadr_profiles.v31 import Attribute, Resource, ValuesMap, Ven

_NOTHING: Final = Decimal(0)
_UNSEEN: Final = timedelta(days=1)


@dataclass(frozen=True)
class Recipient:
    """A VEN that an event reaches. ``capacity_kw`` is what it can shed by its own words, None if it has not said.

    ``last_contact`` is when the VTN last heard of it: None if it never did, or if the VTN does not say
    (``contact_known`` is False then).
    """

    ven_id: str
    name: str
    capacity_kw: Decimal | None
    last_contact: datetime | None = None
    contact_known: bool = False


def reached(targets: Collection[str] | None, vens: Iterable[Ven], resources: Iterable[Resource]) -> list[Ven]:
    """Return the vens an event is for: all of them if it has no targets, else those that hold one (PRIV-003, PRIV-006).

    A ven holds its own targets, those of its resources, and its id.
    """
    if not targets:
        return list(vens)
    held: dict[str, set[str]] = defaultdict(set)
    for resource in resources:
        held[resource.ven_id] |= set(resource.targets or ())
    wanted = set(targets)
    return [ven for ven in vens if wanted & (held[ven.id] | set(ven.targets or ()) | {ven.id})]


def recipients(
    targets: Collection[str] | None,
    vens: Iterable[Ven],
    resources: Sequence[Resource],
    *,
    contacts: Mapping[str, Contact] | None = None,
) -> list[Recipient]:
    """Return the vens reached and what each can shed. ``contacts`` is by client id, None if the VTN tells of none."""
    by_ven: dict[str, list[Resource]] = defaultdict(list)
    for resource in resources:
        by_ven[resource.ven_id].append(resource)
    return [
        Recipient(
            ven.id,
            ven.ven_name,
            capacity_kw(ven, by_ven[ven.id]),
            last_contact(contacts, ven.client_id),
            contact_known=contacts is not None,
        )
        for ven in reached(targets, vens, resources)
    ]


def last_contact(contacts: Mapping[str, Contact] | None, client_id: str) -> datetime | None:
    """Return when the VTN last heard of a client; None if it never did, or does not say."""
    found = None if contacts is None else contacts.get(client_id)
    return None if found is None else found.last_contact


def is_unseen(last_contact: datetime | None, *, now: datetime) -> bool:
    """Return True for a VEN that was not heard of for more than a day, or never: it may miss an event."""
    return last_contact is None or last_contact < now - _UNSEEN


class HasAttributes(Protocol):
    """Name what a capacity is read from: a ven or a resource, or what is left of one without all else."""

    @property
    def attributes(self) -> tuple[ValuesMap, ...] | None:
        """Return what it says of itself."""


def capacity_kw(ven: HasAttributes, resources: Sequence[HasAttributes]) -> Decimal | None:
    """Return what a ven can shed, in kW; None if unknown.

    The sum of its resources' rated kW times their shed share, without critical ones; else the ven's own kW.
    """
    parts = [resource_kw(each.attributes) for each in resources]
    known = [kw for kw in parts if kw is not None]
    return sum(known, _NOTHING) if known else own_kw(ven.attributes)


def own_kw(attributes: Iterable[ValuesMap] | None) -> Decimal | None:
    """Return what a ven can shed by its own attributes, in kW; None if they do not say."""
    return _number(_attributes(attributes).get(Attribute.MAX_POWER_CONSUMPTION))


def resource_kw(attributes: Iterable[ValuesMap] | None) -> Decimal | None:
    """Return what a resource can shed, in kW: rated kW times its shed share, 0 if it is critical; None if unknown."""
    said = _attributes(attributes)
    rated = _number(said.get(Attribute.MAX_POWER_CONSUMPTION))
    if said.get("CRITICAL") is True:
        return _NOTHING
    share = _number(said.get("SHED_SHARE"))
    return rated if rated is None or share is None else rated * min(share, Decimal(1))


def _attributes(attributes: Iterable[ValuesMap] | None) -> dict[str, object]:
    return {each.type: each.values[0] for each in attributes or () if each.values}


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 10**9:
        return None
    return Decimal(str(value))
