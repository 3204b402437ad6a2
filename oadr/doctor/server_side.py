"""Examine a VTN on its own machine: database, secrets, disk, certificates, broker, alarms, users, and its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

import aiohttp

from oadr.doctor.network import alone, look_at
from openadr_client import Clock
from openadr_client.checkup import Checkup, Condition
from vtn.auth.clients import Clients
from vtn.auth.secrets import Secrets
from vtn.errors import DatabaseMissing, StartFailed, Unavailable, VtnError
from vtn.notify.alarms import machine
from vtn.notify.alarms.services import channel_names
from vtn.notify.url_judge import NotCallable, UrlJudge
from vtn.settings import Settings
from vtn.store.client import ClientStore
from vtn.store.console.alarm_facts import AlarmFacts
from vtn.store.console.users import UserStore
from vtn.store.database import Database
from vtn.store.migrate import check_migrated
from vtn.store.sealing import needed_keys
from vtn.store.stamps import Stamps
from vtn.store.vault import Vault

_ANSWER_S: Final = 5.0


async def examine_server(settings: Settings, clock: Clock) -> AsyncIterator[Checkup]:
    """Yield a finding on each thing that a VTN needs; nothing is changed. Never raises."""
    database = Database(settings.database)
    try:
        found = await _database(database)
        yield found
        if found.health is not Condition.FAILED:
            async for finding in alone(_content(settings, database, clock)):
                yield finding
    finally:
        await database.close()
    looks = [_machine(settings, clock), _answers(settings), _alarm_channels(settings, clock)]
    if settings.mqtt is not None:
        looks.insert(2, look_at(settings.mqtt.url, what="broker", now=clock.now(), ca_file=settings.mqtt.ca_file))
    for look in looks:
        async for finding in alone(look):
            yield finding


async def _database(database: Database) -> Checkup:
    try:
        database.check_exists()
        await check_migrated(database)
    except DatabaseMissing as error:
        return Checkup("database", Condition.FAILED, str(error), "oadr vtn init, or oadr vtn run, makes it")
    except StartFailed as error:
        to_do = "oadr vtn migrate, with the server of the newest version" if "tables" in str(error) else _DATABASE
        return Checkup("database", Condition.FAILED, str(error), to_do)
    except VtnError as error:
        return Checkup("database", Condition.FAILED, f"{database.name}: {error}", _DATABASE)
    return Checkup("database", Condition.OK, f"{database.name} answers; its tables are those of this version")


_DATABASE: Final = "start the database, or correct database.url"


async def _content(settings: Settings, database: Database, clock: Clock) -> AsyncIterator[Checkup]:
    """Yield findings on what is in the database."""
    stamps = Stamps(clock.now)
    try:
        yield await _secrets(settings, database)
        yield await _clients(settings, database, stamps)
        if settings.has_console:
            yield await _users(database)
        dead = await AlarmFacts(database, stamps).dead_letters()
    except Unavailable as error:
        yield Checkup("database", Condition.FAILED, str(error), _DATABASE)
        return
    if dead:
        text = f"{sum(each.count for each in dead):,} notifications to {len(dead)} endpoints were given up"
        yield Checkup(
            "deliveries", Condition.WARNING, text, "oadr vtn outbox list --state dead; then retry or drop them"
        )
    else:
        yield Checkup("deliveries", Condition.OK, "no notification was given up")


async def _secrets(settings: Settings, database: Database) -> Checkup:
    vault = Vault(settings)
    async with database.snapshot() as connection:
        needed = await needed_keys(connection)
    try:
        there = set(await asyncio.to_thread(lambda: list(vault.ids)))
    except VtnError as error:
        return Checkup("secrets", Condition.FAILED, str(error), f"put the key file back: {vault.file}")
    if missing := sorted(needed.keys() - there):
        text = f"the key {missing[0]} of {needed[missing[0]]} secrets in the database is not in {vault.file}"
        return Checkup("secrets", Condition.FAILED, text, "put it back from its copy (docs/vtn.md, secrets at rest)")
    return Checkup("secrets", Condition.OK, f"{vault.file} has every key that the database needs")


async def _clients(settings: Settings, database: Database, stamps: Stamps) -> Checkup:
    if not settings.auth.gives_tokens:
        return Checkup("clients", Condition.OK, "another authorisation server gives tokens")
    secrets = Secrets(settings.auth)
    try:
        found = await Clients(ClientStore(database), stamps, secrets).list()
    finally:
        secrets.close()
    suspended = sum(1 for each in found if each.suspended)
    if len(found) == suspended:
        text = "nobody can get a token: " + ("all clients are suspended" if found else "there are no clients")
        return Checkup("clients", Condition.FAILED, text, "oadr vtn client add NAME --role bl")
    roles = {role: sum(1 for each in found if each.role == role) for role in ("BL", "VEN")}
    return Checkup("clients", Condition.OK, f"{roles['BL']:,} of business logic, {roles['VEN']:,} VENs")


async def _users(database: Database) -> Checkup:
    users = await UserStore(database).all()
    if not users:
        to_do = "oadr vtn user add NAME --role admin"
        return Checkup("console users", Condition.WARNING, "nobody can sign in at the console", to_do)
    admins = sum(1 for each in users if each.role == "admin")
    return Checkup("console users", Condition.OK, f"{len(users)}, {admins} of them admins")


async def _machine(settings: Settings, clock: Clock) -> AsyncIterator[Checkup]:
    """Yield findings on disks and certificates."""
    least = settings.alarms.disk_free_bytes
    for disk in await asyncio.to_thread(machine.disks, settings):
        text = (
            f"{disk.free_bytes / 1e9:,.1f} of {disk.size_bytes / 1e9:,.1f} GB are free for {disk.what} in {disk.folder}"
        )
        if disk.free_bytes < least:
            yield Checkup("disk", Condition.WARNING, text, "make room, or move it to a larger disk")
        else:
            yield Checkup("disk", Condition.OK, text)
    for setting, file in machine.certificate_files(settings):
        try:
            ends_at = await asyncio.to_thread(machine.certificate_end, file)
        except (OSError, ValueError) as error:
            yield Checkup("certificate", Condition.FAILED, f"{setting}: {file}: {error}", f"correct {setting}")
            continue
        text = f"{setting} holds until {ends_at:%Y-%m-%d %H:%M} UTC"
        left = ends_at - clock.now()
        if left <= timedelta():
            yield Checkup("certificate", Condition.FAILED, text, f"renew it: {file}")
        elif left <= timedelta(days=settings.alarms.certificate_days):
            yield Checkup("certificate", Condition.WARNING, text, f"renew it: {file}")
        else:
            yield Checkup("certificate", Condition.OK, text)


async def _answers(settings: Settings) -> AsyncIterator[Checkup]:
    """Yield whether a server answers on this machine, at the port of the settings."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 (what it listens on)
    scheme = "https" if settings.tls else "http"
    url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.port}/ready"
    try:
        # What is asked is whether this process answers, not who it is: its certificate is for its public name.
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ANSWER_S)) as session,
            session.get(url, ssl=False, allow_redirects=False) as response,
        ):
            status = response.status
    except (aiohttp.ClientError, TimeoutError, OSError):
        yield Checkup("server", Condition.WARNING, f"nothing answers at {url}", "oadr vtn run, if it should be running")
        return
    if status == 200:
        yield Checkup("server", Condition.OK, f"{url} answers: it can work")
    else:
        text = f"{url} answers {status}: it cannot work at the moment"
        yield Checkup("server", Condition.FAILED, text, "see its log; is this the port of the VTN?")


