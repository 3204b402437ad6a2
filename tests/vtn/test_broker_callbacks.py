"""A broker that asks: in the shapes of EMQX, mosquitto-go-auth and NanoMQ (MQTT-016 … MQTT-019, 039 … 042)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select, update

from bench.support.net import free_port
from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn
from tests.vtn.harness import Answer, Session, VtnUnderTest
from vtn.access import Role, Scope
from vtn.api import broker as api_broker
from vtn.notify.broker_access import binding
from vtn.store.tables import broker_accounts

SECRET = "the-secret-of-a-broker"
PUBLISHER = ("vtn-of-a-test", "password-of-a-publisher")


def asking(**access: Any) -> dict[str, Any]:
    """Settings of a VTN whose broker asks."""
    user, password = PUBLISHER
    access = {"callbacks": True, "callback_secret": SECRET} | access
    return {"url": "mqtt://127.0.0.1:1883", "user": user, "password": password, "access": access}


@dataclass
class Broker:
    """A broker that asks a VTN, as recorded from the sources and manuals of three products."""

    vtn: VtnUnderTest

    async def ask(self, path: str, document: dict[str, Any], **more: Any) -> Answer:
        """One question with the secret."""
        headers = {"X-Broker-Secret": SECRET}
        return await self.vtn.ask("POST", f"{self.vtn.origin}/broker/{path}", json=document, headers=headers, **more)

    async def emqx_connects(self, user: str, password: str) -> Any:
        """EMQX's HTTP authenticator with the body that `deploy/mqtt/emqx.conf` sets."""
        return (await self.ask("emqx/authn", {"username": user, "password": password, "clientid": "x"})).ok()

    async def emqx_may(self, user: str, action: str, topic: str) -> bool:
        """EMQX's HTTP authoriser: only a 200 counts, another status leaves the decision to EMQX."""
        document = {"username": user, "clientid": "x", "action": action, "topic": topic}
        found = (await self.ask("emqx/authz", document)).ok()
        assert found["result"] in {"allow", "deny"}
        return bool(found["result"] == "allow")

    async def connects(self, user: str, password: str) -> bool:
        """mosquitto-go-auth, response_mode status: 2xx or not; 5xx would be an error of the backend."""
        answer = await self.ask("user", {"username": user, "password": password, "clientid": "x"})
        assert answer.status in {200, 403}
        assert answer.body["ok"] is (answer.status == 200)
        return answer.status == 200

    async def may(self, user: str, access: int, topic: str) -> bool:
        """mosquitto-go-auth: `acc` is 1 to read, 2 to write, 3 for both, 4 to subscribe."""
        answer = await self.ask("acl", {"username": user, "clientid": "x", "topic": topic, "acc": access})
        assert answer.status in {200, 403}
        return answer.status == 200


READ, WRITE, READ_WRITE, SUBSCRIBE = 1, 2, 3, 4


@pytest_asyncio.fixture(loop_scope="session")
async def broker(start_vtn: StartVtn) -> Broker:
    """A broker whose clients show tokens."""
    return Broker(await start_vtn(mqtt=asking()))


def token_of(caller: Session) -> str:
    """The access token of a caller."""
    return caller.headers["Authorization"].removeprefix("Bearer ")


async def connected_ven(broker: Broker) -> tuple[Session, str]:
    """A VEN that has shown its token, and the id of its ven."""
    home = broker.vtn.home()
    ven = await home.ven()
    assert await broker.connects(home.client_id, token_of(home))
    return home, ven["id"]


async def test_clients_are_told_to_send_their_token(broker: Broker) -> None:
    """MQTT-039: the user name is the client's id, the password its token."""
    found = (await broker.vtn.home().get("/notifiers")).ok()["MQTT"]["authentication"]
    assert found == {"method": "OAUTH2_BEARER_TOKEN", "username": "{clientID}"}


async def test_a_token_lets_in_its_own_client_until_it_ends(broker: Broker) -> None:
    """MQTT-039, MQTT-040, MQTT-042: EMQX is told when to end the session; nobody is a superuser."""
    home = broker.vtn.home()
    found = await broker.emqx_connects(home.client_id, token_of(home))
    expires_at = int(broker.vtn.now().timestamp()) + 3600
    assert found == {"result": "allow", "is_superuser": False, "expire_at": expires_at}
    for user, password in (
        (home.client_id, "wrong"),
        (home.client_id, ""),
        (home.client_id, token_of(home)[:-1]),
        ("another", token_of(home)),
        ("", token_of(home)),
        ("", ""),
        (PUBLISHER[0], token_of(home)),
        (PUBLISHER[0], "wrong"),
    ):
        assert await broker.emqx_connects(user, password) == {"result": "deny", "is_superuser": False}, user
        assert not await broker.connects(user, password), user
    broker.vtn.now.pass_(seconds=3601)
    assert not await broker.connects(home.client_id, token_of(home))
    assert (await broker.ask("superuser", {"username": home.client_id})).status == 403


