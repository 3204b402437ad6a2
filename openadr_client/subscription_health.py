"""Health of subscriptions: how callback URLs fare. An extension of OpenADR Fleet, which other VTNs do not have."""

from __future__ import annotations

from typing import Final

from openadr_client.extensions import all_pages, offered
from openadr_client.objects import Send
from openadr_profiles.subscription_health import SubscriptionHealth

_PATH: Final = "/subscription_health"


class SubscriptionHealths:
    """Read how each callback URL of subscriptions fares, for business logic."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def search(
        self, *, subscription_id: str | None = None, client_id: str | None = None
    ) -> list[SubscriptionHealth] | None:
        """Return all callback URLs, or those of a subscription or client; None if this VTN does not tell of them."""
        named = (("subscriptionID", subscription_id), ("clientID", client_id))
        query = [(name, value) for name, value in named if value is not None]
        return await offered(all_pages(self._send, _PATH, SubscriptionHealth, query))
