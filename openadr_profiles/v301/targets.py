"""Targets with types, as 3.0.1 has them, beside the plain values that the core knows (V301-001 … V301-008).

A record is one value with its type, None where it was written without one. The core matches values as texts; records
keep what else is to be given back: the type, and the value as it was written. They are stored as one text, a JSON list
of texts, and each of these can be searched for: a record, and the type alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from openadr_profiles.v31 import Invalid, ValuesMap, encode

_LONGEST: Final = 128


class TargetRecord(NamedTuple):
    """One target: ``raw`` is its value as JSON.

    ``place`` counts the report descriptors of an event that have targets, for a target of one of these. ``descriptive``
    is a target that a VEN wrote on its own ven or resource: it is shown, and grants nothing (V301-008).
    """

    type: str | None
    raw: str
    place: int | None = None
    descriptive: bool = False

    @property
    def text(self) -> str:
        """Return the value as the core matches it: a text as it is, anything else as its JSON text (V301-003)."""
        return msgspec.json.decode(self.raw, type=str) if self.raw.startswith('"') else self.raw


def records_of(
    maps: Iterable[ValuesMap] | None, *, member: str = "targets", place: int | None = None, descriptive: bool = False
) -> tuple[TargetRecord, ...]:
    """Return the records in valuesMaps, each once; raises Invalid for what the core could not match."""
    found: dict[TargetRecord, None] = {}
    for number, one in enumerate(maps or ()):
        if not one.values:
            raise Invalid(
                f"{member}[{number}].values", "expected at least one value; a target of nothing is for nobody"
            )
        for index, value in enumerate(one.values):
            record = TargetRecord(one.type, encode(value).decode(), place, descriptive)
            if not 1 <= len(record.text) <= _LONGEST or "\0" in record.text:
                raise Invalid(f"{member}[{number}].values[{index}]", f"expected 1 to {_LONGEST} characters")
            found[record] = None
    return tuple(found)


def texts_of(records: Iterable[TargetRecord]) -> tuple[str, ...]:
    """Return the values as the core has them: each once, in their order (V301-002)."""
    return tuple(dict.fromkeys(record.text for record in records if not record.descriptive))


def stored(records: Collection[TargetRecord]) -> str | None:
    """Return records as one text for the store; None if none has anything that the plain values do not say."""
    if all(record.type is None and record.raw.startswith('"') and not record.descriptive for record in records):
        return None
    marks = dict.fromkeys(_mark(record.type) for record in records if record.place is None)
    own = dict.fromkeys(_own(record.text) for record in records if record.descriptive)
    return encode([*map(_element, records), *marks, *own]).decode()


def read(text: str | None) -> tuple[TargetRecord, ...]:
    """Return the records in a text of the store."""
    if text is None:
        return ()
    found = []
    for element in msgspec.json.decode(text, type=list[str]):
        if not element.startswith("["):
            continue
        parts = msgspec.json.decode(element, type=list[msgspec.Raw])
        if len(parts) == 1:
            continue
        type_ = msgspec.json.decode(parts[0], type=str | None)
        third = msgspec.json.decode(parts[2]) if len(parts) == 3 else None
        place = None if third is True else third
        found.append(TargetRecord(type_, bytes(parts[1]).decode(), place, third is True))
    return tuple(found)


def of_object(records: Iterable[TargetRecord]) -> tuple[TargetRecord, ...]:
    """Return the records of an object itself, without those of its report descriptors."""
    return tuple(record for record in records if record.place is None)


def searched(type_: str | None, values: Iterable[str] | None) -> tuple[str, ...]:
    """Return the texts of which a store's text has one, if it has a target of this type with one of these values.

    Without ``values``: any value. A value given as a text is also a number or boolean written so.
    """
    if values is None:
        return (_mark(type_),)
    found = []
    for value in values:
        for raw in _ways_to_write(value):
            found += [_element(TargetRecord(type_, raw)), _element(TargetRecord(type_, raw, descriptive=True))]
    return tuple(found)


def searched_own(values: Iterable[str]) -> tuple[str, ...]:
    """Return the texts of which a store's text has one, if a VEN wrote one of these values, of whatever type."""
    return tuple(map(_own, values))


