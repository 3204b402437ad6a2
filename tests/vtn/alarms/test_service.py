"""The service: what it observes on real databases, who evaluates, and channels that fail alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from tests.support.pki import Pki
from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn, settings_for
from tests.vtn.harness import VtnUnderTest
from tests.vtn.outbox_rows import OutboxRows
from vtn.access import Role
from vtn.alarm_settings import AlarmSettings
from vtn.errors import Unavailable
from vtn.notify.alarms import machine
from vtn.notify.alarms.channel import NotTold
from vtn.notify.alarms.sender import AlarmSender
from vtn.notify.alarms.watch import AlarmWatch
from vtn.store import tables
from vtn.store.console.alarm_facts import AlarmFacts
from vtn.store.console.alarms import AlarmMessage, AlarmStore
from vtn.store.facts.tables import event_curve
from vtn.store.lease import Lease
from vtn.store.outbox.queue import Ended, Outcome
from vtn.store.stamps import Stamps, stamp


def store_of(vtn: VtnUnderTest, *channels: str) -> AlarmStore:
    """The alarms in the database of a VTN."""
    return AlarmStore(vtn.server._database, Stamps(vtn.now), channels)


def lease_of(vtn: VtnUnderTest, by: str, name: str) -> Lease:
    """A lease as one process has it."""
    return Lease(vtn.server._database, Stamps(vtn.now), name=name, by=by, lease_s=90)


def watch_of(vtn: VtnUnderTest, facts: AlarmFacts | None = None, **members: Any) -> AlarmWatch:
    """Return what evaluates alarms of a VTN, with these settings."""
    url = vtn.server.settings.database.url.get_secret_value()
    return AlarmWatch(
        settings_for(url, alarms=members),
        facts or AlarmFacts(vtn.server._database, Stamps(vtn.now)),
        store_of(vtn),
        lease=partial(lease_of, vtn, "me"),
        host="vtn-a",
        now=vtn.now,
    )


async def heard(vtn: VtnUnderTest, client_id: str, **ago: float) -> None:
    """Note when a client was last heard of."""
    row = {"client_id": client_id, "protocol": "OpenADR 3.1", "heard_at": stamp(vtn.now() - timedelta(**ago))}
    async with vtn.server._database.write() as connection:
        await connection.execute(insert(tables.contacts).values(row))


async def held(vtn: VtnUnderTest) -> list[tuple[str, str]]:
    """The alarms that hold: kind and text."""
    return [(each.kind, each.text) for each in await store_of(vtn).holding()]


async def test_a_ven_that_falls_silent_and_comes_back(vtn: VtnUnderTest) -> None:
    """Not one that was never heard, nor one whose client is suspended."""
    bl = vtn.bl
    for name, hours in (("home-1", 2), ("home-2", 0.5), ("home-3", 5)):
        client = vtn.caller(Role.VEN, client_id=name)
        await bl.ven_for(client, venName=f"the house of {name}")
        await heard(vtn, name, hours=hours)
    await bl.ven_for(vtn.caller(Role.VEN, client_id="home-4"))
    await vtn.server.clients.add("home-3", Role.VEN)
    await vtn.server.clients.suspend("home-3")
    watch = watch_of(vtn)
    assert await watch.evaluate() == (1, 0)
    ((kind, text),) = await held(vtn)
    assert (kind, text.partition(" has not")[0]) == ("VEN_SILENT", "VEN the house of home-1")
    async with vtn.server._database.write() as connection:
        back = update(tables.contacts).where(tables.contacts.c.client_id == "home-1")
        await connection.execute(back.values(heard_at=stamp(vtn.now())))
    assert await watch.evaluate() == (0, 1)


async def test_a_silent_fleet_is_a_hundred_alarms_and_one(vtn: VtnUnderTest) -> None:
    """An outage of everything floods nobody."""
    names = [f"home-{number:03d}" for number in range(130)]
    at = stamp(vtn.now() - timedelta(hours=3))
    row = {"created_at": at, "modified_at": at, "targets": (), "members": ""}
    async with vtn.server._database.write() as connection:
        await connection.execute(
            insert(tables.vens), [{"id": each, "client_id": each, "name": each, **row} for each in names]
        )
        contact = {"protocol": "OpenADR 3.1", "heard_at": at}
        await connection.execute(insert(tables.contacts), [{"client_id": each, **contact} for each in names])
    assert await watch_of(vtn).evaluate() == (101, 0)
    assert ("VEN_SILENT", "130 of 130 VENs have not been heard of for 60 min") in await held(vtn)


async def curve(vtn: VtnUnderTest, event_id: str, *points: tuple[float, int, float | None]) -> None:
    """Note points of an event's curve: seconds ago, VENs reporting, kW delivered of 100 requested."""
    rows = [
        {
            "event_id": event_id,
            "at_ms": round((vtn.now() - timedelta(seconds=ago)).timestamp() * 1000),
            "requested_kw": 100.0,
            "delivered_kw": delivered,
            "reporting": reporting,
            "taking_part": 5,
        }
        for ago, reporting, delivered in points
    ]
    async with vtn.server._database.write() as connection:
        await connection.execute(insert(event_curve), rows)


