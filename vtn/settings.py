"""Settings of the VTN, as one frozen object; flags, environment and files are read elsewhere."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from vtn.alarm_settings import AlarmSettings
from vtn.console_settings import ConsoleSettings
from vtn.issuing_settings import IssuingLimits
from vtn.notification_settings import Mqtt, Notify, Webhook, Websocket
from vtn.paths import default_database
from vtn.settings_group import SettingsGroup, is_loopback
from vtn.v20b_settings import V20b
from vtn.version_settings import PREFIX, V301, as_number, checked_prefixes

T = TypeVar("T")

_CERTIFICATE: Final = re.compile(r"CN=.{1,64}|(?i:sha256):(?:[0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}")
_CIPHER_WORDS: Final = re.compile(r"(?:(?<=[:, ])|^)[^-+!@:, ][^:, ]*")
_LATE_S: Final = 600
"""More than the time by which a change may be noted before it is committed."""
_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]+(?::\d{1,5})?|https?://\[[0-9a-f:]+\](?::\d{1,5})?")
_DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}


class DatabaseSettings(SettingsGroup):
    """The database that holds the objects."""

    url: SecretStr = Field(default_factory=lambda: SecretStr(default_database()))
    """``sqlite:///file`` or ``postgresql://user:password@host/name``; by default a file in the user's data folder."""
    migrate: bool = True
    """Bring the tables up to date at start; off: refuse to start when they are not."""
    pool_size: Annotated[int, Field(ge=1, le=200)] = 10
    """Connections to PostgreSQL per process, a third of them for transactions, or readers of SQLite."""
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 10.0
    """Time limit for getting a connection, for the lock of SQLite, or for a statement of PostgreSQL."""

    @property
    def file(self) -> Path | None:
        """Return the path of the SQLite file; None for another database, or for one named as ``file:…``."""
        url = make_url(self.url.get_secret_value())
        name = url.database or ""
        return Path(name) if url.get_backend_name() == "sqlite" and not name.startswith("file:") else None

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
            raise ValueError("expected a file, as in sqlite:///vtn.sqlite3; data in memory would be lost")
        return SecretStr(url.render_as_string(hide_password=False))


class Tls(SettingsGroup):
    """TLS that this server terminates itself (TLS-001)."""

    cert: Path
    """The certificate chain, PEM."""
    key: Path
    """Its private key, PEM."""
    watch_s: Annotated[float, Field(gt=0, le=3600)] = 10.0
    """Interval of checks of the files; changed ones are used for new connections (TLS-006)."""
    client_ca: Path | None = None
    """Certificate authorities of clients, PEM: only clients with a certificate from one of them can connect."""
    clients: dict[str, str] = Field(default_factory=dict)
    """Certificates of clients, as ``CN=name`` or ``sha256:fingerprint``, and the client id each belongs to: tokens of
    that client are good on its own connections only, and no others are good there."""
    ciphers: str | None = None
    """Ciphers of TLS 1.2 in OpenSSL's words, as ``ECDHE+AESGCM:ECDHE+CHACHA20`` (TLS-008)."""

    @field_validator("ciphers")
    @classmethod
    def _known_ciphers(cls, value: str | None) -> str | None:
        """Check each word on its own: OpenSSL ignores unknown words, so a typo would enable the wrong ciphers."""
        for words in () if value is None else (*_CIPHER_WORDS.findall(value), value):
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(words)
            except ssl.SSLError:
                raise ValueError(f"OpenSSL knows no cipher of TLS 1.2 under {words!r}") from None
        return value

    @model_validator(mode="after")
    def _certificates_are_asked_for(self) -> Tls:
        if self.clients and self.client_ca is None:
            raise ValueError("clients needs client_ca: without it no certificate is asked for")
        if wrong := [name for name in self.clients if not _CERTIFICATE.fullmatch(name)]:
            raise ValueError(f"clients: expected CN=name or sha256:fingerprint, not {wrong[0]!r}")
        return self


class Argon2(SettingsGroup):
    """Cost of hashing a secret (AUTH-033)."""

    time_cost: Annotated[int, Field(ge=1)] = 2
    memory_kib: Annotated[int, Field(ge=8)] = 19456
    parallelism: Annotated[int, Field(ge=1)] = 1


