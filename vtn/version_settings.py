"""Settings of versions of the standard that are served beside the main one."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, field_validator

from vtn.settings_group import SettingsGroup

PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
"""A path below which a version is served."""


def checked_prefixes(prefixes: tuple[str, ...]) -> tuple[str, ...]:
    """Return prefixes; raises ValueError for one that is no path."""
    for prefix in prefixes:
        if not PREFIX.fullmatch(prefix):
            raise ValueError(f"expected paths such as /openadr3/3.1.0, not {prefix!r}")
    return prefixes


def as_number(value: object) -> object:
    """Convert a decimal string to int, as values from the environment are strings."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class V301(SettingsGroup):
    """OpenADR 3.0.1, served beside 3.1 from the same objects."""

    prefixes: tuple[str, ...] = ("/openadr3/3.0.1",)
    """Path prefixes of this version; without one it is not served."""
    privacy: Literal["targets", "legacy"] = "targets"
    """With ``targets`` a VEN sees what it sees on 3.1. With ``legacy`` every client with a token reads everything on
    3.0.1, other clients' objects too, as that version has it: for one tenant only (V301-007)."""
    untyped: Annotated[str, Field(min_length=1, max_length=128)] = "GROUP"
    """The type of targets that were written without one, as on 3.1 (V301-002)."""
    name_targets: bool = False
    """A VEN also holds the name of its ven, and those of its resources, as targets, if business logic gave these names;
    on both versions (V301-009)."""
    legacy_webhooks: bool = False
    """Callback URLs of subscriptions made on 3.0.1 may be http, and need not echo a value (V301-043)."""
    invalid_client_status: Annotated[Literal[401, 403], BeforeValidator(as_number)] = 401
    """Status of the answer to a wrong secret at this version's /auth/token (V301-038)."""
    json_tokens: bool = True
    """Take token requests in JSON too at this version's /auth/token, as older clients send them (COMPAT-013)."""
    max_nested_resources: Annotated[int, Field(ge=0, le=10_000)] = 1000
    """Resources that may be made together with their ven."""

    @field_validator("prefixes")
    @classmethod
    def _readable_prefixes(cls, prefixes: tuple[str, ...]) -> tuple[str, ...]:
        return checked_prefixes(prefixes)
