"""A house to begin with: what `oadr ven join` writes into new settings, and what each home of `oadr ven fleet` has."""

from __future__ import annotations

import tomllib
from typing import Any, Final

CIRCUITS: Final = """\
[[circuits]]
id = "ev"
name = "EV charger"
breaker_amps = 50
rated_kw = 9.6
priority = 9
shed_share = 1

[[circuits]]
id = "water-heater"
name = "Water heater"
breaker_amps = 30
rated_kw = 4.5
priority = 8
shed_share = 1

[[circuits]]
id = "dryer"
name = "Dryer"
breaker_amps = 30
rated_kw = 5
priority = 7
shed_share = 1
on_off = true

[[circuits]]
id = "heat-pump"
name = "Heat pump"
breaker_amps = 30
rated_kw = 5
critical = true
"""


def sample_circuits() -> list[dict[str, Any]]:
    """Return the circuits as settings."""
    return list(tomllib.loads(CIRCUITS)["circuits"])
