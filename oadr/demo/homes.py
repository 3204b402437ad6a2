"""The participants of the demo: homes with their circuits and rules, and three legacy panels."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Final, Literal

from oadr.demo.view import PANEL_KIND


@dataclass(frozen=True)
class Home:
    """A simulated home: its circuits as a VEN's settings spell them, when its owner opts out, and its OpenADR."""

    name: str
    seed: int
    circuits: tuple[dict[str, Any], ...]
    opt: dict[str, Any] = field(default_factory=dict)
    language: Literal["3.1", "3.0.1", "2.0b"] = "3.1"


@dataclass(frozen=True)
class LegacyPanel:
    """A simulated legacy panel and the dialect it speaks."""

    id: str
    dialect: Literal["flat", "envelope"]
    seed: int


def _circuit(
    id_: str, name: str, amps: int, rated_kw: float, priority: int = 5, share: float = 0, *, on_off: bool = False
) -> dict[str, Any]:
    essentials = {"id": id_, "name": name, "breaker_amps": amps, "rated_kw": rated_kw}
    if share == 0:
        return essentials | {"critical": True, "priority": 1}
    return essentials | {"priority": priority, "shed_share": share, "on_off": on_off}


_HOMES: Final = (
    Home(
        "home-1",
        seed=11,
        circuits=(
            _circuit("ev", "EV charger", 50, 9.6, priority=9, share=1),
            _circuit("water-heater", "Water heater", 30, 4.5, priority=8, share=1),
            _circuit("dryer", "Dryer", 30, 5.0, priority=7, share=1),
            _circuit("range", "Electric range", 40, 8.0, priority=5, share=0.8),
            _circuit("outlets", "General outlets", 20, 2.4, priority=4, share=0.5),
            _circuit("lights", "Lighting", 15, 1.2, priority=3, share=0.5),
            _circuit("heat-pump", "Heat pump", 30, 5.0),
            _circuit("fridge", "Refrigerator", 15, 0.8),
        ),
    ),
    Home(
        "home-2",
        seed=22,
        language="3.0.1",
        circuits=(
            _circuit("pool-pump", "Pool pump", 20, 2.2, priority=9, share=1, on_off=True),
            _circuit("ac", "Air conditioning", 40, 6.0, priority=6, share=0.6),
            _circuit("water-heater", "Water heater", 30, 4.5, priority=8, share=1),
            _circuit("washer", "Washing machine", 20, 2.0, priority=7, share=1),
            _circuit("medical", "Medical device", 15, 0.6),
            _circuit("freezer", "Freezer", 15, 0.9),
        ),
    ),
    Home(
        "home-3",
        seed=33,
        opt={"max_shed_kw": 1},
        circuits=(
            _circuit("ev", "EV charger", 50, 11.0, priority=9, share=1),
            _circuit("sauna", "Sauna", 40, 8.0, priority=8, share=1),
            _circuit("water-heater", "Water heater", 30, 4.5, priority=7, share=1),
            _circuit("dryer", "Dryer", 30, 5.0, priority=6, share=1),
            _circuit("range", "Electric range", 40, 8.0, priority=5, share=0.8),
            _circuit("dishwasher", "Dishwasher", 20, 1.8, priority=4, share=1),
            _circuit("outlets", "General outlets", 20, 2.4, priority=3, share=0.5),
            _circuit("lights", "Lighting", 15, 1.2, priority=2, share=0.5),
            _circuit("heating", "Heating", 30, 6.0),
            _circuit("fridge", "Refrigerator", 15, 0.8),
        ),
    ),
)

HOME_20B: Final = Home(
    "home-4",
    seed=44,
    language="2.0b",
    circuits=(
        _circuit("ev", "EV charger", 50, 7.4, priority=9, share=1),
        _circuit("water-heater", "Water heater", 30, 4.5, priority=8, share=1),
        _circuit("dryer", "Dryer", 30, 5.0, priority=7, share=1),
        _circuit("ac", "Air conditioning", 40, 6.0, priority=6, share=0.6),
        _circuit("heat-pump", "Heat pump", 30, 5.0),
        _circuit("fridge", "Refrigerator", 15, 0.8),
    ),
)
"""The home on OpenADR 2.0b, a process of its own with a client that is not ours."""

SPEAKS_20B: Final = all(find_spec(name) for name in ("lxml", "openleadr", "signxml"))
"""Whether the extra ``oadr20b`` is installed; without it there is no home on OpenADR 2.0b."""

HOMES: Final = (*_HOMES, HOME_20B) if SPEAKS_20B else _HOMES
"""The homes, of six to ten circuits each; the third opts out of events that ask for more than 1 kW."""

PANELS: Final = (
    LegacyPanel("panel-1", "flat", seed=1),
    LegacyPanel("panel-2", "flat", seed=2),
    LegacyPanel("panel-3", "envelope", seed=3),
)

KINDS: Final[dict[str, str]] = {home.name: home.language for home in HOMES} | {panel.id: PANEL_KIND for panel in PANELS}
"""The participants in the order shown, each with its language: a version of OpenADR, or MQTT behind the bridge."""

TARGET: Final = "group:north"
"""The target that homes, bridge and panels are granted, and that the event names."""

PROGRAM: Final = "evening-peak"
REQUESTED_KW: Final = (3.0, 5.0)
"""The kW that the event asks of each home, and of all panels of the bridge together, interval by interval."""
