"""The receiver of webhooks: its answers to anybody who calls, and its subscription at the VTN."""

from __future__ import annotations

import asyncio
import base64
import hmac
import io
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from pydantic import ValidationError

from bench.support.net import free_port
from openadr_client import (
    BadCertificateFile,
    CallbackApplication,
    ManualClock,
    NoWay,
    PushReceiver,
    PushSettings,
    VtnClient,
    WebhookReceiver,
)
from openadr_client.notifications import MAX_NOTIFICATION
from openadr_client.signatures import is_signed, signing_key
from tests.openadr_client.announced import Announcing, Ear, announcing, background
from tests.openadr_client.test_notifications import EVENT, PLAIN, SNAKES
from tests.support.pki import Pki, client_context
from tests.support.scripted_vtn import problem
from tests.support.waiting import wait_until

BEARER = {"Authorization": "Bearer ours"}
SECRET = "whsec_" + base64.b64encode(b"common secret of both").decode()


@pytest.fixture
def ear() -> Ear:
    return Ear()


Callback = TestClient[Any, Any]


@pytest.fixture
async def callback(ear: Ear) -> AsyncIterator[Callback]:
    application = CallbackApplication(ear, bearer_token="ours").application()
    async with TestClient(TestServer(application)) as client:
        yield client


@pytest.mark.parametrize("value", ["x", "aZ09-_.~" * 64])
async def test_the_challenge_is_answered_with_its_value_alone(callback: Callback, value: str) -> None:
    """VENCLIENT-016."""
    async with callback.get("/any/path", params={"other": "1", "echo": value}) as answer:
        assert (answer.status, await answer.text(), answer.content_type) == (200, value, "text/plain")


@pytest.mark.parametrize("value", ["", "x" * 513, "<script>", "a b", "ä", "a\nb", "a%20b"])
async def test_nothing_else_is_given_back(callback: Callback, value: str) -> None:
    """VENCLIENT-016: no reflection of markup."""
    async with callback.get("/", params={"echo": value}) as answer:
        assert answer.status == 400
        assert not value or value not in await answer.text()


@pytest.mark.parametrize("document", [PLAIN, SNAKES, json.dumps(PLAIN)])
async def test_a_notification_with_the_token_is_told(callback: Callback, ear: Ear, document: Any) -> None:
    """VENCLIENT-017, VENCLIENT-018."""
    async with callback.post("/", json=document, headers={**BEARER, "X-Request-ID": "r-1"}) as answer:
        assert answer.status == 200
    assert ear.notifications == [("CREATE", "EVENT", "e1")]
    assert [getattr(each, "id", None) for each in ear.told] == ["r-1"]


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer"}, {"Authorization": "Bearer other"}, {"Authorization": "ours"}]
)
async def test_one_without_the_token_is_refused_unread(
    callback: Callback, ear: Ear, headers: Mapping[str, str]
) -> None:
    """VENCLIENT-017: also if it is not JSON at all."""
    for body in (json.dumps(PLAIN).encode(), b"\xff"):
        async with callback.post("/", data=body, headers=headers) as answer:
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert ear.told == []


async def test_a_repeat_is_told_once(callback: Callback, ear: Ear) -> None:
    """WEBHOOK-032: an answer that was lost brings the notification again, with the same id."""
    for id_ in ("r-1", "r-1", "r-2", "r-1"):
        async with callback.post("/", json=PLAIN, headers={**BEARER, "X-Request-ID": id_}) as answer:
            assert answer.status == 200
    assert len(ear.notifications) == 2


@pytest.mark.parametrize("body", [b"", b"not JSON", b"[1]", b"[" * 100_000, b'{"operation":"CREATE"}'])
async def test_what_cannot_be_read_is_refused_and_a_reason_to_read_again(
    callback: Callback, ear: Ear, body: bytes
) -> None:
    async with callback.post("/", data=body, headers=BEARER) as answer:
        assert answer.status == 400
    assert ear.read_again == ["a notification that could not be read"]


async def test_a_body_beyond_all_measure_is_not_read(callback: Callback, ear: Ear) -> None:
    async with callback.post("/", data=io.BytesIO(b"1" * (MAX_NOTIFICATION + 1)), headers=BEARER) as answer:
        assert answer.status == 413
    assert ear.read_again == ["a notification that is too long"]


