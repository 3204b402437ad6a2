"""EiReport: what VENs can report, what they agree to, and the values they send (B-RPT-001 … B-RPT-023)."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Final
from weakref import WeakValueDictionary

import msgspec
import structlog

from openadr_profiles.v20b.capabilities import Capability, UnusableReport, capability
from openadr_profiles.v20b.codes import Code, is_success
from openadr_profiles.v20b.messages import (
    CanceledReport,
    CancelReport,
    CreatedReport,
    CreateReport,
    Message,
    RegisteredReport,
    RegisterReport,
    Report,
    ReportRequest,
    Response,
    UpdatedReport,
    UpdateReport,
)
from openadr_profiles.v20b.reports import Translated, readings, translate
from openadr_profiles.v20b.vocabulary import METADATA
from openadr_profiles.v31 import Invalid, decode
from vtn.api.v20b.counts import Counts20b
from vtn.api.v20b.refusals import RefusedMessage, accepted
from vtn.api.v20b.report_asking import ReportAsking
from vtn.api.v20b.report_keeping import ReportKeeping
from vtn.api.v20b.session import Answer, Session20b
from vtn.api.v20b.working_out import worked_out
from vtn.store.stores import Stores
from vtn.store.v20b.registrations import OWN_REPORTS
from vtn.store.v20b.report_rows import AskedReport, RequestState
from vtn.store.v20b.vens import Ven20b
from vtn.v20b_settings import V20b

_log = structlog.get_logger(__name__)

_METADATA_SPECIFIER: Final = METADATA.removesuffix("_")


class EiReport:
    """Takes reports of VENs. This VTN has none of its own to give (B-RPT-023)."""

    def __init__(self, settings: V20b, stores: Stores, asking: ReportAsking, counts: Counts20b) -> None:
        self._settings = settings
        self._reports = stores.v20b.reports
        self._outbox = stores.v20b.outbox
        self._asking = asking
        self._keeping = ReportKeeping(stores.reports)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._counts = counts

    async def handle(self, message: Message, session: Session20b) -> Answer:
        """Answer a message of this service."""
        ven = session.ven
        match message:
            case RegisterReport():
                return await self._register(message, ven, session.now)
            case RegisteredReport():
                await self._outbox.acknowledged(ven.id, OWN_REPORTS)
                return Response(response=accepted(message.response.request_id), ven_id=ven.ven_id)
            case CreateReport():
                return await self._asked_by_ven(message, ven)
            case CreatedReport():
                return await self._created(message, ven)
            case UpdateReport():
                return await self._update(message, ven, session.now)
            case CanceledReport():
                if is_success(message.response.code):
                    await self._reports.stopped(ven.id)
                return Response(response=accepted(message.response.request_id), ven_id=ven.ven_id)
            case CancelReport():
                raise RefusedMessage(Code.INVALID_ID, "reportRequestID: this VTN sends no reports")
            case UpdatedReport():
                raise RefusedMessage(Code.OUT_OF_SEQUENCE, "this VTN has sent no report")
        raise RefusedMessage(Code.NOT_RECOGNIZED, "EiReport does not know this message")

    async def _register(self, message: RegisterReport, ven: Ven20b, now: datetime) -> RegisteredReport:
        """Take a VEN's list of reports, and ask for some of them at once (B-RPT-004, B-RPT-005)."""
        self._check_size(message)
        taken: dict[str, Capability] = {}
        refused: list[UnusableReport] = []
        for report in message.reports:
            try:
                one = capability(report)
                if one.report_specifier_id in taken:
                    raise UnusableReport(
                        Code.COMPLIANCE_ERROR, f"report {one.report_specifier_id!r} is registered twice"
                    )
                taken[one.report_specifier_id] = one
            except UnusableReport as error:
                refused.append(error)
        if refused and not taken:
            raise RefusedMessage(refused[0].code, refused[0].description)
        given = [
            (each.report_specifier_id, each.report_name, msgspec.json.encode(each).decode()) for each in taken.values()
        ]
        await self._reports.replace_capabilities(ven.id, given)
        await self._asking.look_through(ven, now)
        requests = await self._asking.told(ven, piggyback=True)
        description = "; ".join(["OK", *(f"not taken: {each.description}" for each in refused)])[:500]
        return RegisteredReport(
            response=accepted(message.request_id, description), report_requests=requests, ven_id=ven.ven_id
        )

    def _check_size(self, message: RegisterReport) -> None:
        settings = self._settings
        if len(message.reports) > settings.max_report_specifiers:
            raise RefusedMessage(
                Code.INVALID_DATA, f"oadrReport: expected at most {settings.max_report_specifiers} reports"
            )
        if sum(len(each.descriptions) for each in message.reports) > settings.max_report_points:
            raise RefusedMessage(
                Code.INVALID_DATA, f"oadrReportDescription: expected at most {settings.max_report_points} in all"
            )

    async def _asked_by_ven(self, message: CreateReport, ven: Ven20b) -> CreatedReport:
        """Answer a VEN that asks for reports: of metadata there are some, though none is in them (B-RPT-006)."""
        wanted = message.report_requests
        if any(each.specifier.report_specifier_id != _METADATA_SPECIFIER for each in wanted):
            raise RefusedMessage(Code.REPORT_NOT_SUPPORTED, "this VTN has no reports to give, but METADATA")
        content = json.dumps({"report_request_id": wanted[0].report_request_id})
        await self._outbox.put(ven.id, OWN_REPORTS, content=content)
        return CreatedReport(response=accepted(message.request_id), ven_id=ven.ven_id)

    async def _created(self, message: CreatedReport, ven: Ven20b) -> Response:
        """Take a VEN's answer to what it was asked for (B-RPT-007, B-RPT-010)."""
        asked = await self._reports.requests(ven.id)
        unknown = set(message.pending_reports) - {each.id for each in asked}
        if unknown:
            raise RefusedMessage(Code.INVALID_ID, "reportRequestID: this VTN has not asked for such a report")
        agreed = set(message.pending_reports) if is_success(message.response.code) else set()
        patience = {each.id: _patience_s(each) for each in asked if each.state is RequestState.OFFERED}
        refused = await self._reports.answered(ven.id, agreed, patience=patience)
        if refused:
            _log.warning(
                "a VEN does not give reports it was asked for",
                ven=ven.name,
                requests=refused,
                code=message.response.code,
                description=message.response.description,
            )
        return Response(response=accepted(message.response.request_id), ven_id=ven.ven_id)

    async def _update(self, message: UpdateReport, ven: Ven20b, now: datetime) -> UpdatedReport:
        """Keep values; of several reports those that are right are kept, whatever is wrong with others (B-RPT-011)."""
        wrong: list[UnusableReport] = []
        async with self._turns.setdefault(ven.id, asyncio.Lock()):  # a message and its repetition one after the other
            for report in message.reports:
                try:
                    await self._keep(report, ven, now)
                except UnusableReport as error:
                    wrong.append(error)
        if wrong:
            raise RefusedMessage(wrong[0].code, wrong[0].description)
        return UpdatedReport(response=accepted(message.request_id), ven_id=ven.ven_id)

    async def _keep(self, report: Report, ven: Ven20b, now: datetime) -> None:
        asked = await self._reports.request(ven.id, report.report_request_id)
        known = None if asked is None else await self._reports.capability(ven.id, asked.specifier_id)
        if asked is None or known is None:
            raise UnusableReport(Code.INVALID_ID, "reportRequestID: this VTN has not asked for such a report")
        if asked.state is RequestState.ASKED:
            raise UnusableReport(
                Code.OUT_OF_SEQUENCE, "reportRequestID: the VEN has not been asked for this report yet"
            )
        request = decode(asked.content.encode(), ReportRequest)

        def understand() -> Translated | None:
            offered = decode(known.encode(), Capability)
            values = readings(report, offered, frozenset(each.r_id for each in request.specifier.payloads))
            return translate(values, offered, event_id=asked.event_id, client_name=ven.name) if values else None

        translated = await worked_out(understand, size=len(report.intervals))
        if translated is None:
            return
        kept = dict(asked.reports)
        try:
            for one in translated.requests:
                name = one.report_name or ""
                kept[name] = await self._keeping.keep(ven, one, kept.get(name))
        except Invalid:
            await self._asking.look_through(ven, now)
            raise UnusableReport(Code.INVALID_ID, "reportRequestID: its event is gone") from None
        is_done = request.specifier.report_back_duration.is_zero
        await self._reports.updated(asked, kept, patience_s=_patience_of(request), is_done=is_done)
        if translated.losses:
            self._counts.report_losses(each.kind for each in translated.losses)
            lost = sorted({str(each.kind) for each in translated.losses})
            _log.debug(
                "reports lost something on the way to OpenADR 3", ven=ven.name, event_id=asked.event_id, lost=lost
            )


def _patience_s(asked: AskedReport) -> float | None:
    return _patience_of(decode(asked.content.encode(), ReportRequest))


def _patience_of(request: ReportRequest) -> float | None:
    """Return the time, in seconds, after which values are missing: twice the interval of reports (B-RPT-024)."""
    back = request.specifier.report_back_duration
    return None if back.is_zero else max(1.0, 2.0 * back.seconds)
