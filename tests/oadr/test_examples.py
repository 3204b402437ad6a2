"""The example settings in the documentation can be used as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

import bridge_mqtt.settings
import ven.settings
import vtn.settings
from oadr.config import load

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.mark.parametrize(
    ("name", "model", "environment"),
    [
        ("vtn.toml", vtn.settings.Settings, {}),
        ("home.toml", ven.settings.VenSettings, {"OADR_X_VTN__CLIENT_SECRET": "s"}),
        ("bridge.toml", bridge_mqtt.settings.Settings, {"OADR_X_VTN__CLIENT_SECRET": "s"}),
    ],
)
def test_an_example_loads(name: str, model: type[BaseModel], environment: dict[str, str]) -> None:
    assert load(model, prefix="OADR_X_", file=EXAMPLES / name, environment=environment)


def test_every_example_is_tested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.toml")} == {"vtn.toml", "home.toml", "bridge.toml"}