class ExternalAuth(SettingsGroup):
    """An authorisation server whose tokens are accepted (AUTH-036, COMPAT-014)."""

    issuer: str
    """The claim ``iss`` of its tokens."""
    audience: str
    """The audience that ``aud`` of its tokens must contain."""
    jwks_url: str
    """URL of its published keys."""
    token_url: str
    """URL where clients get tokens; returned by ``/auth/server``."""
    client_id_claims: Annotated[tuple[str, ...], Field(min_length=1)] = ("client_id", "azp", "sub")
    """The first of these that a token has is the client's id (AUTH-009)."""
    scope_claims: Annotated[tuple[str, ...], Field(min_length=1)] = ("scope", "scp", "roles")
    """Claims that hold scopes, as a text or a list; a dot leads inside, as in ``realm_access.roles`` (AUTH-016)."""
    role_claim: str = "role"
    """A claim that may say BL or VEN; without it the scopes decide (AUTH-010)."""
    read_all_implies_bl: bool = True
    """A token with read_all and no scope of a VEN is business logic's (R-03). Off if VENs get read_all."""
    clock_skew_s: Annotated[int, Field(ge=0, le=60)] = 30
    """Allowed difference between the two clocks (AUTH-008)."""
    jwks_refresh_s: Annotated[int, Field(ge=10)] = 3600
    """Time for which keys are kept before they are fetched again."""
    jwks_min_interval_s: Annotated[int, Field(ge=1)] = 30
    """Minimum time between two fetches of the keys, whatever tokens arrive."""
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    """Time limit for the key server."""
    ca_file: Path | None = None
    """Additional certificate authorities for its certificate, as PEM."""

    @field_validator("jwks_url", "token_url")
    @classmethod
    def _protected(cls, value: str) -> str:
        parts = urlsplit(value)
        if not parts.hostname or parts.scheme not in {"http", "https"}:
            raise ValueError("expected an https URL")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("expected an https URL; http is for this machine only")
        return value


class Auth(SettingsGroup):
    """Tokens and the clients that get them."""

    own_tokens: bool | None = None
    """Issue and accept tokens of our own; by default, if there is no external server (AUTH-031)."""
    external: ExternalAuth | None = None
    """Accept tokens of another authorisation server."""

    token_lifetime_s: Annotated[int, Field(ge=120, le=31_536_000)] = 3600
    """For clients without a lifetime of their own (COMPAT-009)."""
    invalid_token_status: Annotated[Literal[401, 403], BeforeValidator(as_number)] = 401
    """Status of the answer to a token that cannot be verified (AUTH-006)."""
    signing_key: SecretStr | None = None
    """Signs tokens (HS256); without it a key is made and kept in the database."""
    previous_signing_keys: tuple[SecretStr, ...] = ()
    """Keys that ``signing_key`` replaced; what they signed holds until it expires."""
    issuer: str = "openadr-fleet"
    audience: str = "openadr3"
    revocation_poll_s: Annotated[float, Field(gt=0, le=60)] = 20.0
    """Interval of reading revocations made by other processes (AUTH-034)."""
    token_cache: Annotated[int, Field(ge=0)] = 20_000
    """Verified tokens remembered until they expire."""
    hash_workers: Annotated[int, Field(ge=1, le=16)] = 2
    hash_queue: Annotated[int, Field(ge=1)] = 256
    """Secrets checked at the same time, and how many may wait; more are told to come back."""
    client_burst: Annotated[int, Field(ge=10)] = 200
    client_per_s: Annotated[float, Field(gt=0)] = 5.0
    """Rate limit on tokens for one client: burst, and refill per second (AUTH-035)."""
    failure_burst: Annotated[int, Field(ge=1)] = 30
    failure_per_s: Annotated[float, Field(gt=0)] = 1.0
    address_burst: Annotated[int, Field(ge=10)] = 500
    address_per_s: Annotated[float, Field(gt=0)] = 20.0
    """Wrong secrets for one client at an address, and at one address altogether (AUTH-035)."""
    argon2: Argon2 = Argon2()

    @field_validator("signing_key", "previous_signing_keys")
    @classmethod
    def _long_enough(cls, value: T) -> T:
        keys = value if isinstance(value, tuple) else (value,)
        if any(isinstance(key, SecretStr) and len(key.get_secret_value().encode()) < 32 for key in keys):
            raise ValueError("expected at least 32 bytes, as from `openssl rand -hex 32`")
        return value

    @model_validator(mode="after")
    def _somebodys_tokens(self) -> Auth:
        if self.own_tokens is False and self.external is None:
            raise ValueError("own_tokens is off and external is not given: nobody could get a token")
        if self.previous_signing_keys and self.signing_key is None:
            raise ValueError("previous_signing_keys is given without signing_key")
        return self

    @property
    def gives_tokens(self) -> bool:
        """Return True if this server issues tokens of its own."""
        return self.external is None if self.own_tokens is None else self.own_tokens


