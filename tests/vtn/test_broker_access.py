"""Accounts and roles at a real Mosquitto with dynamic security: who reads what (MQTT-016 … MQTT-020, 038 … 047)."""

from __future__ import annotations

import itertools
import ssl
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiomqtt import MqttError
from structlog.testing import capture_logs

from tests.support.mosquitto import Mosquitto
from tests.support.pki import Pki
from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn
from tests.vtn.harness import Session, VtnUnderTest
from tests.vtn.mqtt_clients import MqttClient, connected, is_refused
from vtn.access import Role, Scope
from vtn.notify.broker_access import keeper
from vtn.notify.broker_access.dynamic_security import DynamicSecurity
from vtn.notify.broker_access.dynamic_security import connected as administrator

PUBLISHER = ("vtn-of-a-test", "password-of-a-publisher")


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A Mosquitto that knows its administrator only."""
    broker = Mosquitto(tmp_path_factory.mktemp("dynamic-security"), dynamic_security=True)
    broker.start()
    yield broker
    broker.stop()


def accounts_at(broker: Mosquitto, **members: Any) -> dict[str, Any]:
    """Settings of a VTN that makes accounts at this broker."""
    admin, password = broker.ADMIN
    access = {"method": "ACCOUNT", "dynamic_security": True, "admin_user": admin, "admin_password": password}
    user, own = PUBLISHER
    return {"url": broker.url, "user": user, "password": own, "access": access} | members


@pytest_asyncio.fixture(loop_scope="session")
async def fleet(broker: Mosquitto, start_vtn: StartVtn) -> Fleet:
    """A VTN with that broker and two VENs."""
    vtn = await start_vtn(mqtt=accounts_at(broker))
    homes = vtn.home(), vtn.home()
    fleet = Fleet(broker, vtn, *homes, *[await home.ven() for home in homes])
    await fleet.publisher_is_there()
    return fleet


@dataclass
class Fleet:
    """Two VENs with their vens."""

    broker: Mosquitto
    vtn: VtnUnderTest
    one: Session
    other: Session
    one_ven: Any
    other_ven: Any

    async def account(self, caller: Session) -> tuple[str, str]:
        """Return what /notifiers tells a caller."""
        found = (await caller.get("/notifiers")).ok()["MQTT"]["authentication"]
        assert found["method"] == "OAUTH2_BEARER_TOKEN"
        return found["username"], found["password"]

    async def publisher_is_there(self) -> None:
        """Wait until the VTN has made its own account."""
        await wait_until(self._publishes, what="the account that publishes")

    async def _publishes(self) -> bool:
        return not await is_refused(self.broker, *PUBLISHER)

    async def noted(self, line: str) -> None:
        """Wait for a line in the log of the broker."""
        await wait_until(lambda: line in self.broker.log_text(), what=line)

    async def only_gets(self, client: MqttClient, topic: str, *, own: str) -> None:
        """Make sure that a client that subscribed to `own` gets nothing published to a topic."""
        async with connected(self.broker, *PUBLISHER) as publisher:
            await publisher.publish(topic, "a secret")
            await publisher.publish(own, "the end")
        assert await client.until("the end") == []


async def test_each_ven_is_told_of_its_own_account_and_of_no_other(fleet: Fleet) -> None:
    """MQTT-044, MQTT-045, MQTT-047: names and passwords differ, and business logic is never told of a VEN's."""
    one, other = await fleet.account(fleet.one), await fleet.account(fleet.other)
    business_logic = await fleet.account(fleet.vtn.bl)
    assert one[0] == f"ven-{fleet.one_ven['id']}"
    assert other[0] == f"ven-{fleet.other_ven['id']}"
    assert len({one[1], other[1], business_logic[1]}) == 3
    assert not business_logic[0].startswith("ven-")
    assert await fleet.account(fleet.one) == one


async def test_accounts_work_when_they_are_told_and_others_are_refused(fleet: Fleet) -> None:
    """MQTT-042: a wrong password, no password, another's password and an unknown user are refused."""
    username, password = await fleet.account(fleet.one)
    other_name, _ = await fleet.account(fleet.other)
    for version in (4, 5):
        async with connected(fleet.broker, username, password, version=version) as client:
            assert await client.subscribe(f"openadr3/vens/{fleet.one_ven['id']}/#")
    for user, wrong in ((username, "wrong"), (username, None), (other_name, password), ("ven-x", ""), (None, None)):
        assert await is_refused(fleet.broker, user, wrong), user


