"""Settings of the bridge, as one frozen object. Reading them from flags, environment and files is done elsewhere."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SecretStr,
    field_validator,
    model_validator,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from bridge_mqtt.model import Asks, OnGiveback, ShareBy
from openadr_client import BrokerSettings, ConnectionSettings, PushSettings
from openadr_profiles.addresses import web_address
from openadr_profiles.fleet.power import Sign
from openadr_profiles.panel import DIALECTS, Dialect, UnsafePanelId, check_panel_id

_DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}


_MOST_KW: Final = Decimal(1_000_000)
_MOST_WEIGHT: Final = Decimal(1_000_000)


def _known_dialect(name: str) -> str:
    if name not in DIALECTS:
        raise ValueError(f"expected one of {', '.join(DIALECTS)}")
    return name


def _origin(text: str) -> str:
    """Return the origin as browsers write it; raises ValueError."""
    problem = f"{text[:80]!r}: expected an origin such as https://panels.example or http://127.0.0.1:3000"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(problem) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or "*" in text or "@" in parts.netloc:
        raise ValueError(problem)
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError(problem)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    is_usual = port is None or port == {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" if is_usual else f"{parts.scheme}://{host}:{port}"


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class Vtn(ConnectionSettings):
    """The VTN whose events are carried out, and who we are to it."""

    ven_name: Annotated[str, Field(min_length=1, max_length=128)] = "mqtt-bridge"
    """The name of our ven, and the clientName of our reports."""
    poll_interval_s: Annotated[float, Field(gt=0, le=86_400)] = 10.0
    """Seconds of the event clock between two polls for events."""
    concurrent: Annotated[int, Field(ge=1, le=64)] = 8
    """Requests on their way at the same time while panels and circuits are made known as resources."""

    identity: Literal["gateway", "per_panel"] = "gateway"
    """Tell who we are to the VTN: one ven with a resource for each panel, or a ven for each panel."""
    credentials_file: Path | None = None
    """Join lines of the panels' clients, one a line, whose ven names are the panels' ids; for ``per_panel``."""

    @model_validator(mode="after")
    def _credentials_for_panels(self) -> Self:
        if (self.identity == "per_panel") != (self.credentials_file is not None):
            raise ValueError("identity per_panel and credentials_file belong together: give both or neither")
        if self.identity == "per_panel" and self.client_id is not None:
            raise ValueError("client_id is for identity gateway: with per_panel each panel has its own credentials")
        return self

    @model_validator(mode="after")
    def _certificate_with_key(self) -> Self:
        if (self.client_certificate is None) != (self.client_key is None):
            raise ValueError("client_certificate and client_key belong together: give both or neither")
        return self


class Broker(BrokerSettings):
    """The MQTT broker of the panels (panel-contract 1)."""

    client_id: Annotated[str, Field(min_length=1, max_length=128)] = "openadr-bridge"
    """Fixed, because the broker keeps acks for it while we are away; two bridges with one id throw each other out."""
    topic_prefix: Annotated[str, Field(max_length=200)] = ""
    """Levels before all topics of the panels, as ``site-7`` for ``site-7/ven/cmd/panel-1``; not before ``$aws/...``."""

    share_group: Annotated[str, Field(pattern=r"^[^/+#\s]{1,64}$")] | None = None
    """The group in which several bridges share the acknowledgments (``$share/GROUP/ven/ack/+``); without it only the
    bridge that leads takes them."""

    @field_validator("topic_prefix")
    @classmethod
    def _levels(cls, value: str) -> str:
        levels = value.strip("/")
        if levels.startswith("$") or any(letter in "+#" or not letter.isprintable() for letter in levels):
            raise ValueError("expected topic levels such as site-7 or grid/north, without +, # and a leading $")
        if "//" in levels:
            raise ValueError("expected topic levels that are not empty, as grid/north")
        return levels


class Database(_Group):
    """The database of commands, acks and telemetry."""

    url: SecretStr = SecretStr("sqlite:///oadr-bridge.sqlite3")
    """``sqlite:///file`` or ``postgresql://user:password@host/name``."""

    @field_validator("url")
    @classmethod
    def _known_database(cls, value: SecretStr) -> SecretStr:
        try:
            url = make_url(value.get_secret_value())
        except ArgumentError:
            raise ValueError("expected sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME") from None
        name = url.drivername
        if name not in _DRIVERS and name not in _DRIVERS.values():
            raise ValueError(f"expected a URL of sqlite or postgresql, not of {name}")
        url = url.set(drivername=_DRIVERS.get(name, name))
        if url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}:
            raise ValueError("expected a file, as in sqlite:///bridge.sqlite3; data in memory would be lost")
        return SecretStr(url.render_as_string(hide_password=False))


