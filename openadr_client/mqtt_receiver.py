"""Notifications from the broker of a VTN: found by `/notifiers`, with its credentials and its topics."""

from __future__ import annotations

import asyncio
import secrets
import ssl
import tempfile
from collections.abc import Collection, Sequence
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr, ValidationError

from openadr_client.backoff import Backoff
from openadr_client.errors import BrokerRefused, NoWay, UnreadableNotification, VtnError
from openadr_client.hints import Hints
from openadr_client.mqtt_bounded import BoundedClient, BoundedConnector, first_end
from openadr_client.mqtt_connection import stop_if_cancelled
from openadr_client.notifications import MAX_NOTIFICATION, ReadAgain, ReceivedNotification, Tell, Way, read_notification
from openadr_client.settings import BrokerSettings, PushSettings
from openadr_client.tls import NamedContext, broker_context, vtn_context
from openadr_client.tokens import AccessToken
from openadr_client.topic_choice import OBJECT_KINDS, TopicChoice
from openadr_client.transport import origin

if TYPE_CHECKING:
    from openadr_client.client import VtnClient
    from openadr_profiles.v31 import MqttAuthentication, MqttNotifier, Notifiers

import aiomqtt  # after mqtt.py, which says what to install if it is missing

_log = structlog.get_logger(__name__)

_SCHEMES: Final = {"mqtts": "mqtts", "ssl": "mqtts", "tls": "mqtts", "mqtt": "mqtt", "tcp": "mqtt"}
_TOPICS_AT_ONCE: Final = 50
_TOPICS_SPREAD: Final = 60.0
"""Times the spread of reading again is that of asking for topics again, which are several requests for each client."""
_ASK_EVERY_S: Final = 3600.0
_JITTER: Final = 0.2
_LEAST_PAUSE: Final = timedelta(seconds=1)


