"""The HTTP interface of the bridge: with every path of the original (panel-contract 11.2)."""

from bridge_mqtt.api.server import Api
from bridge_mqtt.api.wiring import api_of

__all__ = ["Api", "api_of"]