async def test_an_event_on_which_nobody_reports_is_an_alarm(vtn: VtnUnderTest) -> None:
    """By its plan and its reports: nothing is noted of an event while nobody says anything on it."""
    bl, hour = vtn.bl, {"start": vtn.now().isoformat(), "duration": "PT1H"}
    asks = {"reportDescriptors": [{"payloadType": "USAGE"}], "intervals": [{"id": 0, "payloads": []}]}
    watch = watch_of(vtn, off=["DATABASE_BEHIND"])  # nobody reads reports here
    program = await bl.program()
    mute = await bl.event(program, eventName="mute", intervalPeriod=hour, **asks)
    answered = await bl.event(program, eventName="answered", intervalPeriod=hour, **asks)
    await bl.event(program, eventName="unasked", intervalPeriod=hour)
    await bl.event(program, eventName="short", intervalPeriod=hour | {"duration": "PT5M"}, **asks)
    later = hour | {"start": (vtn.now() + timedelta(minutes=10)).isoformat()}
    await bl.event(program, eventName="later", intervalPeriod=later, **asks)
    await vtn.home().report(answered)
    assert await watch.evaluate() == (0, 0)
    vtn.now.pass_(seconds=901)
    assert await watch.evaluate() == (1, 0)
    ((kind, text),) = await held(vtn)
    assert (kind, text.split(",")[0]) == ("EVENT_UNREPORTED", "no VEN has reported on event mute")
    await vtn.home().report(mute)
    assert await watch.evaluate() == (0, 1)


async def test_an_event_that_delivers_too_little_is_an_alarm(vtn: VtnUnderTest) -> None:
    """By the latest point of the curve; an event whose curve has ended is none."""
    watch = watch_of(vtn)
    program = await vtn.bl.program()
    weak = await vtn.bl.event(program, eventName="weak")
    over = await vtn.bl.event(program, eventName="over")
    await curve(vtn, weak["id"], (1200, 3, 90.0), (5, 4, 30.0))
    await curve(vtn, over["id"], (7200, 1, 0.0), (600, 1, 0.0))
    assert await watch.evaluate() == (1, 0)
    assert await held(vtn) == [("EVENT_UNDELIVERED", "event weak delivers 30.00 kW of 100.00 kW requested (30 %)")]
    vtn.now.pass_(seconds=600)  # nobody says anything any more, as when all have opted out: that delivers nothing
    assert await watch.evaluate() == (0, 0)
    assert await held(vtn) == [("EVENT_UNDELIVERED", "event weak: no data of late")]
    await curve(vtn, weak["id"], (0, 5, 80.0))
    assert await watch.evaluate() == (0, 1)
    vtn.now.pass_(seconds=600)
    assert await watch.evaluate() == (0, 0)