class Privacy(SettingsGroup):
    """Extent of object privacy (requirements 0.2)."""

    implicit_ven_id_target: bool = True
    """A ven's own id is a target that it holds (R-12)."""
    events_follow_program: bool = True
    """An event is hidden from every reader that its program is hidden from (R-13)."""


class Reports(SettingsGroup):
    """Deletion and retention of reports."""

    bl_may_delete: bool = False
    """Business logic may delete reports (REPORT-004)."""
    retention_days: Annotated[float, Field(gt=0)] | None = None
    """Reports older than this are removed, without notification; without it they are kept (REPORT-014)."""
    retention_poll_s: Annotated[float, Field(gt=0, le=86400)] = 600.0
    """Interval of removing old reports."""


class FactSettings(SettingsGroup):
    """Tables of what reports say: readings of meters, and who delivered what in events."""

    read: bool = True
    """Read reports into the tables in this server; off where other servers of the same database do it."""
    poll_s: Annotated[float, Field(gt=0, le=3600)] = 5.0
    """Interval of looking for reports that another process left unread; its own are read at once."""
    readings_days: Annotated[float, Field(ge=1)] | None = 400.0
    """Readings that began earlier are removed from the tables, and not read any more; their reports stay."""
    curve_every_s: Annotated[float, Field(ge=1, le=3600)] = 10.0
    """Interval of noting the sums of an active event."""


class Validation(SettingsGroup):
    """Checks beyond the schema."""

    payload_values: Literal["off", "warn", "strict"] = "warn"
    """Payload values that do not suit their type, as a text for PRICE: taken, logged and counted, or answered 400."""


class Limits(SettingsGroup):
    """Limits on requests: sizes, numbers, and times."""

    nesting: Annotated[int, Field(ge=16, le=512)] = 32
    """Maximum nesting of lists and objects in a body; documents of the standard need 10."""
    header_line_bytes: Annotated[int, Field(ge=1024, le=65536)] = 8190
    """The longest line of a header, the address included."""
    headers: Annotated[int, Field(ge=16, le=1024)] = 128
    """Maximum number of headers in a request."""
    header_s: Annotated[float, Field(gt=0, le=600)] = 20.0
    """Time limit for a header, from its first byte."""
    bodies_bytes: Annotated[int, Field(ge=1024 * 1024)] = 32 * 1024 * 1024
    """Bodies that a process has in hand at once: what Content-Length declares counts at once, what is unpacked as it
    grows. More are answered 503. A quarter of it is for requests for tokens, whose clients are not known yet."""
    bodies_per_address_bytes: Annotated[int, Field(ge=1024)] = 16 * 1024 * 1024
    """The same for one address, unless ``behind_proxy``; more are answered 429. Both are at least body_limit_bytes."""
    answers_in_flight_bytes: Annotated[int, Field(ge=8 * 1024 * 1024)] = 32 * 1024 * 1024
    """Answers above 16 KiB that a process is sending, at least body_limit_bytes; one client has a quarter of it. More
    wait, ten seconds at most, then they are answered 503. As much again is for the objects that large pages are read
    from, one by one."""
    body_s: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """Time limit for a body, after its header."""
    handshake_s: Annotated[float, Field(gt=0, le=600)] = 15.0
    """Time limit for the TLS handshake."""
    answer_s: Annotated[float, Field(ge=0.1, le=3600)] = 60.0
    """Time without progress in sending an answer after which the connection ends; slow readers are not affected."""
    idle_s: Annotated[float, Field(gt=0, le=3600)] = 75.0
    """Maximum idle time of a connection between requests."""
    connections: Annotated[int, Field(ge=1, le=1_000_000)] = 16_000
    """Connections that a process has at once; more are answered 503 and closed."""
    requests_per_s: Annotated[float, Field(gt=0)] | None = None
    """Requests per second of one client, at all workers together; without it there is no limit (GEN-008)."""
    requests_burst: Annotated[int, Field(ge=1)] = 100
    """Burst: requests allowed at once."""


