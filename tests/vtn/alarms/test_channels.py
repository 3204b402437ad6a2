"""Channels of alarms against real servers: HTTPS, SMTP with TLS and login, Mosquitto; and how each fails."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from openadr_client.signatures import is_signed, signing_key
from tests.support.mosquitto import Mosquitto
from tests.support.pki import Pki
from tests.vtn.alarms.mail_server import PASSWORD, USER, MailServer
from tests.vtn.mqtt_broker import listening
from tests.vtn.test_webhook_channel import receiving
from tests.vtn.test_webhook_signatures import key_file
from vtn.alarm_settings import AlarmEmail, AlarmMqtt, AlarmWebhook
from vtn.notification_settings import Mqtt, Webhook
from vtn.notify.alarms.channel import NotTold
from vtn.notify.alarms.email import AlarmEmailChannel
from vtn.notify.alarms.mqtt import AlarmMqttChannel
from vtn.notify.alarms.webhook import SIGNED_FOR, AlarmWebhookChannel
from vtn.notify.signature import WebhookSigner
from vtn.notify.url_judge import UrlJudge
from vtn.store.console.alarms import AlarmMessage, StoredAlarm

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
AT, OVER = "2026-06-01T11:00:00.000000Z", "2026-06-01T11:30:00.000000Z"


def message(number: int = 1, *, is_clear: bool = False, text: str = "VEN house 1 is silent") -> AlarmMessage:
    """A message of an alarm."""
    cleared = OVER if is_clear else None
    alarm = StoredAlarm(number, "VEN_SILENT", f"home-{number}", text, AT, AT, cleared, None, None, None)
    return AlarmMessage(number, is_clear, 0, AT, alarm)


TRIAL = AlarmMessage(9, False, 0, AT, None)


def email_channel(pki: Pki, server: MailServer, **members: Any) -> AlarmEmailChannel:
    """A channel to a server of a test."""
    usual: dict[str, Any] = {"host": "127.0.0.1", "port": server.port, "ca_file": pki.ca, "sender": "vtn@vtn.example"}
    usual |= {"to": ["anna@utility.example", "ops@utility.example"], "user": USER, "password": PASSWORD}
    return AlarmEmailChannel(
        AlarmEmail.model_validate(usual | members), lambda: NOW, about=lambda: "https://vtn.example"
    )


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_an_email_tells_many_alarms_in_one_message(pki: Pki, tls: str) -> None:
    """Encrypted, with a login, to each address; the lines say what, since when and until when."""
    async with MailServer(pki, tls=tls) as server:
        channel = email_channel(pki, server, tls=tls)
        await channel.tell([message(1), message(2, is_clear=True, text="VEN über is silent")])
        await channel.tell([TRIAL])
    first, trial = server.mails
    assert server.logins == 2
    assert server.recipients[0] == ["anna@utility.example", "ops@utility.example"]
    assert (first["From"], first["Subject"]) == ("vtn@vtn.example", "OpenADR VTN: 1 raised, 1 cleared")
    body = first.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert body.decode().splitlines() == [
        "RAISED   2026-06-01T11:00:00Z  VEN house 1 is silent",
        "CLEARED  2026-06-01T11:30:00Z  VEN über is silent",
        "",
        "VTN https://vtn.example",
    ]
    assert trial["Subject"] == "OpenADR VTN: TEST this is a test of an alarm channel; nothing is wrong"


async def test_a_name_from_outside_adds_no_header(pki: Pki) -> None:
    """A venName with a line end in it stays in its line."""
    async with MailServer(pki, tls="none", login=False) as server:
        channel = email_channel(pki, server, tls="none", ca_file=None, user=None, password=None)
        await channel.tell([message(text="VEN x\r\nBcc: thief@example.com\r\n\r\nhello")])
    (mail,) = server.mails
    assert mail["Bcc"] is None
    assert server.recipients == [["anna@utility.example", "ops@utility.example"]]
    assert "VEN x??Bcc: thief@example.com" in mail["Subject"]


@pytest.mark.parametrize(
    ("members", "refusal", "why"),
    [
        ({"password": "a wrong password of a server"}, None, r"refuses user and password \(535\)"),
        ({}, "550 no such user", "refuses anna@utility.example, ops@utility.example"),
        ({"ca_file": None}, None, "certificate is not trusted"),
        ({"tls": "tls"}, None, "TLS failed"),
        ({"port": 1}, None, "cannot be reached"),
        ({"user": None, "password": None}, None, "answered 530"),
    ],
)
async def test_a_server_that_takes_no_email(pki: Pki, members: dict[str, Any], refusal: str | None, why: str) -> None:
    """The reason is said without any secret."""
    async with MailServer(pki) as server:
        server.refusal = refusal
        with pytest.raises(NotTold, match=why) as raised:
            await email_channel(pki, server, **members).tell([message()])
    assert server.mails == []
    assert "password of" not in str(raised.value)


async def test_a_webhook_gets_signed_json(pki: Pki, tmp_path: Path) -> None:
    """WEBHOOK-029: with the signature of the house, the token, and all messages in one body."""
    signer = WebhookSigner(key_file(tmp_path, b"k" * 32))
    bodies = []
    async with receiving(pki) as receiver:

        async def keep(request: web.Request) -> web.Response:
            bodies.append(await request.read())
            return web.Response()

        receiver.answering = keep
        settings = AlarmWebhook(url=receiver.url, bearer_token=SecretStr("the token of operations"))
        judge = UrlJudge(Webhook(allowed=("127.0.0.1",), ca_file=pki.ca))
        await AlarmWebhookChannel(settings, judge, lambda: NOW, signer).tell([message(1), message(2, is_clear=True)])
    (request,) = receiver.requests
    assert request.headers["Authorization"] == "Bearer the token of operations"
    secret = signing_key(signer.secret(SIGNED_FOR))
    assert is_signed(request.headers, bodies[0], key=secret, now=NOW + timedelta(seconds=5))
    one, other = json.loads(bodies[0])["alarms"]
    assert one == {
        "id": 1,
        "kind": "VEN_SILENT",
        "subject": "home-1",
        "state": "RAISED",
        "text": "VEN house 1 is silent",
        "raisedDateTime": AT,
        "clearedDateTime": None,
    }
    assert (other["state"], other["clearedDateTime"]) == ("CLEARED", OVER)


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({}, "the address is one that callbacks may not go to"),
        ({"allow_private_addresses": True, "denied_ports": ()}, "certificate is not trusted"),
    ],
)
async def test_a_webhook_obeys_the_judge_of_callbacks(pki: Pki, members: dict[str, Any], why: str) -> None:
    """WEBHOOK-023: an alarm leads to no address that a callback may not lead to."""
    async with receiving(pki) as receiver:
        judge = UrlJudge(Webhook.model_validate(members))
        with pytest.raises(NotTold, match=why):
            await AlarmWebhookChannel(AlarmWebhook(url=receiver.url), judge, lambda: NOW, None).tell([message()])
    assert receiver.requests == []


async def test_a_webhook_that_does_not_take_it(pki: Pki) -> None:
    """The status is the answer; no redirect is followed."""
    async with receiving(pki) as receiver:

        async def moved(_: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": receiver.url})

        receiver.answering = moved
        judge = UrlJudge(Webhook(allowed=("127.0.0.1",), ca_file=pki.ca))
        with pytest.raises(NotTold, match="it answered 307"):
            await AlarmWebhookChannel(AlarmWebhook(url=receiver.url), judge, lambda: NOW, None).tell([message()])
    assert len(receiver.requests) == 1


async def test_the_broker_gets_a_message_for_each_alarm(mosquitto: Mosquitto) -> None:
    """At the topic of its kind; after the broker was away, the next attempt connects anew."""
    channel = AlarmMqttChannel(AlarmMqtt(topic="site/alarms"), Mqtt(url=mosquitto.url))
    async with listening(mosquitto.url, "site/alarms/#") as ear:
        await channel.tell([message(1), TRIAL, message(2, is_clear=True)])
        heard = await ear.until(lambda all_: len(all_) == 3)
    assert [each.topic.removeprefix("site/alarms/") for each in heard] == ["ven_silent", "test", "ven_silent"]
    assert [each.body["state"] for each in heard] == ["RAISED", "TEST", "CLEARED"]
    mosquitto.stop()
    with pytest.raises(NotTold):
        await channel.tell([message(3)])
    mosquitto.start()
    await channel.tell([message(3)])
    await channel.close()
