"""Alarms: what is wrong and was, acknowledged with a note, and the channels that tell of them."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from openadr_profiles.v31 import Invalid
from vtn.alarms.kinds import AlarmKind
from vtn.console.alarm_names import SAID, about_url
from vtn.console.routes import ConsoleRoute, Role
from vtn.console.visit import Visit
from vtn.errors import Malformed, NotFound
from vtn.notify.alarms.services import channel_names
from vtn.store.console.alarms import AlarmStore
from vtn.store.query import Page

_LONGEST_NUMBER: Final = 18


async def show(visit: Visit) -> web.StreamResponse:
    """Show alarms, those that hold first, and how the channels fare."""
    return visit.render("alarms.html", **await _shown(visit))


async def acknowledge(visit: Visit) -> web.StreamResponse:
    """Note that the user looks after an alarm; raises NotFound."""
    form = await visit.form()
    note = form.get("note", "").strip()
    store = visit.console.store(AlarmStore)
    try:
        before, after = await store.acknowledge(_number(visit), by=visit.user.name, note=note)
    except Invalid as error:
        return visit.refuse(f"The alarm is not acknowledged: {error}.", "alarms.html", **await _shown(visit))
    await visit.audit(
        "alarm acknowledged",
        f"alarm {after.id}: {after.text}",
        before={"by": before.acknowledged_by, "note": before.note},
        after={"by": after.acknowledged_by, "note": after.note},
    )
    return visit.redirect("alarms", said=f"You look after alarm {after.id}.")


async def try_channel(visit: Visit) -> web.StreamResponse:
    """Have a channel send a test message; raises NotFound for one that is not in the settings."""
    channel = visit.path("channel")
    if channel not in channel_names(visit.console.settings):
        raise NotFound(f"there is no channel {channel} in the settings; expected alarms.webhook, email or mqtt")
    await visit.console.store(AlarmStore).add_trial(channel)
    await visit.audit("alarm channel tried", f"channel {channel}")
    return visit.redirect(
        "alarms", said=f"A test message goes out by {SAID[channel]} within seconds; see its state below."
    )


async def _shown(visit: Visit) -> dict[str, Any]:
    kind, over = visit.query("kind"), visit.query("over")
    if kind and kind not in AlarmKind.__members__:
        raise Malformed(f"kind: expected one of {', '.join(AlarmKind)}")
    store, page = visit.console.store(AlarmStore), visit.page_asked()
    found = await store.search(holding=None if over else True, kind=kind or None, page=Page(page.skip, page.limit))
    settings = visit.console.settings
    return {
        "found": page.of(found),
        "kinds": list(AlarmKind),
        "asked": {"kind": kind, "over": over},
        "names": SAID,
        "about_url": about_url,
        "channels": channel_names(settings),
        "states": await store.channel_states(),
        "rules": settings.alarms,
    }


def _number(visit: Visit) -> int:
    text = visit.path("number")
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
        raise NotFound("there is no such alarm")
    return int(text)


ROUTES = (
    ConsoleRoute("GET", "/alarms", show, name="alarms", nav="Alarms"),
    ConsoleRoute(
        "POST",
        "/alarms/{number}/acknowledge",
        acknowledge,
        role=Role.OPERATOR,
        name="acknowledge_alarm",
        title="Alarms",
        most_bytes=16 * 1024,
    ),
    ConsoleRoute("POST", "/alarms/channels/{channel}/test", try_channel, role=Role.ADMIN, name="try_alarm_channel"),
)
