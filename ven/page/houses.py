"""Give settings of a house to begin with, for each kind of driver: circuits, and what connects them to a device."""

from __future__ import annotations

from typing import Final

_CIRCUITS: Final = """
[[circuits]]
id = "water-heater"
name = "Water heater"
breaker_amps = 16
rated_kw = 3
priority = 8
shed_share = 1
on_off = true
"""
_CHARGER: Final = """
[[circuits]]
id = "garage"
name = "EV charger"
breaker_amps = 16
rated_kw = 11
priority = 9
shed_share = 1
"""

HOUSES: Final = {
    "mqtt": """# Relays by MQTT: docs/drivers.md names the devices. Change broker, topic and circuits to yours.
[driver]
kind = "mqtt"

[driver.options.broker]
url = "mqtt://127.0.0.1:1883"

[driver.options.circuits.water-heater]
device = "tasmota"
topic = "water-heater"
"""
    + _CIRCUITS,
    "modbus": """# A Modbus device: its handbook has the registers.
[driver]
kind = "modbus"

[driver.options.devices.cabinet]
host = "192.168.1.31"

[driver.options.circuits.water-heater]
device = "cabinet"
unit = 1
power = { address = 12, table = "input", type = "float32", unit = "W" }
switch = { address = 0, table = "coil" }
"""
    + _CIRCUITS,
    "ev": """# A charger of an electric vehicle, here a go-e charger by its local HTTP API.
[driver]
kind = "ev"

[driver.options.circuits.garage]
charger = "go-e-http"
url = "http://192.168.1.40"
"""
    + _CHARGER,
}
"""Hold the settings by kind of driver. The simulated house comes from whoever writes the file."""
