"""The pages, in the order of the navigation. A page is a module with ``ROUTES``."""

from __future__ import annotations

from typing import Final

from vtn.console.pages import (
    account,
    alarms,
    audit,
    clients,
    deliveries,
    event,
    event_acts,
    event_history,
    events,
    login,
    new_event,
    now,
    oidc,
    performance,
    report_checks,
    reports,
    settings,
    stream,
    users,
)

PAGES: Final = (
    now,
    events,
    new_event,  # before ``event``, whose path has a variable where this one has a word
    event,
    event_history,
    event_acts,
    performance,
    report_checks,  # before ``reports``, as above
    reports,
    deliveries,
    alarms,
    settings,
    clients,
    users,
    audit,
    account,
    login,
    oidc,
    stream,
)