async def test_a_ven_reads_what_is_public_and_its_own(fleet: Fleet) -> None:
    """MQTT-016."""
    own = f"openadr3/vens/{fleet.one_ven['id']}"
    async with connected(fleet.broker, *await fleet.account(fleet.one)) as client:
        assert await client.subscribe("openadr3/public/#")
        assert await client.subscribe(f"{own}/events/+")
        async with connected(fleet.broker, *PUBLISHER) as publisher:
            await publisher.publish("openadr3/public/programs/create", "1")
            await publisher.publish(f"{own}/events/create", "2")
        assert await client.until("2") == [("openadr3/public/programs/create", "1")]


@pytest.mark.parametrize(
    "wanted",
    [
        "#",
        "+/#",
        "openadr3/#",
        "openadr3/+/+/events/create",
        "openadr3/vens/#",
        "openadr3/vens/+/events/create",
        "openadr3/vens/{other}/#",
        "openadr3/vens/{other}/events/create",
        "openadr3/vens/{one}/../{other}/#",
        "openadr3/programs/create",
        "openadr3/events/#",
        "$share/everybody/openadr3/vens/{other}/#",
        "$share/everybody/openadr3/public/#",
        "$SYS/#",
        "$CONTROL/dynamic-security/v1/response",
    ],
)
async def test_a_filter_gives_a_ven_nothing_of_others(fleet: Fleet, wanted: str) -> None:
    """MQTT-018, MQTT-019: refused, or nothing comes of it, whatever else the client may read."""
    one, other = fleet.one_ven["id"], fleet.other_ven["id"]
    own = f"openadr3/vens/{one}/update"
    async with connected(fleet.broker, *await fleet.account(fleet.one)) as client:
        assert await client.subscribe(own)
        await client.subscribe(wanted.format(one=one, other=other))
        await fleet.only_gets(client, f"openadr3/vens/{other}/events/create", own=own)
        await fleet.only_gets(client, "openadr3/programs/create", own=own)


async def test_neither_vens_nor_business_logic_publish(fleet: Fleet) -> None:
    """MQTT-016, MQTT-017: no message, no retained message, no last will, no command to the broker."""
    own = f"openadr3/vens/{fleet.one_ven['id']}/update"
    topics = (own, "openadr3/public/programs/create", "other", "$CONTROL/dynamic-security/v1")
    async with connected(fleet.broker, *await fleet.account(fleet.vtn.bl)) as reader:
        assert await reader.subscribe("openadr3/#")
        for caller in (fleet.one, fleet.vtn.bl):
            username, password = await fleet.account(caller)
            for version, topic in itertools.product((4, 5), topics):
                async with connected(fleet.broker, username, password, version=version) as client:
                    with suppress(MqttError):  # a broker may end the connection for it, or acknowledge it all the same
                        await client.publish(topic, '{"commands": []}', retain=True)
            async with connected(
                fleet.broker, username, password, client_id=f"last-{username}", will="openadr3/public/will"
            ) as client:
                await client.break_off()
            await fleet.noted(f"Client last-{username} closed its connection")
        async with connected(fleet.broker, *PUBLISHER) as publisher:
            await publisher.publish(own, "the end")
        assert await reader.until("the end") == []


async def test_the_account_that_publishes_reads_nothing(fleet: Fleet) -> None:
    """MQTT-017: whoever gets hold of it can command nothing, and publishes below the prefix only."""
    async with connected(fleet.broker, *PUBLISHER) as publisher:
        for topic in ("openadr3/#", "#", "$CONTROL/#", "$SYS/#"):
            assert not await publisher.subscribe(topic)


