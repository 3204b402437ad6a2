"""Make the calls of a VTN wrong: handlers for the proxy in front of the suite's receiver."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from mutants.handlers import Obj
from mutants.proxy import Handler, ProxiedAnswer, ProxiedRequest, Upstream

Wanted = Callable[[Obj], bool]


def _echo(asked: ProxiedRequest) -> str:
    return (asked.given("echo") or [""])[0] if asked.method == "GET" else ""


def _notification(asked: ProxiedRequest) -> Any:
    return asked.json() if not _echo(asked) else None


# Challenges


def proves_itself() -> Handler:
    """Asks nobody: every URL counts as one that wants to be called."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        return ProxiedAnswer(200, body=_echo(asked).encode()) if _echo(asked) else await upstream.send(asked)

    return handle


def any_answer_proves() -> Handler:
    """Asks, and takes every answer for the right one."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        return ProxiedAnswer(200, body=_echo(asked).encode()) if _echo(asked) else told

    return handle


def no_answer_proves() -> Handler:
    """Asks, and takes no answer for the right one."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        return ProxiedAnswer(200, body=b"no") if _echo(asked) else told

    return handle


def challenges(change: Callable[[str], str]) -> Handler:
    """Challenges with another value."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        value = _echo(asked)
        if not value:
            return await upstream.send(asked)
        query = tuple((name, change(value) if name == "echo" else text) for name, text in asked.query)
        told = await upstream.send(replace(asked, query=query))
        return ProxiedAnswer(told.status, told.headers, told.body.replace(change(value).encode(), value.encode()))

    return handle


def challenges_alone() -> Handler:
    """Challenges without the query that the URL has of its own."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        value = _echo(asked)
        return await upstream.send(replace(asked, query=(("echo", value),)) if value else asked)

    return handle


def follows_redirects() -> Handler:
    """Goes where a redirect leads."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        if told.status not in {302, 307}:
            return told
        target = URL(told.headers["Location"])
        return await upstream.send(replace(asked, path=target.path, query=tuple(target.query.items())))

    return handle


# Notifications


def loses(wanted: Wanted = lambda _told: True) -> Handler:
    """Sends some notifications to nobody."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        value = _notification(asked)
        return ProxiedAnswer(200) if value is not None and wanted(value) else await upstream.send(asked)

    return handle


def tells(change: Callable[[Obj], Any]) -> Handler:
    """Sends other notifications."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        value = _notification(asked)
        changed = asked if value is None else replace(asked, body=json.dumps(change(value)).encode())
        return await upstream.send(changed)

    return handle


def calls(method: str = "", **headers: str | None) -> Handler:
    """Sends notifications with another method, or other headers."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        changed = asked.with_headers(**headers)
        return await upstream.send(replace(changed, method=method) if method and not _echo(asked) else changed)

    return handle


def numbers_requests() -> Handler:
    """Gives every attempt an X-Request-Id of its own."""
    made = iter(range(10**6))

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        return await upstream.send(asked.with_headers(X_Request_Id=f"request-{next(made)}"))

    return handle


def repeats(statuses: range) -> Handler:
    """Sends again at once what is answered so."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        if not _echo(asked) and told.status in statuses:
            return await upstream.send(asked)
        return told

    return handle


def gives_up(statuses: range) -> Handler:
    """Takes what failed for done."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        return ProxiedAnswer(200) if not _echo(asked) and told.status in statuses else told

    return handle


def swaps() -> Handler:
    """Lets each second notification overtake the one before."""
    kept: list[ProxiedRequest] = []

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        if _echo(asked):
            return await upstream.send(asked)
        if not kept:
            kept.append(asked)
            return ProxiedAnswer(200)
        told = await upstream.send(asked)
        await upstream.send(kept.pop())
        return told

    return handle


def one_at_a_time() -> Handler:
    """Waits for each answer before it calls anybody else."""
    turn = asyncio.Lock()

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        async with turn:
            return await upstream.send(asked)

    return handle


def dawdles(seconds: float) -> Handler:
    """Tells late."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        if not _echo(asked):
            await asyncio.sleep(seconds)
        return await upstream.send(asked)

    return handle


# In front of the API


def tells_everybody() -> Handler:
    """Tells every callback that there ever was of every operation on every object, also of refused ones."""
    known: dict[str, None] = {}
    words = {"POST": "CREATE", "GET": "READ", "PUT": "UPDATE", "DELETE": "DELETE"}

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        plain = replace(upstream.as_bl(asked), method="GET", query=(), body=b"").with_headers(Accept_Encoding=None)
        found = await upstream.send(replace(plain, path=f"{asked.prefix}/subscriptions"))
        for subscription in found.json():
            known.update(dict.fromkeys(entry["callbackUrl"] for entry in subscription["objectOperations"]))
        obj = (await upstream.send(plain)).json() if asked.single else None
        told = await upstream.send(asked)
        if asked.method == "POST" and told.status == 201:
            obj = told.json()
        if isinstance(obj, dict) and "id" in obj:
            value = {"objectType": obj["objectType"], "operation": words[asked.method], "object": obj}
            await _tell(known, value)
        return told

    return handle


async def _tell(urls: dict[str, None], value: Obj) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
        for url in urls:
            async with session.post(url, json=value):
                pass


def subscribes_anyway() -> Handler:
    """Says no to a subscription, and stores one of that name all the same."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        body = asked.json()
        if asked.method == "POST" and asked.collection == "subscriptions" and told.status == 400:
            quiet = json.dumps({"clientName": body["clientName"], "objectOperations": []}).encode()
            headers = CIMultiDict(asked.headers)
            await upstream.send(replace(asked, body=quiet, headers=headers))
        return told

    return handle


def touches_what_is_read() -> Handler:
    """Takes a read for a change."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        if asked.method == "GET" and asked.collection == "events" and asked.single and told.status == 200:
            again = {key: item for key, item in told.json().items() if item is not None}
            headers = {"Content_Type": "application/json"}
            put = replace(upstream.as_bl(asked), method="PUT", body=json.dumps(again).encode())
            await upstream.send(put.with_headers(**headers))
        return told

    return handle


def binds(change: Callable[[Obj], Obj]) -> Handler:
    """Tells something else of the broker."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        value = told.json()
        if asked.below != "/notifiers" or told.status != 200:
            return told
        return told.with_json(value | {"MQTT": change(value["MQTT"])})

    return handle


def opens_a_door() -> Handler:
    """Announces a broker that admits everybody to everything."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        return await binds(lambda binding: binding | {"URIS": [upstream.open_door]})(asked, upstream)

    return handle


def names_topics(change: Callable[[Obj], Obj]) -> Handler:
    """Names other topics."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        if not asked.below.startswith("/notifiers/mqtt") or told.status != 200:
            return told
        return told.with_json({"topics": change(told.json()["topics"])})

    return handle
