"""The pages, in the order of the navigation. A page is a module with ``ROUTES``."""

from __future__ import annotations

from typing import Final

from vtn.console.pages import (
    account,
    add_ven,
    alarms,
    audit,
    clients,
    deliveries,
    event,
    event_acts,
    event_history,
    events,
    fleet,
    login,
    new_event,
    now,
    oidc,
    performance,
    programs,
    report_checks,
    reports,
    results,
    settings,
    stream,
    templates,
    users,
    ven,
    ven_acts,
)

PAGES: Final = (
    now,
    events,
    new_event,  # before ``event``, whose path has a variable where this one has a word
    event,
    event_history,
    event_acts,
    templates,
    performance,
    results,
    fleet,
    add_ven,
    ven,
    ven_acts,
    programs,
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