class ContactSettings(SettingsGroup):
    """Last contact of each client."""

    store_s: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """Interval of storing when each client was last heard of; what a process has not stored is lost if it is killed."""


class Subscriptions(SettingsGroup):
    """Limits on subscriptions."""

    max_per_client: Annotated[int, Field(ge=0)] = 100
    """Subscriptions of one client; more are refused (SUBS-016)."""
    read_notifications: bool = True
    """Tell subscribers who want to hear of it that another client has read a single object (SUBS-029)."""


class ResourceGroups(SettingsGroup):
    """Limits on resource groups, so that no request has to read without end (COMPAT-088)."""

    max_children: Annotated[int, Field(ge=0, le=100_000)] = 1000
    """Children of one group."""
    max_groups_each: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Groups that one resource or group may be in, directly."""
    max_depth: Annotated[int, Field(ge=1, le=100)] = 8
    """Maximum nesting of groups; a group without groups in it has a depth of 1."""
    max_nested: Annotated[int, Field(ge=0, le=1_000_000)] = 10_000
    """Groups in groups, counted once for each group that holds them, in all."""


class Cors(SettingsGroup):
    """Pages of other origins that may use the API in a browser."""

    origins: tuple[str, ...] = ()
    """Origins such as ``https://app.example``; ``*`` is every origin. None: browsers let no page use the API."""
    max_age_s: Annotated[int, Field(ge=0, le=86400)] = 600
    """Time for which a browser may cache the answer to a preflight request."""

    @field_validator("origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(f"expected origins such as https://app.example, or *, not {origin!r}")
        return origins


class Public(SettingsGroup):
    """Programs that may be read without a token (COMPAT-017)."""

    programs: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=128)], ...], Field(max_length=100)] = ()
    """Names of programs that anybody may read, with those of their events that have no targets. A program with targets
    stays hidden. None: every request needs a token."""
    requests_per_s: Annotated[float, Field(gt=0)] = 10.0
    """Requests per second without a token from one address, at all workers together, unless ``behind_proxy``."""
    requests_burst: Annotated[int, Field(ge=1)] = 100
    """Burst: requests allowed at once."""


class Mdns(SettingsGroup):
    """Announcing this server on the local network (MDNS-001)."""

    enabled: bool = False
    """Announce it. Needs the extra ``mdns``, a network with multicast, and one worker."""
    name: Annotated[str, Field(min_length=1, max_length=40)] = "OpenADR VTN"
    """Name of the service; the version is added."""
    host_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,63}$")] | None = None
    """The name before ``.local``; by default that of this machine."""
    refresh_s: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """Interval of checks of programs and addresses; changes are announced."""


