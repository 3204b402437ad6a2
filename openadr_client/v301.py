"""OpenADR 3.0.1 on the wire, as objects of 3.1 (V301-047): targets with types, resources below their ven, and so on.

What 3.0.1 does not say is filled in: a ven is its own client by the name of the ven, and a report is from the client
that it names. What a client writes again is marked (`AssumedName`), so that it is never written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

import msgspec
from msgspec import Raw
from msgspec.structs import force_setattr

from openadr_client.faces import Face
from openadr_client.objects import Collections, Filters, Send
from openadr_client.settings import ApiVersion
from openadr_profiles.v31 import (
    NOW,
    PACKED_FROM,
    BlResourceRequest,
    BlVenRequest,
    Event,
    EventRequest,
    Interval,
    IntervalPeriod,
    Invalid,
    Program,
    ProgramRequest,
    Report,
    ReportRequest,
    ReportResource,
    Resource,
    Start,
    Subscription,
    ValuesMap,
    Ven,
    VenResourceRequest,
    VenVenRequest,
    decode,
    decode_event,
    encode,
)
from openadr_profiles.v301 import UNTYPED
from openadr_profiles.v301.program import MEMBERS, has_member

if TYPE_CHECKING:
    from openadr_client.clock import Clock

T = TypeVar("T")

_NULL: Final = b"null"
_BEGINNING_OF_TIME: Final = re.compile(rb'("start"\s*:\s*")0000-00-00[^"\\]*"')
_WRITTEN_BY: Final[dict[type, tuple[str, ...]]] = {
    VenVenRequest: ("venName", "attributes"),
    BlVenRequest: ("venName", "attributes", "targets", "clientID"),
    VenResourceRequest: ("resourceName", "attributes"),
    BlResourceRequest: ("resourceName", "attributes", "targets"),
}
"""The members of a ven or resource that each request is about; the others are somebody else's (ruling 21)."""
_OWNED: Final[dict[type, str]] = {Ven: "venName", Resource: "venID"}
"""The member that stands for the owner."""
_OF_NOBODY: Final = '{"values":[]}'
"""The target in a valuesMap without values. Nobody holds it; without any target the object would be for everybody."""
_METADATA: Final = ("id", "createdDateTime", "modificationDateTime", "objectType", "venID")


class TypedTarget(str):
    """A target of 3.0.1: the text of its value, equal to the same text of any type, and the type."""

    __slots__ = ("type", "value")

    type: str
    value: object

    def __new__(cls, value: object, type_: str) -> TypedTarget:  # noqa: PYI034 # of str
        """Make a target; a value that is no text, as a point, counts as its JSON text (V301-003)."""
        made = super().__new__(cls, value if isinstance(value, str) else encode(value).decode())
        made.type = type_
        made.value = value
        return made


class AssumedName(str):
    """A client id that the VTN did not say."""

    __slots__ = ()


class Face301(Face):
    """OpenADR 3.0.1."""

    version: ClassVar[ApiVersion] = "3.0.1"
    names_token_server: ClassVar[bool] = False
    names_notifiers: ClassVar[bool] = False
    names_owners: ClassVar[bool] = False
    subscribes_by_program: ClassVar[bool] = True

    def objects(self, send: Send, clock: Clock) -> Collections:
        """Return the collections of a VTN that speaks 3.0.1."""
        from openadr_client.v301_objects import objects_of  # noqa: PLC0415 # which needs this module

        return objects_of(send, clock, self)

    def read(self, document: bytes | memoryview, type_: type[T]) -> T:
        """Return the object in a document of 3.0.1 as one of 3.1; raises Invalid, naming the member."""
        members = decode(_BEGINNING_OF_TIME.sub(rb'\g<1>0001-01-01T00:00:00Z"', bytes(document)), dict[str, Raw])
        return _read(members, type_)

    def read_resource(self, document: bytes | memoryview, ven_id: str) -> Resource:
        """Return the resource in a document, which need not name its ven; raises Invalid, naming the member."""
        members = decode(document, dict[str, Raw])
        if bytes(members.get("venID", Raw(_NULL))) == _NULL:
            members["venID"] = Raw(encode(ven_id))
        return _read(members, Resource)

    def read_event(self, document: bytes | memoryview) -> Event:
        """Return the event in a document; a large one gets packed intervals."""
        return self.read(document, Event)

    def write(self, request: object) -> bytes:
        """Return the document of a request of 3.1 as 3.0.1 has it."""
        return encode(_members(request))

    def write_report(self, request: ReportRequest, program_id: str) -> bytes:
        """Return the document of a report, which names the program of its event (V301-023)."""
        return encode(_members(request) | {"programID": Raw(encode(program_id))})

    def merged(self, document: bytes, request: object) -> bytes:
        """Return what a stored ven or resource is to be, written as a whole: what others wrote into it stays."""
        own = _WRITTEN_BY[type(request)]
        kept = {
            name: value for name, value in decode(document, dict[str, Raw]).items() if name not in (*own, *_METADATA)
        }
        kept.pop("resources", None)
        return encode(kept | _members(request))

    def query(self, filters: Filters) -> Filters:
        """Return the parameters of 3.0.1: ``targetType`` and ``targetValues``, and none for active events."""
        targets = [value for name, value in filters if name == "targets"]
        types = {value.type if isinstance(value, TypedTarget) else None for value in targets}
        kept = [(name, value) for name, value in filters if name not in {"targets", "active"}]
        type_ = types.pop() if len(types) == 1 else None
        typed = [("targetType", type_)] if type_ is not None else []
        return (*kept, *typed, *(("targetValues", str(value)) for value in targets))

    def content(self, content: Mapping[str, Any], object_type: str) -> Mapping[str, Any]:
        """Return the object of a notification with the members of 3.1; one that cannot be read stays as it is."""
        type_ = _KINDS.get(object_type)
        if type_ is None:
            return content
        try:
            read: dict[str, Any] = decode(encode(self.read(encode(content), type_)), dict[str, Any])
        except Invalid:
            return content
        return read


