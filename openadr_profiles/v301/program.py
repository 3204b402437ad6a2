"""Programs of 3.0.1: what the core keeps as attributes has members of its own (V301-010 … V301-012)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from msgspec import field

from openadr_profiles import v31
from openadr_profiles.v31.common import Instant, Name, ObjectID, Text, ValuesMap, Wire
from openadr_profiles.v31.descriptors import ProgramPayloadDescriptor
from openadr_profiles.v31.duration import Duration
from openadr_profiles.v31.program import ProgramDescription
from openadr_profiles.v301.common import IntervalPeriod
from openadr_profiles.v301.targets import TargetRecord, records_of, texts_of

TIME_ZONE_OFFSET: Final = "TIME_ZONE_OFFSET"
"""The private attribute for a member that the core has no word for (V301-011)."""
MEMBERS: Final = {
    "PROGRAM_LONG_NAME": "programLongName",
    "RETAILER_NAME": "retailerName",
    "RETAILER_LONG_NAME": "retailerLongName",
    "PROGRAM_TYPE": "programType",
    "COUNTRY": "country",
    "PRINCIPAL_SUBDIVISION": "principalSubdivision",
    TIME_ZONE_OFFSET: "timeZoneOffset",
    "BINDING_EVENTS": "bindingEvents",
    "LOCAL": "localPrice",
}
"""The member of 3.0.1 for each attribute that has one."""
FLAGS: Final = frozenset({"BINDING_EVENTS", "LOCAL"})
"""Attributes that are true or false; all others are texts."""


class ProgramRequest(Wire, frozen=True, kw_only=True):
    """A program as business logic writes it. ``attributes`` is an extension: those of the core (V301-017)."""

    program_name: Name = field(name="programName")
    program_long_name: Text | None = field(name="programLongName", default=None)
    retailer_name: Text | None = field(name="retailerName", default=None)
    retailer_long_name: Text | None = field(name="retailerLongName", default=None)
    program_type: Text | None = field(name="programType", default=None)
    country: Text | None = None
    principal_subdivision: Text | None = field(name="principalSubdivision", default=None)
    time_zone_offset: Duration | None = field(name="timeZoneOffset", default=None)
    interval_period: IntervalPeriod | None = field(name="intervalPeriod", default=None)
    program_descriptions: tuple[ProgramDescription, ...] | None = field(name="programDescriptions", default=None)
    binding_events: bool | None = field(name="bindingEvents", default=None)
    local_price: bool | None = field(name="localPrice", default=None)
    payload_descriptors: tuple[ProgramPayloadDescriptor, ...] | None = field(name="payloadDescriptors", default=None)
    attributes: tuple[ValuesMap, ...] | None = None
    targets: tuple[ValuesMap, ...] | None = None

    def core(self) -> tuple[v31.ProgramRequest, tuple[TargetRecord, ...]]:
        """Return the program of the core, and the records of its targets; raises Invalid for such that match nothing.

        A member wins over an attribute that says the same.
        """
        records = records_of(self.targets)
        members = tuple(_attributes(self))
        named = {one.type for one in members}
        request = v31.ProgramRequest(
            program_name=self.program_name,
            interval_period=self.interval_period,
            program_descriptions=self.program_descriptions,
            payload_descriptors=self.payload_descriptors,
            attributes=(*members, *(one for one in self.attributes or () if one.type not in named)) or None,
            targets=texts_of(records),
        )
        return request, records

    def keeping(self, request: v31.ProgramRequest, before: Sequence[ValuesMap]) -> v31.ProgramRequest:
        """Return the program of the core as it takes the place of one with the attributes ``before``.

        Those that 3.0.1 has no member for stay, unless ``attributes`` says which there are (V301-012).
        """
        if self.attributes is not None:
            return request
        own = request.attributes or ()
        rest = tuple(one for one in before if not has_member(one))
        named = {one.type for one in own}
        kept = tuple(one for one in rest if one.type not in named)
        return v31.ProgramRequest(
            program_name=request.program_name,
            interval_period=request.interval_period,
            program_descriptions=request.program_descriptions,
            payload_descriptors=request.payload_descriptors,
            attributes=(*own, *kept) or None,
            targets=request.targets,
        )


class Program(ProgramRequest, frozen=True, kw_only=True):
    """A program as the VTN returns it."""

    id: ObjectID
    created_date_time: Instant = field(name="createdDateTime")
    modification_date_time: Instant = field(name="modificationDateTime")
    object_type: str = field(name="objectType", default="")


def has_member(attribute: ValuesMap) -> bool:
    """Return True if 3.0.1 has a member for an attribute, and its value can be told there."""
    if attribute.type not in MEMBERS or len(attribute.values) != 1:
        return False
    value = attribute.values[0]
    if attribute.type in FLAGS:
        return isinstance(value, bool)
    if not isinstance(value, str):
        return False
    return attribute.type != TIME_ZONE_OFFSET or _is_duration(value)


def _is_duration(text: str) -> bool:
    try:
        Duration.parse(text)
    except v31.Invalid:
        return False
    return True


def _attributes(program: ProgramRequest) -> Iterable[ValuesMap]:
    """Yield the attributes that the members of a program stand for, in the order of the members."""
    values: dict[str, Any] = {
        "PROGRAM_LONG_NAME": program.program_long_name,
        "RETAILER_NAME": program.retailer_name,
        "RETAILER_LONG_NAME": program.retailer_long_name,
        "PROGRAM_TYPE": program.program_type,
        "COUNTRY": program.country,
        "PRINCIPAL_SUBDIVISION": program.principal_subdivision,
        TIME_ZONE_OFFSET: None if program.time_zone_offset is None else program.time_zone_offset.text,
        "BINDING_EVENTS": program.binding_events,
        "LOCAL": program.local_price,
    }
    for type_, value in values.items():
        if value is not None:
            yield ValuesMap(type=type_, values=(value,))
