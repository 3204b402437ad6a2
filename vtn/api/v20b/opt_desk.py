"""Put what VENs of OpenADR 2.0b say about taking part into opt reports, through the store of all reports (4.6)."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from openadr_profiles.v20b.opt_reports import OptType, Said, opt_report_20b, schedule_report
from openadr_profiles.v31 import Invalid, ReportRequest
from vtn.api.v20b.event_desk import Distribution
from vtn.api.v20b.event_examination import Entry
from vtn.api.v20b.report_lookup import newest_of_name
from vtn.errors import NotFound
from vtn.store.report import ReportStore
from vtn.store.stamps import stamp
from vtn.store.v20b.answers import MOST_OPTS, AnswerStore20b, OptRow
from vtn.store.v20b.vens import Ven20b

_log = structlog.get_logger(__name__)


class OptContent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The members of an opt that nothing is searched in. ``windows`` are starts and lengths in seconds."""

    resources: tuple[str, ...] = ()
    device_classes: tuple[str, ...] = ()
    market_context: str | None = None
    windows: tuple[tuple[datetime, int], ...] = ()


class OptDesk:
    """Writes opt reports: one for each event and VEN, as the client that the VEN is.

    ``base_url`` is that of market contexts which programs do not state.
    """

    def __init__(self, answers: AnswerStore20b, reports: ReportStore, *, base_url: str) -> None:
        self._answers = answers
        self._reports = reports
        self._base_url = base_url

    async def program_in(self, market_context: str) -> str | None:
        """Return the program that a market context names; None if it names none."""
        return await self._answers.program_in(market_context, self._base_url)

    async def report_schedules(self, ven: Ven20b) -> None:
        """Bring the reports of a VEN's availability up to date, on the events that carry what belongs to no event."""
        carriers = await self._answers.carriers(ven.id)
        if not carriers:
            return
        said = []
        for row in await self._answers.schedules(ven.id):
            context = msgspec.json.decode(row.content, type=OptContent).market_context
            program_id = None if context is None else await self.program_in(context)
            said.append((program_id, said_in(row)))
        for carrier, event_id in carriers.items():
            mine = [each for program_id, each in said if program_id in {None, carrier}]
            request = schedule_report(event_id, ven.name, mine)
            await self._put(ven, request, await self._found(ven, event_id, request.report_name))

    async def report(self, ven: Ven20b, event_ids: Iterable[str]) -> None:
        """Bring the reports of a VEN on some events up to date.

        An event that is gone, or that the VEN no longer sees, has no report; what was said stays in the history.
        """
        wanted = list(dict.fromkeys(event_ids))
        if not wanted:
            return
        said = await self._answers.said(ven.id, wanted)
        known = await self._answers.reports_of(ven.id, said)
        written = {}
        for event_id, rows in said.items():
            written[event_id] = await self._written(ven, event_id, [said_in(row) for row in rows], known.get(event_id))
        await self._answers.reported(ven.id, written)

    async def note_sent(self, ven: Ven20b, sent: Distribution, now: datetime) -> None:
        """Note which events are offered again without an answer (B-CRE-012), and mark new ones (B-OPT-005).

        Reports that a process which was killed did not write are written.
        """
        entries = sent.entries
        silent = [
            _mark(ven, entry, OptType.NO_RESPONSE, now)
            for entry in sent.silent
            if entry.before is not None and entry.before.sent_times == 1
        ]
        new = [entry for entry in entries if entry.before is None and entry.cancelled_at is None]
        marks = await self.marks(ven, new, now) if new and sent.has_schedules else []
        noted = [*silent, *marks]
        await self._answers.note(noted)
        await self.report(ven, [*sent.reports_due, *(row.event_id for row in noted if row.event_id is not None)])

    async def marks(self, ven: Ven20b, entries: Sequence[Entry], now: datetime) -> list[OptRow]:
        """Return opt-outs for the events that start while a schedule of the VEN says that it is not available.

        What is marked already is not marked again, and no event has more than ``MOST_OPTS`` opts.
        """
        begins = sorted(
            ((datetime.fromisoformat(entry.issue.starts_at), entry) for entry in entries if entry.issue.starts_at),
            key=_begin,
        )
        marked = await self._answers.marked(ven.id)
        done = set(marked)
        counted = Counter(event_id for _, event_id in marked)
        found = []
        for schedule in await self._answers.schedules(ven.id):
            content = msgspec.json.decode(schedule.content, type=OptContent)
            if schedule.opt_type != OptType.OUT or schedule.opt_id is None:
                continue
            its = encoded_content(OptContent(resources=content.resources))
            reason = f"{schedule.reason or 'not available'} (availability schedule)"
            for start, length_s in content.windows:
                first = bisect_left(begins, start, key=_begin)
                after = bisect_left(begins, start + timedelta(seconds=length_s), key=_begin)
                for _, entry in begins[first:after]:
                    event_id, context = entry.issue.event_id, content.market_context
                    key = schedule.opt_id, event_id
                    if (
                        key in done
                        or counted[event_id] >= MOST_OPTS
                        or context not in {None, entry.issue.market_context}
                    ):
                        continue
                    done.add(key)
                    counted[event_id] += 1
                    mark = _mark(ven, entry, OptType.OUT, now)
                    found.append(replace(mark, opt_id=schedule.opt_id, reason=reason, content=its))
        return found

    async def catch_up(self, ven: Ven20b) -> None:
        """Write the reports that a process which was killed did not."""
        await self.report(ven, await self._answers.reports_due(ven.id))

    async def _written(self, ven: Ven20b, event_id: str, said: list[Said], known: str | None) -> str | None:
        """Return the id of the report, written anew; None if there is nothing to report on."""
        request = opt_report_20b(event_id, ven.name, said)
        return await self._put(ven, request, known or await self._found(ven, event_id, request.report_name))

    async def _put(self, ven: Ven20b, request: ReportRequest, report_id: str | None) -> str | None:
        """Store a report, in place of the one with this id; return its id, None if there is nothing to report on."""
        try:
            if report_id is not None:
                try:
                    return (await self._reports.replace(report_id, request, by=ven.caller)).id
                except NotFound:  # somebody has removed it
                    pass
            return (await self._reports.create(request, by=ven.caller)).id
        except Invalid as error:
            _log.info("an opt is not reported", ven=ven.name, event_id=request.event_id, reason=str(error))
            return None

    async def _found(self, ven: Ven20b, event_id: str, name: str | None) -> str | None:
        """Return the id of the VEN's report of this name: nobody has noted it, or the process was killed before."""
        return await newest_of_name(self._reports, ven, event_id, name)


def _mark(ven: Ven20b, entry: Entry, opt_type: OptType, now: datetime) -> OptRow:
    return OptRow(
        ven_id=ven.id,
        event_id=entry.issue.event_id,
        issue=entry.issue.issue,
        number=entry.number,
        opt_type=opt_type.value,
        received_at=stamp(now),
    )


def _begin(its: tuple[datetime, Entry]) -> datetime:
    return its[0]


def said_in(row: OptRow) -> Said:
    """Return what a row of the history says."""
    content = msgspec.json.decode(row.content, type=OptContent)
    return Said(
        at=datetime.fromisoformat(row.received_at),
        opt_type=row.opt_type,
        number=row.number,
        reason=row.reason,
        opt_id=row.opt_id,
        code=row.response_code,
        resources=content.resources,
        cancelled_at=None if row.cancelled_at is None else datetime.fromisoformat(row.cancelled_at),
        windows=content.windows,
    )


def encoded_content(content: OptContent) -> str:
    """Return the members as JSON."""
    return msgspec.json.encode(content).decode()
