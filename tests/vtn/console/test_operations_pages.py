"""Pages of deliveries, alarms, settings, clients and users: what they show, who may do what, and what is noted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn
from tests.vtn.console.visitor import ConsoleUnderTest, Page
from tests.vtn.harness import VtnUnderTest
from tests.vtn.outbox_rows import OutboxRows
from tests.vtn.receiver import Receiver
from vtn.access import Role
from vtn.console.setting_rows import setting_rows
from vtn.settings import Settings
from vtn.store.console.alarms import AlarmStore
from vtn.store.outbox.queue import Ended, Outcome
from vtn.store.stamps import Stamps


async def acts(console: ConsoleUnderTest) -> list[tuple[str, str]]:
    """The acts in the audit trail: act and what, newest first."""
    tree = await console.page("/audit")
    return [
        (row.xpath("td[2]")[0].text_content(), row.xpath("td[3]")[0].text_content()) for row in tree.xpath("//tbody/tr")
    ]


def rows(page: Any) -> list[list[str]]:
    """The cells of the first table of a page."""
    return [[" ".join(cell.text_content().split()) for cell in row] for row in page.xpath("(//table)[1]//tbody/tr")]


async def follow(console: ConsoleUnderTest, answer: Page) -> Page:
    """The page that an act leads to."""
    answer.ok(303)
    return (await console.get(answer.leads_to.removeprefix("/console"))).ok()


# Alarms


async def test_alarms_are_shown_and_acknowledged(console: ConsoleUnderTest, vtn: VtnUnderTest) -> None:
    """With a note, by an operator; the audit trail has before and after."""
    store = AlarmStore(vtn.server._database, Stamps(vtn.now))
    conditions = [
        ("DISK_LOW", "a:/data", "1.0 GB of 9.0 GB are free"),
        ("VEN_SILENT", "home-1", "VEN <b>x</b> is silent"),
    ]
    await store.note(conditions, covers=lambda *_: True)
    await store.note(conditions[1:], covers=lambda *_: True)
    (shown,) = rows(await console.page("/alarms"))
    assert (shown[0], shown[1], shown[3]) == ("VEN <b>x</b> is silent", "VEN silent", "holds")
    assert len(rows(await console.page("/alarms", over="1"))) == 2
    assert rows(await console.page("/alarms", kind="DISK_LOW", over="1"))[0][0] == "1.0 GB of 9.0 GB are free"
    (alarm,) = await store.holding()
    now = (await console.get("/")).ok()
    assert "VEN <b>x</b> is silent" in now.words
    operator = await console.as_role("operator")
    path = f"/alarms/{alarm.id}/acknowledge"
    page = await follow(operator, await operator.post(path, note="electrician is on the way"))
    assert f"{operator.name}, now: electrician is on the way" in page.words
    (noted,) = [what for act, what in await acts(console) if act == "alarm acknowledged"]
    assert noted == f"alarm {alarm.id}: VEN <b>x</b> is silent"
    refused = (await operator.post(path, note="x" * 501)).ok(422)
    assert "at most 500 characters" in refused.words
    viewer = await console.as_role("viewer")
    (await viewer.post(path, note="")).ok(403)
    for wrong in ("99999", "x", "9" * 40):
        (await operator.post(f"/alarms/{wrong}/acknowledge", note="")).ok(404)
    (await console.get("/alarms", kind="FIRE")).ok(400)
    assert (await console.block("/alarms", "alarm-list")).ok().text.lstrip().startswith('<div id="alarm-list"')


async def test_without_alarms_all_is_well(console: ConsoleUnderTest) -> None:
    """And who is told is said as a checklist."""
    page = (await console.get("/alarms")).ok()
    assert "Alarms are not evaluated" in page.words  # by the settings of tests
    assert "Nobody is told but who looks here" in page.words
    (await console.post("/alarms/channels/email/test")).ok(404)


async def test_a_channel_of_alarms_is_tried(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """By an admin: a message goes out, and the page shows that it was sent."""
    receiver = Receiver()
    await receiver.start()

    async def taken(_: Any) -> Any:
        from aiohttp import web

        return web.Response()

    receiver.answering = taken
    webhook = {"allow_private_addresses": True, "require_https": False, "denied_ports": []}
    alarms = {"enabled": True, "webhook": {"url": receiver.url}, "evaluate_s": 3600}
    other = await start_vtn(webhook=webhook, alarms=alarms)
    console = await ConsoleUnderTest.signed_in(other, "admin")
    try:
        await follow(console, await console.post("/alarms/channels/webhook/test"))
        await wait_until(lambda: receiver.requests, what="the test message")
        store = AlarmStore(vtn.server._database, Stamps(vtn.now))

        async def told() -> bool:
            return (await store.channel_states())["webhook"].sent == 1

        await wait_until(told, what="that it was sent")
        assert "webhook" in (await console.get("/alarms")).words
    finally:
        await console.close()
        await receiver.stop()


# Deliveries


async def test_deliveries_show_callbacks_and_what_waits(console: ConsoleUnderTest, vtn: VtnUnderTest) -> None:
    """Those with trouble alone if asked; of each client."""
    outbox = OutboxRows(vtn)
    well, failing = await outbox.endpoint("home-1"), await outbox.endpoint("home-2", failures=2, last_error="no answer")
    dead, waiting = await outbox.delivery(failing), await outbox.delivery(well, "e2")
    await outbox.outbox.record([Ended(dead, Outcome.DEAD, "it answered 404")])
    table = (await console.page("/deliveries")).xpath("//div[@id='endpoint-list']//tbody/tr")
    states = [(row.xpath("td[1]")[0].text_content().strip(), row.xpath("td[2]")[0].text_content()) for row in table]
    assert [(client.split()[0], state) for client, state in states] == [("home-1", "new"), ("home-2", "failing")]
    troubled = await console.page("/deliveries", bad="1")
    assert [
        " ".join(row.text_content().split()) for row in troubled.xpath("//div[@id='endpoint-list']//tbody/tr/th")
    ] == [f"https://{failing}.example/hook"]
    operator = await console.as_role("operator")
    for path in ("/deliveries", f"/deliveries/subscriptions/of-{failing}"):  # some have a secret in their path
        words = (await operator.get(path)).ok().words
        assert f"https://{failing}.example/…" in words
        assert "/hook" not in words
    listed = rows(await console.page("/deliveries/waiting"))
    assert [(row[1], row[2]) for row in listed] == [(str(dead), "given up"), (str(waiting), "waiting")]
    assert "it answered 404" in listed[0]
    assert len(rows(await console.page("/deliveries/waiting", state="DEAD"))) == 1
    assert len(rows(await console.page("/deliveries/waiting", client="home-1"))) == 1
    one = (await console.get(f"/deliveries/subscriptions/of-{failing}")).ok()
    assert "it answered 404" in one.words
    (await console.get("/deliveries/subscriptions/nothing")).ok(404)
    await outbox.endpoint(push="WEBSOCKET")
    (channel,) = [row for row in rows(await console.page("/deliveries")) if row[0] == "WEBSOCKET"]
    assert "not counted here" in channel[3]  # and no 0
    wrong: dict[str, Any] = {"state": "LOST", "channel": "PIGEON", "after": "x", "client": "x" * 257}
    for name, value in wrong.items():
        (await console.get("/deliveries/waiting", **{name: value})).ok(400)


async def test_an_empty_outbox_says_so(console: ConsoleUnderTest) -> None:
    """Checklists instead of tables."""
    page = (await console.get("/deliveries")).ok()
    assert "No client has a callback" in page.words
    assert "No broker is in the settings" in page.words
    assert "waits or was given up" in (await console.get("/deliveries/waiting")).ok().words


async def test_what_was_given_up_is_sent_again_or_dropped(console: ConsoleUnderTest, vtn: VtnUnderTest) -> None:
    """WEBHOOK-019: by an operator, of single ones or of a selection, never of everything by mistake."""
    outbox = OutboxRows(vtn)
    hook = await outbox.endpoint("home-1")
    dead = [await outbox.delivery(hook, f"e{number}") for number in range(3)]
    await outbox.outbox.record([Ended(each, Outcome.DEAD, "it answered 404") for each in dead])
    viewer, operator = await console.as_role("viewer"), await console.as_role("operator")
    (await viewer.post("/deliveries/drop", which="all")).ok(403)
    assert "Which ones?" in (await operator.post("/deliveries/drop")).ok(422).words
    assert "Nothing is chosen" in (await operator.post("/deliveries/drop", which="chosen", state="DEAD")).ok(422).words
    (await operator.post("/deliveries/retry", which="chosen", id="x")).ok(400)
    page = await follow(operator, await operator.post("/deliveries/retry", which="chosen", id=[str(dead[0])]))
    assert "1 that were given up are sent again" in page.words
    page = await follow(operator, await operator.post("/deliveries/drop", which="all", state="DEAD", client="home-1"))
    assert "2 notifications are dropped" in page.words
    listed = rows(await console.page("/deliveries/waiting"))
    assert [(row[1], row[2]) for row in listed] == [(str(dead[0]), "waiting")]
    assert [each for each in await acts(console) if each[0].startswith("notifications")] == [
        ("notifications dropped", "client home-1, state DEAD"),
        ("notifications sent again", f"numbers {dead[0]}"),
    ]


async def test_a_long_list_has_further_parts(console: ConsoleUnderTest, vtn: VtnUnderTest) -> None:
    """A hundred at a time, by their numbers."""
    outbox = OutboxRows(vtn)
    hook = await outbox.endpoint("home-1")
    numbers = [await outbox.delivery(hook, f"e{number}") for number in range(103)]
    first = await console.page("/deliveries/waiting")
    assert len(rows(first)) == 100
    (more,) = first.xpath("//a[@rel='next']/@href")
    second = (await console.get(more.removeprefix("/console"))).ok().tree
    assert [row[1] for row in rows(second)] == [str(number) for number in numbers[100:]]


async def test_a_subscription_is_tried(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """SUBS-029: each callback hears that its subscription was read, with its token, by the usual way."""
    webhook = {"allow_private_addresses": True, "require_https": False, "denied_ports": []}
    other = await start_vtn(webhook=webhook, notify={"dispatch": True})
    receiver, bodies = Receiver(), list[Any]()
    await receiver.start()
    echo = receiver.answering

    async def keep(request: Any) -> Any:
        from aiohttp import web

        if request.method == "GET":
            return await echo(request)
        bodies.append((await request.json(), request.headers["Authorization"]))
        return web.Response()

    receiver.answering = keep
    entry = {"objects": ["EVENT"], "operations": ["CREATE"], "callbackUrl": receiver.url}
    entry["bearerToken"] = "the token of a receiver"
    made = (await other.bl.post("/subscriptions", {"clientName": "ops", "objectOperations": [entry]})).ok(201)
    console = await ConsoleUnderTest.signed_in(other, "operator")
    try:
        path = f"/deliveries/subscriptions/{made['id']}"
        await follow(console, await console.post(f"{path}/test"))
        await wait_until(lambda: bodies, what="the notification")
        body, token = bodies[0]
        assert (body["objectType"], body["operation"], body["object"]["id"]) == ("SUBSCRIPTION", "READ", made["id"])
        assert token == "Bearer the token of a receiver"

        async def shown() -> bool:
            return "delivered" in (await console.block(path, "trial-list")).text

        await wait_until(shown, what="that it was delivered")
        (await console.post("/deliveries/subscriptions/nothing/test")).ok(422)
    finally:
        await console.close()
        await receiver.stop()


# Settings, clients and users


async def test_settings_say_languages_addresses_and_what_is_kept(console: ConsoleUnderTest, vtn: VtnUnderTest) -> None:
    """Everybody sees these; each setting with its source only admins."""
    viewer = await console.as_role("viewer")
    page = (await viewer.get("/settings")).ok()
    assert f"{vtn.origin}/openadr3/3.1.0" in page.words
    languages = {row[0]: row[1] for row in rows(page.tree)}
    assert (languages["OpenADR 3.1"], languages["OpenADR 3.0.1"], languages["OpenADR 2.0b"]) == ("yes", "yes", "no")
    assert "reports.retention_days" in page.words
    (await viewer.get("/settings/all")).ok(403)
    every = rows(await console.page("/settings/all"))
    assert ["port", "0", "file or flag"] in every
    assert ["auth.token_lifetime_s", "3600", "default"] in every
    assert all(row[2] != "default" for row in rows(await console.page("/settings/all", changed="1")))


def test_secrets_in_settings_are_not_shown() -> None:
    """Nor what may be one inside a URL; the source is the variable that set it."""
    settings = Settings.model_validate(
        {
            "port": 8081,
            "database": {"url": "postgresql://oadr:a-password-of-ours@db/oadr"},
            "auth": {"signing_key": "a-key-of-thirty-two-bytes-or-more!", "previous_signing_keys": ["b" * 40]},
            "alarms": {"webhook": {"url": "https://hooks.example/services/T0/secret-part", "bearer_token": "tok-en-9"}},
            "mqtt": {"url": "mqtts://broker", "user": "vtn", "password": "the broker's password"},
        }
    )
    names = ["OADR_VTN_PORT", "OADR_VTN_AUTH__SIGNING_KEY_FILE", "OADR_VTN_MQTT", "PATH"]
    found = {row.name: row for row in setting_rows(settings, names)}
    assert (found["port"].value, found["port"].source) == ("8081", "environment, OADR_VTN_PORT")
    assert found["auth.signing_key"].source == "environment, OADR_VTN_AUTH__SIGNING_KEY_FILE"
    assert found["mqtt.user"].source == "environment, OADR_VTN_MQTT"
    assert found["database.url"].source == "file or flag"
    assert found["alarms.webhook.url"].value == "https://hooks.example/…"
    assert found["websocket.heartbeat_s"].is_default
    text = " ".join(row.value for row in found.values())
    for secret in ("a-password-of-ours", "thirty-two", "bbbb", "secret-part", "tok-en-9", "the broker's password"):
        assert secret not in text


async def test_clients_are_suspended_resumed_and_rotated(console: ConsoleUnderTest, vtn: VtnUnderTest) -> None:
    """AUTH-034: by an admin; a new secret is shown once and gives tokens."""
    made = await vtn.server.clients.add("home/1 ?", Role.VEN)
    await vtn.server.clients.add("utility", Role.BL)
    assert [row[:2] for row in rows(await console.page("/settings/clients"))] == [
        ["home/1 ?", "VEN"],
        ["utility", "BL"],
    ]
    assert [row[0] for row in rows(await console.page("/settings/clients", client="ut"))] == ["utility"]
    assert [row[0] for row in rows(await console.page("/settings/clients", role="VEN"))] == ["home/1 ?"]
    assert "No client is like this" in (await console.get("/settings/clients", client="%")).words
    path = "/settings/clients/home%2F1%20%3F"
    await follow(console, await console.post(f"{path}/suspend"))
    assert [row[3] for row in rows(await console.page("/settings/clients", client="home"))] == ["suspended"]
    await follow(console, await console.post(f"{path}/resume"))
    page = (await console.post(f"{path}/rotate")).ok()
    secret = page.tree.xpath("//dd/code")[1].text_content()
    assert await vtn.server.clients.authenticated("home/1 ?", secret) is not None
    assert await vtn.server.clients.authenticated("home/1 ?", made.secret) is None
    noted = await acts(console)
    assert [act for act, _ in noted[:3]] == ["client secret rotated", "client resumed", "client suspended"]
    assert secret not in str(noted)
    (await console.post("/settings/clients/nobody/suspend")).ok(404)
    (await console.get("/settings/clients", role="KING")).ok(400)
    operator = await console.as_role("operator")
    (await operator.get("/settings/clients")).ok(403)
    (await operator.post(f"{path}/rotate")).ok(403)


async def test_the_address_of_2_0b_has_the_port_that_was_taken(start_vtn: StartVtn) -> None:
    """Not the 0 that asks for any."""
    vtn = await start_vtn(v20b={"port": 0, "trusted_proxies": ["127.0.0.0/8"]})
    console = await ConsoleUnderTest.signed_in(vtn, "viewer")
    try:
        assert f":{vtn.server.port_20b}/OpenADR2/Simple/2.0b" in (await console.get("/settings")).ok().words
    finally:
        await console.close()


async def test_users_are_added_changed_signed_out_and_removed(console: ConsoleUnderTest) -> None:
    """By an admin, who cannot remove himself, nor leave nobody in charge."""
    password = "a password of somebody new"
    page = await follow(console, await console.post("/settings/users", name="anna", role="viewer", password=password))
    assert "anna can sign in" in page.words
    anna = console.stranger()
    (await anna.post("/login", name="anna", password=password)).ok(303)
    (await anna.get("/settings/users")).ok(403)
    await follow(console, await console.post("/settings/users/anna/role", role="admin"))
    (await anna.get("/settings/users")).ok()
    await follow(console, await console.post("/settings/users/anna/sessions/end"))
    (await anna.get("/settings/users")).ok(303)
    changed = "another password of hers"
    await follow(console, await console.post("/settings/users/anna/password", password=changed))
    (await anna.post("/login", name="anna", password=password)).ok(422)
    (await anna.post("/login", name="anna", password=changed)).ok(303)
    await follow(console, await console.post("/settings/users/anna/remove"))
    (await anna.get("/settings")).ok(303)
    noted = [act for act, _ in await acts(console)]
    assert [act for act in noted if act not in {"signed in", "sign-in refused"}] == [
        "user removed",
        "password changed",
        "sessions ended",
        "role changed",
        "user added",
    ]


@pytest.mark.parametrize(
    ("path", "fields", "status", "said"),
    [
        ("/settings/users", {"name": "b b", "role": "viewer", "password": "x" * 20}, 422, "name"),
        ("/settings/users", {"name": "bob", "role": "viewer", "password": "short"}, 422, "password"),
        ("/settings/users", {"name": "bob", "role": "king", "password": "x" * 20}, 422, "role: expected viewer"),
        ("/settings/users/nobody/role", {"role": "viewer"}, 422, "there is no user nobody"),
        ("/settings/users/nobody/password", {"password": "a new password, of nobody"}, 422, "there is no user nobody"),
        ("/settings/users/nobody/remove", {}, 422, "there is no user nobody"),
        ("/settings/users/nobody/sessions/end", {}, 404, "there is no user nobody"),
    ],
)
async def test_what_cannot_be_done_to_users(
    console: ConsoleUnderTest, path: str, fields: dict[str, Any], status: int, said: str
) -> None:
    """Is said, and nothing is changed; a password that was typed is not sent back."""
    page = (await console.post(path, **fields)).ok(status)
    assert said in page.words
    assert fields.get("password", "no password was typed") not in page.text
    assert [row[0].split()[0] for row in rows(await console.page("/settings/users"))] == [console.name]


async def test_an_admin_does_not_remove_himself(console: ConsoleUnderTest) -> None:
    """Another one has to."""
    assert "cannot remove yourself" in (await console.post(f"/settings/users/{console.name}/remove")).ok(422).words
