"""Health of subscriptions: how a callback URL fares. An extension of OpenADR Fleet, not part of OpenADR.

{"subscriptionID": "3f2a", "clientID": "home-1", "clientName": "Home 1", "callbackUrl": "https://home-1.example/hook",
 "state": "BROKEN", "pending": 12, "dead": 3, "failures": 20, "brokenSince": "2026-01-31T16:00:00.000000Z",
 "lastError": "answered 500"}
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import field

from openadr_profiles.v31.common import Instant, Int32, Text, Uri, Wire


class EndpointState(StrEnum):
    """Name how the last attempts went at a place where notifications are sent to."""

    NEW = "NEW"
    """Nothing was sent yet."""
    WORKING = "WORKING"
    FAILING = "FAILING"
    """The last attempt failed; others follow."""
    BROKEN = "BROKEN"
    """So many attempts failed that it is only probed."""


class SubscriptionHealth(Wire, frozen=True, kw_only=True):
    """Tell how one callback URL of a subscription fares; what is not known, or is not so, is left out.

    ``pending`` counts notifications that are still to be sent, the first of them for a change made at
    ``oldest_pending``; ``dead`` those that were given up; ``failures`` the attempts that failed since the last success.
    """

    subscription_id: Text = field(name="subscriptionID")
    client_id: Text = field(name="clientID")
    client_name: Text = field(name="clientName")
    callback_url: Uri = field(name="callbackUrl")
    protocol: Text | None = None
    """The version of OpenADR that it is told in, such as ``OpenADR 3.0.1``."""
    state: EndpointState
    pending: Int32
    dead: Int32
    failures: Int32
    oldest_pending: Instant | None = field(name="oldestPending", default=None)
    broken_since: Instant | None = field(name="brokenSince", default=None)
    next_attempt: Instant | None = field(name="nextAttempt", default=None)
    last_success: Instant | None = field(name="lastSuccess", default=None)
    last_failure: Instant | None = field(name="lastFailure", default=None)
    last_error: Text | None = field(name="lastError", default=None)