class MqttReceiver:
    """Receives from the VTN's broker, as one VEN (``ven_id``) or as business logic, about some kinds of objects.

    Nothing of the broker is configured: address, credentials and topics come from the VTN at each connection. MQTT 5 is
    spoken, or 3.1.1 where the broker does not know it. When the access token that is the password comes to its end,
    `receive` returns, to be called again (VENCLIENT-015).
    """

    way: Way = "mqtt"

    def __init__(
        self,
        vtn: VtnClient,
        *,
        ven_id: str | None = None,
        objects: Collection[str] = OBJECT_KINDS,
        settings: PushSettings | None = None,
    ) -> None:
        self._vtn = vtn
        self._settings = settings or PushSettings()
        self._topics = TopicChoice(vtn, objects=objects, ven_id=ven_id)
        self._connector = BoundedConnector(longest=MAX_NOTIFICATION)
        self._chance = Random()  # noqa: S311 # spreads a fleet in time, keeps no secret

    async def receive(self, tell: Tell, notifiers: Notifiers | None = None, /) -> None:
        """Connect, subscribe, and tell until the connection or the token ends; see `Receiver`.

        Raises:
            NoWay: the VTN has no broker, or none that we may use.
            BrokerError, VtnError, BadCertificateFile: there is no connection, or it has ended.
        """
        notifiers = notifiers or await self._vtn.notifiers()
        if notifiers is None or notifiers.mqtt is None:
            raise NoWay("the VTN announces no MQTT broker")
        token = await self._vtn.access_token()
        broker = self._broker(notifiers.mqtt, token)
        self._topics.forget()
        filters = await self._topics.filters()
        tls = self._tls(notifiers.mqtt.authentication) if broker.tls else None
        async with self._connector.connected(broker, tls=tls) as client:
            session = _Session(client, broker, self._topics, tell=tell, hints=self._hints(), chance=self._chance)
            await session.subscribe(filters)
            _log.info("listening to the VTN's broker", broker=broker.url, topics=len(filters))
            tell(ReadAgain("connected to the broker", self.way))
            await first_end(session.listen(), session.keep_topics(self._vtn), self._token_ends(broker, token))

    def _hints(self) -> Hints:
        spread_s = self._settings.spread_s * _TOPICS_SPREAD
        return Hints(self._vtn.clock, spread_s=spread_s, chance=self._chance)

    def _broker(self, notifier: MqttNotifier, token: AccessToken | None) -> BrokerSettings:
        """Return where to connect, and as whom (MQTT-039, MQTT-047); a URI with TLS comes first."""
        may_be_plain = self._settings.allow_plain_mqtt or not self._vtn.base_url.startswith("https:")
        wanted = ["mqtts", "mqtt"] if may_be_plain else ["mqtts"]
        usable = sorted(
            (each for each in map(_address, notifier.uris) if each[0] in wanted), key=lambda each: wanted.index(each[0])
        )
        if not usable:
            found = ", ".join(map(origin, notifier.uris)) or "there are none"
            raise NoWay(
                f"none of the VTN's broker addresses can be used: {found}; "
                f"expected mqtts{'' if not may_be_plain else ' or mqtt'} "
                "(the setting allow_plain_mqtt allows a broker without TLS)"
            )
        scheme, where = usable[0]
        username, password = _credentials(notifier.authentication, self._vtn.client_id, token)
        try:
            return BrokerSettings(
                url=f"{scheme}://{where}",
                client_id=f"openadr-{secrets.token_hex(8)}",
                username=username,
                password=None if password is None else SecretStr(password),
            )
        except ValidationError as error:
            problem = error.errors()[0]["msg"]
            shown = origin(f"{scheme}://{where}")
            raise NoWay(f"the VTN's broker address {shown} cannot be used: {problem}") from None

    def _tls(self, authentication: MqttAuthentication) -> NamedContext:
        """Return a context that trusts whom the VTN connection trusts, and the authority of the binding if any."""
        context = broker_context(ca_file=self._settings.broker_ca_file)
        context.load_default_certs()
        known = self._vtn.tls_context() or vtn_context()
        context.check_hostname, context.verify_mode = known.check_hostname, known.verify_mode
        if authorities := known.get_ca_certs(binary_form=True):
            context.load_verify_locations(cadata=b"".join(authorities))
        if authentication.method == "CERTIFICATE":
            _load_binding(context, authentication)
        return context

    async def _token_ends(self, broker: BrokerSettings, token: AccessToken | None) -> None:
        """Return when another password is needed than the broker was told; never for one that stays."""
        used = broker.password.get_secret_value() if broker.password is not None else None
        if token is None or token.renew_at is None or used != token.text:
            await asyncio.Event().wait()
        backoff = Backoff(self._chance)
        while token is not None and token.renew_at is not None and token.text == used:
            await self._vtn.clock.sleep_until(max(token.renew_at, self._vtn.clock.now() + _LEAST_PAUSE))
            try:
                token = await self._vtn.access_token()
            except VtnError as error:
                wait_s = backoff.failed(error)
                _log.warning("no new token for the broker yet", problem=str(error), again_in_s=round(wait_s, 1))
                await self._vtn.clock.sleep(wait_s)
        _log.info("connecting to the broker again with a new token", broker=broker.url)