class Settings(SettingsGroup):
    """All settings of the VTN."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """0 takes a free port."""
    public_url: str | None = None
    """Scheme, host and port under which clients reach the server, if it is not what it listens on; with the path that
    a proxy takes away, if it does."""
    prefixes: Annotated[tuple[str, ...], Field(min_length=1)] = ("/openadr3/3.1.0", "/openadr3/3.1.1")
    """Path prefixes of the API; the first is the main one (GEN-001)."""
    tls: Tls | None = None
    insecure_http: bool = False
    """Serve plain HTTP on an address that others can reach. For tests only."""
    behind_proxy: bool = False
    """A proxy in front of this server terminates TLS."""
    hsts_s: Annotated[int, Field(ge=0)] | None = None
    """Tell browsers to use nothing but https with this host name for so long; 0 makes them forget it (TLS-008)."""
    body_limit_bytes: Annotated[int, Field(ge=1024)] = 4 * 1024 * 1024
    workers: Annotated[int, Field(ge=1, le=16)] = 1
    """Processes that serve the port together."""
    answers_bytes: Annotated[int, Field(ge=0)] = 16 * 1024 * 1024
    """Memory that a process uses for cached answers."""
    log_requests: bool = True
    metrics: bool = True
    """Serve ``/metrics`` in the format of Prometheus, to anybody who can reach the server."""
    secrets_key_file: Path | None = None
    """The key of the secrets in the database; by default a file beside that of SQLite, or in the user's data folder."""
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    auth: Auth = Auth()
    privacy: Privacy = Privacy()
    reports: Reports = Reports()
    facts: FactSettings = FactSettings()
    contacts: ContactSettings = ContactSettings()
    subscriptions: Subscriptions = Subscriptions()
    resource_groups: ResourceGroups = ResourceGroups()
    webhook: Webhook = Webhook()
    mqtt: Mqtt | None = None
    notify: Notify = Notify()
    websocket: Websocket = Websocket()
    validation: Validation = Validation()
    public: Public = Public()
    cors: Cors = Cors()
    limits: Limits = Limits()
    mdns: Mdns = Mdns()
    alarms: AlarmSettings = AlarmSettings()
    console: ConsoleSettings = ConsoleSettings()
    safety: IssuingLimits = IssuingLimits()
    v301: V301 = V301()
    v20b: V20b | None = None

    @property
    def has_console(self) -> bool:
        """Return True if the console is served: as ``console.enabled`` says, else where passwords are safe."""
        enabled = self.console.enabled
        return is_loopback(self.host) or self.tls is not None or self.behind_proxy if enabled is None else enabled

    @field_validator("prefixes")
    @classmethod
    def _readable_prefixes(cls, prefixes: tuple[str, ...]) -> tuple[str, ...]:
        return checked_prefixes(prefixes)

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        path = parts.path.rstrip("/")
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment or parts.username:
            raise ValueError("expected an address such as https://vtn.example, https://vtn.example:8443/dr")
        if path and not PREFIX.fullmatch(path):
            raise ValueError(f"expected a path such as /dr, not {path!r}")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _protected(self) -> Settings:
        if shared := set(self.prefixes) & set(self.v301.prefixes):
            raise ValueError(f"v301.prefixes: {min(shared)} is a prefix of 3.1 already")
        if self.websocket.resume_s + _LATE_S > self.notify.keep_changes_hours * 3600:
            raise ValueError(
                "websocket.resume_s is longer than notify.keep_changes_hours keeps changes, less ten minutes"
            )
        if self.mdns.enabled and self.workers > 1:
            raise ValueError("mdns.enabled and several workers exclude each other: each would announce itself")
        if self.v20b is not None and self.v20b.telemetry and not self.privacy.implicit_ven_id_target:
            raise ValueError(
                "privacy.implicit_ven_id_target is off, so no VEN sees the event that v20b.telemetry is reported on: "
                "expected v20b.telemetry = false with it"
            )
        if self.alarms.mqtt is not None and self.mqtt is None:
            raise ValueError("alarms.mqtt needs mqtt.url: alarms are published to that broker")
        access = None if self.mqtt is None else self.mqtt.access
        if self.behind_proxy and access is not None and access.callbacks and access.callback_secret is None:
            raise ValueError("mqtt.access.callbacks behind a proxy need callback_secret: every request comes from here")
        if self.tls is not None and self.behind_proxy:
            raise ValueError("tls and behind_proxy exclude each other: either this server or the proxy terminates TLS")
        if self.behind_proxy and self.public_url is None:
            raise ValueError("behind_proxy needs public_url, the address that clients use")
        if self.hsts_s is not None and self.tls is None and not (self.public_url or "").startswith("https:"):
            raise ValueError("hsts_s needs tls, or behind_proxy with a public_url of https")
        if self.tls is None and not (self.behind_proxy or self.insecure_http or is_loopback(self.host)):
            raise ValueError(
                f"host {self.host} can be reached by others: give tls.cert and tls.key, or say behind_proxy "
                "when a proxy terminates TLS"
            )
        return self