async def test_a_ven_reads_what_is_public_and_its_own_and_publishes_nothing(broker: Broker) -> None:
    """MQTT-016, MQTT-018, MQTT-019: to subscribe, for each delivery, and to publish; both shapes say the same."""
    home, ven = await connected_ven(broker)
    _, other = await connected_ven(broker)
    user = home.client_id
    for mine in ("openadr3/public/#", f"openadr3/vens/{ven}/#", f"openadr3/vens/{ven}/events/+"):
        assert await broker.may(user, SUBSCRIBE, mine), mine
        assert await broker.emqx_may(user, "subscribe", mine), mine
    for no in (
        *("#", "+/#", "openadr3/#", "openadr3/vens/+/events/create", f"openadr3/vens/{other}/#", "$SYS/#", ""),
        *(
            "openadr3/programs/create",
            "$share/g/openadr3/public/#",
            "openadr3/vens/#",
        ),
        *(f"openadr3/vens/{ven}x/#", f"openadr3/vens/{ven}/#/x", f"openadr3/vens/{ven}/a+", f"OPENADR3/vens/{ven}/#"),
    ):
        assert not await broker.may(user, SUBSCRIBE, no), no
        assert not await broker.emqx_may(user, "subscribe", no), no
    assert await broker.may(user, READ, f"openadr3/vens/{ven}/events/create")
    assert not await broker.may(user, READ, f"openadr3/vens/{other}/events/create")
    assert not await broker.may(user, READ, f"openadr3/vens/{ven}/#")
    for topic in (f"openadr3/vens/{ven}/events/create", "openadr3/public/x", "other"):
        assert not await broker.may(user, WRITE, topic)
        assert not await broker.may(user, READ_WRITE, topic)
        assert not await broker.emqx_may(user, "publish", topic)
    assert not await broker.may(user, 0, f"openadr3/vens/{ven}/update")
    assert not await broker.emqx_may(user, "all", f"openadr3/vens/{ven}/update")


async def test_business_logic_reads_everything_and_this_server_publishes(broker: Broker) -> None:
    """MQTT-017."""
    bl = broker.vtn.bl
    assert await broker.connects(bl.client_id, token_of(bl))
    assert await broker.may(bl.client_id, SUBSCRIBE, "openadr3/#")
    assert await broker.may(bl.client_id, READ, "openadr3/vens/x/events/create")
    assert not await broker.may(bl.client_id, SUBSCRIBE, "#")
    assert not await broker.may(bl.client_id, WRITE, "openadr3/events/create")
    user, password = PUBLISHER
    assert await broker.emqx_connects(user, password) == {"result": "allow", "is_superuser": False}
    assert await broker.may(user, WRITE, "openadr3/events/create")
    assert not await broker.may(user, WRITE, "other")
    assert not await broker.may(user, WRITE, "openadr3/#")
    assert not await broker.may(user, SUBSCRIBE, "openadr3/#")


async def test_rights_end_with_the_token_the_ven_and_the_client(broker: Broker) -> None:
    """MQTT-040, MQTT-041: also on a connection that is open, which the broker asks about at every delivery."""
    home, ven = await connected_ven(broker)
    topic = f"openadr3/vens/{ven}/events/create"
    assert await broker.may(home.client_id, READ, topic)
    (await home.delete(f"/vens/{ven}")).ok()
    assert not await broker.may(home.client_id, READ, topic)
    assert await broker.may(home.client_id, READ, "openadr3/public/programs/create")
    broker.vtn.now.pass_(seconds=3601)
    assert not await broker.may(home.client_id, READ, "openadr3/public/programs/create")

    clients = broker.vtn.server.clients
    await clients.add("suspended", Role.VEN)
    suspended = broker.vtn.caller(Role.VEN, client_id="suspended")
    assert await broker.connects("suspended", token_of(suspended))
    assert await broker.may("suspended", SUBSCRIBE, "openadr3/public/#")
    await clients.suspend("suspended")
    assert not await broker.may("suspended", SUBSCRIBE, "openadr3/public/#")
    assert not await broker.connects("suspended", token_of(suspended))