def signed(body: bytes, *, at: datetime, key: bytes | None = None, id_: str = "m-1") -> dict[str, str]:
    timestamp = str(int(at.timestamp()))
    digest = hmac.digest(key or signing_key(SECRET), f"{id_}.{timestamp}.".encode() + body, "sha256")
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": id_, "webhook-timestamp": timestamp, "webhook-signature": signature}


def test_a_signature_is_that_of_standard_webhooks() -> None:
    """Against the example of that specification."""
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,other v1a,asymmetric v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    now = datetime.fromtimestamp(1614265330 + 200, UTC)
    assert is_signed(headers, b'{"test": 2432232314}', key=key, now=now)
    assert not is_signed(headers, b'{"test": 2432232315}', key=key, now=now)
    assert not is_signed(headers, b'{"test": 2432232314}', key=b"other", now=now)
    assert not is_signed(headers, b'{"test": 2432232314}', key=key, now=now + timedelta(minutes=5))
    assert not is_signed(headers, b'{"test": 2432232314}', key=key, now=now - timedelta(minutes=10))


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize("value", ["", "x", "9" * 400, "ä"])
async def test_a_notification_that_is_not_signed_is_refused(ear: Ear, name: str, value: str) -> None:
    body = json.dumps(PLAIN).encode()
    right = signed(body, at=datetime.now(UTC))
    application = CallbackApplication(ear, bearer_token="ours", signing_secret=SECRET).application()
    async with TestClient(TestServer(application)) as client:
        async with client.post("/", data=body, headers={**BEARER, **right, name: value}) as answer:
            assert answer.status == 401
        assert ear.told == []
        async with client.post("/", data=body, headers={**BEARER, **right}) as answer:
            assert answer.status == 200
    assert [getattr(each, "id", None) for each in ear.told] == ["m-1"]


@pytest.fixture
async def there() -> AsyncIterator[Announcing]:
    async with announcing(Announcing) as found:
        yield found


@pytest.fixture
async def vtn(there: Announcing) -> AsyncIterator[VtnClient]:
    async with VtnClient(base_url=there.vtn.base_url, token="x") as client:
        yield client


def settings(**members: Any) -> PushSettings:
    return PushSettings.model_validate({"callback_url": "https://home.example/hook", "listen_port": 0} | members)


async def test_a_subscription_is_kept_as_long_as_somebody_listens(
    there: Announcing, vtn: VtnClient, ear: Ear, pki: Pki
) -> None:
    """The token of the subscription is what the receiver expects; it is deleted when the receiver ends."""
    files = pki.server()
    receiver = WebhookReceiver(
        vtn, settings=settings(certificate=files.certificate, key=files.key), name="home-1", objects=("EVENT",)
    )
    async with background(receiver.receive(ear)):
        await ear.hears("subscribed")
        (stored,) = there.subscriptions
        (operation,) = stored["objectOperations"]
        token = operation.pop("bearerToken")
        assert operation == {
            "objects": ["EVENT"],
            "operations": ["CREATE", "UPDATE", "DELETE"],
            "callbackUrl": "https://home.example/hook",
        }
        assert len(token) >= 43
        url = f"https://127.0.0.1:{receiver.port}/hook"
        async with aiohttp.ClientSession() as session:
            for given, status in ((token, 200), ("other", 401)):
                headers = {"Authorization": f"Bearer {given}"}
                async with session.post(url, json=PLAIN, headers=headers, ssl=client_context(pki.ca)) as answer:
                    assert answer.status == status
        assert len(ear.notifications) == 1
    assert there.subscriptions == []
    assert there.vtn.paths[-1] == "DELETE /subscriptions/s1"


async def test_a_subscription_that_an_earlier_run_left_is_replaced(there: Announcing, vtn: VtnClient, ear: Ear) -> None:
    left = {"objects": ["EVENT"], "operations": [], "callbackUrl": "https://home.example/hook", "bearerToken": None}
    there.subscriptions = [
        {**EVENT, "id": "s9", "objectType": "SUBSCRIPTION", "clientName": "home-1", "clientID": "home-1"}
        | {"objectOperations": [left]}
    ]
    async with background(WebhookReceiver(vtn, settings=settings(), name="home-1").receive(ear)):
        await ear.hears("subscribed")
        assert "PUT /subscriptions/s9" in there.vtn.paths
        assert not any(each.startswith("POST /subscriptions") for each in there.vtn.paths)


