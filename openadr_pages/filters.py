"""Filters of templates: every quantity with its unit, every time with its zone, and what is unknown said to be so."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sized
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, TypeAlias

from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

NO_DATA: Final = "no data"
_UUID: Final = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
_KEPT_CATEGORIES: Final = frozenset("LMNPSZ")
_SHORT_S: Final = 90

Number: TypeAlias = int | float | Decimal
Instant: TypeAlias = datetime | str


def quantity(value: Number | None, unit: str, digits: int = 2) -> str:
    """Return a number with its unit, as ``3.00 kW``; ``no data`` for None and for what is no finite number."""
    if value is None:
        return NO_DATA
    number = Decimal(str(value))
    if not number.is_finite():
        return NO_DATA
    rounded = number.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{abs(rounded) if rounded == 0 else rounded:,} {unit}".rstrip()


def kw(value: Number | None, digits: int = 2) -> str:
    """Return a power in kW."""
    return quantity(value, "kW", digits)


def kwh(value: Number | None, digits: int = 2) -> str:
    """Return an energy in kWh."""
    return quantity(value, "kWh", digits)


def percent(part: Number | None, whole: Number | None) -> str:
    """Return a share as ``40 %``; ``no data`` where it is not known or there is no whole."""
    if part is None or not whole:
        return NO_DATA
    return quantity(Decimal(str(part)) * 100 / Decimal(str(whole)), "%", 0)


@pass_context
def instant(context: Context, at: Instant | None, *, utc: bool = False, seconds: bool = False) -> Markup | str:
    """Return an instant as ``<time>`` in the reader's zone, with UTC as its title, and beside it with ``utc``.

    ``at`` is aware, or an RFC 3339 text. Seconds are shown with ``seconds``, and wherever they are not 0.
    """
    if at is None or at == "":
        return NO_DATA
    moment = aware(at)
    zone: tzinfo = context.get("zone") or UTC
    local, universal = moment.astimezone(zone), moment.astimezone(UTC)
    full = seconds or bool(moment.second)
    machine = universal.isoformat(timespec="seconds").replace("+00:00", "Z")
    title = f"{universal:%Y-%m-%d %H:%M:%S} UTC"
    same = local.utcoffset() == timedelta(0)
    beside = "" if not utc or same else f" ({_clock(universal, full)} UTC)"
    name = "UTC" if same else local.tzname()
    text = f"{local:%Y-%m-%d} {_clock(local, full)} {name}{beside}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(machine, title, text)


def ago(at: Instant | None, now: datetime, never: str = NO_DATA) -> Markup | str:
    """Return how long ago an instant is, or in how long, as ``3 min ago`` or ``in 2 h``; ``never`` for None."""
    if at is None or at == "":
        return never
    moment = aware(at)
    seconds = (now - moment).total_seconds()
    machine = moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    title = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    text = "now" if abs(seconds) < 1 else f"{_rough(seconds)} ago" if seconds > 0 else f"in {_rough(-seconds)}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(machine, title, text)


def duration(length: timedelta | Number | None) -> str:
    """Return a length of time, or a number of seconds, as ``1 h 30 min``."""
    if length is None:
        return NO_DATA
    whole = round(length.total_seconds() if isinstance(length, timedelta) else float(length))
    sign, rest = ("-" if whole < 0 else ""), abs(whole)
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        number, rest = divmod(rest, size)
        if number:
            parts.append(f"{number} {unit}")
    return sign + (" ".join(parts) or "0 s")


def count(value: int | Sized | None, one: str = "", many: str | None = None) -> str:
    """Return a number of things, as ``1 event`` and ``2,000 events``; of a collection its length."""
    if value is None:
        return NO_DATA
    number = value if isinstance(value, int) else len(value)
    word = one if number == 1 or not one else (many or f"{one}s")
    return f"{number:,} {word}".rstrip()


def shown(value: object) -> str:
    """Return a text with what cannot be seen made visible: control characters, and marks that turn its direction."""
    if value is None:
        return NO_DATA
    return "".join(
        each if unicodedata.category(each)[0] in _KEPT_CATEGORIES and each not in "\u2028\u2029" else _escaped(each)
        for each in str(value)
    )


def short_ids(value: object) -> str:
    """Return a text with the first eight characters of each UUID in it, which tell the ones of a page apart."""
    return _UUID.sub(lambda found: f"{found[0][:8]}…", str(value))


def lines(value: object) -> Markup:
    """Return a text with its lines kept, and what cannot be seen made visible."""
    return Markup("<br>").join(escape(shown(line)) for line in str(value).splitlines())


def aware(at: Instant) -> datetime:
    """Return an instant as an aware datetime; raises ValueError for a text that is none, and for one without zone."""
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    if moment.tzinfo is None:
        raise ValueError(f"expected an instant with a zone, not {at}")
    return moment


def _clock(moment: datetime, full: bool) -> str:
    return f"{moment:%H:%M:%S}" if full else f"{moment:%H:%M}"


def _rough(seconds: float) -> str:
    """Return a length of time in its largest unit, and the next one where that is small."""
    if seconds < _SHORT_S:
        return f"{int(seconds)} s"
    minutes = int(seconds // 60)
    if minutes < 90:
        return f"{minutes} min"
    if minutes < 36 * 60:
        return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 and minutes < 10 * 60 else f"{minutes // 60} h"
    return f"{minutes // (24 * 60)} d"


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode() if letter != "\t" else "\\t"


FILTERS: Final = {
    "ago": ago,
    "count": count,
    "duration": duration,
    "instant": instant,
    "kw": kw,
    "kwh": kwh,
    "lines": lines,
    "percent": percent,
    "quantity": quantity,
    "short_ids": short_ids,
    "shown": shown,
}
"""All filters by their names in templates."""
