"""Hold what a check of a VEN judges: the record of a scenario that was played to its end."""

from __future__ import annotations

from typing import Final, NoReturn

from oadr_conformance.errors import Mismatch, Skipped
from oadr_conformance.registry import Area
from oadr_conformance.ven31.heard import HeardRecord, HeardRequest
from oadr_conformance.ven31.pace import ScenarioPace
from oadr_conformance.ven31.scenario import PAYLOAD
from oadr_conformance.wire import HttpExchange

SILENT: Final = "not reached: the VEN asked nothing any more"


class VenEvidence:
    """View of the record that one check gets."""

    def __init__(self, record: HeardRecord, pace: ScenarioPace) -> None:
        self.record = record
        self.pace = pace
        self.log: list[HttpExchange] = []

    async def clean_up(self) -> list[str]:
        """Undo nothing: a check only looks at what was heard."""
        return []

    def looked_at(self, *requests: HeardRequest) -> None:
        """Show these requests with a failure."""
        self.log.extend(one.exchange for one in requests)

    def fail(self, expected: str, got: str, request: HeardRequest | None = None) -> NoReturn:
        """
        Say that the VEN did otherwise.

        Raises:
            Mismatch: always.
        """
        raise Mismatch(expected, got, request.exchange if request else None)

    def reads_were_made(self, fault: str) -> HeardRequest:
        """
        Return the last request that was answered with some trouble.

        Raises:
            Skipped: there was none.
        """
        found = [one for one in self.record.requests if one.fault == fault]
        if not found:
            raise Skipped(f"not reached: the VEN asked nothing that could be answered with {fault}")
        self.looked_at(*found)
        return found[-1]

    def report(self, event: str) -> HeardRequest:
        """
        Return the first accepted report that an event of the scenario asks for.

        Raises:
            Mismatch: there is none.
            Skipped: the event was never made.
        """
        if event not in self.record.events:
            raise Skipped(SILENT)
        found = self.record.reports_about(event, PAYLOAD)
        if not found:
            sent = self.record.reports
            self.looked_at(*sent)
            self.fail(
                f"a report with {PAYLOAD} about the event {self.record.events[event].get('eventName')} (201)",
                f"none; {len(sent)} other reports were sent",
            )
        self.looked_at(*found)
        return found[0]


def area(section: str) -> Area:
    """Return an area whose checks need a VEN that is configured for the suite's VTN."""
    return Area(section, always="configured")
