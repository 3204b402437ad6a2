"""``oadr fleet``: VENs of every language, and the panels behind bridges, with what is wrong with each."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from oadr.business_logic.connection import BusinessLogic, act, with_connection
from oadr.commands.vens import FleetRead, read_fleet
from oadr.terminal.options import examples
from oadr.terminal.output import AllOption, JsonOption, show_json, show_rows, wants_json
from oadr.terminal.text import visible
from openadr_profiles.fleet.recipients import capacity_kw
from openadr_profiles.v31 import Resource
from openadr_profiles.ven_20b import CLIENT_PREFIX

app = typer.Typer(
    add_completion=False,
    help="List the fleet: VENs of every language, and panels behind bridges.",
    no_args_is_help=True,
    epilog=examples("fleet list --problems", "fleet list --group group:north --format csv > fleet.csv"),
)

_COLUMNS: Final = {
    "name": "Name",
    "bridge": "Behind bridge",
    "groups": "Groups",
    "language": "Language",
    "software": "Software",
    "lastContactAgo": "Last contact",
    "clockOffset": "Clock s",
    "canShed": "Can shed kW",
    "problems": "Problems",
}
_LEAST_NEEDED: Final = ("software", "clockOffset", "bridge", "groups")
_CSV: Final = (
    *("name", "venID", "clientID", "bridge", "groups", "language", "software", "lastContact", "clockOffset"),
    *("canShed", "resourceCount", "problems"),
)
_FORMULA: Final = frozenset("=+-@\t\r")


class FleetFormat(StrEnum):
    """Forms of a list."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


@app.callback()
def _fleet() -> None:
    """Keep ``list`` a word of its own, although it is the only command."""


@app.command(name="list", epilog=examples("fleet list --problems", "fleet list --group group:north --format csv"))
@with_connection
def list_(
    *,
    group: Annotated[
        list[str] | None, typer.Option(help="Only those that hold one of these groups, also by a resource. Repeatable.")
    ] = None,
    problems: Annotated[bool, typer.Option("--problems", help="Only those with a problem.")] = False,
    reports: Annotated[
        bool, typer.Option("--reports/--no-reports", help="Read all reports to tell who reported last, and when.")
    ] = True,
    format_: Annotated[
        FleetFormat | None, typer.Option("--format", help="Default: a table on a terminal, JSON when piped.")
    ] = None,
    everything: AllOption = False,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """List VENs and panels: groups, language, software, last contact, clock, what each can shed, and problems.

    What this VTN does not tell is left out. Panels have no problems of their own: those of their bridge count.
    """
    read = act(settings, lambda client: read_fleet(client, reports=reports))
    rows = [row for ven in read for row in _rows(ven) if _holds(row, group) and (row["problems"] or not problems)]
    if format_ is FleetFormat.CSV:
        _write_csv(rows)
    elif format_ is FleetFormat.JSON or (format_ is None and wants_json(as_json)):
        show_json(rows)
    else:
        columns = {key: heading for key, heading in _COLUMNS.items() if any(row.get(key) for row in rows)}
        empty = "nothing matches" if read else "no VENs; add one with: oadr vtn client add"
        show_rows(
            rows,
            columns or _COLUMNS,
            as_json=False,
            title="Fleet",
            empty=empty,
            everything=everything,
            least_needed=_LEAST_NEEDED,
        )


def _rows(read: FleetRead) -> list[dict[str, Any]]:
    """Return the row of a VEN, and one for each panel behind it: a resource with circuits, ``<panel>/<circuit>``."""
    row, ven = read.row, read.ven
    is_20b = ven.client_id.startswith(CLIENT_PREFIX)
    own: dict[str, Any] = {
        "name": ven.ven_name,
        "venID": ven.id,
        "clientID": ven.client_id,
        "bridge": None,
        "groups": list(ven.targets or ()),
        "language": "OpenADR 2.0b" if is_20b else row["protocol"],
        "software": row["software"],
        "lastContact": row["lastContact"],
        "lastContactAgo": row["lastContactAgo"],
        "clockOffset": row["clockOffset"],
        "canShed": row["canShed"],
        "resourceCount": row["resourceCount"],
        "problems": row["problems"],
        "heldByResources": sorted({each for resource in read.resources for each in resource.targets or ()}),
    }
    return [own, *_panels(own, read)]


def _panels(own: Mapping[str, Any], read: FleetRead) -> list[dict[str, Any]]:
    circuits: dict[str, list[Resource]] = {}
    for resource in read.resources:
        panel, slash, _ = resource.resource_name.partition("/")
        if slash and panel:
            circuits.setdefault(panel, []).append(resource)
    found = []
    for resource in sorted(read.resources, key=lambda each: each.resource_name):
        theirs = circuits.get(resource.resource_name)
        if theirs is None:
            continue
        can = capacity_kw(resource, theirs)
        found.append(
            {
                **own,
                "name": resource.resource_name,
                "bridge": own["name"],
                "groups": list(resource.targets or ()),
                "language": "panel",
                "software": None,
                "clockOffset": None,
                "canShed": None if can is None else float(can),
                "resourceCount": len(theirs),
                "problems": [],
                "heldByResources": list(own["groups"]),  # what its bridge holds reaches it, too
            }
        )
    return found


def _holds(row: Mapping[str, Any], groups: Sequence[str] | None) -> bool:
    return not groups or bool(set(groups) & {*row["groups"], *row["heldByResources"]})


def _write_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    """Write CSV; a text that a table program would take for a formula is marked as a text."""
    table = csv.writer(sys.stdout)
    table.writerow(_CSV)
    for row in rows:
        table.writerow([_cell(row[name]) for name in _CSV])


def _cell(value: object) -> object:
    if isinstance(value, list):
        value = "; ".join(map(str, value))
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text[:1] in _FORMULA else text
