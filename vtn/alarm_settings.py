"""Settings of alarms: what is watched, from when on it is an alarm, and who is told of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from vtn.alarms.kinds import AlarmKind
from vtn.settings_group import SettingsGroup, is_loopback

_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}")
_TOPIC: Final = re.compile(r"[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*")


class AlarmWebhook(SettingsGroup):
    """Tell of alarms by a POST of JSON. The rules of callback URLs (``webhook``) and its signature hold here, too."""

    url: Annotated[str, Field(max_length=2000)]
    """The address; https, unless ``webhook.require_https`` is off."""
    bearer_token: SecretStr | None = None
    """Sent as ``Authorization: Bearer …``."""

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if urlsplit(value).scheme not in {"http", "https"}:
            raise ValueError("expected a URL such as https://operations.example/alarms")
        return value


class AlarmEmail(SettingsGroup):
    """Tell of alarms by e-mail, through an SMTP server."""

    host: Annotated[str, Field(min_length=1, max_length=255)]
    """The SMTP server."""
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    """``starttls``: encrypt after the greeting; ``tls``: from the first byte on (port 465); ``none``: never."""
    user: Annotated[str, Field(min_length=1, max_length=320)] | None = None
    password: SecretStr | None = None
    ca_file: Path | None = None
    """Additional certificate authorities for the server's certificate, as PEM."""
    sender: Annotated[str, Field(max_length=320)]
    """The address that messages come from."""
    to: Annotated[tuple[Annotated[str, Field(max_length=320)], ...], Field(min_length=1, max_length=50)]
    """The addresses that messages go to."""
    timeout_s: Annotated[float, Field(ge=1, le=60)] = 20.0
    """Time limit for each answer of the server."""

    @field_validator("sender", "to")
    @classmethod
    def _are_addresses(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for each in (value,) if isinstance(value, str) else value:
            if not _ADDRESS.fullmatch(each):
                raise ValueError(f"expected an address such as operator@utility.example, not {each!r}")
        return value

    @model_validator(mode="after")
    def _protected(self) -> AlarmEmail:
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password belong together")
        if self.tls == "none" and self.password is not None and not is_loopback(self.host):
            raise ValueError("tls is none: the password would cross the network in plain text; use starttls or tls")
        if self.tls == "none" and self.ca_file is not None:
            raise ValueError("ca_file is for tls and starttls, and tls is none")
        return self


class AlarmMqtt(SettingsGroup):
    """Tell of alarms over the MQTT broker of the group ``mqtt``."""

    topic: Annotated[str, Field(max_length=200)] = "openadr-fleet/alarms"
    """The beginning of the topic; the kind of alarm follows, as in ``openadr-fleet/alarms/ven_silent``."""

    @field_validator("topic")
    @classmethod
    def _is_topic(cls, value: str) -> str:
        if not _TOPIC.fullmatch(value):
            raise ValueError(f"expected words with / between them, such as openadr-fleet/alarms, not {value!r}")
        return value


class AlarmSettings(SettingsGroup):
    """Alarms: evaluated by one of the servers, kept in the database, told to the channels that are given."""

    enabled: bool = True
    """Evaluate alarms."""
    off: tuple[AlarmKind, ...] = ()
    """Kinds of alarms that are not evaluated, as ``VEN_SILENT``."""
    evaluate_s: Annotated[float, Field(ge=1, le=3600)] = 30.0
    """Interval of evaluation."""
    silent_s: Annotated[float, Field(ge=60, le=31_536_000)] = 3600.0
    """A VEN that was heard before and then not for so long is an alarm; add ``contacts.store_s``."""
    unreported_s: Annotated[float, Field(ge=10, le=86_400)] = 900.0
    """An event is an alarm if so long after its start no VEN has reported on it."""
    delivered_percent: Annotated[float, Field(gt=0, le=100)] = 50.0
    """An event is an alarm while less than this part of the requested kW is delivered."""
    delivered_after_s: Annotated[float, Field(ge=0, le=86_400)] = 600.0
    """Time after the start of an event before ``delivered_percent`` is looked at."""
    behind_s: Annotated[float, Field(ge=10, le=86_400)] = 300.0
    """Notifications or reports that wait in the database for longer than this are an alarm."""
    certificate_days: Annotated[float, Field(ge=0, le=3650)] = 21.0
    """A certificate of this server that ends within so many days is an alarm."""
    disk_free_bytes: Annotated[int, Field(ge=0)] = 1_000_000_000
    """Less free space on the disk of the database or of the key file is an alarm."""
    keep_days: Annotated[float, Field(ge=1, le=3650)] = 90.0
    """Time for which alarms that are over are kept."""
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 10
    """Attempts at one message of one channel, after which it is given up."""
    first_retry_s: Annotated[float, Field(gt=0, le=3600)] = 5.0
    """Pause after a failed attempt; it doubles with each further one, up to ``longest_retry_s``."""
    longest_retry_s: Annotated[float, Field(gt=0, le=86_400)] = 900.0
    webhook: AlarmWebhook | None = None
    email: AlarmEmail | None = None
    mqtt: AlarmMqtt | None = None