class LeaseSettings(_Group):
    """The lead among several bridges on one database. Seconds are real ones."""

    renew_s: Annotated[float, Field(ge=0.05, le=60)] = 2.0
    """Time between two renewals by the bridge that leads; those that stand by ask twice as often."""
    valid_s: Annotated[float, Field(ge=0.2, le=600)] = 6.0
    """Time without renewal after which another bridge takes over."""

    @model_validator(mode="after")
    def _lasting(self) -> Self:
        if self.valid_s < 2 * self.renew_s:
            raise ValueError(f"expected valid_s of at least twice renew_s, {2 * self.renew_s:g}: one renewal may fail")
        return self


class PanelSettings(_Group):
    """One panel."""

    id: str
    """Its id on the broker: the last level of its topics."""
    name: str | None = None
    dialect: str | None = None
    """The name of its panel program's dialect, as ``flat``; without it the panel is asked."""
    groups: tuple[str, ...] = ()
    """Targets of events by which it is meant, besides its id."""
    enabled: bool = True
    capability_kw: Annotated[Decimal, Field(ge=0, le=_MOST_KW)] | None = None
    """Power in kW that it can shed; without it, worked out from its metering."""
    least_kw: Annotated[Decimal, Field(ge=0, le=_MOST_KW)] = Decimal(0)
    """It is asked for this much at least, or for nothing."""
    most_kw: Annotated[Decimal, Field(gt=0, le=_MOST_KW)] | None = None
    """It is never asked for more, whatever it can shed."""
    weight: Annotated[Decimal, Field(ge=Decimal("0.001"), le=_MOST_WEIGHT)] = Decimal(1)
    """Its part in proportion to those of other panels, with ``dispatch.share`` = weight."""

    @field_validator("dialect")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return None if name is None else _known_dialect(name)

    @field_validator("id")
    @classmethod
    def _safe(cls, value: str) -> str:
        try:
            return check_panel_id(value)
        except UnsafePanelId as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _least_below_most(self) -> Self:
        if self.most_kw is not None and self.least_kw > self.most_kw:
            raise ValueError(f"least_kw is {self.least_kw}: expected at most most_kw, which is {self.most_kw}")
        return self


