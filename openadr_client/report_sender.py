"""Send reports that are kept in a store: in order, each exactly once, whatever breaks in between.

The store is the sender's own (a file, a database, memory); `PendingReports` says what it does. A row is kept before
its report is sent, marked before a report is created, and marked again when the VTN has it, so that after a crash at
any point the next run finds the report at the VTN by its name instead of making a second one.

A report that fails is left alone for a while, and the others are sent. Only when a second one fails before any has
arrived is the VTN itself taken to be in trouble, and the round ends. A refusal (4xx) may pass too: a proxy that was
slow, an event that has not reached every server of the VTN, rights that were granted late. So it is given up only
after several attempts over some hours.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Generic, Protocol, TypeAlias, TypeVar, cast

import structlog

from openadr_client.backoff import Backoff
from openadr_client.client import VtnClient
from openadr_client.clock import Clock, SystemClock
from openadr_client.errors import (
    Conflict,
    NotFound,
    Refused,
    TemporarilyUnavailable,
    Unauthorized,
    Unreachable,
    VtnError,
)
from openadr_profiles.v31 import ReportRequest, encode

_log = structlog.get_logger(__name__)

REFUSED_WAITS_S: Final = (60.0, 300.0, 1800.0, 7200.0, 21600.0)
"""Seconds after each refusal of a report until it is sent again; one more refusal is the last."""

_MAY_WAIT: Final = timedelta(hours=1)
"""Forget what was to be sent again, and is not among what the store gives, after this time."""

_MOST_EVENTS: Final = 32
"""So many events at most of which it is remembered which reports of ours the VTN has."""

Row = TypeVar("Row")

_Key: TypeAlias = tuple[str, str | None]
"""The event's id and the report's name."""


@dataclass(frozen=True)
class KeptReport(Generic[Row]):
    """A report to be sent; its name is unique among those of its event and client.

    ``vtn_id`` is the id under which the VTN has it. ``may_exist`` says that the VTN may have it although no id is
    known, because an attempt to create it was begun. ``row`` is what the store needs to find it again.
    """

    request: ReportRequest
    vtn_id: str | None
    may_exist: bool
    row: Row


class PendingReports(Protocol[Row]):
    """A store of reports."""

    async def unsent(self) -> Sequence[KeptReport[Row]]:
        """Return the reports that the VTN does not have for certain, in the order to send them."""

    async def creating(self, report: KeptReport[Row]) -> None:
        """Remember that the report is about to be created, and that an id known before is void."""

    async def sent(self, report: KeptReport[Row], vtn_id: str) -> None:
        """Remember that the VTN has this content under this id."""

    async def refused(self, report: KeptReport[Row], problem: str) -> None:
        """Remember that the report is not to be sent again: the VTN refused it for good."""


@dataclass
class _Trouble:
    """Hold what happened to a report that could not be delivered; ``digest`` is of the content that was tried."""

    row: object
    digest: bytes
    backoff: Backoff = field(default_factory=Backoff)
    refusals: int = 0
    failures: int = 0
    not_before: datetime | None = None
    missing_since: datetime | None = None

    def may_be_sent(self, now: datetime) -> bool:
        return self.not_before is None or self.not_before <= now


class ReportOutbox(Generic[Row]):
    """Send what a store holds, and remember which reports failed. What is remembered is as large as what is unsent."""

    def __init__(self, vtn: VtnClient, store: PendingReports[Row], *, clock: Clock | None = None) -> None:
        self._store = store
        self._delivery = _Delivery(vtn, store)
        self._clock = clock or SystemClock()
        self._troubles: dict[_Key, _Trouble] = {}
        self._failing: set[_Key] = set()

    async def send(self) -> int:
        """Send every unsent report whose time has come, and return how many were dealt with.

        A report that the VTN refuses is tried again after each of ``REFUSED_WAITS_S``, then logged and given up. One
        that fails in another way is tried again for as long as the store has it, later and later.

        Raises:
            VtnError: the VTN could not be reached or cannot answer now; what is left is to be tried again.
        """
        waiting = await self._store.unsent()
        self._forget_all_but(waiting)
        now = self._clock.now()
        dealt_with = 0
        for report in sorted(waiting, key=self._failures):  # stable: otherwise in the store's order
            trouble = self._troubles.get(_key(report))
            if trouble is not None and not trouble.may_be_sent(now):
                continue
            try:
                vtn_id = await self._delivery.send(report)
            except Refused as error:
                self._failing.clear()  # the VTN answers
                await self._refused(report, error)
            except VtnError as error:
                self._failed(report, error)
            else:
                self._failing.clear()
                self._troubles.pop(_key(report), None)
                await self._store.sent(report, vtn_id)
            dealt_with += 1
        return dealt_with

    def left_alone(self, now: datetime | None = None) -> list[Row]:
        """Return the rows of reports that failed, of which the VTN need not be asked: all, or those that still wait.

        A store that gives only so many at a time leaves these out, so that they keep no other from its turn.
        """
        troubles = self._troubles.values()
        return [cast(Row, each.row) for each in troubles if now is None or not each.may_be_sent(now)]

    @property
    def again_at(self) -> datetime | None:
        """Return when the first of the reports that were left alone may be sent again; None if there is none."""
        return min((each.not_before for each in self._troubles.values() if each.not_before), default=None)

    async def _refused(self, report: KeptReport[Row], error: Refused) -> None:
        trouble = self._trouble(report)
        trouble.refusals += 1
        trouble.failures += 1
        if trouble.refusals > len(REFUSED_WAITS_S):
            _log.error("report refused and given up", **_names(report.request), problem=str(error))
            del self._troubles[_key(report)]
            await self._store.refused(report, str(error))
            return
        wait_s = REFUSED_WAITS_S[trouble.refusals - 1]
        trouble.not_before = self._clock.now() + timedelta(seconds=wait_s)
        _log.warning("report refused", **_names(report.request), problem=str(error), again_in_s=wait_s)

    def _failed(self, report: KeptReport[Row], error: VtnError) -> None:
        """Leave a report alone for a while; raise the error if it is the VTN's and not this report's."""
        trouble = self._trouble(report)
        trouble.failures += 1
        self._failing.add(_key(report))
        wait_s = trouble.backoff.failed(error)
        if len(self._failing) > 1 or _concerns_all(error):
            raise error
        trouble.not_before = self._clock.now() + timedelta(seconds=wait_s)
        _log.warning("report not sent", **_names(report.request), problem=str(error), again_in_s=round(wait_s, 1))

    def _trouble(self, report: KeptReport[Row]) -> _Trouble:
        return self._troubles.setdefault(_key(report), _Trouble(report.row, _digest(report.request)))

    def _failures(self, report: KeptReport[Row]) -> int:
        trouble = self._troubles.get(_key(report))
        return trouble.failures if trouble else 0

    def _forget_all_but(self, waiting: Sequence[KeptReport[Row]]) -> None:
        """Forget what does not wait any more; new content of a report is a new attempt."""
        requests = {_key(report): report.request for report in waiting}
        now = self._clock.now()

        def still_counts(key: _Key, trouble: _Trouble) -> bool:
            request = requests.get(key)
            if request is not None:
                trouble.missing_since = None
                return _digest(request) == trouble.digest
            if not trouble.may_be_sent(now):
                return True
            trouble.not_before = None
            trouble.missing_since = trouble.missing_since or now
            return now - trouble.missing_since < _MAY_WAIT  # the store may give only so many at a time

        self._troubles = {key: trouble for key, trouble in self._troubles.items() if still_counts(key, trouble)}
        self._failing &= requests.keys() | self._troubles.keys()


def _concerns_all(error: VtnError) -> bool:
    """Return True if the error says something about the VTN, whichever report is sent."""
    if isinstance(error, TemporarilyUnavailable):
        return error.status == 429
    return isinstance(error, Unauthorized) or (isinstance(error, Unreachable) and not error.was_sent)


class _Delivery(Generic[Row]):
    """Brings reports to the VTN, each once; it asks once for each event which reports of ours are there already."""

    def __init__(self, vtn: VtnClient, store: PendingReports[Row]) -> None:
        self._vtn = vtn
        self._store = store
        self._ours: OrderedDict[tuple[str, str], dict[str | None, str]] = OrderedDict()
        """By event and client name the ids of our reports at the VTN, by their names, also of those created since."""

    async def send(self, report: KeptReport[Row]) -> str:
        """Bring the VTN to have this content under this name, and return its id there.

        A report that cannot be replaced because there is none (404) may be there all the same: only if it is not among
        our reports either is another one created. After a failure nothing that was known of its event counts.
        """
        try:
            return await self._send(report)
        except BaseException:
            self._ours.pop(_of(report.request), None)
            raise

    async def _send(self, report: KeptReport[Row]) -> str:
        request = report.request
        if report.vtn_id is not None:
            try:
                await self._vtn.reports.put(request, report.vtn_id)
            except NotFound:
                _log.warning("the VTN has lost a report", **_names(request))
                self._ours.pop(_of(request), None)
            else:
                return report.vtn_id
        if report.may_exist or report.vtn_id is not None:
            vtn_id = await self._find(request)
            if vtn_id is not None:
                await self._vtn.reports.put(request, vtn_id)
                return vtn_id
        await self._store.creating(report)
        try:
            vtn_id = await self._vtn.reports.put(request)
        except Conflict:
            self._ours.pop(_of(request), None)
            vtn_id = await self._find(request)
            if vtn_id is None:
                raise
            await self._vtn.reports.put(request, vtn_id)
        if (ours := self._ours.get(_of(request))) is not None:
            ours[request.report_name] = vtn_id
        return vtn_id

    async def _find(self, request: ReportRequest) -> str | None:
        """Return the id of our own report of this name, if an earlier attempt has created it."""
        key = _of(request)
        ours = self._ours.get(key)
        if ours is None:
            event_id, client_name = key
            ours = self._ours[key] = await self._vtn.reports.ids_by_name(event_id=event_id, client_name=client_name)
            if len(self._ours) > _MOST_EVENTS:
                self._ours.popitem(last=False)
        self._ours.move_to_end(key)
        return ours.get(request.report_name)


def _of(request: ReportRequest) -> tuple[str, str]:
    return request.event_id, request.client_name


def _digest(request: ReportRequest) -> bytes:
    return hashlib.sha256(encode(request)).digest()


def _names(request: ReportRequest) -> dict[str, str | None]:
    return {"event_id": request.event_id, "report": request.report_name}


def _key(report: KeptReport[Row]) -> _Key:
    return report.request.event_id, report.request.report_name
