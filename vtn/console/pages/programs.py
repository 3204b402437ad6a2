"""Programs: listed, made, changed and deleted, and who sees each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from openadr_profiles.v31 import (
    Attribute,
    Duration,
    EventPayloadType,
    Invalid,
    Program,
    ProgramDescription,
    ProgramPayloadDescriptor,
    ProgramRequest,
    ReportPayloadType,
    Unit,
    ValuesMap,
    decode,
    encode,
)
from openadr_profiles.v301.program import TIME_ZONE_OFFSET
from vtn.console.reading_forms import groups_in, optional, text
from vtn.console.routes import ConsoleRoute, Role
from vtn.console.visit import Visit
from vtn.errors import Conflict
from vtn.store.console.fleet import FleetStore
from vtn.store.console.programs import ProgramListStore
from vtn.store.large import Large

_ONE: Final = "/programs/{program_id}"
_BLANK_ROWS: Final = 3
_MOST_ROWS: Final = 60
_MOST_LINKS: Final = 20
_LONGEST_LINK: Final = 2000
_LONGEST_WORDS: Final = 2000
_OWN: Final = (Attribute.PROGRAM_LONG_NAME.value, TIME_ZONE_OFFSET)
"""Attributes that the form has fields for; others stay as they are."""


async def show_all(visit: Visit) -> web.StreamResponse:
    """Show a page of programs by their names."""
    asked, search = visit.page_asked(), visit.query("search").replace("\0", "")[:128]
    rows = await visit.console.store(ProgramListStore).page(search, skip=asked.skip, limit=asked.limit)
    return visit.render("programs.html", page=asked.of(rows), search=search)


async def show(visit: Visit) -> web.StreamResponse:
    """Show one program: its form, who sees it, and what it has; raises NotFound."""
    program = await _program(visit)
    return visit.render("program.html", **await _shown(visit, program, typed=_typed_of(program)))


async def show_new(visit: Visit) -> web.StreamResponse:
    """Show the form for a new program."""
    return visit.render("program.html", **await _shown(visit, None, typed={}))


async def make(visit: Visit) -> web.StreamResponse:
    """Make a program."""
    try:
        row = await visit.console.stores.programs.create(_request(visit, ()), by=visit.caller)
    except (Invalid, Conflict) as error:
        return visit.refuse(f"{error}.", "program.html", **await _shown(visit, None, typed=visit.typed))
    name = visit.posted["name"].strip()
    await visit.audit("program made", f"program {name}", after=_audited(_request(visit, ())))
    return visit.redirect("program", said=f"{name} is made.", program_id=row.id)


async def change(visit: Visit) -> web.StreamResponse:
    """Change a program; what the form has no field for stays."""
    program = await _program(visit)
    try:
        request = _request(visit, program.attributes or (), program)
        await visit.console.stores.programs.replace(program.id, request, by=visit.caller)
    except (Invalid, Conflict) as error:
        return visit.refuse(f"{error}.", "program.html", **await _shown(visit, program, typed=visit.typed))
    await visit.audit(
        "program changed", f"program {request.program_name}", before=_audited(program), after=_audited(request)
    )
    return visit.redirect("program", said=f"{request.program_name} is changed.", program_id=program.id)


async def show_deletion(visit: Visit) -> web.StreamResponse:
    """Say what goes with a program, and ask whether it is to be deleted."""
    program = await _program(visit)
    its = await visit.console.store(ProgramListStore).belongings(program.id)
    return visit.render("program_delete.html", program=program, its=its)


async def delete(visit: Visit) -> web.StreamResponse:
    """Delete a program with its events, reports and subscriptions, if its name was typed."""
    program = await _program(visit)
    its = await visit.console.store(ProgramListStore).belongings(program.id)
    if (await visit.form()).get("name", "").strip() != program.program_name:
        message = f"name: type the name of the program, {program.program_name}, to delete it."
        return visit.refuse(message, "program_delete.html", program=program, its=its)
    await visit.console.stores.programs.delete(program.id, by=visit.caller)
    before = {**_audited(program), "events": its.events, "reports": its.reports}
    await visit.audit("program deleted", f"program {program.program_name}", before=before)
    return visit.redirect("programs", said=f"{program.program_name} is deleted.")


async def _program(visit: Visit) -> Program:
    row = await visit.console.stores.programs.get(visit.path("program_id").replace("\0", ""), visible_to=visit.caller)
    if isinstance(row, Large):
        raise Invalid("program", "it is too large for a page; change it with the API")
    times = {"createdDateTime": row.created_at, "modificationDateTime": row.modified_at}
    beside = encode({"id": row.id, "objectType": "PROGRAM", **times, "targets": row.targets or None}).decode()[1:-1]
    return decode(f"{{{beside},{row.members}}}".encode(), Program)


def _request(visit: Visit, before: Sequence[ValuesMap], program: Program | None = None) -> ProgramRequest:
    """Return the program that the form says; raises Invalid."""
    form = visit.posted
    links = [line.strip() for line in form.get("links", "").splitlines() if line.strip()]
    if len(links) > _MOST_LINKS:
        raise Invalid("links", f"expected at most {_MOST_LINKS}")
    for link in links:
        if urlsplit(link).scheme not in {"http", "https"} or len(link) > _LONGEST_LINK or not link.isprintable():
            raise Invalid("links", f"{link[:80]!r} is no link; expected https://…")
    long_name = optional(form, "long_name", what="the long name", longest=_LONGEST_WORDS)
    offset = optional(form, "offset", what="the offset from UTC", longest=40)
    own = [(Attribute.PROGRAM_LONG_NAME.value, long_name), (TIME_ZONE_OFFSET, _offset(offset))]
    attributes = [*(ValuesMap(type=name, values=(value,)) for name, value in own if value), *_others(before)]
    return ProgramRequest(
        program_name=text(form, "name", what="the name of the program"),
        interval_period=None if program is None else program.interval_period,
        program_descriptions=tuple(ProgramDescription(url=link) for link in links) or None,
        payload_descriptors=_descriptors(visit, () if program is None else program.payload_descriptors or ()) or None,
        attributes=tuple(attributes) or None,
        targets=groups_in(form, "groups") or None,
    )


def _offset(given: str) -> str:
    if not given:
        return ""
    try:
        Duration.parse(given)
    except Invalid:
        raise Invalid("offset", f"{given!r} is no duration; expected one such as PT1H or -PT5H") from None
    return given


def _others(before: Sequence[ValuesMap]) -> list[ValuesMap]:
    return [each for each in before if each.type not in _OWN]


def _descriptors(visit: Visit, before: Sequence[ProgramPayloadDescriptor]) -> tuple[ProgramPayloadDescriptor, ...]:
    """Return the descriptors of the rows with a type; one that was there keeps what the form has no field for."""
    form = visit.posted
    columns = [form.getall(name, [])[:_MOST_ROWS] for name in ("payload_type", "units", "currency")]
    known = {each.payload_type: each for each in before}
    found = list[ProgramPayloadDescriptor]()
    for row in zip(*columns, strict=False):
        type_, units, currency = (optional({"": given}, "", what="a word of a payload") for given in row)
        if not type_:
            if units or currency:
                raise Invalid("payload_type", f"give the type that {units or currency} belongs to")
            continue
        same = known.get(type_)
        found.append(
            ProgramPayloadDescriptor(
                object_type=None if same is None else same.object_type,
                payload_type=type_,
                units=units or None,
                currency=currency or None,
                reading_type=None if same is None else same.reading_type,
                accuracy=None if same is None else same.accuracy,
                confidence=None if same is None else same.confidence,
            )
        )
    return tuple(found)


async def _shown(visit: Visit, program: Program | None, *, typed: Mapping[str, str]) -> dict[str, Any]:
    store = visit.console.store(ProgramListStore)
    settings = visit.console.settings
    targets = () if program is None else program.targets or ()
    names = settings.v301.name_targets
    rows = [(each.payload_type, each.units or "", each.currency or "") for each in _rows_of(program)]
    if "payload_type" in visit.posted:
        columns = [visit.posted.getall(name, [])[:_MOST_ROWS] for name in ("payload_type", "units", "currency")]
        rows = [row for row in zip(*columns, strict=False) if any(row)]
    return {
        "program": program,
        "typed": typed,
        "rows": rows + [("", "", "")] * _BLANK_ROWS,
        "types": [*EventPayloadType, *ReportPayloadType],
        "units": list(Unit),
        "its": None if program is None else await store.belongings(program.id),
        "audience": None if program is None else await store.audience(targets, settings.privacy, names=names),
        "known_groups": (await visit.console.store(FleetStore).groups())[:200],
        "title": "New program" if program is None else program.program_name,
    }


def _rows_of(program: Program | None) -> Sequence[ProgramPayloadDescriptor]:
    return () if program is None else program.payload_descriptors or ()


def _typed_of(program: Program) -> dict[str, str]:
    values = {each.type: str(each.values[0]) for each in program.attributes or () if each.values}
    return {
        "name": program.program_name,
        "long_name": values.get(Attribute.PROGRAM_LONG_NAME.value, ""),
        "offset": values.get(TIME_ZONE_OFFSET, ""),
        "links": "\n".join(each.url for each in program.program_descriptions or ()),
        "groups": "\n".join(program.targets or ()),
    }


def _audited(program: ProgramRequest) -> dict[str, Any]:
    return {"name": program.program_name, "groups": list(program.targets or ())}


ROUTES = (
    ConsoleRoute("GET", "/programs", show_all, name="programs", nav="Programs"),
    ConsoleRoute("GET", "/programs/new", show_new, role=Role.OPERATOR, name="new_program", title="New program"),
    ConsoleRoute("POST", "/programs/new", make, role=Role.OPERATOR, name="make_program", title="New program"),
    ConsoleRoute("GET", _ONE, show, name="program", title="Program"),
    ConsoleRoute("POST", _ONE, change, role=Role.OPERATOR, name="change_program", title="Program"),
    ConsoleRoute("GET", f"{_ONE}/delete", show_deletion, role=Role.OPERATOR, name="program_deletion", title="Delete"),
    ConsoleRoute("POST", f"{_ONE}/delete", delete, role=Role.OPERATOR, name="delete_program", title="Delete"),
)
