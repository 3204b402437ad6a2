"""Options of ``oadr perf``: which baseline, which steps, whose days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from oadr.errors import Exit, Failure
from oadr.terminal.options import parsed_by
from openadr_profiles.fleet.quantities import length
from openadr_profiles.fleet.wording import local_time
from openadr_profiles.performance import EvaluationRequest
from openadr_profiles.v31 import Event
from openadr_profiles.v31.timeline import Timeline

if TYPE_CHECKING:
    from vtn.performance.calendar import Calendar
    from vtn.performance.methods import Method

_LONGEST_EVENT: Final = timedelta(days=31)


def _zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{text[:80]!r}: expected a zone such as Europe/Berlin or UTC") from None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r}: expected a day such as 2026-12-25") from None


EventArgument: TypeAlias = Annotated[str, typer.Argument(help="Id of the event, or a unique beginning of it.")]
MethodOption: TypeAlias = Annotated[str, typer.Option(help="A method of `oadr perf methods`.")]
StepOption: TypeAlias = Annotated[
    timedelta, typer.Option(parser=parsed_by(length), metavar="TIME", help="Length of a step; it divides a day.")
]
ZoneOption: TypeAlias = Annotated[
    ZoneInfo, typer.Option(parser=parsed_by(_zone), metavar="ZONE", help="The zone whose days are compared.")
]
HolidayOption: TypeAlias = Annotated[
    list[date] | None,
    typer.Option(parser=parsed_by(_day), metavar="DAY", help="A day that counts as a Sunday. Repeatable."),
]
CircuitsOption: TypeAlias = Annotated[
    bool, typer.Option("--circuits", help="Each resource by itself instead of each VEN.")
]
CsvOption: TypeAlias = Annotated[
    bool, typer.Option("--csv", help="A line for each participant and step, for settlement.")
]


@dataclass(frozen=True, slots=True)
class Question:
    """Hold how an event is to be evaluated, checked."""

    method: Method
    step: timedelta
    zone: ZoneInfo
    holidays: tuple[date, ...]
    circuits: bool

    @property
    def calendar(self) -> Calendar:
        """Return the days that are alike."""
        from vtn.performance.calendar import Calendar

        return Calendar(self.zone, frozenset(self.holidays))

    def request(self, event_id: str, *, freeze: bool = False) -> EvaluationRequest:
        """Return it as a VTN is asked."""
        return EvaluationRequest(
            event_id=event_id,
            method=self.method.name,
            step_s=int(self.step.total_seconds()),
            zone=self.zone.key,
            holidays=self.holidays,
            circuits=self.circuits,
            freeze=freeze,
        )


def question(method: str, step: timedelta, zone: ZoneInfo, holiday: list[date] | None, *, circuits: bool) -> Question:
    """Return what was asked; raises Failure for what makes no sense."""
    from vtn.performance.methods import parsed
    from vtn.performance.profile import check_step

    try:
        how = parsed(method)
        check_step(step)
    except ValueError as error:
        raise Failure(str(error), Exit.USAGE) from None
    return Question(how, step, zone, tuple(sorted(set(holiday or ()))), circuits)


def finished(event: Event) -> Timeline:
    """Return the times of an event that can be evaluated; raises Failure for one that is not over, or too long."""
    timeline = Timeline.of(event, anchor=event.modification_date_time)
    if timeline.cancelled:
        raise Failure("the event was cancelled: there is nothing to evaluate", Exit.USAGE)
    if timeline.end is None or timeline.end - timeline.start > _LONGEST_EVENT:
        raise Failure("an event is evaluated that has an end, and lasts 31 days at most", Exit.USAGE)
    if timeline.end > datetime.now(UTC):
        raise Failure(f"the event is not over before {local_time(timeline.end)}", Exit.USAGE)
    return timeline