class _Session:
    """Work on one connection."""

    def __init__(
        self,
        client: BoundedClient,
        broker: BrokerSettings,
        topics: TopicChoice,
        *,
        tell: Tell,
        hints: Hints,
        chance: Random,
    ) -> None:
        self._client = client
        self._broker = broker
        self._topics = topics
        self._tell = tell
        self._hints = hints
        self._chance = chance
        self._subscribed: set[str] = set()
        self._refused: set[str] = set()

    async def subscribe(self, filters: Sequence[str]) -> bool:
        """Subscribe to what is new, leave what is not ours any more; return True if something is new.

        Raises:
            BrokerRefused: nothing at all is granted.
            BrokerError: the connection is lost.
        """
        before = frozenset(self._subscribed)
        new = [name for name in filters if name not in self._subscribed]
        for begin in range(0, len(new), _TOPICS_AT_ONCE):
            await self._subscribe(new[begin : begin + _TOPICS_AT_ONCE])
        if gone := sorted(self._subscribed.difference(filters)):
            await self._client.leave_topics(gone)
            self._subscribed.difference_update(gone)
        self._refused.intersection_update(filters)
        if not self._subscribed:
            raise BrokerRefused(f"the broker {self._broker.url} refuses every topic that the VTN tells us")
        return not self._subscribed <= before

    async def _subscribe(self, names: Sequence[str]) -> None:
        possible = [name for name in names if _is_filter(name)]
        refused = {name for name in names if name not in possible}
        if possible:
            refused.update(await self._client.subscribe_to(possible))
        for name in sorted(refused - self._refused):
            _log.warning("the broker refuses a topic that the VTN tells us", broker=self._broker.url, topic=name)
        self._subscribed.update(set(names) - refused)
        self._refused = (self._refused - set(names)) | refused

    async def listen(self) -> None:
        """Tell of every message; raises BrokerUnreachable when the connection is lost."""
        while True:
            message = await self._client.next_message()
            self._take(message.payload)
            if self._client.arrivals.overflowed:
                self._client.arrivals.overflowed = False
                self._tell(ReadAgain("more messages than could be read", "mqtt"))
            stop_if_cancelled()

    def _take(self, payload: bytes) -> None:
        told: ReceivedNotification | ReadAgain
        try:
            told = read_notification(payload, way="mqtt")
        except UnreadableNotification as error:
            _log.debug("unreadable message", problem=str(error))
            told = ReadAgain("a message that could not be read", "mqtt")
        self._tell(told)
        kind = told.object_type if isinstance(told, ReceivedNotification) else ""
        if self._topics.is_affected_by(kind):
            if kind != "PROGRAM":
                self._topics.forget()
            self._hints.tell(told)

    async def keep_topics(self, vtn: VtnClient) -> None:
        """Subscribe to the topics of new programs, and try again what was refused, until cancelled."""
        backoff = Backoff(first_s=5.0, longest_s=900.0)
        while True:
            stop_if_cancelled()
            due_s = backoff.failed() if self._refused else _ASK_EVERY_S * (1 - _JITTER * self._chance.random())
            due = vtn.clock.now() + timedelta(seconds=due_s)
            await self._hints.wait(due)
            if vtn.clock.now() >= due:
                self._topics.forget()
            try:
                is_new = await self.subscribe(await self._topics.filters())
            except VtnError as error:
                _log.warning("topics not asked for again", problem=str(error))
                await vtn.clock.sleep(backoff.failed(error))
                self._hints.tell(ReadAgain("the topics are not known", "mqtt"))
                continue
            if not self._refused:
                backoff.succeeded()
            self._hints.done(changed=is_new)
            if is_new:
                self._tell(ReadAgain("there are new topics", "mqtt"))


def _address(uri: str) -> tuple[str, str]:
    """Return the scheme of a broker's URI, as we name it, and its host and port; empty if it is not one of ours."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return "", ""
    return _SCHEMES.get(parts.scheme.lower(), ""), parts.netloc


def _is_filter(name: str) -> bool:
    """Return True if a topic filter is one; paho raises ValueError for others."""
    try:
        aiomqtt.Wildcard(name)
    except ValueError:
        return False
    return True


def _credentials(
    authentication: MqttAuthentication, client_id: str | None, token: AccessToken | None
) -> tuple[str | None, str | None]:
    """Return user name and password for the broker (MQTT-039, MQTT-047, R-45); a certificate needs neither."""
    if authentication.method in {"ANONYMOUS", "CERTIFICATE"}:
        return None, None
    if authentication.method != "OAUTH2_BEARER_TOKEN":
        raise NoWay(f"the VTN's broker wants {authentication.method!r}, which we do not know")
    username = authentication.username or "{clientID}"
    if username == "{clientID}":
        if client_id is None:
            raise NoWay("the VTN's broker wants our client id as user name, and we have none")
        username = client_id
    if authentication.password is not None:
        return username, authentication.password
    if token is None:
        raise NoWay("the VTN's broker wants an access token, and we have none")
    return username, token.text


def _load_binding(context: ssl.SSLContext, authentication: MqttAuthentication) -> None:
    """Take the certificates that the VTN gave us (MQTT-004); the key is in a file of ours only while it is read."""
    if not authentication.client_cert or not authentication.client_key:
        raise NoWay("the VTN's broker wants a certificate, and the VTN gave us none")
    try:
        if authentication.ca_cert:
            context.load_verify_locations(cadata=authentication.ca_cert)
        with tempfile.TemporaryDirectory(prefix="openadr-") as folder:  # 0700
            pair = Path(folder) / "pair.pem"
            pair.write_text(f"{authentication.client_cert}\n{authentication.client_key}\n", encoding="ascii")
            context.load_cert_chain(pair, password=lambda: "")  # or OpenSSL asks for one on the terminal
    except (OSError, ValueError) as error:  # OSError has SSLError in it
        raise NoWay(f"the certificates for its broker that the VTN gave us cannot be used: {error}") from None
