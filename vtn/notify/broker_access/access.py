"""Put the access to the MQTT broker together, as the settings say."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from uuid import uuid4

from vtn.errors import LibraryMissing, StartFailed
from vtn.notification_settings import Mqtt
from vtn.notify.broker_access.binding import Binding
from vtn.notify.broker_access.callbacks import Doorkeeper, StillHolds, Verify
from vtn.services import Service
from vtn.store.broker import BrokerStore
from vtn.store.database import Database
from vtn.store.lease import Lease
from vtn.store.stamps import Stamps
from vtn.store.tables import broker_accounts, clients, vens
from vtn.store.vault import Vault

_PASSWORD_BYTES = 24


class BrokerAccess:
    """Hold what clients are told of the broker, what the broker is told of clients, and what keeps the two in step."""

    def __init__(
        self, settings: Mqtt, database: Database, stamps: Stamps, vault: Vault, now: Callable[[], datetime]
    ) -> None:
        """Raises StartFailed if files that the settings name cannot be used."""
        access = settings.access
        self._settings = settings
        self._database = database
        self._stamps = stamps
        self._store = BrokerStore(
            database,
            stamps,
            vault,
            make_password=_no_password if access.method == "CERTIFICATE" else _password,
            at_broker=access.dynamic_security,
        )
        self.binding = _binding(settings, self._store, now)

    def doorkeeper(self, *, verify: Verify, still_holds: StillHolds) -> Doorkeeper:
        """Return what answers the broker's questions, from the tokens that are shown to it."""
        return Doorkeeper(self._settings, self._store, verify=verify, still_holds=still_holds)

    def services(self) -> tuple[Service, ...]:
        """Return the service that keeps the accounts of Mosquitto, if it has dynamic security; raises StartFailed."""
        if not self._settings.access.dynamic_security:
            return ()
        try:
            from vtn.notify.broker_access.dynamic_security import connected  # noqa: PLC0415 (an extra)
            from vtn.notify.broker_access.keeper import LEASE_S, Keeper  # noqa: PLC0415 (it needs the one before)
            from vtn.notify.broker_access.roles import Roles  # noqa: PLC0415 (the same)
            from vtn.notify.mqtt import tls_context  # noqa: PLC0415 (few servers have a broker)
        except ModuleNotFoundError as error:
            raise LibraryMissing(
                "mqtt.access.dynamic_security needs more libraries: pip install 'openadr-fleet[mqtt]'"
            ) from error
        settings = self._settings
        user, password = _administrator(settings)
        host, port = settings.address
        connect = partial(
            connected,
            host,
            port,
            username=user,
            password=password,
            tls=tls_context(settings),
            timeout_s=settings.timeout_s,
        )
        keeper = Keeper(
            self._store,
            Lease(self._database, self._stamps, name="broker_access", by=uuid4().hex, lease_s=LEASE_S),
            connect,
            Roles(settings.prefix),
            publisher=_publisher(settings),
            watch=partial(self._database.watch, vens, clients, broker_accounts),
            with_passwords=settings.access.method == "ACCOUNT",
        )
        return (Service("broker_access", keeper.run),)


def _binding(settings: Mqtt, store: BrokerStore, now: Callable[[], datetime]) -> Binding:
    access = settings.access
    if access.client_ca_cert is None or access.client_ca_key is None or access.method != "CERTIFICATE":
        return Binding(access, store)
    from vtn.notify.broker_access.certificates import ClientAuthority  # noqa: PLC0415 (all of X.509 comes with it)

    lifetime = timedelta(days=access.certificate_days)
    authority = ClientAuthority(access.client_ca_cert, access.client_ca_key, lifetime=lifetime, now=now)
    try:
        ca_cert = None if settings.ca_file is None else settings.ca_file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise StartFailed(f"mqtt.ca_file: {settings.ca_file} cannot be read: {error}") from error
    return Binding(access, store, authority=authority, ca_cert=ca_cert)


def _administrator(settings: Mqtt) -> tuple[str, str]:
    """Return the user name and password that command the plugin."""
    access = settings.access
    user, password = access.admin_user or settings.user, access.admin_password or settings.password
    return user or "", "" if password is None else password.get_secret_value()


def _publisher(settings: Mqtt) -> tuple[str, str | None]:
    """Return the account that publishes, with its password unless it exists: the one that commands does."""
    user, _ = _administrator(settings)
    if settings.user is None or settings.user == user or settings.password is None:
        return settings.user or user, None
    return settings.user, settings.password.get_secret_value()


def _password() -> str:
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def _no_password() -> None:
    return None
