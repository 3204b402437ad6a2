"""Tell what is wrong with a VEN: one set of rules for the command line and the console. Rules without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from openadr_profiles.contact import RefusedRequest
from openadr_profiles.fleet.recipients import is_unseen
from openadr_profiles.fleet.wording import ago

RECENT: Final = timedelta(days=1)
"""For so long a refused request is a problem, if the VEN has had contact since, and a missing report is none."""
MOST_CLOCK_OFFSET_S: Final = 30.0
"""Seconds that the clock of a VEN may be off: events begin and end by it."""


class ProblemKind(StrEnum):
    """Kinds of problems, as filters name them."""

    DISABLED = "disabled"
    NOT_REGISTERED = "not-registered"
    OFFLINE = "offline"
    OVERDUE = "overdue"
    CANCEL_REFUSED = "cancel-refused"
    SUSPENDED = "suspended"
    NO_CREDENTIALS = "no-credentials"
    UNSEEN = "unseen"
    NO_REPORT = "no-report"
    REFUSED = "refused"
    CLOCK = "clock"
    NOT_NOTIFIED = "not-notified"
    NO_RESOURCES = "no-resources"
    NO_TARGETS = "no-targets"


@dataclass(frozen=True, slots=True)
class VenProblem:
    """A problem of a VEN and what to say about it."""

    kind: ProblemKind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition20b:
    """Hold what is known of a VEN of OpenADR 2.0b alone (``EnrolledVen``)."""

    disabled: bool = False
    registered: bool = True
    offline: bool = False
    overdue: int = 0
    cancel_refused_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VenCondition:
    """Hold what is known of a VEN. What a VTN does not tell (``…_known``) is no problem.

    ``clock_offset_s`` is how far its clock is ahead, in seconds; None if it is not known. ``failing_endpoints`` counts
    its webhooks that do not take notifications.
    """

    seen: datetime | None = None
    reported: datetime | None = None
    refused: RefusedRequest | None = None
    resources: int = 0
    holds_target: bool = False
    of_20b: Condition20b | None = None
    suspended: bool = False
    has_credentials: bool = True
    clock_offset_s: float | None = None
    failing_endpoints: int = 0
    contacts_known: bool = True
    reports_known: bool = True


def problems(state: VenCondition, *, now: datetime) -> list[VenProblem]:
    """Return what is wrong with a VEN, what keeps it from events first."""
    found = [*_of_20b(state, now), *_of_credentials(state), *_silence(state, now), *_refused(state, now)]
    if state.clock_offset_s is not None and abs(state.clock_offset_s) > MOST_CLOCK_OFFSET_S:
        way = "fast" if state.clock_offset_s > 0 else "slow"
        found.append(VenProblem(ProblemKind.CLOCK, f"its clock is {abs(state.clock_offset_s):,.0f} s {way}"))
    if state.failing_endpoints:
        which = "its webhook fails" if state.failing_endpoints == 1 else f"{state.failing_endpoints} webhooks fail"
        found.append(VenProblem(ProblemKind.NOT_NOTIFIED, which))
    if not state.resources:
        found.append(VenProblem(ProblemKind.NO_RESOURCES, "no resources"))
    if not state.holds_target:
        found.append(VenProblem(ProblemKind.NO_TARGETS, "holds no target: gets only events for everybody"))
    return found


def _of_20b(state: VenCondition, now: datetime) -> list[VenProblem]:
    """Return what is wrong with a VEN of OpenADR 2.0b (B-POL-007, B-RPT-024)."""
    ven = state.of_20b
    if ven is None:
        return []
    found = []
    if ven.disabled:
        found.append(VenProblem(ProblemKind.DISABLED, "disabled"))
    if not ven.registered:
        found.append(VenProblem(ProblemKind.NOT_REGISTERED, "not registered"))
    if ven.offline:
        last = "" if state.seen is None else f", last heard of {ago(state.seen, now=now)}"
        found.append(VenProblem(ProblemKind.OFFLINE, f"offline{last}"))
    if ven.overdue:
        plural = "s" if ven.overdue > 1 else ""
        found.append(VenProblem(ProblemKind.OVERDUE, f"values of {ven.overdue} report{plural} are missing"))
    if ven.cancel_refused_at is not None:
        when = ago(ven.cancel_refused_at, now=now)
        found.append(VenProblem(ProblemKind.CANCEL_REFUSED, f"refused {when} to end its registration"))
    return found


def _of_credentials(state: VenCondition) -> list[VenProblem]:
    if state.suspended:
        return [VenProblem(ProblemKind.SUSPENDED, "suspended")]
    if not state.has_credentials:
        return [VenProblem(ProblemKind.NO_CREDENTIALS, "no credentials: no client of its id gets tokens")]
    return []


def _silence(state: VenCondition, now: datetime) -> list[VenProblem]:
    found = []
    if state.contacts_known and is_unseen(state.seen, now=now):
        text = "never seen" if state.seen is None else f"unseen for {(now - state.seen).days} d"
        found.append(VenProblem(ProblemKind.UNSEEN, text))
    if state.reports_known and state.reported is None:
        found.append(VenProblem(ProblemKind.NO_REPORT, "has never reported"))
    elif state.reported is not None and now - state.reported >= RECENT:
        found.append(VenProblem(ProblemKind.NO_REPORT, f"no report for {(now - state.reported).days} d"))
    return found


def _refused(state: VenCondition, now: datetime) -> list[VenProblem]:
    """Name the last refused request, if it is of the last day or newer than the last contact that counts."""
    last = state.refused
    if last is None or (state.seen is not None and state.seen >= last.at and last.at < now - RECENT):
        return []
    text = f"{last.request} refused {ago(last.at, now=now)}: {last.status} {last.title}"
    return [VenProblem(ProblemKind.REFUSED, text)]
