"""Settings: addresses, languages, what is kept, and every setting with its source; they are changed in the file."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from aiohttp import web

from vtn.console.alarm_names import SAID
from vtn.console.routes import ConsoleRoute, Role
from vtn.console.setting_rows import setting_rows
from vtn.console.visit import Visit
from vtn.notify.alarms import machine
from vtn.notify.alarms.services import channel_names

_SOON: Final = timedelta(days=21)


@dataclass(frozen=True, slots=True)
class ServedLanguage:
    """A language that clients may speak: whether it is served, at which addresses, and by which settings."""

    name: str
    is_served: bool
    addresses: tuple[str, ...]
    setting: str
    note: str = ""


async def show(visit: Visit) -> web.StreamResponse:
    """Show what this server is set to, as far as everybody who signs in may know it."""
    settings, certificates = visit.console.settings, []
    if visit.user.may(Role.ADMIN):
        certificates = await asyncio.to_thread(machine.certificates, settings)
    return visit.render(
        "settings.html",
        languages=_languages(visit),
        settings=settings,
        token_url=visit.console.addresses.origin + "/auth/token",
        certificates=certificates,
        soon=visit.now + _SOON,
        channels=[SAID[name] for name in channel_names(settings)],
        kept=_kept(visit),
    )


async def show_all(visit: Visit) -> web.StreamResponse:
    """Show every setting with its value and source, without secrets."""
    changed = visit.query("changed")
    rows = setting_rows(visit.console.settings, os.environ)
    shown = [row for row in rows if not (changed and row.is_default)]
    return visit.render("settings_all.html", rows=shown, changed=changed, database=visit.console.database.name)


def _languages(visit: Visit) -> list[ServedLanguage]:
    settings = visit.console.settings
    origin, v20b, mqtt = visit.console.addresses.origin, settings.v20b, settings.mqtt
    port_20b = visit.console.addresses.port_20b
    has_20b = v20b is not None and v20b.enabled
    scheme = "https" if has_20b and v20b is not None and v20b.cert is not None else "http"
    address_20b = "" if v20b is None else f"{scheme}://{v20b.host}:{port_20b}{v20b.prefix}/OpenADR2/Simple/2.0b"
    websocket = origin.replace("http", "ws", 1) + settings.prefixes[0] + "/notifiers/ws"
    return [
        ServedLanguage("OpenADR 3.1", True, tuple(origin + each for each in settings.prefixes), "prefixes"),
        ServedLanguage(
            "OpenADR 3.0.1",
            bool(settings.v301.prefixes),
            tuple(origin + each for each in settings.v301.prefixes),
            "v301.prefixes",
        ),
        ServedLanguage(
            "OpenADR 2.0b",
            has_20b,
            (address_20b,) if has_20b else (),
            "v20b.enabled",
            "profile B, simple HTTP, with client certificates",
        ),
        ServedLanguage(
            "MQTT", mqtt is not None, () if mqtt is None else tuple(mqtt.uris), "mqtt.url", "notifications only"
        ),
        ServedLanguage("Websocket", True, (websocket,), "websocket", "notifications only, an extension"),
        ServedLanguage(
            "Legacy panels",
            False,
            (),
            "OADR_BRIDGE_",
            "oadr bridge run speaks to them, and is a client of this server",
        ),
    ]


def _kept(visit: Visit) -> list[tuple[str, str, str]]:
    """Return what is kept for how long: a name, a length of time with its unit, and the setting."""
    settings = visit.console.settings
    notify, reports = settings.notify, settings.reports.retention_days
    audit = settings.console.audit_days
    return [
        ("Reports", "for ever" if reports is None else f"{reports:g} days", "reports.retention_days"),
        ("Audit trail", "for ever" if audit is None else f"{audit:g} days", "console.audit_days"),
        ("Alarms that are over", f"{settings.alarms.keep_days:g} days", "alarms.keep_days"),
        ("Notifications that were delivered", f"{notify.keep_delivered_hours:g} h", "notify.keep_delivered_hours"),
        ("Notifications that were given up", f"{notify.keep_dead_days:g} days", "notify.keep_dead_days"),
        ("Changes, for websockets", f"{notify.keep_changes_hours:g} h", "notify.keep_changes_hours"),
    ]


ROUTES = (
    ConsoleRoute("GET", "/settings", show, name="settings", nav="Settings"),
    ConsoleRoute("GET", "/settings/all", show_all, role=Role.ADMIN, name="settings_all", title="All settings"),
)
