"""Limit the whole panel while the VTN cannot be heard, as German (§14a EnWG) and EEBUS LPC devices do.

It is one more request beside those of the events, with no event behind it: nothing is reported of it. No I/O but the
record, which keeps a restart from ending the limit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import structlog

from openadr_profiles.fleet.power import IMPORT_LIMIT
from ven.panel.wanted import Ask, PanelSituation, Trouble, WantedCurtailment, want
from ven.records import Stretch
from ven.settings import SafetySettings
from ven.store.link import LinkRecords

_log = structlog.get_logger(__name__)

_NO_EVENT: Final = ""
_NOTHING: Final = Decimal(0)
_SET: Final = timedelta(seconds=5)
"""A clock that is apart from the monotonic one by more was set; less is what makes no difference."""


class LostLink:
    """Ask for the safe limit once the VTN was not heard for long enough, until it is heard again.

    The time since then is counted by ``monotonic_s``, so that a clock that is set does not make it longer or shorter.
    """

    def __init__(self, safety: SafetySettings, records: LinkRecords, *, monotonic_s: Callable[[], float]) -> None:
        self._limit_kw = safety.limit_kw
        self._after = timedelta(seconds=safety.link_lost_s or 0)
        self._for = None if safety.limit_for_s is None else timedelta(seconds=safety.limit_for_s)
        self._records = records
        self._monotonic_s = monotonic_s
        self._heard: datetime | None = None
        self._heard_s = 0.0
        self._plan: Stretch | None = None
        self.is_lost = False
        self.is_limiting = False
        """True while the panel is held to the limit: it ends before the link is heard if the settings say so."""

    async def load(self, now: datetime) -> None:
        """Take up a loss that an earlier process saw; else the time runs from now. Counts once."""
        if self._heard is None:
            lost = await self._records.heard_at() if self._limit_kw is not None else None
            self.is_lost = lost is not None
            self._take(now if lost is None else min(lost, now - self._after), now)

    def heard(self, now: datetime) -> bool:
        """Remember that the VTN has answered; True if the link was lost."""
        self._take(now, now)
        was_lost, self.is_lost = self.is_lost, False
        if was_lost:
            self._records.forget()
            _log.info("the VTN is heard again: the limit for a lost link ends")
        return was_lost

    def want(self, situation: PanelSituation, now: datetime) -> tuple[list[WantedCurtailment], list[Trouble]]:
        """Return the curtailment that keeps the panel within the safe limit while the link is lost, and troubles."""
        ask = self._ask(now)
        self.is_limiting = ask is not None
        if ask is None:
            self._plan = None
            return [], []
        if not self.is_lost:
            self.is_lost = True
            self._records.put(self._heard or now)
            _log.warning("the VTN was not heard for too long: the panel is limited", limit_kw=str(self._limit_kw))
        ours = () if self._plan is None else (self._plan,)
        wanted, troubles = want([ask], replace(situation, open=(*situation.open, *ours)), {})
        for each in wanted:
            self._plan = each.as_stretch(id_=0, start=ask.start)
        return wanted, troubles

    def next_change(self, now: datetime) -> datetime | None:
        """Return when the link counts as lost, or the limit for it ends; None if nothing is set or to come."""
        if self._limit_kw is None or self._heard is None:
            return None
        since = self._heard_by(now) + self._after
        changes = (since, *(() if self._for is None else (since + self._for,)))
        return min((at for at in changes if at > now), default=None)

    def _take(self, heard: datetime, now: datetime) -> None:
        self._heard, self._heard_s = heard, self._monotonic_s() - (now - heard).total_seconds()

    def _heard_by(self, now: datetime) -> datetime:
        """Return when the VTN was heard last, by the clock as it is set now."""
        heard = now - timedelta(seconds=self._monotonic_s() - self._heard_s)
        if self._heard is None or abs(heard - self._heard) > _SET:
            self._heard = heard
        return self._heard

    def _ask(self, now: datetime) -> Ask | None:
        if (limit_kw := self._limit_kw) is None or self._heard is None:
            return None
        since = self._heard_by(now) + self._after
        end = None if self._for is None else since + self._for
        if now < since or (end is not None and now >= end):
            return None

        def reduction_kw(used_kw: Decimal, most_kw: Decimal) -> Decimal:
            return max(used_kw - limit_kw, _NOTHING)

        return Ask(_NO_EVENT, 0, IMPORT_LIMIT, since, end, reduction_kw, is_limit=True)
