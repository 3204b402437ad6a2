"""Ask VENs of OpenADR 2.0b for reports: those that events ask for, and the telemetry that they offer (4.5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import blake2b
from itertools import chain
from typing import Final

import msgspec
import structlog

from openadr_profiles.v20b.capabilities import Capability, request_all, requests_for
from openadr_profiles.v20b.durations import Duration20b
from openadr_profiles.v20b.messages import CancelReport, CreateReport, Message, ReportRequest
from openadr_profiles.v20b.report_words import payload_type
from openadr_profiles.v20b.vocabulary import ReportName
from openadr_profiles.v31 import Event, EventRequest, ObjectType, ProgramRequest, decode
from openadr_profiles.v31.common import IntervalPeriod
from openadr_profiles.v31.descriptors import ReportDescriptor
from openadr_profiles.v31.duration import FOREVER
from openadr_profiles.v31.instant import Start
from vtn.access import DEFAULT_SCOPES, Caller, Role
from vtn.api.v31.render import Renderer
from vtn.errors import ChangedMeanwhile, Conflict, NotFound
from vtn.lru import LruCache
from vtn.store.ids import new_id
from vtn.store.large import Large
from vtn.store.query import ResourceQuery
from vtn.store.rows import ObjectRow
from vtn.store.stores import Stores
from vtn.store.v20b.asking_events import MOST_ASKING
from vtn.store.v20b.outbox import WaitingMessage
from vtn.store.v20b.report_rows import ENDED, NewRequest, RequestState
from vtn.store.v20b.reports import ASK, CANCEL_REPORT
from vtn.store.v20b.vens import Ven20b
from vtn.v20b_settings import V20b

_log = structlog.get_logger(__name__)

_OPERATOR: Final = Caller("", Role.BL, DEFAULT_SCOPES[Role.BL])
_KEPT: Final = 500
_KEPT_CHARACTERS: Final = 8 * 1024
_RENDERER: Final = Renderer(ObjectType.EVENT)
_TELEMETRY: Final = frozenset({ReportName.TELEMETRY_USAGE, ReportName.TELEMETRY_STATUS})
_NO_ID: Final = "0"


class ReportAsking:
    """Finds out what a VEN is to be asked for, and says it to the VEN."""

    def __init__(self, settings: V20b, stores: Stores) -> None:
        self._settings = settings
        self._stores = stores
        self._reports = stores.v20b.reports
        self._asking = stores.v20b.asking
        self._decoded: LruCache[tuple[str, str], Event] = LruCache(_KEPT)
        self._granularity = Duration20b(seconds=settings.telemetry_every_s)
        self._report_back = Duration20b(seconds=settings.telemetry_back_s)

    async def bring_up_to_date(self, ven: Ven20b, now: datetime) -> None:
        """Ask a VEN for what it is not asked for yet, and no more for what nobody wants any more.

        Of a VEN that offers nothing this costs nothing; else only after a change of what it offers, holds or was asked
        for, of an event that asks for reports, or of a program.
        """
        state = await self._state(ven)
        if not state:
            return

        async def look() -> bool:
            return not await self.look_through(ven, now) and await self._state(ven) == state

        await self._reports.up_to_date(ven.id, state, look)

    async def _state(self, ven: Ven20b) -> str:
        """Return a text of what decides for what a VEN is asked, but for programs; empty if for nothing."""
        standing = await self._reports.standing(ven.id)
        return f"{standing} {await self._asking.version(ven.caller, ven.id)}" if standing else ""

    async def look_through(self, ven: Ven20b, now: datetime) -> bool:
        """Compare what a VEN is asked for with what it could be asked for; return True if that changes something."""
        offers = [decode(text.encode(), Capability) for text in await self._reports.capabilities(ven.id)]
        asked = await self._reports.requests(ven.id)
        if not offers and not asked:
            return False
        wanted = {(each.event_id, each.digest): each for each in await self._wanted(ven, offers, now)}
        offered = {each.report_specifier_id for each in offers}
        known = {(each.event_id, each.digest) for each in asked}
        others = [each for each in asked if (each.event_id, each.digest) not in wanted and each.state not in ENDED]
        events = {each.event_id for each in others if each.specifier_id in offered}
        is_over = await self._asking.still_seen(ven.caller, events)
        cancelled: list[str] = []
        forgotten: list[str] = []
        for each in others:
            if each.specifier_id in offered and is_over.get(each.event_id):
                continue  # what was agreed about it holds
            (forgotten if each.state is RequestState.DONE else cancelled).append(each.id)
        new = [each for key, each in wanted.items() if key not in known]
        if not new and not cancelled and not forgotten:
            return False
        await self._reports.change(ven.id, new=new, cancelled=cancelled, forgotten=forgotten)
        return True

    async def message(self, ven: Ven20b, waiting: WaitingMessage) -> Message | None:
        """Return the message that waits; None if it has no point any more, and is dropped."""
        if waiting.kind == ASK:
            asked = await self.told(ven, piggyback=False)
            if asked:
                return CreateReport(request_id=waiting.request_id, report_requests=asked, ven_id=ven.ven_id)
        if waiting.kind == CANCEL_REPORT:
            ids = tuple(await self._reports.told_to_stop(ven.id))
            if ids:
                return CancelReport(
                    request_id=waiting.request_id, report_request_ids=ids, report_to_follow=False, ven_id=ven.ven_id
                )
        await self._reports.drop(ven.id, waiting.kind)
        return None

    async def told(self, ven: Ven20b, *, piggyback: bool) -> tuple[ReportRequest, ...]:
        """Return what a VEN is asked for and has not answered, and note that it is told now."""
        told = await self._reports.told(ven.id, piggyback=piggyback)
        return tuple(decode(each.content.encode(), ReportRequest) for each in told)

    async def _wanted(self, ven: Ven20b, offers: Sequence[Capability], now: datetime) -> list[NewRequest]:
        wanted = await self._telemetry(ven, offers, now)
        asking = [self._event(row) for row in await self._asking.seen_by(ven.caller)] if offers else []
        if len(asking) >= MOST_ASKING:
            _log.warning("a VEN sees more events than it is asked for reports of", ven=ven.name, most=MOST_ASKING)
        descriptors = chain.from_iterable(event.report_descriptors or () for event in asking)
        targets_of = await self._targets_of_resources(ven) if any(each.targets for each in descriptors) else {}
        for event in asking:
            found = requests_for(
                event,
                offers,
                now=event.created_date_time,
                granularity=self._granularity,
                ids=_no_ids(),
                targets_of=targets_of,
            )
            wanted += [_new(event.id, each) for each in found]
        return wanted

    def _event(self, row: ObjectRow) -> Event:
        """Return an event; what many VENs are asked about is decoded once."""
        key = row.id, row.members
        known = self._decoded.get(key)
        if known is None:
            known = decode(_RENDERER.one(row), Event)
            if len(row.members) <= _KEPT_CHARACTERS:
                self._decoded.put(key, known)
        return known

    async def _telemetry(self, ven: Ven20b, offers: Sequence[Capability], now: datetime) -> list[NewRequest]:
        """Return requests for all telemetry that a VEN offers, on an event that is there for it alone."""
        telemetry = [each for each in offers if each.report_name in _TELEMETRY and each.descriptions]
        if not telemetry or not self._settings.telemetry:
            return []
        event_id = await self._carrier(ven, telemetry, now)
        return [
            _new(
                event_id,
                request_all(
                    each, report_request_id=_NO_ID, granularity=self._granularity, report_back=self._report_back
                ),
            )
            for each in telemetry
        ]

    async def _carrier(self, ven: Ven20b, telemetry: Sequence[Capability], now: datetime) -> str:
        """Return the event that a VEN's telemetry is reported on, made when it is first needed."""
        program_id = await self._program()
        carriers = await self._reports.carriers(ven.id)
        if program_id in carriers:
            return carriers[program_id]
        types = dict.fromkeys(
            payload_type(each.report_type) for each in chain.from_iterable(one.descriptions for one in telemetry)
        )
        made = await self._stores.events.create(
            EventRequest(
                program_id=program_id,
                event_name=f"Telemetry of {ven.name}"[:128],
                targets=(ven.id,),
                interval_period=IntervalPeriod(start=Start.of(now), duration=FOREVER),
                report_descriptors=tuple(ReportDescriptor(payload_type=each) for each in types),
            ),
            by=_OPERATOR,
        )
        if await self._reports.add_carrier(ven.id, program_id, made.id):
            return made.id
        await self._stores.events.delete(made.id, by=_OPERATOR)
        return (await self._reports.carriers(ven.id))[program_id]

    async def _program(self) -> str:
        """Return the program of telemetry, made when it is first needed."""
        name = self._settings.telemetry_program
        found = await self._stores.programs.id_named(name)
        if found is not None:
            return found
        try:
            return (await self._stores.programs.create(ProgramRequest(program_name=name), by=_OPERATOR)).id
        except Conflict:
            again = await self._stores.programs.id_named(name)
            if again is None:
                raise
            return again

    async def _targets_of_resources(self, ven: Ven20b) -> dict[str, tuple[str, ...]]:
        page = await self._stores.resources.search(ResourceQuery(ven_id=ven.id), visible_to=ven.caller)
        rows = await _rows_of(page) if isinstance(page, Large) else page
        named = ((msgspec.json.decode(f"{{{row.members}}}".encode()), row.targets or ()) for row in rows)
        return {str(members["resourceName"]): targets for members, targets in named}


async def _rows_of(page: Large) -> list[ObjectRow]:
    rows = []
    for number in range(len(page)):
        try:
            rows.append(await page.row(number))
        except (ChangedMeanwhile, NotFound):
            continue
    return rows


def _new(event_id: str, request: ReportRequest) -> NewRequest:
    """Return a request under an id of its own. The same question has the same digest, whenever it is asked."""
    plain = msgspec.json.encode(request.specifier)
    digest = blake2b(plain, digest_size=16).hexdigest()
    id_ = new_id()
    content = msgspec.json.encode(msgspec.structs.replace(request, report_request_id=id_)).decode()
    return NewRequest(id_, request.specifier.report_specifier_id, event_id, digest, content)


def _no_ids() -> Iterator[str]:
    while True:
        yield _NO_ID
