"""Say in one sentence what a panel does and why. Rules without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

_DOING: Final = {
    "sending": "is being asked for {} less{}",
    "held": "has said yes to {} less{}",
    "uncertain": "was asked for {} less{} and has not answered",
    "unreachable": "was asked for {} less{} and does not answer at all",
    "releasing": "is being restored from {} less",
}
_PERHAPS: Final = "may hold {} less{}, once, twice or not at all"


def in_words(panel: Mapping[str, Any]) -> tuple[str, str]:
    """Return what happens at a panel that `PanelView.panel` shows, and how it is to look: good, busy, warn or plain."""
    power = _kw(panel["usedPowerKw"])
    held = panel["holds"]
    if not panel["enabled"]:
        return f"This panel is disabled: it gets no commands. It draws {power}.", "plain"
    if not panel["online"]:
        seen = panel["lastSeenAt"]
        heard = "It was never heard" if seen is None else f"It was heard last at {_clock(seen)}"
        asked = "" if held is None else f"; it was asked for {_kw(held['requestedKw'])} less, and may not give it"
        return f"{heard}, so nothing is known of it now{asked}.", "warn"
    if held is not None:
        until = "" if held["until"] is None else f" until {_clock(held['until'])}"
        doing = _DOING.get(str(held["state"]), _PERHAPS).format(_kw(held["requestedKw"]), until)
        return f"It {doing}, and draws {power}.", "busy" if held["state"] in {"sending", "held"} else "warn"
    if panel["usedPowerKw"] is None:
        return "Nothing is asked of it now, and it has not measured anything yet.", "plain"
    return f"Nothing is asked of it now; it draws {power}.", "good"


def _kw(value: float | None) -> str:
    return "an unknown power" if value is None else f"{value:.2f} kW"


def _clock(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
