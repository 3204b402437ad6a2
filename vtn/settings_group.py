"""Hold what groups of settings have in common."""

from __future__ import annotations

from ipaddress import ip_address

from pydantic import BaseModel, ConfigDict


class SettingsGroup(BaseModel):
    """Settings that belong together: they do not change, and an unknown one is refused.

    What checks a group is built with the group that holds it, when that is first read: to build it with the class, too,
    would double the time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, defer_build=True)


def is_loopback(host: str) -> bool:
    """Return True if a host is this machine, by its name or address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
