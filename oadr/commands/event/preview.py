"""``oadr event preview``: what VENs of OpenADR 2.0b will see of an event in a file. Issues nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from oadr.business_logic.connection import BusinessLogic, act, with_connection
from oadr.commands.event.options import TargetOption
from oadr.errors import Exit, Failure
from oadr.events.confirmation import tell
from oadr.terminal.output import JsonOption, show_json, show_rows, wants_json

if TYPE_CHECKING:
    from openadr_client import VtnClient
    from openadr_profiles.v20b.projection.preview import Preview20b

_DRAFT = "-"
_COLUMNS = {"name": "signal", "type": "type", "unit": "unit", "text": "intervals"}


@with_connection
def preview(
    file: Annotated[Path, typer.Argument(help="The event: JSON, YAML or CSV as for create --file; - is stdin.")],
    *,
    program: Annotated[
        str, typer.Option(help="Name of the program it will belong to, if the file does not say.")
    ] = "demand-response",
    target: TargetOption = None,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """Show what VENs of OpenADR 2.0b will see of an event, and what of it they will not. Nothing is issued.

    The program's attributes OADR20B_... decide how it is told. Exit code 7 if it has no form in 2.0b.
    """

    async def examine(client: VtnClient) -> Preview20b:
        from oadr.events.files import read_event
        from oadr.events.fleet import AffectedFleet
        from oadr.events.other_versions import preview_for, program_of

        now = datetime.now(UTC)
        request = read_event(file, now=now, program_id=lambda: _DRAFT)
        if target:
            request = msgspec.structs.replace(request, targets=tuple(target))
        owner = await program_of(client, request, program, draft=_DRAFT)
        fleet = await AffectedFleet.read(client, request.targets or ())
        return preview_for(request, owner, fleet, now)

    found = act(settings, examine)
    if wants_json(as_json):
        show_json(msgspec.to_builtins(found))
    else:
        _show(found)
    if found.refused is not None:
        raise Failure(f"VENs of OpenADR 2.0b will not be told of it: {found.refused}", Exit.CHECK_FAILED)


def _show(found: Preview20b) -> None:
    tell(f"{found.vens:,} VEN{'' if found.vens == 1 else 's'} of OpenADR 2.0b would be told of it")
    if found.start is not None:
        length = f"for {timedelta(seconds=found.duration_s)}" if found.duration_s else "without end"
        answer = "an answer is asked for" if found.response_required == "always" else "no answer is asked for"
        test = ", a test" if found.test_event else ""
        tell(f"from {found.start.astimezone():%Y-%m-%d %H:%M:%S} {length}, priority {found.priority}, {answer}{test}")
    rows: list[dict[str, Any]] = [
        {"name": signal.name, "type": signal.type, "unit": signal.unit or None, "text": signal.text}
        for signal in found.signals
    ]
    if rows:
        show_rows(rows, _COLUMNS, as_json=False, title="Signals", empty="")
    for loss in found.losses:
        tell(f"lost: {loss}")
    for warning in found.warnings:
        tell(f"warning: {warning}")
