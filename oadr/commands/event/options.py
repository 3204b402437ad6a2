"""Options that ``oadr event create`` and ``update`` share."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from oadr.terminal.options import parsed_by
from openadr_profiles.fleet.quantities import moment, power_kw


def moment_from_now(text: str) -> datetime:
    """Return the instant that an option names, from now or from the calendar; raises ValueError."""
    return moment(text, now=datetime.now(UTC))


ShedOption = Annotated[
    list[Decimal] | None,
    typer.Option(
        parser=parsed_by(power_kw),
        metavar="POWER",
        help="Every VEN reached sheds this much: 5kW, 500W, 0kW. Repeat for consecutive intervals of equal length.",
    ),
]
LimitOption = Annotated[
    list[Decimal] | None,
    typer.Option(
        parser=parsed_by(power_kw), metavar="POWER", help="Draw no more than 3kW; 0kW is none. Repeatable like --shed."
    ),
]
LevelOption = Annotated[
    list[int] | None, typer.Option(min=0, max=3, help="SIMPLE level, 0 is normal. Repeatable like --shed.")
]
FileOption = Annotated[
    Path | None,
    typer.Option(
        "--file", "-f", metavar="FILE", help="Event as JSON or YAML, or CSV of intervals; - is standard input."
    ),
]
TargetOption = Annotated[
    list[str] | None, typer.Option(help="Who it is for, as group:north or a ven's id. Repeatable; none: all.")
]
PriorityOption = Annotated[int | None, typer.Option(min=0, help="0 is the highest; none is the lowest.")]
YesOption = Annotated[
    bool,
    typer.Option("--yes", "-y", help="Do not ask; needed without a terminal for everybody or above confirm_above_kw."),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would be issued, and issue nothing.")]
WHEN = "now, +1m, 18:00 or tomorrow 18:00 (local), or an instant such as 2026-01-31T16:00:00Z."
