"""Put the interface together: its routes and who may ask."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from bridge_mqtt.api.event_routes import EventRoutes
from bridge_mqtt.api.guard import Guard
from bridge_mqtt.api.health_routes import HealthRoutes
from bridge_mqtt.api.panel_routes import PanelRoutes
from bridge_mqtt.api.server import Api
from bridge_mqtt.api.stats_routes import StatsRoutes
from bridge_mqtt.health import Health
from bridge_mqtt.settings import ApiSettings
from bridge_mqtt.store import Store
from bridge_mqtt.view import View


def api_of(settings: ApiSettings, *, view: View, health: Health, store: Store, now: Callable[[], datetime]) -> Api:
    """Return the interface with all its routes."""
    routes = (
        *HealthRoutes(health, store).routes(),
        *EventRoutes(view).routes(),
        *PanelRoutes(view, now).routes(),
        *StatsRoutes(view, now).routes(),
    )
    return Api(settings, routes, Guard(settings))