async def test_a_removed_ven_loses_its_rights_on_an_open_connection(fleet: Fleet) -> None:
    """MQTT-041: the connection ends, the old password is refused, and others stay connected."""
    account, other = await fleet.account(fleet.one), await fleet.account(fleet.other)
    async with connected(fleet.broker, *other) as staying, connected(fleet.broker, *account) as open_one:
        assert await staying.subscribe("openadr3/public/#")
        assert await open_one.subscribe("openadr3/public/#")
        (await fleet.vtn.bl.delete(f"/vens/{fleet.one_ven['id']}")).ok()
        await open_one.has_ended()
        assert await is_refused(fleet.broker, *account)
        async with connected(fleet.broker, *PUBLISHER) as publisher:
            await publisher.publish("openadr3/public/programs/create", "the end")
        assert await staying.until("the end") == []
    assert "password" not in (await fleet.one.get("/notifiers")).ok()["MQTT"]["authentication"]


async def test_a_ven_that_is_registered_again_has_another_account(fleet: Fleet) -> None:
    """MQTT-041, MQTT-044."""
    before = await fleet.account(fleet.one)
    (await fleet.one.delete(f"/vens/{fleet.one_ven['id']}")).ok()
    ven = await fleet.one.ven()
    username, password = await fleet.account(fleet.one)
    assert username == f"ven-{ven['id']}"
    assert password != before[1]
    async with connected(fleet.broker, username, password) as client:
        assert await client.subscribe(f"openadr3/vens/{ven['id']}/#")
        assert not await client.subscribe(f"openadr3/vens/{fleet.one_ven['id']}/#")


async def test_a_ven_that_becomes_another_clients_has_another_password(fleet: Fleet) -> None:
    """MQTT-044: who had the ven before knows the old one."""
    account = await fleet.account(fleet.one)
    heir = fleet.vtn.home()
    document = {"objectType": "BL_VEN_REQUEST", "venName": fleet.one_ven["venName"], "clientID": heir.client_id}
    (await fleet.vtn.bl.put(f"/vens/{fleet.one_ven['id']}", document)).ok()
    await wait_until(lambda: is_refused(fleet.broker, *account), what="the end of the old password")
    username, password = await fleet.account(heir)
    assert username == account[0]
    assert password != account[1]


async def test_a_suspended_client_loses_its_account_and_gets_another_later(fleet: Fleet) -> None:
    """AUTH-034, MQTT-041: of VENs and of business logic alike; later the password is another one."""
    clients = fleet.vtn.server.clients
    for role, client_id in ((Role.VEN, "suspended-ven"), (Role.BL, "suspended-bl")):
        await clients.add(client_id, role)
        caller = fleet.vtn.caller(role, client_id=client_id)
        if role is Role.VEN:
            await caller.ven()
        account = await fleet.account(caller)
        async with connected(fleet.broker, *account) as client:
            await clients.suspend(client_id)
            await client.has_ended()
        assert await is_refused(fleet.broker, *account)
        await clients.resume(client_id)
        fleet.vtn.now.pass_(seconds=1)
        username, password = await fleet.account(fleet.vtn.caller(role, client_id=client_id))
        assert (username, password != account[1]) == (account[0], True)
        assert await is_refused(fleet.broker, *account)
        assert not await is_refused(fleet.broker, username, password)


async def test_nobody_without_the_scopes_for_it_is_told_an_account(fleet: Fleet) -> None:
    """MQTT-014: an account reads what its client may read over HTTP."""
    for role, scopes in ((Role.VEN, {Scope.WRITE_REPORTS}), (Role.BL, {Scope.WRITE_EVENTS})):
        caller = fleet.vtn.caller(role, scopes=scopes, client_id=fleet.one.client_id)
        found = (await caller.get("/notifiers")).ok()["MQTT"]["authentication"]
        assert found == {"method": "OAUTH2_BEARER_TOKEN", "username": "{clientID}"}


async def test_a_session_that_another_ven_takes_over_gives_it_nothing(fleet: Fleet) -> None:
    """MQTT-018: with the MQTT client id of another VEN come its subscriptions, and none of its messages."""
    victim, own = fleet.other_ven["id"], f"openadr3/vens/{fleet.one_ven['id']}/update"
    async with connected(
        fleet.broker, *await fleet.account(fleet.other), client_id="the-same", version=4, keep_session=True
    ) as client:
        assert await client.subscribe(f"openadr3/vens/{victim}/#")
    async with connected(fleet.broker, *PUBLISHER) as publisher:
        await publisher.publish(f"openadr3/vens/{victim}/events/create", "queued")
        async with connected(
            fleet.broker, *await fleet.account(fleet.one), client_id="the-same", version=4, keep_session=True
        ) as thief:
            await publisher.publish(f"openadr3/vens/{victim}/events/create", "live")
            assert await thief.subscribe(own)
            await publisher.publish(own, "the end")
            assert await thief.until("the end") == []


