"""``oadr report``: what VENs have said."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from oadr.business_logic.connection import BusinessLogic, act, with_connection
from oadr.business_logic.lookup import find
from oadr.errors import Exit, Failure
from oadr.terminal.options import examples
from oadr.terminal.output import AllOption, JsonOption, plain, show_json, show_rows, wants_json
from oadr.terminal.text import visible, visible_json
from openadr_profiles.fleet.report_values import report_values
from openadr_profiles.fleet.reports import is_opt_report, is_status_report
from openadr_profiles.fleet.wording import local_time
from openadr_profiles.v31 import Report

if TYPE_CHECKING:
    from openadr_client import VtnClient

app = typer.Typer(
    add_completion=False,
    help="List, show and export reports.",
    no_args_is_help=True,
    epilog=examples("report list --event 3f2a", "report export > all.csv"),
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
_VALUES = {
    "resource": "Resource",
    "startLocal": "Start",
    "type": "Type",
    "value": "Value",
    "units": "Units",
    "quality": "Quality",
}


class ExportFormat(StrEnum):
    """The formats of an export."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


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


@app.command(
    epilog=examples("report export > all.csv", "report export --event 3f2a --format parquet --out event.parquet")
)
@with_connection
def export(
    *,
    format_: Annotated[
        ExportFormat, typer.Option("--format", case_sensitive=False, help="CSV or Parquet, a row for each value; JSON.")
    ] = ExportFormat.CSV,
    as_csv: Annotated[bool, typer.Option("--csv", hidden=True, help="The same as --format csv.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file to write, which must not exist; else standard output.")
    ] = None,
    event: EventOption = None,
    client_name: ClientNameOption = None,
    settings: BusinessLogic,
) -> None:
    """Write all values of reports, as they arrive: the memory it takes does not grow with them. Instants are UTC.

    A text that a spreadsheet would take for a formula (it begins with =, +, - or @) gets an apostrophe in front.
    """
    if as_csv and as_json:
        raise typer.BadParameter("--csv and --json exclude each other")
    chosen = ExportFormat.JSON if as_json else ExportFormat.CSV if as_csv else format_
    if chosen is ExportFormat.PARQUET:
        if out is None:
            raise typer.BadParameter("Parquet is not for a terminal: name a file with --out")
        if find_spec("pyarrow") is None:
            from vtn.report_files import NEEDS_PYARROW

            raise Failure(NEEDS_PYARROW, Exit.CONFIGURATION)
    with _opened(out) as file:
        count = act(settings, lambda client: _write(client, event, client_name, chosen, file))
    if out is not None:
        typer.echo(f"{count:,} reports are in {out}", err=True)


@contextmanager
def _opened(out: Path | None) -> Iterator[BinaryIO]:
    """Yield what to write to; a file that cannot be written whole is removed."""
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        file = out.open("xb")
    except FileExistsError:
        raise Failure(f"{out} exists; it is left as it is", Exit.USAGE) from None
    except OSError as error:
        raise Failure(f"{out} cannot be written: {error.strerror}", Exit.USAGE) from None
    try:
        with file:
            yield file
    except BaseException:  # also for Ctrl-C: no half of a file is left
        out.unlink(missing_ok=True)
        raise


async def _write(
    client: VtnClient, event: str | None, client_name: str | None, chosen: ExportFormat, file: BinaryIO
) -> int:
    """Write reports page by page; returns how many."""
    from vtn.report_files import CsvRows, ParquetRows

    pages = _each_once(client.reports.walk(event_id=await _event_id(client, event), client_name=client_name))
    count = 0
    if chosen is ExportFormat.PARQUET:
        with ParquetRows(file) as parquet:
            async for page in pages:
                parquet.add(page)
                count += len(page)
        return count
    rows = CsvRows()
    file.write(b"[" if chosen is ExportFormat.JSON else rows.head().encode())
    async for page in pages:
        if chosen is ExportFormat.CSV:
            file.write(rows.of(page).encode())
        for place, report in enumerate(page if chosen is ExportFormat.JSON else ()):
            text = json.dumps(plain(report), ensure_ascii=False, default=str)
            file.write(f"{',' if count or place else ''}\n{visible_json(text)}".encode())
        count += len(page)
    if chosen is ExportFormat.JSON:
        file.write(b"\n]\n")
    return count


async def _each_once(pages: AsyncIterator[tuple[Report, ...]]) -> AsyncIterator[list[Report]]:
    """Yield the reports of pages, each once, though others are written meanwhile."""
    known: set[str] = set()
    async for page in pages:
        new = [report for report in page if report.id not in known]
        known.update(report.id for report in new)
        yield new


async def _search(client: VtnClient, event: str | None, client_name: str | None) -> list[Report]:
    return await client.reports.search(event_id=await _event_id(client, event), client_name=client_name)


async def _event_id(client: VtnClient, event: str | None) -> str | None:
    if event is None:
        return None
    return (await find(client.events, event, kind="event", every=client.events.search)).id


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
    for each in report_values(report):
        yield {
            "resource": each.resource,
            "at": each.start,
            "type": each.payload_type,
            "value": each.value,
            "units": each.units,
            "quality": each.quality,
        }
