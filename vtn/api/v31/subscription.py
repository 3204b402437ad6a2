"""Subscriptions: /subscriptions (M16 … M20)."""

from __future__ import annotations

from openadr_profiles.v31 import ObjectType, SubscriptionRequest, decode
from vtn.access import READ_OWNED, WRITE_SUBSCRIPTIONS, Caller
from vtn.api.collection import CollectionHandlers, Route
from vtn.api.query import Query
from vtn.api.v31.render import SubscriptionRenderer
from vtn.cache.responses import ResponseCache
from vtn.errors import Malformed
from vtn.notify.callback import Callbacks
from vtn.store.query import SubscriptionQuery
from vtn.store.subscription import SubscriptionStore


def routes(store: SubscriptionStore, cache: ResponseCache, callbacks: Callbacks) -> tuple[Route, ...]:
    """Return the routes of subscriptions."""
    return _Subscriptions(store, cache, callbacks).routes(
        read=READ_OWNED, create=WRITE_SUBSCRIPTIONS, replace=WRITE_SUBSCRIPTIONS, delete=WRITE_SUBSCRIPTIONS
    )


class _Subscriptions(CollectionHandlers[SubscriptionQuery, SubscriptionRequest]):
    """Documents name only callback URLs that may be called as they are written; the store has them verified."""

    def __init__(self, store: SubscriptionStore, cache: ResponseCache, callbacks: Callbacks) -> None:
        def body(raw: bytes, _: Caller) -> SubscriptionRequest:
            subscription = decode(raw, SubscriptionRequest)
            callbacks.check(subscription.object_operations)
            return subscription

        renderer = SubscriptionRenderer(ObjectType.SUBSCRIPTION)
        super().__init__("subscriptions", store, renderer, cache, query=_query, body=body)


def _query(query: Query) -> SubscriptionQuery:
    kinds = query.texts("objects")
    if kinds is not None and (unknown := set(kinds) - set(ObjectType)):
        raise Malformed(f"objects: expected {', '.join(ObjectType)}, not {min(unknown)[:40]}")
    return SubscriptionQuery(
        page=query.page(),
        program_id=query.object_id("programID"),
        client_name=query.text("clientName"),
        objects=kinds,
    )
