"""``oadr report``: what VENs have said."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from oadr.business_logic import BusinessLogic, act, with_connection
from oadr.output import JsonOption, plain, show_rows
from openadr_profiles.v31 import Report
from ven.report_shapes import opt_report_name, status_report_name

app = typer.Typer(add_completion=False, help="List reports.", no_args_is_help=True)

_COLUMNS = {"id": "Report", "clientName": "From", "about": "About", "resourceCount": "Resources"}


@app.callback()
def _report() -> None:
    """Keep `list` a command of its own while it is the only one."""


@app.command(name="list")
@with_connection
def list_(
    *,
    event: Annotated[str | None, typer.Option(help="Only reports about this event (its id).")] = None,
    client_name: Annotated[str | None, typer.Option(help="Only reports with this client name.")] = None,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """List reports, newest first; JSON carries every value."""
    reports = act(settings, lambda client: client.reports.search(event_id=event, client_name=client_name))
    show_rows([_row(report) for report in reports], _COLUMNS, as_json=as_json, title="Reports", empty="no reports")


def _row(report: Report) -> dict[str, Any]:
    types = {
        payload.type
        for resource in report.resources
        for interval in resource.intervals
        for payload in interval.payloads
    }
    kinds = {opt_report_name(report.event_id): "who takes part", status_report_name(report.event_id): "what was done"}
    about = kinds.get(report.report_name or "", ", ".join(sorted(types)))
    return {**plain(report), "about": about, "resourceCount": len(report.resources)}
