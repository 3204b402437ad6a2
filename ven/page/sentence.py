"""Say in one sentence what is happening and why. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Final

from ven.page.shown import EventCard, HomeSituation

_MOST_NAMED: Final = 3
_LONGEST_NAME: Final = 60


class Tone(StrEnum):
    """Name how the sentence is to look; the words are those of the badges of all pages."""

    CALM = "good"
    BUSY = "busy"
    ATTENTION = "warn"
    WRONG = "bad"


def in_words(situation: HomeSituation, zone: tzinfo) -> tuple[str, Tone]:
    """Return what is happening and why, in one sentence, and how it is to look; times are in ``zone``."""
    if situation.reading_problem is not None:
        return f"The circuits cannot be read, so nothing is known of them now: {situation.reading_problem}.", Tone.WRONG
    power = _kw(situation.power_kw)
    if situation.link_limit_kw is not None:
        limit = _kw(situation.link_limit_kw)
        return (
            (
                f"The VTN was not heard for too long, so this home is held to {limit} until it is heard again; "
                f"it draws {power} now."
            ),
            Tone.ATTENTION,
        )
    under_way = [each for each in situation.events if each.is_under_way]
    taken = [each for each in under_way if each.opted_in]
    if asking := [each for each in taken if (each.requested_kw or 0) > 0]:
        return _asking(asking, situation, zone), Tone.BUSY
    if left := [each for each in under_way if not each.opted_in]:
        first = left[0]
        because = f": {first.reason}" if first.reason else ""
        until = _until(first, situation, zone)
        return f"{_name(first)} is under way{until} and this home takes no part{because}.", Tone.ATTENTION
    if taken:
        until = _until(taken[0], situation, zone)
        words = f"{_name(taken[0])} is under way{until} and asks for nothing now; this home draws {power}."
        return words, Tone.CALM
    return _nothing(situation, power, zone)


def _asking(asking: Sequence[EventCard], situation: HomeSituation, zone: tzinfo) -> str:
    first = max(asking, key=lambda each: each.requested_kw or 0)
    others = f" and {len(asking) - 1} more" if len(asking) > 1 else ""
    names = list(dict.fromkeys(name for each in asking for name in each.limited))
    limited = f"{_listed(names)} {'is' if len(names) == 1 else 'are'} limited" if names else "no circuit is limited"
    less = f", {_kw(first.delivered_kw)} less than before" if first.delivered_kw is not None else ""
    return (
        f"{_name(first)}{others} {'ask' if others else 'asks'} for {_kw(first.requested_kw)} less"
        f"{_until(first, situation, zone)}: {limited}, and this home draws {_kw(situation.power_kw)}{less}."
    )


def _nothing(situation: HomeSituation, power: str, zone: tzinfo) -> tuple[str, Tone]:
    now = situation.now
    tone = Tone.CALM if situation.vtn_problem is None else Tone.ATTENTION
    unheard = "" if situation.vtn_problem is None else " The VTN cannot be reached, so newer events are not known."
    out = next((each for each in situation.words if each.scope == "all" and not each.opted_in), None)
    if out is not None:
        until = "" if out.until is None else f" until {clock_time(out.until, now, zone)}"
        because = f": {out.reason}" if out.reason else ""
        return f"This home takes no part in any event{until}{because}.{unheard}", Tone.ATTENTION
    coming = [each for each in situation.events if each.start > now]
    if not coming:
        return f"Nothing is asked of this home, and no event is known; it draws {power}.{unheard}", tone
    first = min(coming, key=lambda each: each.start)
    part = "takes part" if first.opted_in else f"takes no part{f' ({first.reason})' if first.reason else ''}"
    begins = clock_time(first.start, now, zone)
    calm = f"Nothing is asked of this home now, and it draws {power}"
    return f"{calm}; {_name(first)} begins at {begins}, and this home {part}.{unheard}", tone


def clock_time(at: datetime, now: datetime, zone: tzinfo) -> str:
    """Return an instant as a time of the day in a zone, with the date if it is another day."""
    local = at.astimezone(zone)
    is_today = local.date() == now.astimezone(zone).date()
    return f"{local:%H:%M}" if is_today else f"{local:%H:%M on %Y-%m-%d}"


def _until(event: EventCard, situation: HomeSituation, zone: tzinfo) -> str:
    return "" if event.end is None else f" until {clock_time(event.end, situation.now, zone)}"


def _name(event: EventCard) -> str:
    name = event.name if len(event.name) <= _LONGEST_NAME else f"{event.name[:_LONGEST_NAME]}…"
    return f"“{name}”"


def _listed(names: Sequence[str]) -> str:
    if len(names) > _MOST_NAMED:
        return f"{', '.join(names[:_MOST_NAMED])} and {len(names) - _MOST_NAMED} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _kw(value: float | None) -> str:
    return "an unknown power" if value is None else f"{value:.2f} kW"