async def test_dead_letters_and_what_waits_too_long(vtn: VtnUnderTest) -> None:
    """Prove that what waits for an endpoint that fails says nothing of this server."""
    rows = OutboxRows(vtn)
    hook, failing = await rows.endpoint("home-1"), await rows.endpoint("home-2", failures=3)
    dead = await rows.delivery(hook)
    await rows.outbox.record([Ended(dead, Outcome.DEAD, "it answered 404")])
    await rows.delivery(hook, "e2")
    await rows.delivery(failing, "e2")
    assert await watch_of(vtn).evaluate() == (1, 0)
    vtn.now.pass_(seconds=301)
    assert await watch_of(vtn).evaluate() == (1, 0)
    told = dict(await held(vtn))
    assert told["DEAD_LETTERS"] == f"1 notification was given up for the callback at {hook}.example of client home-1"
    assert told["DATABASE_BEHIND"].startswith("notifications wait in the database: 1, the oldest since ")
    assert await watch_of(vtn, off=["DEAD_LETTERS", "DATABASE_BEHIND"]).evaluate() == (0, 2)


async def test_reports_that_wait_are_told_while_the_first_of_them_is_gone(vtn: VtnUnderTest) -> None:
    """A report that is removed before it is read leaves an entry that says nothing of time."""
    event = await vtn.bl.event(await vtn.bl.program())
    home = vtn.home()
    first, _ = await home.report(event), await vtn.home().report(event)
    vtn.now.pass_(seconds=301)
    assert await watch_of(vtn).evaluate() == (1, 0)
    (await home.delete(f"/reports/{first['id']}")).ok()
    assert await watch_of(vtn).evaluate() == (0, 0)
    ((kind, text),) = await held(vtn)
    assert (kind, text.split(",")[0]) == ("DATABASE_BEHIND", "reports wait in the database: 3")


async def test_a_fact_that_cannot_be_observed_stops_no_other(vtn: VtnUnderTest) -> None:
    """It ends no alarm of its kind either."""
    await OutboxRows(vtn).endpoint("home-1")
    await heard(vtn, "home-1", hours=2)
    await vtn.bl.ven_for(vtn.caller(Role.VEN, client_id="home-1"))
    await watch_of(vtn).evaluate()

    class Blind(AlarmFacts):
        async def silent_vens(self, silent_s: float) -> Any:
            raise RuntimeError(f"a fault of ours after {silent_s} s")

        async def dead_letters(self) -> Any:
            return [*await super().dead_letters()]

    blind = Blind(vtn.server._database, Stamps(vtn.now))
    assert await watch_of(vtn, blind).evaluate() == (0, 0)
    assert [kind for kind, _ in await held(vtn)] == ["VEN_SILENT"]

    class Away(AlarmFacts):
        async def silent_vens(self, silent_s: float) -> Any:
            raise Unavailable("the database does not answer")

    with pytest.raises(Unavailable):
        await watch_of(vtn, Away(vtn.server._database, Stamps(vtn.now))).evaluate()


def test_a_host_tells_its_certificates_and_disks(pki: Pki, tmp_path: Path) -> None:
    """Of each file that is named in the settings; one that cannot be read stops no other."""
    files = pki.server()
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    settings = settings_for(
        f"sqlite:///{tmp_path}/vtn.sqlite3",
        tls={"cert": files.certificate, "key": files.key},
        mqtt={"url": "mqtts://localhost", "cert": broken, "key": broken},
    )
    (found,) = machine.certificates(settings)
    assert (found.setting, found.file) == ("tls.cert", str(files.certificate))
    assert found.ends_at.tzinfo is not None
    (disk,) = machine.disks(settings)
    assert (disk.what, disk.folder) == ("the database", str(tmp_path))
    assert 0 < disk.free_bytes <= disk.size_bytes


