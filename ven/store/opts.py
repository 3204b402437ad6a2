"""Keep what the owner said by hand, and the history of decisions. Both are bounded."""

from __future__ import annotations

from typing import Final

from ven.decision import Decision, OptChoice, OptScope
from ven.records import PastDecision
from ven.store.journal import Journal, Statement
from ven.store.sqlite_file import SqliteFile
from ven.store.values import to_instant, to_us

MOST_PAST: Final = 1000
"""So many decisions are remembered; the oldest are forgotten."""


class OptRecords:
    """Keep choices by their scope, and past decisions by their number; written when the journal is flushed."""

    def __init__(self, file: SqliteFile, journal: Journal) -> None:
        self._file = file
        self._journal = journal

    async def choices(self) -> list[OptChoice]:
        """Return what the owner said; what can no longer be read is forgotten."""
        found: list[OptChoice] = []
        rows = await self._file.rows("select scope, opted_in, reason, until, made_at from opt")
        for scope, opted_in, reason, until, made_at in rows:
            try:
                choice = OptChoice(
                    OptScope.parse(scope), bool(opted_in), reason, to_instant(until), to_instant(made_at)
                )
            except ValueError:
                self._forget(scope)
            else:
                found.append(choice)
        return found

    def put_choice(self, choice: OptChoice) -> None:
        """Keep a choice instead of an earlier one about the same."""
        scope = str(choice.scope)
        row = (scope, choice.opted_in, choice.reason, to_us(choice.until), to_us(choice.made_at))
        self._journal.put(("opt", scope), Statement("insert or replace into opt values (?, ?, ?, ?, ?)", [row]))

    def forget_choice(self, scope: OptScope) -> None:
        """Forget the choice about this."""
        self._forget(str(scope))

    async def past(self) -> list[PastDecision]:
        """Return the past decisions, in the order in which they were made."""
        rows = await self._file.rows(
            "select number, event_id, event_name, program_name, opted_in, reason, decided_at, start, end, reports_only"
            " from past_decision order by number"
        )
        return [
            PastDecision(
                number=number,
                event_id=event_id,
                event_name=event_name,
                program_name=program_name,
                decision=Decision(bool(opted_in), reason),
                decided_at=to_instant(decided_at),
                start=to_instant(start),
                end=to_instant(end),
                reports_only=bool(only),
            )
            for number, event_id, event_name, program_name, opted_in, reason, decided_at, start, end, only in rows
        ]

    def add_past(self, past: PastDecision) -> None:
        """Keep a decision in the history, and forget the oldest beyond `MOST_PAST`."""
        row = (
            past.number,
            past.event_id,
            past.event_name,
            past.program_name,
            past.decision.opted_in,
            past.decision.reason,
            to_us(past.decided_at),
            to_us(past.start),
            to_us(past.end),
            past.reports_only,
        )
        self._journal.put(
            ("past decision", str(past.number)),
            Statement("insert or replace into past_decision values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [row]),
            Statement("delete from past_decision where number <= ?", [(past.number - MOST_PAST,)]),
            gives_way=True,
        )

    def _forget(self, scope: str) -> None:
        self._journal.put(("opt", scope), Statement("delete from opt where scope = ?", [(scope,)]))
