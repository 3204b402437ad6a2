"""The pages, in the order of the navigation. A page is a module with ``ROUTES``."""

from __future__ import annotations

from typing import Final

from vtn.console.pages import (
    account,
    audit,
    event,
    event_history,
    events,
    login,
    new_event,
    now,
    oidc,
    performance,
    stream,
)

PAGES: Final = (
    now,
    events,
    new_event,  # before ``event``, whose path has a variable where this one has a word
    event,
    event_history,
    performance,
    audit,
    account,
    login,
    oidc,
    stream,
)