def kept(
    before: Sequence[TargetRecord], targets: Iterable[str], inside: Iterable[Iterable[str]] = ()
) -> tuple[TargetRecord, ...]:
    """Return the records of targets that were written without types: what was there keeps its type (V301-004).

    ``inside`` are the targets of those report descriptors that have some.
    """
    if not before:
        return ()
    found = []
    for place, texts in ((None, targets), *enumerate(inside)):
        known: dict[str, list[TargetRecord]] = {}
        for record in before:
            if record.place == place and not record.descriptive:
                known.setdefault(record.text, []).append(record)
        for text in texts:
            found += known.get(text) or [TargetRecord(None, encode(text).decode(), place)]
    return (*found, *descriptive(before))


def descriptive(records: Iterable[TargetRecord]) -> tuple[TargetRecord, ...]:
    """Return the records that a VEN wrote."""
    return tuple(record for record in records if record.descriptive)


def granted(before: Sequence[TargetRecord], given: Iterable[TargetRecord]) -> tuple[TargetRecord, ...]:
    """Return the records of a ven or resource after business logic wrote it.

    What its VEN wrote stays what it is: to put back what was read must not grant it (V301-008).
    """
    given = tuple(given)
    refused = set(not_granted(before, given))
    return (*(record for record in given if record not in refused), *descriptive(before))


def not_granted(before: Sequence[TargetRecord], given: Iterable[TargetRecord]) -> tuple[TargetRecord, ...]:
    """Return those records which business logic names and does not grant, as the VEN wrote them and it may not know."""
    own = {(record.type, record.raw) for record in descriptive(before)}
    return tuple(record for record in given if (record.type, record.raw) in own)


def described(
    before: Sequence[TargetRecord], targets: Sequence[str], given: Iterable[TargetRecord], untyped: str
) -> tuple[TargetRecord, ...]:
    """Return the records of a ven or resource after its VEN wrote it: what it holds stays, the rest describes it.

    ``untyped`` is the type by which the VEN reads what it holds without one, and may put it back.
    """
    held = tuple(record for record in before if not record.descriptive)
    held = held or tuple(TargetRecord(None, encode(text).decode()) for text in targets)
    pairs = {(untyped if record.type is None else record.type, record.raw) for record in held}
    own = (record._replace(descriptive=True) for record in given if (record.type, record.raw) not in pairs)
    return (*held, *own)


def shown(records: Sequence[TargetRecord], visible: Sequence[str], untyped: str) -> str:
    """Return valuesMaps as JSON, one for each type, of the records whose values are visible (V301-002).

    Values without a record are of the type ``untyped``.
    """
    groups: dict[str, dict[str, None]] = {}
    recorded = set()
    for record in records:
        text = record.text
        recorded.add(text)
        if record.descriptive or text in visible:
            groups.setdefault(untyped if record.type is None else record.type, {})[record.raw] = None
    for text in visible:
        if text not in recorded:
            groups.setdefault(untyped, {})[encode(text).decode()] = None
    maps = (f'{{"type":{encode(type_).decode()},"values":[{",".join(raws)}]}}' for type_, raws in groups.items())
    return f"[{','.join(maps)}]"


def _element(record: TargetRecord) -> str:
    third = ",true" if record.descriptive else "" if record.place is None else f",{record.place}"
    return f"[{_mark(record.type)},{record.raw}{third}]"


def _mark(type_: str | None) -> str:
    return encode(type_).decode()


def _own(text: str) -> str:
    return f"[{encode(text).decode()}]"


def _ways_to_write(value: str) -> list[str]:
    ways = [encode(value).decode()]
    try:
        msgspec.json.decode(value, type=int | float | bool | dict[str, int | float])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return ways
    return [*ways, value]
