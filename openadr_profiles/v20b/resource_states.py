"""The state of a resource as payloads of OpenADR 3 (B-RPT-016, requirements 4.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from openadr_profiles.v20b.messages import LoadControlState, LoadControlValue, ResourceStatus
from openadr_profiles.v20b.units import PRIVATE
from openadr_profiles.v31.common import ValuesMap
from openadr_profiles.v31.vocabulary import OperatingState, ReportPayloadType

_LIMITS: Final = ("minimum", "maximum", "current", "normal")


def operating_state(status: ResourceStatus) -> OperatingState:
    """Return the one word of OpenADR 3: an error if it cannot be reached, else opted out if its owner overrides it."""
    if not status.online:
        return OperatingState.ERROR
    return OperatingState.RUNNING_OPTED_OUT if status.manual_override else OperatingState.NORMAL


def state_payloads(status: ResourceStatus) -> Iterator[ValuesMap]:
    """Return the word, and beside it exactly what was said in private payloads."""
    yield ValuesMap(type=ReportPayloadType.OPERATING_STATE.value, values=(operating_state(status).value,))
    yield ValuesMap(type=f"{PRIVATE}ONLINE", values=(status.online,))
    yield ValuesMap(type=f"{PRIVATE}MANUAL_OVERRIDE", values=(status.manual_override,))
    if status.load_control_state is not None:
        yield from _load_control(status.load_control_state)


def _load_control(state: LoadControlState) -> Iterator[ValuesMap]:
    if state.set_point is not None:
        yield ValuesMap(type=ReportPayloadType.SETPOINT.value, values=(state.set_point.current,))
    kinds: tuple[tuple[str, LoadControlValue | None], ...] = (
        ("CAPACITY", state.capacity),
        ("LEVEL_OFFSET", state.level_offset),
        ("PERCENT_OFFSET", state.percent_offset),
        ("SETPOINT", state.set_point),
    )
    for kind, control in kinds:
        for limit in _LIMITS if control is not None else ():
            value = getattr(control, limit)
            if value is not None and not (kind == "SETPOINT" and limit == "current"):
                yield ValuesMap(type=f"{PRIVATE}LOAD_STATE_{kind}_{limit.upper()}", values=(value,))