@pytest.mark.parametrize(
    ("role", "scopes", "reads"),
    [
        (Role.VEN, {Scope.READ_TARGETS}, {"openadr3/public/#"}),
        (Role.VEN, {Scope.READ_VEN_OBJECTS}, set()),
        (Role.VEN, {Scope.WRITE_REPORTS}, set()),
        (Role.BL, {Scope.WRITE_EVENTS}, set()),
        (Role.BL, {Scope.READ_BL}, {"openadr3/public/#", "openadr3/vens/{ven}/#", "openadr3/#"}),
    ],
    ids=lambda value: ",".join(sorted(map(str, value))) if isinstance(value, set) else str(value),
)
async def test_a_token_allows_at_the_broker_what_it_allows_over_http(
    broker: Broker, role: Role, scopes: set[Scope], reads: set[str]
) -> None:
    """MQTT-014: a scope that is missing is missing here too."""
    home, ven = await connected_ven(broker)
    broker.vtn.now.pass_(seconds=1)
    caller = broker.vtn.caller(role, scopes=scopes, client_id=home.client_id)
    assert await broker.connects(caller.client_id, token_of(caller)) is bool(reads)
    if reads:
        for topic_filter in ("openadr3/public/#", "openadr3/vens/{ven}/#", "openadr3/#"):
            may = await broker.may(caller.client_id, SUBSCRIBE, topic_filter.format(ven=ven))
            assert may is (topic_filter in reads), topic_filter


async def test_forms_are_read_too(broker: Broker) -> None:
    """mosquitto-go-auth's params_mode form, and NanoMQ; the secret may stand in the address."""
    home = broker.vtn.home()
    url = f"{broker.vtn.origin}/broker/user"
    form = {"username": home.client_id, "password": token_of(home), "clientid": "x"}
    assert (await broker.vtn.ask("POST", url, form=form, params={"secret": SECRET})).status == 200
    url = f"{broker.vtn.origin}/broker/acl"
    for access, topic, status in (
        ("1", "openadr3/public/#", 200),
        ("1", "openadr3/#", 403),
        ("2", "openadr3/public/x", 403),
        ("3", "openadr3/public/x", 403),
    ):
        form = {"username": home.client_id, "access": access, "topic": topic}
        assert (await broker.vtn.ask("POST", url, form=form, params={"secret": SECRET})).status == status


@pytest.mark.parametrize("path", ["user", "superuser", "acl", "emqx/authn", "emqx/authz"])
async def test_only_the_broker_may_ask(broker: Broker, path: str) -> None:
    """Whoever has no secret learns nothing, and what is no question is refused with its reason."""
    url = f"{broker.vtn.origin}/broker/{path}"
    for headers in ({}, {"X-Broker-Secret": "wrong"}, {"X-Broker-Secret": ""}):
        answer = await broker.vtn.ask("POST", url, json={"username": "x"}, headers=headers)
        assert "secret" in answer.problem(401)
    for raw in (b"", b"[]", b"{", b"\xff", b'{"username": "' + b"x" * 300_000 + b'"}'):
        answer = await broker.vtn.ask("POST", url, raw=raw, headers={"X-Broker-Secret": SECRET})
        answer.problem(413 if len(raw) > 100_000 else 400)
    assert (await broker.vtn.ask("GET", url, headers={"X-Broker-Secret": SECRET})).status == 405


