"""``oadr event preview``: who will get the event in a file, why others do not, and what they see. Issues nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from oadr.business_logic.connection import BusinessLogic, act, with_connection
from oadr.commands.event.options import TargetOption
from oadr.errors import Exit, Failure
from oadr.events.confirmation import safety_of, tell
from oadr.terminal.options import examples
from oadr.terminal.output import JsonOption, show_json, show_rows, wants_json

if TYPE_CHECKING:
    from oadr.events.fleet import AffectedFleet
    from openadr_client import VtnClient
    from openadr_profiles.fleet.preview import Preview
    from openadr_profiles.v20b.projection.preview import Preview20b
    from openadr_profiles.v31 import EventRequest, Program, Ven

_DRAFT = "-"
_COLUMNS = {"name": "signal", "type": "type", "unit": "unit", "text": "intervals"}


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what an event will do: how many VENs it is for and how many get it, by language, and why others do not."""

    recipients: int
    told: int
    languages: dict[str, int]
    why_not: dict[str, int] = msgspec.field(name="whyNot")
    panels: tuple[str, ...]
    judged: Any
    v20b: Any


app = typer.Typer(add_completion=False)


@app.command(epilog=examples("event preview event.json", "event preview event.csv --program peaks --json"))
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
    """Show who will get an event and why others do not, for all versions of OpenADR. Nothing is issued.

    The program's attributes OADR20B_... decide how VENs of 2.0b are told. Exit code 7 if nobody gets it, if a limit
    refuses it, or if it reaches VENs of 2.0b and has no form there.
    """

    async def examined(client: VtnClient) -> Outlook:
        from oadr.events.files import read_event
        from oadr.events.fleet import AffectedFleet
        from oadr.events.other_versions import preview_for, program_of
        from openadr_profiles.fleet.preview import examine

        now = datetime.now(UTC)
        request = read_event(file, now=now, program_id=lambda: _DRAFT)
        if target:
            request = msgspec.structs.replace(request, targets=tuple(target))
        owner = await program_of(client, request, program, draft=_DRAFT)
        fleet = await AffectedFleet.read(client, request.targets or ())
        to = fleet.recipients(request.targets or ())
        judged = examine(
            [(request, to)], fleet.events, fleet.vens, fleet.resources, now=now, safety=safety_of(settings)
        )
        return _outlook(request, owner, fleet, judged, preview_for(request, owner, fleet, now), now)

    found = act(settings, examined)
    if wants_json(as_json):
        v20b, judged = msgspec.to_builtins(found.v20b), found.judged
        fleet = {name: each for name, each in msgspec.to_builtins(found).items() if name not in {"judged", "v20b"}}
        texts = {"summary": judged.summary, "previewWarnings": judged.warnings, "refusedBy": judged.refused}
        show_json({**v20b, **fleet, **{name: list(each) for name, each in texts.items()}})
    else:
        _show(found)
    reasons = [*found.judged.refused]
    if not found.told:
        reasons.insert(0, "nobody will get it")
    elif found.v20b.vens and found.v20b.refused is not None:
        reasons.append(f"VENs of OpenADR 2.0b will not be told of it: {found.v20b.refused}")
    if reasons:
        raise Failure("; ".join(reasons), Exit.CHECK_FAILED)


def _outlook(
    request: EventRequest,
    owner: Program | None,
    fleet: AffectedFleet,
    judged: Preview,
    v20b: Preview20b,
    now: datetime,
) -> Outlook:
    from openadr_profiles.fleet.panel_preview import preview_panels
    from openadr_profiles.fleet.recipients import reached
    from openadr_profiles.v20b.projection.preview import of_20b

    vens = reached(request.targets, fleet.vens, fleet.resources)
    of_2_0b = {ven.id for ven in of_20b(vens)}
    seeing = {ven.id for ven in reached(owner.targets if owner else (), vens, fleet.resources)}
    languages: Counter[str] = Counter()
    why_not: Counter[str] = Counter()
    for ven in vens:
        if ven.id not in seeing:
            why_not["holds no target of the program, so the event is hidden from it"] += 1
        elif ven.id in of_2_0b and v20b.refused is not None:
            why_not["the event has no form in OpenADR 2.0b"] += 1
        else:
            languages["OpenADR 2.0b" if ven.id in of_2_0b else _protocol(ven, fleet)] += 1
    names = _names_by_ven(vens, fleet)
    bridged = [its for its in names if any("/" in name for name in its)]
    panels = sum(sum("/" not in name for name in its) for its in bridged)
    return Outlook(
        recipients=len(vens),
        told=sum(languages.values()),
        languages=dict(languages),
        why_not=dict(why_not),
        panels=preview_panels(request, owner, panels=panels, now=now),
        judged=judged,
        v20b=v20b,
    )


def _protocol(ven: Ven, fleet: AffectedFleet) -> str:
    contact = (fleet.contacts or {}).get(ven.client_id)
    return "version not known" if contact is None or not contact.protocol else contact.protocol


def _names_by_ven(vens: Sequence[Ven], fleet: AffectedFleet) -> list[list[str]]:
    names: dict[str, list[str]] = {ven.id: [] for ven in vens}
    for resource in fleet.resources:
        if resource.ven_id in names:
            names[resource.ven_id].append(resource.resource_name)
    return list(names.values())


def _show(found: Outlook) -> None:
    for line in found.judged.summary:
        tell(line)
    tell(f"{found.told:,} of {_vens(found.recipients)} that it is for will get it")
    for word, number in sorted(found.languages.items()):
        tell(f"{word}: {_vens(number)}")
    for reason, number in sorted(found.why_not.items()):
        tell(f"not told: {_vens(number)}, {reason}")
    for line in found.judged.warnings:
        tell(f"warning: {line}")
    for line in found.panels:
        tell(line)
    if found.v20b.vens:
        _show_20b(found.v20b)


def _show_20b(found: Preview20b) -> None:
    tell(f"{_vens(found.vens)} of OpenADR 2.0b would {'not ' if found.refused else ''}be told of it")
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


def _vens(count: int) -> str:
    return f"{count:,} VEN" + ("" if count == 1 else "s")
