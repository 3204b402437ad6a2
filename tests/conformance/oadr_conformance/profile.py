"""The switches of a VTN that change what the right answer is.

Defaults are those of the requirement catalogue (section 0.2). `suite` is what a test bench usually needs: a receiver on
plain HTTP that answers no challenge, a broker without TLS, and 403 for a token that cannot be verified.
`rulings.binding` is off: a VTN is not judged by what the catalogue chose where the standard leaves a choice
(`rulings.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from oadr_conformance.errors import Misused


@dataclass(frozen=True)
class Profile:
    """Declared configuration of the VTN under test."""

    invalid_token_status: int = 401
    require_https: bool = True
    verify_echo: bool = True
    bl_may_delete: bool = False
    implicit_ven_id_target: bool = True
    events_follow_program: bool = True
    infer_object_type: bool = True
    notifiers: bool = True
    mqtt_tls: bool = True
    protected: bool = True
    """Object privacy also in 3.0.1, which knows none."""
    rulings: bool = False

    @property
    def changes(self) -> list[str]:
        """Return the differences from the defaults, as `switch=value`."""
        told = ((switch, getattr(self, name), getattr(DEFAULT, name)) for switch, name in SWITCHES.items())
        return [f"{switch}={str(value).lower()}" for switch, value, usual in told if value != usual]


DEFAULT: Final = Profile()
PROFILES: Final[Mapping[str, Profile]] = {
    "default": DEFAULT,
    "suite": Profile(invalid_token_status=403, require_https=False, verify_echo=False, mqtt_tls=False),
}

SWITCHES: Final[Mapping[str, str]] = {
    "auth.invalid_token_status": "invalid_token_status",
    "webhook.require_https": "require_https",
    "webhook.verify_echo": "verify_echo",
    "reports.bl_may_delete": "bl_may_delete",
    "privacy.implicit_ven_id_target": "implicit_ven_id_target",
    "privacy.events_follow_program": "events_follow_program",
    "descriptors.infer_object_type": "infer_object_type",
    "notifiers.offered": "notifiers",
    "mqtt.require_tls": "mqtt_tls",
    "privacy.of_301": "protected",
    "rulings.binding": "rulings",
}
_WORDS: Final = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}


def profile_of(name: str, switches: Iterable[str] = ()) -> Profile:
    """Return the named profile with `switch=value` changes applied.

    Raises:
        Misused: an unknown profile or switch, or a value the switch does not take.
    """
    try:
        profile = PROFILES[name]
    except KeyError:
        raise Misused(f"unknown suite profile {name!r}; known: {', '.join(PROFILES)}") from None
    types = {field.name: type(getattr(DEFAULT, field.name)) for field in fields(Profile)}
    for text in switches:
        switch, _, word = text.partition("=")
        attribute = SWITCHES.get(switch.strip())
        if attribute is None:
            raise Misused(f"unknown switch {switch!r}; known: {', '.join(SWITCHES)}")
        change: dict[str, Any] = {attribute: _value(switch, word.strip().lower(), types[attribute])}
        profile = replace(profile, **change)
    return profile


def _value(switch: str, word: str, type_: type[bool | int]) -> bool | int:
    if type_ is bool:
        if word not in _WORDS:
            raise Misused(f"{switch} takes true or false, not {word!r}")
        return _WORDS[word]
    if word not in {"401", "403"}:
        raise Misused(f"{switch} takes 401 or 403, not {word!r}")
    return int(word)