async def test_a_subscription_that_cannot_be_found_again_is_made_anew_once_an_hour(there: Announcing, ear: Ear) -> None:
    """A VTN that answers 404 to every look is not written to again and again."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "GET" and request.path.endswith("/s1"):
            return problem(404, "no subscription")
        return await there.answer(request)

    there.vtn.answer = answer
    clock = ManualClock()
    async with (
        VtnClient(base_url=there.vtn.base_url, token="x", clock=clock) as vtn,
        background(WebhookReceiver(vtn, settings=settings(), name="home-1").receive(ear)),
    ):
        await ear.hears("subscribed")
        await clock.asleep()
        written = [each for each in there.vtn.paths if each.startswith("POST")]
        assert len(written) == 1
        await clock.advance(3600)
        await ear.hears("subscribed", "subscribed")
        await clock.asleep()


async def test_a_webhook_is_taken_where_there_is_no_broker(there: Announcing, vtn: VtnClient, ear: Ear) -> None:
    """VENCLIENT-013, R-44: also if the VTN says that it has no webhooks, or has no `/notifiers` at all."""
    there.notifiers = {"WEBHOOK": False}
    async with background(PushReceiver(vtn, settings(), name="home-1").run(ear, ven_id="v1")):
        await ear.hears("subscribed")


async def test_a_port_that_is_taken_is_named(vtn: VtnClient, ear: Ear) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", port := free_port())
    async with server:
        with pytest.raises(NoWay, match=f"127.0.0.1:{port}"):
            await WebhookReceiver(vtn, settings=settings(listen_port=port), name="home-1").receive(ear)


async def test_a_certificate_that_is_none_is_named(vtn: VtnClient, ear: Ear, tmp_path: Path) -> None:
    given = settings(certificate=tmp_path / "absent.pem", key=tmp_path / "absent.key")
    with pytest.raises(BadCertificateFile, match=r"absent\.pem"):
        await WebhookReceiver(vtn, settings=given, name="home-1").receive(ear)


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"mode": "webhook"}, "needs callback_url"),
        ({"callback_url": "ftp://a"}, "expected a URL"),
        ({"callback_url": "https://user:hush@a"}, "no user name or password"),
        ({"callback_url": "https://a/?b=c"}, "no query"),
        ({"certificate": "a.pem"}, "belong together"),
        ({"signing_secret": "whsec_not base64"}, "base64 after whsec_"),
        ({"callback_url": "https://a", "signing_secret": "whsec_"}, "a secret that is not empty"),
        ({"callback_url": "https://a", "signing_secret": ""}, "a secret that is not empty"),
        ({"signing_secret": "common secret"}, "signing_secret are for webhooks"),
        ({"certificate": "a.pem", "key": "a.key"}, "certificate, key are for webhooks"),
        ({"listen_host": "0.0.0.0", "listen_port": 1}, "listen_host, listen_port are for webhooks"),
    ],
)
def test_settings_that_cannot_work_are_refused(members: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        PushSettings.model_validate(members)


async def test_a_slow_body_does_not_hold_up_the_others(callback: Callback, ear: Ear) -> None:
    """At most eight bodies are read at the same time; more are asked to come again."""
    stuck: list[asyncio.StreamWriter] = []
    for _ in range(8):
        _, writer = await asyncio.open_connection(callback.host, callback.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ours\r\nContent-Length: 9\r\n\r\n{")
        stuck.append(writer)

    async def refused() -> bool:
        async with callback.post("/", json=PLAIN, headers=BEARER) as answer:
            return answer.status == 503 and answer.headers["Retry-After"] == "1"

    await wait_until(refused)
    for writer in stuck:
        writer.close()
    await wait_until(lambda: _accepted(callback))


async def _accepted(callback: Callback) -> bool:
    async with callback.post("/", json=PLAIN, headers=BEARER) as answer:
        return answer.status == 200


async def test_the_next_way_is_taken_if_the_first_is_not_for_us(there: Announcing, vtn: VtnClient, ear: Ear) -> None:
    """VENCLIENT-013: a broker that wants something unknown leaves the webhook, soon and not in a quarter of an hour."""
    there.announce("mqtt://127.0.0.1:1883", method="KERBEROS")
    async with background(PushReceiver(vtn, settings(), name="home-1").run(ear, ven_id="v1")):
        await ear.hears("subscribed")


def test_settings_that_were_written_down_whole_are_taken_back() -> None:
    """Defaults that are written out are no options of a webhook."""
    written = PushSettings().model_dump_json()
    assert PushSettings.model_validate_json(written) == PushSettings()