async def test_a_secret_of_any_bytes_is_refused_and_nothing_more(broker: Broker) -> None:
    """They come as they are, not as text."""
    reader, writer = await asyncio.open_connection("127.0.0.1", broker.vtn.server.port)
    head = b"POST /broker/user HTTP/1.1\r\nHost: vtn\r\nX-Broker-Secret: \xff\xfe\r\nConnection: close\r\n"
    writer.write(head + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
    assert (await reader.read()).startswith(b"HTTP/1.1 401 ")
    writer.close()
    await writer.wait_closed()


async def test_without_a_secret_only_this_host_may_ask(start_vtn: StartVtn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker beside the server needs none."""
    vtn = await start_vtn(mqtt=asking(callback_secret=None))
    answer = await vtn.ask("POST", f"{vtn.origin}/broker/user", json={"username": "x", "password": "y"})
    assert answer.status == 403
    monkeypatch.setattr(api_broker, "_is_here", lambda _: False)
    answer = await vtn.ask("POST", f"{vtn.origin}/broker/user", json={"username": "x", "password": "y"})
    assert "on this host" in answer.problem(401)


@pytest.mark.parametrize(
    ("address", "is_here"), [("127.0.0.1", True), ("::1", True), ("10.0.0.1", False), (None, False), ("", False)]
)
def test_this_host_is_known_by_its_loopback_addresses(address: str | None, is_here: bool) -> None:
    """An address that cannot be read is another host's."""
    assert api_broker._is_here(address) is is_here


async def test_accounts_are_for_brokers_that_ask_too(start_vtn: StartVtn) -> None:
    """MQTT-047, MQTT-041: the account goes with the ven, and has another password after tokens were taken back."""
    broker = Broker(await start_vtn(mqtt=asking(method="ACCOUNT")))
    await broker.vtn.server.clients.add("of-account", Role.VEN)
    home = broker.vtn.caller(Role.VEN, client_id="of-account")
    ven = (await home.ven())["id"]
    found = (await home.get("/notifiers")).ok()["MQTT"]["authentication"]
    user, password = found["username"], found["password"]
    assert user == f"ven-{ven}"
    assert await broker.connects(user, password)
    assert not await broker.connects(user, "wrong")
    assert not await broker.connects(home.client_id, token_of(home))
    assert await broker.may(user, SUBSCRIBE, f"openadr3/vens/{ven}/#")
    assert not await broker.may(user, SUBSCRIBE, "openadr3/#")
    broker.vtn.now.pass_(seconds=1)
    await broker.vtn.server.clients.suspend("of-account")
    assert not await broker.connects(user, password)
    assert not await broker.may(user, READ, f"openadr3/vens/{ven}/update")
    await broker.vtn.server.clients.resume("of-account")
    broker.vtn.now.pass_(seconds=1)
    again = (await broker.vtn.caller(Role.VEN, client_id="of-account").get("/notifiers")).ok()["MQTT"]["authentication"]
    assert again["username"] == user
    assert again["password"] != password
    assert await broker.connects(user, again["password"])
    (await broker.vtn.bl.delete(f"/vens/{ven}")).ok()
    assert not await broker.connects(user, again["password"])


@pytest.mark.parametrize("method", ["ACCOUNT", "OAUTH2_BEARER_TOKEN"])
async def test_a_name_that_no_database_holds_is_nobodys(start_vtn: StartVtn, method: str) -> None:
    """A 500 would leave the decision to EMQX: the character NUL is in no name, no password and no topic of MQTT."""
    broker = Broker(await start_vtn(mqtt=asking(method=method)))
    for user, password, topic in (("a\x00b", "c", "openadr3/#"), ("a", "b\x00", "openadr3/public/\x00")):
        assert not await broker.connects(user, password)
        assert (await broker.emqx_connects(user, password))["result"] == "deny"
        assert not await broker.emqx_may(user, "subscribe", topic)
        assert not await broker.may(user, READ, topic)


async def test_without_callbacks_there_are_no_such_routes(start_vtn: StartVtn) -> None:
    """Nobody asks a server that was not set to answer."""
    vtn = await start_vtn(mqtt={"url": "mqtt://127.0.0.1:1883"})
    assert (await vtn.ask("POST", f"{vtn.origin}/broker/user", json={})).status == 404


async def test_accounts_that_ended_do_not_stay(start_vtn: StartVtn) -> None:
    """Each new account clears away the one before, and once an hour those of vens that do not come back."""
    vtn = await start_vtn(mqtt=asking(method="ACCOUNT"))
    homes = [vtn.home() for _ in range(3)]
    vens = [(await home.ven())["id"] for home in homes]

    async def accounts() -> set[str]:
        of_vens = select(broker_accounts.c.ven_id).where(broker_accounts.c.ven_id.is_not(None))
        return {row["ven_id"] for row in await vtn.server._database.rows(of_vens)}

    for home in homes[:2]:
        (await home.get("/notifiers")).ok()
    (await vtn.bl.delete(f"/vens/{vens[0]}")).ok()
    (await homes[2].get("/notifiers")).ok()
    assert await accounts() == set(vens)
    vtn.now.pass_(hours=2)
    late = vtn.home()
    late_ven = (await late.ven())["id"]
    (await late.get("/notifiers")).ok()
    assert await accounts() == {*vens[1:], late_ven}


async def test_few_wait_for_a_broker_that_does_not_answer(start_vtn: StartVtn, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are told of their accounts although the broker does not have them yet."""
    monkeypatch.setattr(binding, "_READY_S", 3600)
    monkeypatch.setattr(binding, "_MOST_WAITING", 1)
    dynamic = {"callbacks": False, "callback_secret": None, "dynamic_security": True}
    vtn = await start_vtn(mqtt=asking(method="ACCOUNT", **dynamic) | {"url": f"mqtt://127.0.0.1:{free_port()}"})
    one, other = vtn.home(), vtn.home()
    await one.ven(), await other.ven()
    waiting = asyncio.create_task(one.get("/notifiers"))
    await wait_until(lambda: _is_asked_for(vtn, one.client_id))
    told = (await other.get("/notifiers")).ok()["MQTT"]["authentication"]
    assert told["password"]
    assert not waiting.done()
    async with vtn.server._database.write() as connection:
        await connection.execute(update(broker_accounts).values(applied_at="now"))
    assert (await waiting).ok()["MQTT"]["authentication"]["password"] != told["password"]


async def _is_asked_for(vtn: VtnUnderTest, client_id: str) -> bool:
    its = broker_accounts.c
    asked = select(its.username).where(its.client_id == client_id, its.asked_at.is_not(None))
    return await vtn.server._database.row(asked) is not None


def test_an_account_is_looked_for_less_and_less_often() -> None:
    assert list(islice(binding.pauses_s(), 8)) == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]