async def test_a_broker_that_was_away_or_forgot_gets_everything_again(fleet: Fleet) -> None:
    """MQTT-041: vens that came and went while the broker was down; accounts that it has and should not have."""
    gone = await fleet.account(fleet.one)
    fleet.broker.stop()
    (await fleet.vtn.bl.delete(f"/vens/{fleet.one_ven['id']}")).ok()
    new = fleet.vtn.home()
    ven = await new.ven()
    fleet.broker.start()
    await wait_until(lambda: account_that_works(fleet, new), what="the new account")
    username, password = await fleet.account(new)
    assert username == f"ven-{ven['id']}"
    assert await is_refused(fleet.broker, *gone)
    fleet.broker.stop()
    fleet.broker.forget_accounts()
    fleet.broker.start()
    await wait_until(lambda: account_that_works(fleet, new), what="the account at a broker that was set up anew")
    async with connected(fleet.broker, username, password) as client:
        assert await client.subscribe(f"openadr3/vens/{ven['id']}/#")
        assert not await client.subscribe("openadr3/#")


async def test_why_accounts_are_not_kept_is_said_once_and_with_the_way_out(
    broker: Mosquitto, start_vtn: StartVtn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MQTT-041: an account that publishes and is not there, and a broker that is away for many attempts."""
    tries: list[str] = []
    keep = keeper.Keeper._keep

    async def counted(self: keeper.Keeper) -> None:
        tries.append("again")
        await keep(self)

    async def several() -> None:
        seen = len(tries)
        await wait_until(lambda: len(tries) > seen + 3, timeout_s=30, what="attempts to keep the accounts")

    monkeypatch.setattr(keeper, "_RETRY_S", 0.05)
    monkeypatch.setattr(keeper.Keeper, "_keep", counted)
    with capture_logs() as logs:
        await start_vtn(mqtt=accounts_at(broker, password=None))
        await several()
        broker.stop()
        await several()
    said = [each["reason"] for each in logs if each["event"].startswith("the accounts at the MQTT broker are not kept")]
    assert f"the broker has no account {PUBLISHER[0]}, which publishes (mqtt.user)" in said[0]
    assert "mqtt.password" in said[0]
    assert "refused" in said[-1]
    assert len(set(said)) == len(said)


async def account_that_works(fleet: Fleet, caller: Session) -> tuple[str, str] | None:
    """Return what /notifiers tells a caller, once the broker accepts it."""
    account = await fleet.account(caller)
    return None if await is_refused(fleet.broker, *account) else account


async def test_what_an_operator_changed_is_put_right_and_what_is_its_own_is_left(fleet: Fleet) -> None:
    """MQTT-017: rights that a role should not have go, an account that no ven has goes, other accounts stay."""
    username, _ = await fleet.account(fleet.one)
    beginning = "openadr[openadr3/]"
    rule = {"acltype": "subscribePattern", "topic": "#", "priority": 5, "allow": True}
    async with commanding(fleet.broker) as admin:
        await admin.do(
            [
                {"command": "createRole", "rolename": "operator", "acls": [rule]},
                {
                    "command": "createClient",
                    "username": "operator",
                    "password": "own",
                    "roles": [{"rolename": "operator"}],
                },
                {"command": "addRoleACL", "rolename": f"{beginning}{username}", **rule},
                {"command": "createRole", "rolename": f"{beginning}ven-nobody", "acls": [rule]},
                {
                    "command": "createClient",
                    "username": "ven-nobody",
                    "password": "own",
                    "roles": [_held(f"{beginning}ven-nobody")],
                },
            ]
        )
    fleet.broker.restart()
    await wait_until(lambda: is_refused(fleet.broker, "ven-nobody", "own"), what="the end of an account of nobody")

    async def is_right() -> bool:
        async with connected(fleet.broker, *await fleet.account(fleet.one)) as client:
            return not await client.subscribe("#")

    await wait_until(is_right, what="the role as it should be")
    async with connected(fleet.broker, "operator", "own") as operator:
        assert await operator.subscribe("#")


async def test_of_two_servers_one_keeps_the_accounts_and_the_other_goes_on(fleet: Fleet, start_vtn: StartVtn) -> None:
    """Both tell accounts; when the one that holds the lease stops, the other takes over."""
    second = await start_vtn(mqtt=accounts_at(fleet.broker))
    caller = second.caller(Role.VEN)
    await caller.ven()
    account = await fleet.account(caller)
    other = second.caller(Role.VEN)
    async with connected(fleet.broker, *account) as staying:
        await fleet.vtn.stop()
        await other.ven()
        await wait_until(lambda: works(second, fleet.broker, other), what="the account that the other server made")
        assert await staying.subscribe("openadr3/public/#")


async def works(vtn: VtnUnderTest, broker: Mosquitto, caller: Session) -> bool:
    """Return True if the broker accepts what /notifiers tells a caller."""
    found = (await caller.get("/notifiers")).ok()["MQTT"]["authentication"]
    return not await is_refused(broker, found["username"], found["password"])


async def has_account(broker: Mosquitto, ven_id: str) -> bool:
    """Return True if the broker has the account of a ven; asked by the log, as a certificate takes its place."""
    return f"createClient | username=ven-{ven_id}" in broker.log_text()


def _held(role: str) -> dict[str, str]:
    return {"rolename": role}


def commanding(broker: Mosquitto) -> AbstractAsyncContextManager[DynamicSecurity]:
    """The administrator of a broker."""
    user, password = broker.ADMIN
    return administrator(broker.host, broker.port, username=user, password=password, tls=None, timeout_s=10)


async def test_certificates_are_accounts_too(tmp_path: Path, pki: Pki, start_vtn: StartVtn) -> None:
    """MQTT-004, MQTT-038, MQTT-041: the certificate names the account, and rights go with the ven."""
    broker = Mosquitto(tmp_path, pki=pki, dynamic_security=True)
    broker.start()
    admin = pki.client(broker.ADMIN[0])
    authority = {"client_ca_cert": str(pki.ca), "client_ca_key": str(pki.ca.with_suffix(".key"))}
    own = {"ca_file": str(admin.ca), "cert": str(admin.certificate), "key": str(admin.key)}
    mqtt = accounts_at(broker)
    access = mqtt["access"] | {"method": "CERTIFICATE"} | authority
    vtn = await start_vtn(mqtt={"url": broker.url, "user": broker.ADMIN[0], "access": access} | own)
    vtn.now.at = datetime.now(UTC)
    try:
        home, other = vtn.home(), vtn.home()
        ven = await home.ven()
        other_ven = await other.ven()
        await wait_until(lambda: has_account(broker, ven["id"]), what="the account of a certificate")
        found = (await home.get("/notifiers")).ok()["MQTT"]["authentication"]
        assert found.keys() == {"method", "caCert", "clientCert", "clientKey"}
        assert found["method"] == "CERTIFICATE"
        context = ssl.create_default_context(cadata=found["caCert"])
        pair = tmp_path / "pair.pem"
        pair.write_text(found["clientCert"] + found["clientKey"])
        context.load_cert_chain(pair)
        async with connected(broker, None, None, tls=context) as client:
            assert await client.subscribe("openadr3/public/#")
            assert await client.subscribe(f"openadr3/vens/{ven['id']}/#")
            assert not await client.subscribe(f"openadr3/vens/{other_ven['id']}/#")
            assert not await client.subscribe("#")
            (await vtn.bl.delete(f"/vens/{ven['id']}")).ok()
            await client.has_ended()
        # TLS lets it in until the certificate is over, and without an account it may do nothing.
        with suppress(MqttError):
            async with connected(broker, None, None, tls=context) as client:
                for topic_filter in ("openadr3/public/#", f"openadr3/vens/{ven['id']}/#", "#"):
                    assert not await client.subscribe(topic_filter)
    finally:
        await vtn.stop()
        broker.stop()