async def _alarm_channels(settings: Settings, clock: Clock) -> AsyncIterator[Checkup]:
    """Yield whether the channels of alarms can be reached; nothing is sent."""
    alarms = settings.alarms
    if alarms.enabled and not channel_names(settings):
        yield Checkup(
            "alarms",
            Condition.OK,
            "shown at the console only",
            "give a channel: alarms.webhook, alarms.email, alarms.mqtt",
        )
    if alarms.email is not None:
        scheme = "smtps" if alarms.email.tls == "tls" else "smtp"
        url = f"{scheme}://{alarms.email.host}:{alarms.email.port}"
        async for finding in look_at(url, what="alarms email", now=clock.now(), ca_file=alarms.email.ca_file):
            yield finding
    if alarms.webhook is not None:
        judge = UrlJudge(settings.webhook)
        problem = judge.problem(alarms.webhook.url)
        if problem is None:
            problem = await _refused(judge, alarms.webhook.url)
        if problem is not None:
            to_do = "correct alarms.webhook.url, or name its host in webhook.allowed"
            yield Checkup("alarms webhook", Condition.FAILED, f"it may not be called: {problem}", to_do)
            return
        async for finding in look_at(
            alarms.webhook.url, what="alarms webhook", now=clock.now(), ca_file=settings.webhook.ca_file
        ):
            yield finding


async def _refused(judge: UrlJudge, url: str) -> str | None:
    from yarl import URL

    try:
        await judge.addresses(URL(url).host or "", URL(url).port or 443)
    except NotCallable as error:
        return str(error)
    except (OSError, UnicodeError):
        return None  # what is wrong with the name is found next
    return None
