"""Put the interface together: its routes and who may ask."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from bridge_mqtt.api.about_routes import AboutRoutes
from bridge_mqtt.api.browser_sessions import BrowserSessions
from bridge_mqtt.api.event_routes import EventRoutes
from bridge_mqtt.api.guard import Guard
from bridge_mqtt.api.health_routes import HealthRoutes
from bridge_mqtt.api.load_routes import LoadRoutes
from bridge_mqtt.api.metrics_routes import MetricsRoutes
from bridge_mqtt.api.ordering_routes import OrderingRoutes
from bridge_mqtt.api.panel_routes import PanelRoutes
from bridge_mqtt.api.registration_routes import RegistrationRoutes
from bridge_mqtt.api.route import ApiRoute
from bridge_mqtt.api.server import Api
from bridge_mqtt.api.stats_routes import StatsRoutes
from bridge_mqtt.api.vtn_tokens import TokenJudge
from bridge_mqtt.figures import BridgeFigures
from bridge_mqtt.health import Health
from bridge_mqtt.load_orders import LoadOrders
from bridge_mqtt.page.routes import PanelPages
from bridge_mqtt.registration import PanelRegistration
from bridge_mqtt.settings import ApiSettings
from bridge_mqtt.store import Store
from bridge_mqtt.view import View
from bridge_mqtt.vtn_side.issuer import Issuer


def api_of(
    settings: ApiSettings,
    *,
    view: View,
    health: Health,
    figures: BridgeFigures,
    store: Store,
    issuer: Issuer | None,
    load_orders: LoadOrders,
    registration: PanelRegistration,
    now: Callable[[], datetime],
) -> Api:
    """Return the interface with all its routes; without ``issuer`` it makes no events."""
    judge = None if settings.vtn_tokens is None else TokenJudge(settings.vtn_tokens, now)
    guard = Guard(settings, judge, BrowserSessions(now))
    routes: list[ApiRoute] = []
    routes += HealthRoutes(health, store, guard).routes()
    routes += MetricsRoutes(figures).routes()
    routes += AboutRoutes(lambda: routes).routes()
    routes += EventRoutes(view).routes()
    routes += OrderingRoutes(view, issuer, now).routes()
    routes += PanelRoutes(view, now).routes()
    routes += RegistrationRoutes(view, registration).routes()
    routes += LoadRoutes(view, load_orders).routes()
    routes += StatsRoutes(view, now).routes()
    pages = PanelPages(view, guard, now).routes()  # for people, and not in the description for programs
    return Api(settings, [*routes, *pages], guard)