FACE_301: Final = Face301()


def _read(members: dict[str, Raw], type_: type[T]) -> T:
    targets = _targets(members, "targets")
    if type_ is Program:
        _attributes_of_program(members)
        _only_absolute(members)
    elif type_ is Event:
        descriptors = _descriptors(members)
    elif type_ is Report or type_ is Subscription:
        members.setdefault("clientID", members.get("clientName", Raw(_NULL)))
    is_assumed = type_ in _OWNED and "clientID" not in members
    if is_assumed:
        members["clientID"] = members.get(_OWNED[type_], Raw(_NULL))
    found = _with_targets(_decoded(members, type_), targets)
    if is_assumed and isinstance(found, Ven | Resource):
        force_setattr(found, "client_id", AssumedName(found.client_id))
    elif isinstance(found, Event):
        for descriptor, theirs in zip(found.report_descriptors or (), descriptors, strict=True):
            _with_targets(descriptor, theirs)
    return found


def _decoded(members: dict[str, Raw], type_: type[T]) -> T:
    document = encode(members)
    if type_ is Event and len(document) >= PACKED_FROM:
        return decode_event(document)  # type: ignore[return-value] # T is Event
    return decode(document, type_)


def _with_targets(made: T, targets: Sequence[str] | None) -> T:
    """Put the targets with their types into a fresh object, which got their texts."""
    if targets:
        force_setattr(made, "targets", tuple(targets))  # type: ignore[arg-type] # a struct
    return made


def _targets(members: dict[str, Raw], name: str, at: str = "") -> list[str] | None:
    """Take the targets of 3.0.1 out of a document and put their texts in; texts are taken as they are."""
    raw = members.get(name)
    if raw is None or bytes(raw) == _NULL:
        return None
    try:
        groups = decode(raw, list[ValuesMap | str])
    except Invalid as error:
        where = f"{at}{name}{error.member}"
        raise Invalid(where, error.problem) from None
    found: list[str] = []
    for group in groups:
        if isinstance(group, str):
            found.append(group)
            continue
        found += [TypedTarget(each, group.type) for each in group.values] or [TypedTarget(_OF_NOBODY, group.type)]
    members[name] = Raw(encode([str(each) for each in found]))
    return found


def _descriptors(members: dict[str, Raw]) -> list[Sequence[str] | None]:
    raw = members.get("reportDescriptors")
    if raw is None or bytes(raw) == _NULL:
        return []
    descriptors = decode(raw, list[dict[str, Raw]])
    found = [_targets(each, "targets", f"reportDescriptors[{place}].") for place, each in enumerate(descriptors)]
    members["reportDescriptors"] = Raw(encode(descriptors))
    return list(found)


def _attributes_of_program(members: dict[str, Raw]) -> None:
    found = [
        ValuesMap(type=attribute, values=(_value(name, members[name]),))
        for attribute, name in MEMBERS.items()
        if name in members and bytes(members[name]) != _NULL
    ]
    if found:
        raw = members.get("attributes", Raw(b"[]"))
        there = [] if bytes(raw) == _NULL else decode(raw, list[ValuesMap])
        types = {each.type for each in there}
        members["attributes"] = Raw(encode([*there, *(each for each in found if each.type not in types)]))


def _value(name: str, raw: Raw) -> str | bool:
    value: Any = decode(raw, Any)
    if not isinstance(value, str | bool):
        raise Invalid(name, f"expected a text or true or false, got {bytes(raw)[:40].decode(errors='replace')}")
    return value


