"""The list of the fleet: VENs of every language and panels behind bridges, and groups for many of them at once."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from aiohttp import web

from openadr_profiles.fleet.problems import ProblemKind
from openadr_profiles.v31 import Invalid
from vtn.console.reading_forms import optional, text
from vtn.console.routes import ConsoleRoute, Role
from vtn.console.visit import CSV, Visit
from vtn.errors import Malformed
from vtn.store.console.fleet import FleetStore
from vtn.store.console.fleet_rows import ANY_PROBLEM, LANGUAGES, FleetOrder, FleetQuery, FleetRow

PROBLEM_WORDS: Final = {
    ANY_PROBLEM: "any problem",
    ProblemKind.UNSEEN: "not seen for a day, or never",
    ProblemKind.REFUSED: "a request was refused",
    ProblemKind.SUSPENDED: "suspended",
    ProblemKind.NO_CREDENTIALS: "no credentials",
    ProblemKind.CLOCK: "its clock is off",
    ProblemKind.NOT_NOTIFIED: "its webhook fails",
    ProblemKind.NO_REPORT: "no report for a day, or never",
    ProblemKind.NO_RESOURCES: "no resources",
    ProblemKind.NO_TARGETS: "holds no group",
    ProblemKind.OFFLINE: "2.0b: does not poll",
    ProblemKind.NOT_REGISTERED: "2.0b: not registered",
    ProblemKind.DISABLED: "2.0b: disabled",
    ProblemKind.OVERDUE: "2.0b: reports are missing",
    ProblemKind.CANCEL_REFUSED: "2.0b: refused to end its registration",
}
ORDER_WORDS: Final = {
    FleetOrder.NAME: "by name",
    FleetOrder.NAME_DOWN: "by name, last first",
    FleetOrder.SILENT: "longest silent first",
    FleetOrder.HEARD: "last heard of first",
}
_FILTERS: Final = ("search", "group", "language", "problem", "order")
_PAGE: Final = 1000
_FORMULA: Final = frozenset("=+-@\t\r")
_MOST_ROWS: Final = 50_000
_MOST_SELECTED: Final = 1000
_COLUMNS: Final = (
    *("name", "ven_id", "client_id", "bridge", "groups", "language", "software", "last_contact_utc"),
    *("clock_offset_s", "power_kw", "read_at_utc", "sheddable_kw", "resources", "problems"),
)


async def show(visit: Visit) -> web.StreamResponse:
    """Show a page of the list, as it is searched and ordered."""
    fleet, asked = visit.console.store(FleetStore), visit.page_asked()
    if visit.request.headers.get("HX-Target") == "fleet-counts":
        return visit.render("fleet.html", counts=await fleet.figures())
    query = fleet_query(visit, _asked(visit), skip=asked.skip, limit=asked.limit)
    page = await fleet.page(query)
    return visit.render(
        "fleet.html",
        page=asked.of(page.rows),
        total=page.total,
        first=asked.skip + 1,
        counts=await fleet.figures(),
        groups=await fleet.groups(),
        asked=_asked(visit),
        is_narrowed=any(_asked(visit)[name] for name in ("search", "group", "language", "problem")),
        languages=LANGUAGES,
        problem_words=PROBLEM_WORDS,
        order_words=ORDER_WORDS,
    )


async def as_csv(visit: Visit) -> web.StreamResponse:
    """Answer with the whole list, as it is searched and ordered, as a file of CSV."""
    fleet, asked = visit.console.store(FleetStore), _asked(visit)

    async def pieces() -> AsyncGenerator[bytes, None]:
        yield _line(_COLUMNS)
        for skip in range(0, _MOST_ROWS, _PAGE):
            page = await fleet.page(fleet_query(visit, asked, skip=skip, limit=_PAGE))
            yield b"".join(_line(_cells(row, visit)) for row in page.rows)
            if len(page.rows) < _PAGE:
                break

    fleet_query(visit, asked)  # what cannot be asked is refused before the file begins
    return await visit.send_file("fleet.csv", CSV, pieces())


async def change_groups(visit: Visit) -> web.StreamResponse:
    """Grant a group to the chosen VENs, or take it back; for all that a search finds it asks once more."""
    form = await visit.form()
    try:
        group = text(form, "granted", what="the name of a group")
        act = text(form, "act", what="what is to be done: grant or revoke")
        if act not in {"grant", "revoke"}:
            raise Invalid("act", "expected grant or revoke")
        asked = {name: optional(form, f"asked_{name}", what=name) for name in _FILTERS}
        of_all = form.get("which") == "all"
        ids = await visit.console.store(FleetStore).ven_ids(fleet_query(visit, asked)) if of_all else _selected(visit)
        if not ids:
            raise Invalid("ven", "no VEN is chosen; tick the box before its name")
    except Invalid as error:
        return visit.refuse(_said(error), "fleet_groups.html", asking=None)
    if of_all and form.get("sure") != "yes":
        asking = {"count": len(ids), "group": group, "act": act, "asked": asked}
        return visit.render("fleet_groups.html", asking=asking)
    change = visit.console.stores.enrolment
    done = await (change.grant if act == "grant" else change.revoke)(ids, group)
    words = "granted to" if act == "grant" else "taken back from"
    await visit.audit(f"group {words}", f"group {group}", after={"vens": done.changed, "unchanged": done.unchanged})
    same = f"; {done.unchanged:,} stay as they are" if done.unchanged else ""
    said = f"{group} is {words} {done.changed:,} VEN{'' if done.changed == 1 else 's'}{same}."
    return visit.redirect("fleet", said=said, **asked)


def fleet_query(visit: Visit, asked: Mapping[str, str], *, skip: int = 0, limit: int = 1) -> FleetQuery:
    """Return what is asked of the store; raises Malformed."""
    return FleetQuery(
        search=asked["search"],
        group=asked["group"],
        language=_one_of("language", asked["language"], LANGUAGES),
        problem=_one_of("problem", asked["problem"], PROBLEM_WORDS),
        order=FleetOrder(_one_of("order", asked["order"], ORDER_WORDS) or FleetOrder.NAME),
        skip=skip,
        limit=limit,
        **rules(visit),
    )


def rules(visit: Visit) -> dict[str, Any]:
    """Return what decides about problems on this server, as members of a FleetQuery."""
    return {
        "own_tokens": visit.console.settings.auth.external is None,
        "offline_after": visit.console.stores.v20b.listing.offline_after,
    }


def _asked(visit: Visit) -> dict[str, str]:
    return {name: visit.query(name).replace("\0", "")[:128] for name in _FILTERS}


def _one_of(name: str, value: str, known: Mapping[Any, str]) -> str:
    if value and value not in {str(each) for each in known}:
        raise Malformed(f"{name}: expected one of {', '.join(map(str, known))}")
    return value


def _selected(visit: Visit) -> list[str]:
    ids = [each for each in dict.fromkeys(visit.posted.getall("ven", [])) if "\0" not in each]
    if len(ids) > _MOST_SELECTED:
        raise Invalid("ven", f"expected at most {_MOST_SELECTED:,} VENs; choose all that the search finds instead")
    return ids


def _said(error: Invalid) -> str:
    return f"{error.member}: {error.problem}."


def _cells(row: FleetRow, visit: Visit) -> tuple[Any, ...]:
    return (
        row.name,
        row.ven_id,
        row.client_id,
        row.bridge,
        "; ".join(row.targets),
        row.language,
        row.software,
        row.heard_at and row.heard_at.isoformat(),
        row.state.clock_offset_s,
        row.power_kw,
        row.read_at and row.read_at.isoformat(),
        row.sheddable_kw,
        row.circuits,
        "; ".join(each.text for each in row.problems(visit.now)),
    )


def _line(cells: tuple[Any, ...]) -> bytes:
    """Return a line of CSV; a text that a table program would take for a formula is marked as a text."""
    file = io.StringIO()
    safe = [f"'{each}" if isinstance(each, str) and each[:1] in _FORMULA else each for each in cells]
    csv.writer(file).writerow(safe)
    return file.getvalue().encode()


ROUTES = (
    ConsoleRoute("GET", "/fleet", show, name="fleet", nav="Fleet"),
    ConsoleRoute("GET", "/fleet.csv", as_csv, name="fleet_csv"),
    ConsoleRoute("POST", "/fleet/groups", change_groups, role=Role.OPERATOR, name="fleet_groups", title="Groups"),
)
