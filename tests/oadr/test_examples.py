"""The example settings in the documentation can be used as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

import bridge_mqtt.settings
import ven.settings
import vtn.settings
from oadr.config import load
from openadr_client.clock import ManualClock
from ven.drivers import find_driver

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
HOMES = ("home-ev.toml", "home-modbus.toml", "home-mqtt.toml", "home-replay.toml", "home-several.toml")
"""One for each kind of driver besides the simulated panel."""


@pytest.mark.parametrize(
    ("name", "model", "environment"),
    [
        ("vtn.toml", vtn.settings.Settings, {}),
        ("home.toml", ven.settings.VenSettings, {"OADR_X_VTN__CLIENT_SECRET": "s"}),
        *((name, ven.settings.VenSettings, {"OADR_X_VTN__CLIENT_SECRET": "s"}) for name in HOMES),
        ("bridge.toml", bridge_mqtt.settings.Settings, {"OADR_X_VTN__CLIENT_SECRET": "s"}),
    ],
)
def test_an_example_loads(name: str, model: type[BaseModel], environment: dict[str, str]) -> None:
    assert load(model, prefix="OADR_X_", file=EXAMPLES / name, environment=environment)


def test_every_example_is_tested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.toml")} == {"vtn.toml", "home.toml", "bridge.toml", *HOMES}


@pytest.mark.parametrize("name", HOMES)
def test_options_of_a_driver_are_ones_it_knows(name: str, tmp_path: Path) -> None:
    """The secrets that an example reads from files are there."""
    text = (EXAMPLES / name).read_text(encoding="utf-8").replace("/run/secrets", str(tmp_path))
    (tmp_path / "broker-password").write_text("known-to-the-broker-only\n")
    (tmp_path / name).write_text(text)
    environment = {"OADR_X_VTN__CLIENT_SECRET": "s"}
    settings = load(ven.settings.VenSettings, prefix="OADR_X_", file=tmp_path / name, environment=environment)
    assert find_driver(settings.driver.kind)(settings.circuits, settings.driver.options, ManualClock())