async def test_alarms_of_a_host_are_its_own(vtn: VtnUnderTest, pki: Pki) -> None:
    """One host's look clears nothing of another's."""
    await store_of(vtn).note([("DISK_LOW", "vtn-b:/data", "full")], covers=lambda *_: True)
    url = vtn.server.settings.database.url.get_secret_value()
    files = pki.server()
    alarms = {"certificate_days": 3650, "off": ["DISK_LOW"]}
    settings = settings_for(url, alarms=alarms, tls={"cert": files.certificate, "key": files.key})
    watch = AlarmWatch(
        settings,
        AlarmFacts(vtn.server._database, Stamps(vtn.now)),
        store_of(vtn),
        lease=partial(lease_of, vtn, "me"),
        host="vtn-a",
        now=vtn.now,
    )
    assert await watch.evaluate_host() == (1, 0)
    assert [kind for kind, _ in await held(vtn)] == ["DISK_LOW", "CERTIFICATE_ENDS"]


class Recorded:
    """A channel that keeps what it is told, or fails."""

    def __init__(self, name: str, failure: Exception | None = None) -> None:
        self.name = name
        self.failure = failure
        self.told: list[str] = []

    async def tell(self, messages: Sequence[AlarmMessage]) -> None:
        """Keep messages, or fail."""
        if self.failure is not None:
            raise self.failure
        self.told += [each.alarm.kind for each in messages if each.alarm is not None]

    async def close(self) -> None:
        """Close nothing."""


@pytest.mark.parametrize("failure", [NotTold("it hung up"), RuntimeError("a fault of ours")])
async def test_a_channel_fails_alone_and_is_given_up(vtn: VtnUnderTest, failure: Exception) -> None:
    """The other one is told at once; this one is tried so many times, and never again for this alarm."""
    store = store_of(vtn, "webhook", "email")
    await store.note([("DISK_LOW", "a:/", "full")], covers=lambda *_: True)
    settings = AlarmSettings(max_attempts=3, first_retry_s=10, longest_retry_s=10)
    bad, good = Recorded("webhook", failure), Recorded("email")
    senders = [AlarmSender(settings, store, channel, lease_of(vtn, "me", channel.name)) for channel in (bad, good)]
    for _ in range(5):
        for sender in senders:
            await sender.send_due()
        vtn.now.pass_(seconds=10)
    assert good.told == ["DISK_LOW"]
    states = await store.channel_states()
    assert (states["webhook"].given_up, states["webhook"].waiting) == (1, 0)
    assert (states["email"].sent, states["email"].waiting) == (1, 0)
    bad.failure = None
    await store.note([], covers=lambda *_: True)
    assert await senders[0].send_due() == 1  # a later alarm is told again
    assert bad.told == ["DISK_LOW"]


async def test_a_server_evaluates_and_tells(start_vtn: StartVtn, vtn: VtnUnderTest, pki: Pki, tmp_path: Path) -> None:
    """From the settings to the e-mail: two servers are running, and one message comes."""
    from tests.vtn.alarms.mail_server import MailServer

    await heard(vtn, "home-1", hours=2)
    await vtn.bl.ven_for(vtn.caller(Role.VEN, client_id="home-1"))
    async with MailServer(pki, tls="none", login=False) as mails:
        email = {
            "host": "127.0.0.1",
            "port": mails.port,
            "tls": "none",
            "sender": "v@vtn.example",
            "to": ["o@u.example"],
        }
        alarms = {"enabled": True, "evaluate_s": 1, "off": ["DISK_LOW"], "email": email}
        one = await start_vtn(alarms=alarms)
        other = await start_vtn(alarms=alarms)
        await wait_until(lambda: mails.mails, what="an e-mail")
        assert {"alarms", "alarms_email"} <= set(one.server.services.names) & set(other.server.services.names)
        assert "VEN_SILENT" in [kind for kind, _ in await held(vtn)]
        states = (await store_of(vtn).channel_states())["email"]
        assert states.sent + states.waiting == len(await held(vtn))
