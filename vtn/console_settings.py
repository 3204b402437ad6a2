"""Settings of the console, the pages for people at ``/console``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator, model_validator

from vtn.settings_group import SettingsGroup, is_loopback

_Word = Annotated[str, Field(min_length=1, max_length=256)]


class Oidc(SettingsGroup):
    """Sign people in by an OpenID Connect provider, beside users with passwords."""

    issuer: Annotated[str, Field(pattern=r"^https?://[^\s?#]+$")]
    """URL of the provider, as its ``/.well-known/openid-configuration`` names it."""
    client_id: _Word
    """The console's id there."""
    client_secret: SecretStr | None = None
    """Its secret there; without it PKCE alone protects the exchange."""
    scopes: tuple[_Word, ...] = ("openid", "profile", "email")
    """Scopes to ask for."""
    name_claims: Annotated[tuple[_Word, ...], Field(min_length=1)] = ("preferred_username", "email", "sub")
    """The first of these that an identity has is the user's name."""
    role_claim: _Word = "groups"
    """The claim, a text or a list, that is looked for in the three lists below; a dot leads inside."""
    viewers: tuple[_Word, ...] = ()
    operators: tuple[_Word, ...] = ()
    admins: tuple[_Word, ...] = ()
    """Values of ``role_claim``, or names of users, for each role; the highest counts, and who has none is refused."""
    label: Annotated[str, Field(min_length=1, max_length=40)] = "your organisation's account"
    """Hold what the link on the login page says after "Sign in with"."""
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0
    """Time limit for each request to the provider."""
    ca_file: Path | None = None
    """Additional certificate authorities for its certificate, as PEM."""

    @field_validator("issuer")
    @classmethod
    def _encrypted(cls, issuer: str) -> str:
        parts = urlsplit(issuer)
        if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise ValueError("expected an https address; http is for a provider on this machine")
        return issuer

    @model_validator(mode="after")
    def _somebody_gets_in(self) -> Oidc:
        if "openid" not in self.scopes:
            raise ValueError("scopes: expected openid among them")
        if not (self.viewers or self.operators or self.admins):
            raise ValueError("viewers, operators and admins are empty: nobody could sign in")
        return self


class ConsoleSettings(SettingsGroup):
    """The console at ``/console``."""

    enabled: bool | None = None
    """Serve it; by default on a loopback address, with TLS, and behind a proxy."""
    title: Annotated[str, Field(min_length=1, max_length=60)] = "OpenADR Fleet"
    """Name of this system, at the top of every page."""
    zone: Annotated[str, Field(min_length=1, max_length=64)] = "UTC"
    """Time zone of the times on pages, as ``Europe/Berlin``."""
    session_hours: Annotated[float, Field(gt=0, le=24 * 30)] = 12.0
    """Time after which somebody has to sign in again."""
    streams: Annotated[int, Field(ge=0, le=10_000)] = 200
    """Open pages that a process keeps up to date at once; further ones look every 15 seconds."""
    login_burst: Annotated[int, Field(ge=1, le=1000)] = 10
    login_every_s: Annotated[float, Field(gt=0, le=3600)] = 10.0
    """Wrong passwords for one user at one address: so many at once, then one in so many seconds."""
    audit_days: Annotated[float, Field(gt=0)] | None = 1096.0
    """Time for which acts are kept in the audit trail; without it they are kept for ever."""
    oidc: Oidc | None = None

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"expected a time zone such as Europe/Berlin, not {name!r}") from None
        return name
