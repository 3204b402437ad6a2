"""Problems of VENs as SQL, so that a list can be asked for them: the rules of ``fleet/problems.py``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final, TypeAlias

from sqlalchemy import ColumnElement, and_, exists, false, func, or_, select

from openadr_profiles.fleet.problems import MOST_CLOCK_OFFSET_S, RECENT, ProblemKind
from vtn.store.outbox.rows import Push
from vtn.store.tables import clients, contacts, endpoints, reports, resources, subscriptions, vens
from vtn.store.v20b.tables import oadr20b_report_requests, oadr20b_vens

Ago: TypeAlias = Callable[[timedelta], str]
"""Gives the stamp of the time that is this long ago."""

WEBHOOKS: Final = endpoints.join(
    subscriptions, and_(subscriptions.c.id == endpoints.c.subscription_id, endpoints.c.push == str(Push.WEBHOOK))
)
FAILING: Final = or_(endpoints.c.failures > 0, endpoints.c.broken_at.is_not(None))

_IS_20B: Final = oadr20b_vens.c.ven_id.is_not(None)
_LAST_REPORT: Final = (
    select(reports.c.modified_at)
    .where(reports.c.client_id == vens.c.client_id)
    .order_by(reports.c.created_at.desc())
    .limit(1)
    .correlate(vens)
    .scalar_subquery()
)


def problem_clause(kind: ProblemKind, ago: Ago, offline_after: timedelta, *, own_tokens: bool) -> ColumnElement[bool]:
    """Return a condition on vens, with what is known of them beside: they have a problem of this kind."""
    return _CLAUSES[kind](ago, offline_after, own_tokens)


def _unseen(ago: Ago, *_: object) -> ColumnElement[bool]:
    return func.coalesce(contacts.c.heard_at, "") < ago(RECENT)


def _no_report(ago: Ago, *_: object) -> ColumnElement[bool]:
    return func.coalesce(_LAST_REPORT, "") <= ago(RECENT)


def _refused(ago: Ago, *_: object) -> ColumnElement[bool]:
    newer = func.coalesce(contacts.c.heard_at, "") < contacts.c.refused_at
    return and_(contacts.c.refused_at.is_not(None), or_(newer, contacts.c.refused_at >= ago(RECENT)))


def _clock(*_: object) -> ColumnElement[bool]:
    return func.abs(contacts.c.clock_offset_s) > MOST_CLOCK_OFFSET_S


def _not_notified(*_: object) -> ColumnElement[bool]:
    its = select(subscriptions.c.client_id).select_from(WEBHOOKS).where(FAILING)
    return vens.c.client_id.in_(its)


def _no_resources(*_: object) -> ColumnElement[bool]:
    return ~exists().where(resources.c.ven_id == vens.c.id).correlate(vens)


def _no_targets(*_: object) -> ColumnElement[bool]:
    theirs = select(resources.c.ven_id).where(resources.c.targets != ())
    return and_(vens.c.targets == (), vens.c.id.not_in(theirs))


def _suspended(*_: object) -> ColumnElement[bool]:
    return clients.c.suspended.is_(True)


def _no_credentials(_: Ago, __: timedelta, own_tokens: bool) -> ColumnElement[bool]:
    return and_(clients.c.client_id.is_(None), ~_IS_20B) if own_tokens else false()


def _disabled(*_: object) -> ColumnElement[bool]:
    return oadr20b_vens.c.is_disabled.is_(True)


def _not_registered(*_: object) -> ColumnElement[bool]:
    return and_(_IS_20B, oadr20b_vens.c.registration_id.is_(None))


def _offline(ago: Ago, offline_after: timedelta, *_: object) -> ColumnElement[bool]:
    since = ago(offline_after)
    polls = and_(oadr20b_vens.c.registration_id.is_not(None), oadr20b_vens.c.push_url.is_(None))
    silent = [func.coalesce(each, "") < since for each in (contacts.c.heard_at, oadr20b_vens.c.registered_at)]
    return and_(polls, *silent)


def _overdue(*_: object) -> ColumnElement[bool]:
    its = select(oadr20b_report_requests.c.ven_id).where(oadr20b_report_requests.c.is_silent)
    return vens.c.id.in_(its)


def _cancel_refused(*_: object) -> ColumnElement[bool]:
    return oadr20b_vens.c.cancel_refused_at.is_not(None)


_CLAUSES: Final[dict[ProblemKind, Callable[[Ago, timedelta, bool], ColumnElement[bool]]]] = {
    ProblemKind.DISABLED: _disabled,
    ProblemKind.NOT_REGISTERED: _not_registered,
    ProblemKind.OFFLINE: _offline,
    ProblemKind.OVERDUE: _overdue,
    ProblemKind.CANCEL_REFUSED: _cancel_refused,
    ProblemKind.SUSPENDED: _suspended,
    ProblemKind.NO_CREDENTIALS: _no_credentials,
    ProblemKind.UNSEEN: _unseen,
    ProblemKind.NO_REPORT: _no_report,
    ProblemKind.REFUSED: _refused,
    ProblemKind.CLOCK: _clock,
    ProblemKind.NOT_NOTIFIED: _not_notified,
    ProblemKind.NO_RESOURCES: _no_resources,
    ProblemKind.NO_TARGETS: _no_targets,
}
