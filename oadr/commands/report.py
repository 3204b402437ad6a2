"""``oadr report``: what VENs have said."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oadr.business_logic.connection import BusinessLogic, act, with_connection
from oadr.business_logic.lookup import find
from oadr.terminal.options import examples
from oadr.terminal.output import AllOption, JsonOption, plain, show_json, show_rows, wants_json
from oadr.terminal.text import visible
from openadr_profiles.fleet.reports import is_opt_report, is_status_report
from openadr_profiles.fleet.wording import local_time
from openadr_profiles.v31 import Report

if TYPE_CHECKING:
    from openadr_client import VtnClient

app = typer.Typer(
    add_completion=False,
    help="List, show and export reports.",
    no_args_is_help=True,
    epilog=examples("report list --event 3f2a", "report export --csv > all.csv"),
)

EventOption = Annotated[
    str | None, typer.Option(help="Only reports about this event: its id, or a unique beginning of it.")
]
ClientNameOption = Annotated[str | None, typer.Option(help="Only reports with this client name.")]

_COLUMNS = {
    "id": "Report",
    "clientName": "From",
    "about": "About",
    "resourceCount": "Resources",
    "valueCount": "Values",
    "last": "Last values",
    "modifiedLocal": "Sent",
}
_VALUES = {"resource": "Resource", "startLocal": "Start", "type": "Type", "value": "Value", "units": "Units"}
_EXPORTED = (
    "report_id",
    "event_id",
    "client_id",
    "client_name",
    "report_name",
    "resource",
    "interval_id",
    "start",
    "duration",
    "type",
    "value",
    "units",
)


@app.command(name="list", epilog=examples("report list", "report list --event 3f2a"))
@with_connection
def list_(
    *,
    event: EventOption = None,
    client_name: ClientNameOption = None,
    everything: AllOption = False,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """List reports, newest first; JSON carries every value."""
    reports = act(settings, lambda client: _search(client, event, client_name))
    rows = [_row(report) for report in reports]
    show_rows(
        rows,
        _COLUMNS,
        as_json=as_json,
        title="Reports",
        empty="no reports",
        everything=everything,
        least_needed=("valueCount", "resourceCount"),
    )


@app.command(epilog=examples("report get 81c0", "report get 81c0 --json"))
@with_connection
def get(
    report_id: Annotated[str, typer.Argument(help="Id of the report, or a unique beginning of it.")],
    *,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """Show one report with all its values."""
    report = act(
        settings,
        lambda client: find(client.reports, report_id, kind="report", every=client.reports.search),
    )
    if wants_json(as_json):
        show_json(plain(report))
        return
    rows = [row | {"startLocal": local_time(row["at"]) if row["at"] else None} for row in _values(report)]
    title = visible(f"Report {report.report_name or report.id} of {report.client_name}")
    show_rows(rows, _VALUES, as_json=False, title=title, empty="no values")


@app.command(epilog=examples("report export --csv > all.csv", "report export --csv --event 3f2a > event.csv"))
@with_connection
def export(
    *,
    as_csv: Annotated[bool, typer.Option("--csv/--json", help="CSV, a line for each value, or JSON.")] = True,
    event: EventOption = None,
    client_name: ClientNameOption = None,
    settings: BusinessLogic,
) -> None:
    """Write all values to standard output. Instants are UTC.

    A text that a spreadsheet would take for a formula (it begins with =, +, - or @) gets an apostrophe in front.
    """
    reports = act(settings, lambda client: _search(client, event, client_name))
    if not as_csv:
        show_json([plain(report) for report in reports])
        return
    writer = csv.DictWriter(sys.stdout, _EXPORTED, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for report in reports:
        about = {
            "report_id": report.id,
            "event_id": report.event_id,
            "client_id": report.client_id,
            "client_name": report.client_name,
            "report_name": report.report_name,
        }
        for row in _values(report):
            writer.writerow({key: _harmless(value) for key, value in (about | row).items()})


async def _search(client: VtnClient, event: str | None, client_name: str | None) -> list[Report]:
    event_id = None
    if event is not None:
        event_id = (await find(client.events, event, kind="event", every=client.events.search)).id
    return await client.reports.search(event_id=event_id, client_name=client_name)


def _row(report: Report) -> dict[str, Any]:
    values = list(_values(report))
    types = sorted({str(row["type"]) for row in values})
    about = ", ".join(types)
    if is_opt_report(report.report_name, report.event_id):
        about = "who takes part"
    elif is_status_report(report.report_name, report.event_id):
        about = "what was done"
    return {
        **plain(report),
        "about": about,
        "resourceCount": len(report.resources),
        "valueCount": len(values),
        "last": list(_last(values)),
        "modifiedLocal": local_time(report.modification_date_time.replace(microsecond=0)),
    }


def _last(values: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The last value of each type, with its unit, of the sum of all resources if there is one."""
    found: dict[str, str] = {}
    for row in values:
        if row["resource"] == "AGGREGATED_REPORT" or row["type"] not in found:
            unit = f" {row['units']}" if row["units"] else ""
            found[row["type"]] = f"{row['type']} {row['value']}{unit}"
    yield from found.values()


def _values(report: Report) -> Iterator[dict[str, Any]]:
    """A row for each value, in the report's order; values of one payload follow each other."""
    units = {each.payload_type: each.units for each in report.payload_descriptors or ()}
    for resource in report.resources:
        at: datetime | None = None
        for interval in resource.intervals:
            own, default = interval.interval_period, resource.interval_period
            start = (
                own.start.at if own and own.start else at or (default.start.at if default and default.start else None)
            )
            duration = (own.duration if own else None) or (default.duration if default else None)
            for payload in interval.payloads:
                for value in payload.values:
                    yield {
                        "resource": resource.resource_name,
                        "interval_id": interval.id,
                        "start": start.isoformat().replace("+00:00", "Z") if start else "",
                        "at": start,
                        "duration": str(duration or ""),
                        "type": payload.type,
                        "value": value,
                        "units": units.get(payload.type) or "",
                    }
            at = duration.after(start) if duration and start else None


def _harmless(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = visible(value, keep="\n")
    return f"'{text}" if text[:1] in {"=", "+", "-", "@"} else text