class Dispatch(_Group):
    """Sending and following up commands. Times are seconds."""

    ack_timeout_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    """Real seconds to wait for an answer; panels need 2 to 50 ms, plus the network."""
    offline_after_s: Annotated[float, Field(gt=0)] = 60.0
    """Silence after which a panel counts as offline."""
    first_contact_s: Annotated[float, Field(ge=0)] = 6.0
    """Seconds that a first split waits after the start for panels that have not been heard yet."""
    longest_piece_s: dict[str, int] = Field(default_factory=dict)
    """By dialect, the longest shed that a panel is told with one command; what is longer is renewed, or told in pieces
    to panels that cannot restore. For a dialect that is not named here its own default holds."""
    least_remaining_s: Annotated[float, Field(ge=1)] = 5.0
    """A shed that a panel has lost is not sent again for less than this."""
    most_recoveries: Annotated[int, Field(ge=1)] = 3
    """Times that a lost shed is repeated in one window before the panel's part goes to the others."""
    share: ShareBy = ShareBy.CAPABILITY
    """Tell what the parts of an event are in proportion to."""
    ask: Asks = Asks.ALL
    """Ask all panels of an event, or the fewest that suffice, in turn over a season."""
    season_starts: Annotated[tuple[str, ...], Field(min_length=1, max_length=12)] = ("04-01", "10-01")
    """Days of the year (month-day, UTC) at which the count of what each panel has shed begins anew."""
    on_giveback: OnGiveback = OnGiveback.AGAIN
    """Tell what is done when a panel undoes its shed."""
    redistribute_least_kw: Annotated[Decimal, Field(gt=0)] = Decimal("0.1")
    """Less missing than this is not spread over other panels."""
    level_shares: Annotated[tuple[Decimal, ...], Field(min_length=4, max_length=4)] = (
        Decimal(0),
        Decimal("0.33"),
        Decimal("0.66"),
        Decimal(1),
    )
    """The share of its capability a panel sheds at SIMPLE levels 0 to 3."""
    sign: Sign = Sign.NEGATIVE_SHEDS
    """The sign of DISPATCH_SETPOINT_RELATIVE that means to use less; the standard does not say (ENUM-020)."""
    program_signs: dict[str, Sign] = Field(default_factory=dict)
    """Override ``sign`` for single programs, by their names."""

    _renamed: tuple[str, ...] = PrivateAttr(default=())

    @property
    def renamed(self) -> tuple[str, ...]:
        """Return the settings that were given by an old name, as ``flat_piece_s``."""
        return self._renamed

    def piece_s(self, dialect: Dialect) -> int:
        """Return the longest shed in seconds that a panel of this dialect is told with one command."""
        return self.longest_piece_s.get(dialect.name, dialect.piece_s)

    @model_validator(mode="before")
    @classmethod
    def _signs_by_name(cls, given: Any) -> Any:
        """Refuse ``positive_sheds``, which named programs by id: whoever ignored it would shed on the wrong sign."""
        if not isinstance(given, dict) or "positive_sheds" not in given:
            return given
        if given["positive_sheds"]:
            raise ValueError(
                "positive_sheds is gone, because it named programs by id: name them in program_signs, "
                'as {"NAME OF THE PROGRAM" = "positive_sheds"}'
            )
        return {name: value for name, value in given.items() if name != "positive_sheds"}

    @model_validator(mode="wrap")
    @classmethod
    def _old_names(cls, given: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        """Read ``flat_piece_s`` and ``envelope_piece_s``, the names before dialects had objects."""
        old = {name: f"{name}_piece_s" for name in ("flat", "envelope")}
        if not isinstance(given, dict) or not any(name in given for name in old.values()):
            return read(given)
        pieces = given.get("longest_piece_s", {})
        for dialect, name in old.items():
            if name in given and isinstance(pieces, dict):
                if dialect in pieces:
                    raise ValueError(f"{name} is the old name of longest_piece_s.{dialect}: give only the new one")
                pieces = {**pieces, dialect: given[name]}
        rest = {name: value for name, value in given.items() if name not in old.values()}
        made = read(rest | {"longest_piece_s": pieces})
        made._renamed = tuple(name for name in old.values() if name in given)  # noqa: SLF001 - of our own class
        return made

    @field_validator("longest_piece_s")
    @classmethod
    def _within_bounds(cls, pieces: dict[str, int]) -> dict[str, int]:
        for name, seconds in pieces.items():
            least, most = DIALECTS[_known_dialect(name)].piece_bounds_s
            if not least <= seconds <= most:
                raise ValueError(f"{name}: expected {least} to {most} seconds, not {seconds}")
        return pieces

    @field_validator("season_starts")
    @classmethod
    def _days_of_every_year(cls, days: tuple[str, ...]) -> tuple[str, ...]:
        for day in days:
            try:
                date.fromisoformat(f"2001-{day}")
            except ValueError:
                raise ValueError(f"{day!r}: expected a month and a day of every year, as 04-01") from None
        return days

    @field_validator("level_shares")
    @classmethod
    def _rising(cls, shares: tuple[Decimal, ...]) -> tuple[Decimal, ...]:
        if shares[0] != 0 or any(not 0 <= share <= 1 for share in shares) or list(shares) != sorted(shares):
            raise ValueError("expected four shares from 0 to 1 that do not fall, the first 0")
        return shares


class Telemetry(_Group):
    """Topics to read, and the retention of what was read."""

    own_topics: bool = False
    """Read ``ven/telemetry/+`` too: the same samples again, but the only ones of the minimal panel program."""
    loads_topics: bool = False
    """Read ``ven/loads/+`` too, a list of circuits that the metering already has."""
    shadow_topics: bool = False
    """Read ``$aws/things/+/shadow/update`` too: what panels report as their device shadow, shown as they say it."""
    keep_days: Annotated[float, Field(gt=0)] = 7.0
    """Days that samples are kept, and messages that were put aside."""
    keep_minutes_days: Annotated[float, Field(gt=0)] = 90.0
    """Days that readings of each minute are kept; those of each quarter of an hour stay."""
    baseline_s: Annotated[float, Field(ge=10)] = 300.0
    """The time before an event whose mean power is the baseline."""
    keep_acks_days: Annotated[float, Field(gt=0)] = 730.0
    """Days that acknowledgments are kept, also those taken over from the original system."""
    quarantine_per_hour: Annotated[int, Field(ge=0)] = 100
    """Messages of unknown panels, and unreadable ones, that are kept for inspection."""
    unmatched_per_hour: Annotated[int, Field(ge=0)] = 100
    """Answers of each panel to commands of somebody else that are kept; the rest is counted."""


class Reporting(_Group):
    """Reports to the VTN."""

    delay_s: Annotated[float, Field(ge=0)] = 6.0
    """Seconds after the end of an interval at which its report is made, so that the last sample is in it."""
    retry_least_s: Annotated[float, Field(gt=0)] = 5.0
    retry_most_s: Annotated[float, Field(gt=0)] = 300.0


class Issuing(_Group):
    """Our credentials of business logic at the VTN, for events that are ordered at our own interface."""

    client_id: Annotated[str, Field(min_length=1)]
    client_secret: SecretStr
    scope: str | None = None
    """The scopes to ask for, with blanks between; all that the client has if it is not given."""
    program: Annotated[str, Field(min_length=1, max_length=128)]
    """The name of the program that such events belong to."""
    targets: tuple[str, ...] = ()
    """The targets of such events; by default the id of the bridge's own ven, so that they are for nobody else."""


class VtnTokens(_Group):
    """Tokens that business logic has from the VTN, or from the authorisation server that the VTN trusts."""

    issuer: str = "openadr-fleet"
    """The claim ``iss`` of the tokens."""
    audience: str = "openadr3"
    """The audience that ``aud`` must contain."""
    signing_keys: tuple[SecretStr, ...] = ()
    """The VTN's ``auth.signing_key`` and previous ones, for tokens that it signs itself (HS256)."""
    jwks_url: str | None = None
    """The URL of the keys of an authorisation server."""
    ca_file: Path | None = None
    """CA certificates (PEM) to trust for that URL besides those of the system."""

    @field_validator("jwks_url")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        checked = web_address(url)
        if not checked.startswith("https:") and urlsplit(checked).hostname not in {"127.0.0.1", "::1", "localhost"}:
            raise ValueError("expected an https URL; http is for this machine only")
        return checked

    @field_validator("signing_keys")
    @classmethod
    def _long_enough(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value().encode()) < 32 for key in keys):
            raise ValueError("expected at least 32 bytes in each key, as the VTN's auth.signing_key has")
        return keys

    @model_validator(mode="after")
    def _verifiable(self) -> Self:
        if not self.signing_keys and self.jwks_url is None:
            raise ValueError("give signing_keys, or the jwks_url of the authorisation server")
        return self


