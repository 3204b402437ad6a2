"""Health of subscriptions: GET /subscription_health, an extension of ours for business logic.

The standard's subscription has no member for it, and only its owner and business logic may see it at all.
"""

from __future__ import annotations

from aiohttp import web

from openadr_profiles.v31 import encode
from vtn.access import Permission, Scope
from vtn.api.collection import Call, Route
from vtn.http import conditional
from vtn.http.responses import CachedResponse
from vtn.store.outbox.listing import OutboxListing
from vtn.store.query import SubscriptionHealthQuery

_READ = Permission(frozenset({Scope.READ_ALL, Scope.READ_BL}), only_bl=True)


def routes(listing: OutboxListing) -> tuple[Route, ...]:
    """Return the route of health."""

    async def search(call: Call) -> web.StreamResponse:
        """Answer with one page of callback URLs, of all subscriptions, of one, or of those of one client."""
        query = SubscriptionHealthQuery(
            page=call.query.page(),
            subscription_id=call.query.object_id("subscriptionID"),
            client_id=call.query.text("clientID"),
        )
        return conditional.read_small(call.request, CachedResponse(encode(await listing.health(query))))

    return (Route("GET", "/subscription_health", search, _READ),)
