"""Read what a program says about its events in 2.0b: attributes named ``OADR20B_...``, each with a default.

- MARKET_CONTEXT: URI that names the program to VENs (default: its address at this VTN);
- RESPONSE_REQUIRED: ``always`` (default) or ``never`` (B-EVT-020);
- TEST_EVENT: true if its events are tests (B-EVT-021);
- SIMPLE: ``off``, or the level 0 to 3 of the SIMPLE signal that stands beside others (B-EVT-032; default: 1 if it
  asks for less load, else 0);
- GAPS: ``repeat`` the last value (default), ``zero`` or ``refuse``;
- OTHER_TYPES: ``omit`` payload types without a signal (default), or send numbers as an ``extension`` (``x-...``);
- EXTENSION_TYPE: signal type of extensions, ``setpoint`` (default), ``level`` or ``price``;
- ALERT_LEVEL: level 0 to 3 of the SIMPLE signal that an alert is sent as (default: alerts are left out);
- EVENT_NAME: true if VENs are told the event's name, as vtnComment;
- NOTIFICATION, RAMP_UP, RECOVERY: durations; the last two may be negative (B-EVT-037, B-EVT-038);
- HORIZON: how far ahead repetitions are told (default PT48H);
- PERCENT: percentages of the program are a ``fraction`` (default, -1 to 1) or of a ``hundred``;
- CURRENCY: currency of prices whose descriptor names none;
- HERTZ, VOLTAGE, AC: powerAttributes of units of power (default 50 Hz, 230 V, alternating current).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from openadr_profiles.v20b.projection.losses import Loss, LossKind
from openadr_profiles.v31 import Duration, Program, ProgramRequest, Value

PREFIX: Final = "OADR20B_"
_LONGEST_S: Final = 366 * 86_400
_EPOCH: Final = datetime(2001, 1, 1, tzinfo=UTC)


class Policy20b(Struct, frozen=True, kw_only=True):
    """The settings of a program for 2.0b; lengths are in seconds."""

    market_context: str | None = None
    response_required: str = "always"
    test_event: bool = False
    simple: str | None = None
    gaps: str = "repeat"
    other_types: str = "omit"
    extension_type: str = "setpoint"
    alert_level: int | None = None
    event_name: bool = False
    notification_s: int | None = None
    ramp_up_s: int | None = None
    recovery_s: int | None = None
    horizon_s: int = 48 * 3600
    percent: str = "fraction"
    currency: str | None = None
    hertz: float = 50.0
    voltage: float = 230.0
    ac: bool = True


def policy_of(program: ProgramRequest | Program) -> tuple[Policy20b, tuple[Loss, ...]]:
    """Read a program's attributes; one that cannot be read is a loss, and the default holds."""
    found: dict[str, Any] = {}
    losses = []
    for attribute in program.attributes or ():
        if not attribute.type.startswith(PREFIX):
            continue
        reader = _READERS.get(attribute.type.removeprefix(PREFIX))
        if reader is None:
            continue  # the attributes of other parts have the same prefix
        name, read, expected = reader
        try:
            (value,) = attribute.values
            found[name] = read(value)
        except ValueError:
            said = ", ".join(map(str, attribute.values))[:60]
            losses.append(Loss(LossKind.ATTRIBUTE, f"{attribute.type} is {said!r}; expected {expected}"))
    return replace(Policy20b(), **found), tuple(losses)


def _one_of(*words: str) -> Callable[[Value], str]:
    def read(value: Value) -> str:
        if not isinstance(value, str) or value not in words:
            raise ValueError(value)
        return value

    return read


def _text(value: Value) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 1000:
        raise ValueError(value)
    return value


def _flag(value: Value) -> bool:
    if isinstance(value, bool):
        return value
    if value in {"true", "false"}:
        return value == "true"
    raise ValueError(value)


def _level(value: Value) -> int:
    number = int(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else -1
    if number not in range(4) or (isinstance(value, float) and value != number):
        raise ValueError(value)
    return number


def _simple(value: Value) -> str:
    return "off" if value == "off" or value is False else str(_level(value))


def _seconds(value: Value) -> int:
    if not isinstance(value, str):
        raise ValueError(value)
    length = Duration.parse(value)
    end = length.magnitude().after(_EPOCH)
    if end is None or end - _EPOCH > timedelta(seconds=_LONGEST_S):
        raise ValueError(value)
    seconds = int((end - _EPOCH).total_seconds())
    return -seconds if length.negative else seconds


def _positive_seconds(value: Value) -> int:
    seconds = _seconds(value)
    if seconds <= 0:
        raise ValueError(value)
    return seconds


def _positive(value: Value) -> float:
    number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else 0.0
    if not 0 < number < 1e9:
        raise ValueError(value)
    return number


def _currency(value: Value) -> str:
    from openadr_profiles.v20b.projection.units import CURRENCIES  # noqa: PLC0415

    if not isinstance(value, str) or value not in CURRENCIES:
        raise ValueError(value)
    return value


_LENGTH: Final = "a duration such as PT15M, of a year at most"
_LEVEL: Final = "a level, 0 to 3"
_READERS: Final[dict[str, tuple[str, Callable[[Value], Any], str]]] = {
    "MARKET_CONTEXT": ("market_context", _text, "a URI"),
    "RESPONSE_REQUIRED": ("response_required", _one_of("always", "never"), "always or never"),
    "TEST_EVENT": ("test_event", _flag, "true or false"),
    "SIMPLE": ("simple", _simple, f"off or {_LEVEL}"),
    "GAPS": ("gaps", _one_of("repeat", "zero", "refuse"), "repeat, zero or refuse"),
    "OTHER_TYPES": ("other_types", _one_of("omit", "extension"), "omit or extension"),
    "EXTENSION_TYPE": ("extension_type", _one_of("level", "setpoint", "price"), "level, setpoint or price"),
    "ALERT_LEVEL": ("alert_level", _level, _LEVEL),
    "EVENT_NAME": ("event_name", _flag, "true or false"),
    "NOTIFICATION": ("notification_s", _positive_seconds, _LENGTH),
    "RAMP_UP": ("ramp_up_s", _seconds, _LENGTH),
    "RECOVERY": ("recovery_s", _seconds, _LENGTH),
    "HORIZON": ("horizon_s", _positive_seconds, _LENGTH),
    "PERCENT": ("percent", _one_of("fraction", "hundred"), "fraction or hundred"),
    "CURRENCY": ("currency", _currency, "a currency of ISO 4217 such as EUR"),
    "HERTZ": ("hertz", _positive, "a number above 0"),
    "VOLTAGE": ("voltage", _positive, "a number above 0"),
    "AC": ("ac", _flag, "true or false"),
}