def _only_absolute(members: dict[str, Raw]) -> None:
    """Leave out descriptions without a scheme, as the example of 3.0.1 has one (OBJ-012)."""
    raw = members.get("programDescriptions")
    if raw is not None and bytes(raw) != _NULL:
        links = decode(raw, list[dict[str, Any]])
        members["programDescriptions"] = Raw(encode([each for each in links if ":" in str(each.get("URL"))]))


def _members(request: object) -> dict[str, Raw]:
    """Return the members of a request as 3.0.1 has them."""
    if isinstance(request, EventRequest):
        request = _with_starts_of_event(request)
    elif isinstance(request, ReportRequest):
        request = msgspec.structs.replace(request, resources=tuple(map(_with_starts_of_resource, request.resources)))
    members = decode(encode(request), dict[str, Raw])
    members.pop("objectType", None)
    targets = getattr(request, "targets", None)
    if targets:
        members["targets"] = Raw(encode(_grouped(targets)))
    if isinstance(request, EventRequest):
        members.setdefault("intervals", Raw(b"[]"))
        _write_descriptors(members, request)
    elif isinstance(request, ProgramRequest):
        _write_attributes(members, request)
    elif isinstance(request, BlVenRequest) and isinstance(request.client_id, AssumedName):
        del members["clientID"]
    elif isinstance(request, BlResourceRequest):
        members.pop("clientID", None)
    return members


def _grouped(targets: Iterable[str]) -> list[dict[str, Any]]:
    groups: dict[str, list[object]] = {}
    for each in targets:
        if isinstance(each, TypedTarget):
            groups.setdefault(each.type, []).extend(() if each.value is _OF_NOBODY else (each.value,))
        else:
            groups.setdefault(UNTYPED, []).append(each)
    return [{"type": type_, "values": values} for type_, values in groups.items()]


def _write_descriptors(members: dict[str, Raw], request: EventRequest) -> None:
    if not any(each.targets for each in request.report_descriptors or ()):
        return
    descriptors = decode(members["reportDescriptors"], list[dict[str, Raw]])
    for document, each in zip(descriptors, request.report_descriptors or (), strict=True):
        if each.targets:
            document["targets"] = Raw(encode(_grouped(each.targets)))
    members["reportDescriptors"] = Raw(encode(descriptors))


def _write_attributes(members: dict[str, Raw], request: ProgramRequest) -> None:
    """Write attributes as the members that 3.0.1 has for them, and the others as they are (V301-017)."""
    others: list[ValuesMap] = []
    for each in request.attributes or ():
        if has_member(each):
            members[MEMBERS[each.type]] = Raw(encode(each.values[0]))
        else:
            others.append(each)
    members.pop("attributes", None)
    if others:
        members["attributes"] = Raw(encode(others))


def _with_starts_of_event(request: EventRequest) -> EventRequest:
    """Say every start, which 3.0.1 requires: where it follows from others, or else "now" (TIME-011, TIME-012)."""
    period = request.interval_period
    intervals = request.intervals
    if intervals and any(_lacks_start(each.interval_period) for each in intervals):
        intervals = tuple(_with_starts(intervals, period))
    if _lacks_start(period):
        period = _started(period, NOW)
    if intervals is request.intervals and period is request.interval_period:
        return request
    return msgspec.structs.replace(request, interval_period=period, intervals=intervals)


def _with_starts_of_resource(resource: ReportResource) -> ReportResource:
    period = resource.interval_period
    intervals = tuple(_with_starts(resource.intervals, period))
    return msgspec.structs.replace(
        resource, interval_period=_started(period, NOW) if _lacks_start(period) else period, intervals=intervals
    )


def _with_starts(intervals: Iterable[Interval], usual: IntervalPeriod | None) -> Iterator[Interval]:
    """Give every interval that says a duration, and no start, the one at which it begins; NOW if that is not known."""
    end: datetime | None = usual.start.at if usual is not None and usual.start is not None else None
    for each in intervals:
        own = each.interval_period
        start = own.start.at if own is not None and own.start is not None and own.start.at is not None else end
        if _lacks_start(own):
            begin = NOW if start is None else Start.of(start)
            yield msgspec.structs.replace(each, interval_period=_started(own, begin))
        else:
            yield each
        lasts = own.duration if own is not None and own.duration is not None else usual.duration if usual else None
        end = None if start is None or lasts is None else lasts.after(start)


def _lacks_start(period: IntervalPeriod | None) -> bool:
    return period is not None and period.start is None


def _started(period: IntervalPeriod | None, start: Start) -> IntervalPeriod:
    return msgspec.structs.replace(period or IntervalPeriod(), start=start)


_KINDS: Final[dict[str, type]] = {
    "PROGRAM": Program,
    "EVENT": Event,
    "REPORT": Report,
    "VEN": Ven,
    "RESOURCE": Resource,
    "SUBSCRIPTION": Subscription,
}