_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_LEAST_TOKEN: Final = 12


class ApiSettings(_Group):
    """The HTTP interface."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8090
    """0 takes a free port."""
    token: SecretStr | None = None
    """A bearer token that readers must show; needed when the host is not this machine."""
    write_token: SecretStr | None = None
    """A bearer token for reading and writing; without it nobody may write."""
    vtn_tokens: VtnTokens | None = None
    """Accept tokens of business logic too: reading with any, writing with the scope ``write_events``."""

    allowed_origins: tuple[str, ...] = ()
    """Origins whose pages may call the API from a browser, as ``https://panels.example`` (CORS)."""

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_origin(each) for each in given)

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.token is None and self.vtn_tokens is None and self.host not in _LOOPBACK:
            raise ValueError(f"the API would be open to everybody on {self.host}: set a token")
        if self.host not in _LOOPBACK:
            for name in ("token", "write_token"):
                token: SecretStr | None = getattr(self, name)
                if token is not None and len(token.get_secret_value()) < _LEAST_TOKEN:
                    raise ValueError(
                        f"{name}: expected at least {_LEAST_TOKEN} characters, since others can reach {self.host}"
                    )
        return self


class Settings(_Group):
    """All settings of the bridge."""

    vtn: Vtn
    push: PushSettings = PushSettings()
    """Settings of how the VTN tells of new events between two polls."""
    broker: Broker = Broker()
    database: Database = Database()
    lease: LeaseSettings = LeaseSettings()
    panels: tuple[PanelSettings, ...] = ()
    unregistered: Literal["quarantine", "accept"] = "quarantine"
    """Treatment of panels that are not listed: quarantine their messages, or register them without groups."""
    dispatch: Dispatch = Dispatch()
    telemetry: Telemetry = Telemetry()
    reporting: Reporting = Reporting()
    api: ApiSettings = ApiSettings()
    issuing: Issuing | None = None
    """Without it no events can be ordered at our interface."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        ids = [panel.id for panel in self.panels]
        if twice := {each for each in ids if ids.count(each) > 1}:
            raise ValueError(f"panels listed twice: {', '.join(sorted(twice))}")
        can_add = self.api.write_token is not None or self.api.vtn_tokens is not None
        if not self.panels and self.unregistered == "quarantine" and not can_add:
            raise ValueError(
                "no panels are listed; list them, set unregistered = 'accept', or set api.write_token to add them"
            )
        return self
