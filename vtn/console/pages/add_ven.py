"""Add VENs: with credentials and a join line that are shown once, or by certificate (2.0b)."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from openadr_profiles.join_line import BadJoinLine
from openadr_profiles.v20b import fingerprint
from openadr_profiles.v31 import BlVenRequest, Invalid
from vtn.access import Role as ClientRole
from vtn.auth.clients import Credentials
from vtn.console.event_words import cell
from vtn.console.handing_out import HandedFile, data_file, handout
from vtn.console.reading_forms import MOST_AT_ONCE, NamedVen, groups_in, optional, text, vens_in
from vtn.console.routes import ConsoleRoute, Role
from vtn.console.visit import Visit
from vtn.errors import Conflict
from vtn.join_lines import LONGEST_PEM, JoinLines, certificate_in
from vtn.store.console.enrolment import NewVen
from vtn.store.console.fleet import FleetStore
from vtn.store.console.programs import ProgramListStore, ProgramWord

_LONGEST_URL: Final = 500


async def show(visit: Visit) -> web.StreamResponse:
    """Show the form for one VEN."""
    return visit.render("add_ven.html", **await _choices(visit))


async def add(visit: Visit) -> web.StreamResponse:
    """Make a VEN with its client and show its credentials, this once; nothing is stored if anything is wrong."""
    form = await visit.form()
    try:
        name = text(form, "name", what="the name of the VEN")
        client_id = optional(form, "client_id", what="the id of the client") or name
        groups = _with_program(groups_in(form, "groups"), await _program(visit, form.get("program", "")))
        lines = join_lines(visit)
        lines.must_be_possible(client_id, ven_name=name)
        (made,) = await _stored(visit, [NamedVen(name, client_id, groups)])
    except (Invalid, Conflict, BadJoinLine) as error:
        return visit.refuse(f"{error}.", "add_ven.html", **await _choices(visit))
    ven_id, credentials = made
    await visit.audit("ven added", f"ven {name}", after={"client_id": client_id, "groups": list(groups)})
    handed = None if credentials is None else handout(credentials, lines, ven_name=name)
    return visit.render("handout.html", handed=handed, ven_id=ven_id, ven_name=name, is_again=False)


async def show_many(visit: Visit) -> web.StreamResponse:
    """Show the form for a list of VENs."""
    return visit.render("add_vens.html", most=MOST_AT_ONCE)


async def add_many(visit: Visit) -> web.StreamResponse:
    """Make all VENs of a list with their clients, or none; their join lines are one file, this once."""
    form = await visit.form()
    try:
        every = vens_in(form.get("csv", ""))
        lines = join_lines(visit)
        for each in every:
            lines.must_be_possible(each.client_id, ven_name=each.name)
        made = await _stored(visit, every)
    except (Invalid, Conflict, BadJoinLine) as error:
        return visit.refuse(f"{error}.", "add_vens.html", most=MOST_AT_ONCE)
    await visit.audit("vens added", f"{len(every)} vens", after={"names": [each.name for each in every][:100]})
    file = _file_of(every, [credentials for _, credentials in made], lines)
    return visit.render("handouts.html", file=file, count=len(every), note=lines.note, names=[e.name for e in every])


async def show_20b(visit: Visit) -> web.StreamResponse:
    """Show the form for a VEN of OpenADR 2.0b."""
    return visit.render("add_ven_20b.html", **await _choices(visit))


async def add_20b(visit: Visit) -> web.StreamResponse:
    """Enrol a VEN of OpenADR 2.0b by the fingerprint of its certificate (B-SEC-013)."""
    form = await visit.form()
    try:
        name = text(form, "name", what="the name of the VEN")
        given = text(form, "fingerprint", what="the fingerprint of its certificate")
        groups = _with_program(groups_in(form, "groups"), await _program(visit, form.get("program", "")))
        id_ = await visit.console.stores.v20b.vens.enrol(
            name,
            by=visit.caller,
            fingerprint=fingerprint_in("fingerprint", given),
            wire_id=optional(form, "wire_id", what="the venID in messages") or None,
            targets=groups or None,
            signs=True if form.get("signs") == "yes" else None,
            only_new=True,
        )
    except (Invalid, Conflict) as error:
        return visit.refuse(f"{error}.", "add_ven_20b.html", **await _choices(visit))
    await visit.audit("ven enrolled (2.0b)", f"ven {name}", after={"fingerprint": given, "groups": list(groups)})
    return visit.redirect("ven", said=f"{name} is enrolled; it may register now.", ven_id=id_)


def join_lines(visit: Visit) -> JoinLines:
    """Return what makes join lines of this server, at the address that the form gives, if it gives one.

    Raises Invalid.
    """
    form = visit.posted
    url = optional(form, "url", what="the address of the VTN", longest=_LONGEST_URL) or None
    pem, ca = form.get("ca", "").strip(), None
    if len(pem) > LONGEST_PEM:
        raise Invalid("ca", f"expected at most {LONGEST_PEM:,} characters")
    if pem:
        try:
            ca = certificate_in(pem)
        except ValueError as error:
            raise Invalid("ca", f"the text {error}") from None
    given = "the address in the form"
    return JoinLines(visit.console.settings, url=url, ca=ca, addresses=visit.console.addresses, url_is=given)


def fingerprint_in(field: str, given: str) -> str:
    """Return a fingerprint as it is stored; raises Invalid."""
    try:
        return fingerprint.parse(given)
    except ValueError as error:
        raise Invalid(field, str(error)) from None


async def new_client(visit: Visit, client_id: str) -> tuple[Any, Credentials | None]:
    """Return a new client of the role VEN and its credentials; None for both where tokens come from elsewhere."""
    if not visit.console.settings.auth.gives_tokens:
        return None, None
    return await visit.console.clients.prepared(client_id, ClientRole.VEN)


async def _stored(visit: Visit, every: Sequence[NamedVen]) -> list[tuple[str, Credentials | None]]:
    """Make VENs with their clients, all or none; raises Conflict that names what is taken."""
    asked = [NewVen(_ven_of(each), None) for each in every]
    taken = await visit.console.stores.enrolment.taken(asked)
    for each in every:
        where = f"csv: line {each.line}, " if each.line else ""
        if ("name", each.name) in taken:
            raise Conflict(f"{where}name: there is a VEN {each.name} already; expected a new name")
        if ("client_id", each.client_id) in taken:
            raise Conflict(f"{where}client_id: there is a client {each.client_id} already; expected a new id")
    made = [await new_client(visit, each.client_id) for each in every]
    new = [NewVen(ask.ven, row) for ask, (row, _) in zip(asked, made, strict=True)]
    ids = await visit.console.stores.enrolment.add(new, by=visit.caller)
    return list(zip(ids, [credentials for _, credentials in made], strict=True))


def _ven_of(each: NamedVen) -> BlVenRequest:
    return BlVenRequest(client_id=each.client_id, ven_name=each.name, targets=each.groups or None)


def _file_of(every: Sequence[NamedVen], made: Sequence[Credentials | None], lines: JoinLines) -> HandedFile:
    file = io.StringIO()
    table = csv.writer(file)
    table.writerow(("name", "client_id", "client_secret", "join_line"))
    for each, credentials in zip(every, made, strict=True):
        secret = "" if credentials is None else credentials.secret
        line = lines.line(each.client_id, secret, ven_name=each.name) if secret else None
        table.writerow((cell(each.name), cell(each.client_id), secret, line or ""))
    return data_file("join-lines.csv", "text/csv", file.getvalue())


async def _program(visit: Visit, program_id: str) -> ProgramWord | None:
    if not program_id:
        return None
    programs = await visit.console.store(ProgramListStore).words()
    found = next((each for each in programs if each.id == program_id), None)
    if found is None:
        raise Invalid("program", "there is no such program; choose one of the list")
    return found


def _with_program(groups: tuple[str, ...], program: ProgramWord | None) -> tuple[str, ...]:
    """Return groups by which a VEN sees a program: its only group is added, of several one must be there."""
    if program is None or not program.targets or set(groups) & set(program.targets):
        return groups
    if len(program.targets) == 1:
        return (*groups, *program.targets)
    which = ", ".join(program.targets[:8])
    raise Invalid("groups", f"{program.name} is for {which}: give one of these groups, so that the VEN sees it")


async def _choices(visit: Visit) -> dict[str, Any]:
    return {
        "programs": await visit.console.store(ProgramListStore).words(),
        "known_groups": (await visit.console.store(FleetStore).groups())[:200],
        "gives_tokens": visit.console.settings.auth.gives_tokens,
        "serves_20b": visit.console.settings.v20b is not None and visit.console.settings.v20b.enabled,
        "address": JoinLines(visit.console.settings, addresses=visit.console.addresses),
    }


ROUTES = (
    ConsoleRoute("GET", "/fleet/add", show, role=Role.ADMIN, name="add_ven", title="Add a VEN"),
    ConsoleRoute("POST", "/fleet/add", add, role=Role.ADMIN, name="add_ven_now", title="Add a VEN"),
    ConsoleRoute("GET", "/fleet/add-many", show_many, role=Role.ADMIN, name="add_vens", title="Add many VENs"),
    ConsoleRoute("POST", "/fleet/add-many", add_many, role=Role.ADMIN, name="add_vens_now", title="Add many VENs"),
    ConsoleRoute("GET", "/fleet/add-20b", show_20b, role=Role.OPERATOR, name="add_ven_20b", title="Enrol a 2.0b VEN"),
    ConsoleRoute("POST", "/fleet/add-20b", add_20b, role=Role.OPERATOR, name="enrol_20b", title="Enrol a 2.0b VEN"),
)
