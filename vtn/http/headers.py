"""Headers that every answer carries."""

from __future__ import annotations

from typing import Final

from vtn.settings import Settings

_SERVER: Final = "openadr-fleet"


def fixed(settings: Settings) -> dict[str, str]:
    """Return the headers that are the same for every answer of a server (TLS-008)."""
    headers = {"Server": _SERVER}
    if settings.hsts_s is not None:
        headers["Strict-Transport-Security"] = f"max-age={settings.hsts_s}"
    return headers
