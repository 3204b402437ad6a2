"""Rules of alarms, without I/O: what was observed becomes the conditions that hold now.

A condition has a kind and a subject, which together name it: it is raised when it first holds and cleared when it does
not hold any more. Some conditions end later than they begin, so that a value at its limit raises one alarm, not many.
Nothing that is unknown is a condition, and nothing unknown ends one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from openadr_profiles.fleet.wording import local_time
from vtn.alarms.kinds import AlarmKind

_ALL: Final = "all"
_DELIVERED_MARGIN_PERCENT: Final = 5.0
_DISK_MARGIN: Final = 1.1


@dataclass(frozen=True, slots=True)
class AlarmCondition:
    """A condition that holds. ``subject`` is the id of what it is about, ``text`` says it with numbers and units."""

    kind: AlarmKind
    subject: str
    text: str

    @property
    def key(self) -> tuple[AlarmKind, str]:
        """Return what names the condition."""
        return self.kind, self.subject


@dataclass(frozen=True, slots=True)
class SilentVen:
    """A VEN that was last heard of at ``heard_at``."""

    client_id: str
    name: str
    heard_at: datetime


@dataclass(frozen=True, slots=True)
class SilentVens:
    """The VENs not heard of for too long: how many of how many, and those that are silent longest, longest first."""

    count: int
    total: int
    longest: Sequence[SilentVen]


@dataclass(frozen=True, slots=True)
class RunningEvent:
    """An event that is active.

    ``requested_kw`` and ``delivered_kw`` are those of the latest point of its curve; None while they are not known.
    """

    id: str
    name: str
    started_at: datetime
    requested_kw: float | None = None
    delivered_kw: float | None = None


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Notifications that were given up, of one endpoint; ``url`` is None for the MQTT broker."""

    endpoint_id: str
    client_id: str | None
    url: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """Hold what waits in the database to be worked on; ``oldest_at`` is None if nothing does."""

    name: str
    count: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class CertificateEnd:
    """A certificate of this server and when it ends."""

    setting: str
    file: str
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """The free space where something is kept, in bytes."""

    what: str
    folder: str
    free_bytes: int
    size_bytes: int


def silent_vens(found: SilentVens, *, silent_s: float) -> Iterator[AlarmCondition]:
    """Yield a condition for each of the VENs that are listed, and one for all if there are more than are listed."""
    for ven in found.longest:
        text = f"VEN {ven.name} has not been heard of since {_utc(ven.heard_at)}"
        yield AlarmCondition(AlarmKind.VEN_SILENT, ven.client_id, text)
    if found.count > len(found.longest):
        text = f"{found.count:,} of {found.total:,} VENs have not been heard of for {length(silent_s)}"
        yield AlarmCondition(AlarmKind.VEN_SILENT, _ALL, text)


def unreported(events: Sequence[RunningEvent], *, after_s: float, now: datetime) -> Iterator[AlarmCondition]:
    """Yield a condition for each event that has been active for so long, of those on which nobody has reported."""
    for event in events:
        if now - event.started_at >= timedelta(seconds=after_s):
            text = f"no VEN has reported on event {event.name}, active since {_utc(event.started_at)}"
            yield AlarmCondition(AlarmKind.EVENT_UNREPORTED, event.id, text)


def undelivered(
    events: Sequence[RunningEvent], *, percent: float, after_s: float, now: datetime, raised: frozenset[str]
) -> Iterator[AlarmCondition]:
    """Yield a condition for each event that delivers less than ``percent`` of what is requested.

    One that is ``raised`` already (an event's id) holds until five percent more are delivered.
    """
    for event in events:
        requested, delivered = event.requested_kw, event.delivered_kw
        if requested is None or delivered is None or requested <= 0:
            if event.id in raised:
                yield AlarmCondition(AlarmKind.EVENT_UNDELIVERED, event.id, f"event {event.name}: no data of late")
            continue
        limit = min(100.0, percent + _DELIVERED_MARGIN_PERCENT) if event.id in raised else percent
        # Products, since a quotient is rounded: 29 kW of 100 kW are not less than 29 percent.
        if 100.0 * delivered < limit * requested and now - event.started_at >= timedelta(seconds=after_s):
            part = 100.0 * delivered / requested
            text = f"event {event.name} delivers {delivered:,.2f} kW of {requested:,.2f} kW requested ({part:.0f} %)"
            yield AlarmCondition(AlarmKind.EVENT_UNDELIVERED, event.id, text)


def dead_letters(found: Sequence[DeadLetters]) -> Iterator[AlarmCondition]:
    """Yield a condition for each endpoint with notifications that were given up."""
    for each in found:
        host = None if each.url is None else urlsplit(each.url).hostname  # the rest may be a secret
        where = "the MQTT broker" if each.url is None else f"the callback at {host} of client {each.client_id}"
        what = "1 notification was" if each.count == 1 else f"{each.count:,} notifications were"
        yield AlarmCondition(AlarmKind.DEAD_LETTERS, each.endpoint_id, f"{what} given up for {where}")


def behind(found: Sequence[Backlog], *, behind_s: float, now: datetime) -> Iterator[AlarmCondition]:
    """Yield a condition for each backlog whose oldest entry waits for too long."""
    for each in found:
        if each.oldest_at is not None and now - each.oldest_at > timedelta(seconds=behind_s):
            text = f"{each.name} wait in the database: {each.count:,}, the oldest since {_utc(each.oldest_at)}"
            yield AlarmCondition(AlarmKind.DATABASE_BEHIND, each.name, text)


def certificate_ends(
    found: Sequence[CertificateEnd], *, days: float, now: datetime, host: str
) -> Iterator[AlarmCondition]:
    """Yield a condition for each certificate that ends within ``days``, or has ended."""
    for each in found:
        left = each.ends_at - now
        if left <= timedelta(days=days):
            verb = "ended" if left <= timedelta() else "ends"
            text = f"the certificate {each.setting} ({each.file}) on {host} {verb} at {_utc(each.ends_at)}"
            yield AlarmCondition(AlarmKind.CERTIFICATE_ENDS, of_host(host, each.file), text)


def disk_low(
    found: Sequence[DiskSpace], *, least_bytes: int, host: str, raised: frozenset[str]
) -> Iterator[AlarmCondition]:
    """Yield a condition for each disk with too little room; one that is raised holds until a tenth more is free."""
    for each in found:
        subject = of_host(host, each.folder)
        limit = least_bytes * _DISK_MARGIN if subject in raised else least_bytes
        if each.free_bytes < limit:
            free, size = each.free_bytes / 1e9, each.size_bytes / 1e9
            text = f"{free:,.1f} GB of {size:,.1f} GB are free for {each.what} in {each.folder} on {host}"
            yield AlarmCondition(AlarmKind.DISK_LOW, subject, text)


def of_host(host: str, place: str) -> str:
    """Return the subject of a condition that only the servers on one host can see."""
    return f"{host}:{place}"


def _utc(at: datetime) -> str:
    return local_time(at.replace(second=0, microsecond=0), zone=UTC)


def length(seconds: float) -> str:
    """Return a length of time in its largest whole unit but one, as ``90 s``, ``45 min``, ``3 h`` or ``12 days``."""
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.0f} s"
