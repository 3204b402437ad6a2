"""Words of alarms on pages, and the page that an alarm is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vtn.alarms.kinds import AlarmKind

if TYPE_CHECKING:
    from vtn.console.visit import Visit
    from vtn.store.console.alarms import StoredAlarm

SAID: Final = {
    AlarmKind.VEN_SILENT: "VEN silent",
    AlarmKind.EVENT_UNREPORTED: "Nobody reports",
    AlarmKind.EVENT_UNDELIVERED: "Too little delivered",
    AlarmKind.DEAD_LETTERS: "Notifications given up",
    AlarmKind.DATABASE_BEHIND: "Work waits",
    AlarmKind.CERTIFICATE_ENDS: "Certificate ends",
    AlarmKind.DISK_LOW: "Disk nearly full",
    "webhook": "webhook",
    "email": "e-mail",
    "mqtt": "MQTT",
}
"""The words for kinds and channels."""


def about_url(visit: Visit, alarm: StoredAlarm) -> str | None:
    """Return the address of the page that shows what an alarm is about; None if there is none."""
    if alarm.kind == AlarmKind.DEAD_LETTERS:
        return visit.url("waiting", state="DEAD")
    if alarm.kind == AlarmKind.DATABASE_BEHIND:
        return visit.url("deliveries")
    if alarm.kind in {AlarmKind.EVENT_UNREPORTED, AlarmKind.EVENT_UNDELIVERED}:
        return visit.url("event", event_id=alarm.subject)
    if alarm.kind == AlarmKind.VEN_SILENT and alarm.subject != "all":
        return visit.url("reports", ven=alarm.subject)
    return None
