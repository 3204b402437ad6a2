"""Name the kinds of alarms, for rules, settings, pages and commands."""

from __future__ import annotations

from enum import StrEnum


class AlarmKind(StrEnum):
    """Name what is wrong."""

    VEN_SILENT = "VEN_SILENT"
    EVENT_UNREPORTED = "EVENT_UNREPORTED"
    EVENT_UNDELIVERED = "EVENT_UNDELIVERED"
    DEAD_LETTERS = "DEAD_LETTERS"
    DATABASE_BEHIND = "DATABASE_BEHIND"
    CERTIFICATE_ENDS = "CERTIFICATE_ENDS"
    DISK_LOW = "DISK_LOW"
