"""A storm of writes of all kinds of objects by several clients, which goes on whatever stands still meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import aiohttp

from tests.e2e.ledger.receivers import Hooks
from tests.support.waiting import wait_until

TARGETS: Final = ("north", "south", "solar", "battery", "fleet-a", "fleet-b")
_MOST: Final = {
    "programs": 6,
    "events": 30,
    "reports": 30,
    "vens": 100,
    "resources": 20,
    "subscriptions": 16,
}
_AGAIN_S: Final = 0.05
_PATIENCE_S: Final = 120.0
_OBJECTS: Final = ("PROGRAM", "EVENT", "REPORT", "SUBSCRIPTION", "VEN", "RESOURCE")
_OPERATIONS: Final = ("CREATE", "UPDATE", "DELETE")


@dataclass(slots=True)
class Stored:
    """An object that was stored, as far as its writers know. ``owner`` is the client that may change it."""

    object: dict[str, Any]
    owner: str


@dataclass(slots=True)
class Storm:
    """Writes until it is stopped. ``tokens``: of each client; those of ``business_logic`` may write everything."""

    base_url: str
    tokens: Mapping[str, str]
    business_logic: str
    hooks: Hooks
    chance: random.Random
    answers: Counter[str] = field(default_factory=Counter)
    """Counts how often each operation got each status; ``no answer``: nobody knows what became of it."""
    _known: dict[str, dict[str, Stored]] = field(default_factory=lambda: {kind: {} for kind in _MOST})
    _numbers: count[int] = field(default_factory=count)
    _done: int = 0
    _stopped: bool = False
    _failed: Exception | None = None
    _session: aiohttp.ClientSession | None = None

    @property
    def homes(self) -> list[str]:
        """Return the clients that are VENs."""
        return [client for client in self.tokens if client != self.business_logic]

    async def run(self, writers: int) -> None:
        """Write with so many writers at once until ``stop``."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
            self._session = session
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(writers):
                        group.create_task(self._write())
            except Exception as error:
                self._failed = error
                raise

    async def more(self, writes: int) -> None:
        """Wait until so many more writes were done; raises at once what a writer failed with."""
        enough = self._done + writes

        def is_enough() -> bool:
            if self._failed is not None:
                raise self._failed
            return self._done >= enough

        await wait_until(is_enough, timeout_s=_PATIENCE_S, what="writes are done again")

    def stop(self) -> None:
        """Let the writes under way be the last ones."""
        self._stopped = True

    async def _write(self) -> None:
        weights: Mapping[Callable[[], Any], int] = {
            self._program: 3,
            self._event: 10,
            self._report: 4,
            self._ven: 4,
            self._resource: 4,
            self._subscription: 3,
        }
        while not self._stopped:
            await self.chance.choices(list(weights), list(weights.values()))[0]()

    async def _program(self) -> None:
        await self._one("programs", self.business_logic, lambda: {"programName": self._name(), **self._targets(0.5)})

    async def _event(self) -> None:
        program = self._any("programs")
        if program is None:
            return
        document = {"programID": program["id"], "eventName": self._name(), **self._targets(0.7)}
        await self._one("events", self.business_logic, lambda: document, stays="programID")

    async def _report(self) -> None:
        event = self._any("events")
        if event is None:
            return
        document = {"eventID": event["id"], "clientName": "meter", "reportName": self._name(), "resources": []}
        await self._one("reports", self.chance.choice(self.homes), lambda: document, stays="eventID")

    async def _ven(self) -> None:
        homes = {stored.object["clientID"] for stored in self._known["vens"].values()}
        missing = [client for client in self.homes if client not in homes]
        home = self.chance.choice(missing) if missing else ""
        await self._one(
            "vens",
            self.business_logic,
            lambda: {
                "objectType": "BL_VEN_REQUEST",
                "clientID": home,
                "venName": self._name(),
                **self._targets(0.9),
            },
            full=not missing,
            stays="clientID",
        )

    async def _resource(self) -> None:
        ven = self._any("vens")
        if ven is None:
            return
        await self._one(
            "resources",
            self.business_logic,
            lambda: {
                "objectType": "BL_RESOURCE_REQUEST",
                "clientID": ven["clientID"],
                "resourceName": self._name(),
                "venID": ven["id"],
                **self._targets(0.5),
            },
            stays="venID",
        )

    async def _subscription(self) -> None:
        owner = self.chance.choice([*self.homes, self.business_logic, self.business_logic])
        program = self._any("programs") if self.chance.random() < 0.2 else None
        await self._one(
            "subscriptions",
            owner,
            lambda: {
                "clientName": owner,
                "objectOperations": [self._entry() for _ in range(self.chance.choice((1, 1, 2)))],
                **({} if program is None else {"programID": program["id"]}),
                **self._targets(0.3),
            },
            same_urls=True,
        )

    def _entry(self) -> dict[str, Any]:
        name = f"hook-{next(self._numbers)}"
        return {
            "objects": self.chance.sample(_OBJECTS, self.chance.choice((1, 2, 6))),
            "operations": self.chance.sample(_OPERATIONS, self.chance.choice((1, 3, 3))),
            "callbackUrl": self.hooks.url(name),
            "bearerToken": self.hooks.token(name),
        }

    async def _one(
        self,
        kind: str,
        owner: str,
        document: Callable[[], dict[str, Any]],
        *,
        full: bool = False,
        stays: str | None = None,
        same_urls: bool = False,
    ) -> None:
        """Create, change or remove an object of a kind: create more while there are few."""
        known = self._known[kind]
        full = full or len(known) >= _MOST[kind]
        if not full and self.chance.random() < 0.5:
            await self._create(kind, owner, document())
            return
        if not known:
            return
        object_id = self._contested(list(known))
        stored = known[object_id]
        if self.chance.random() < (0.08 if kind in {"programs", "vens"} else 0.3 if full else 0.15):
            await self._delete(kind, object_id, stored)
            return
        changed = document()
        if stays is not None and stays in stored.object:
            changed[stays] = stored.object[stays]
        if same_urls:
            for entry, old in zip(changed["objectOperations"], stored.object["objectOperations"], strict=False):
                entry |= {name: old[name] for name in ("callbackUrl", "bearerToken")}
            changed["clientName"] = stored.object["clientName"]
        await self._replace(kind, object_id, stored, changed)

    async def _create(self, kind: str, owner: str, document: dict[str, Any]) -> None:
        status, made = await self._ask("POST", kind, owner, json=document)
        if status == 201:
            self._known[kind][made["id"]] = Stored(document | made, owner)

    async def _replace(self, kind: str, object_id: str, stored: Stored, document: dict[str, Any]) -> None:
        status, made = await self._ask("PUT", f"{kind}/{object_id}", stored.owner, json=document)
        if status == 200:
            stored.object = document | made
        elif status == 404:
            self._known[kind].pop(object_id, None)

    async def _delete(self, kind: str, object_id: str, stored: Stored) -> None:
        status, _ = await self._ask("DELETE", f"{kind}/{object_id}", stored.owner)
        if status in {200, 404}:
            self._known[kind].pop(object_id, None)

    async def _ask(self, method: str, path: str, owner: str, **content: Any) -> tuple[int | None, Any]:
        """Ask once; (None, None) if there was no answer: then it may have been done or not."""
        assert self._session is not None
        headers = {"Authorization": f"Bearer {self.tokens[owner]}"}
        what = f"{method} {path.partition('/')[0]}"
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with self._session.request(method, f"{self.base_url}/{path}", headers=headers, **content) as answer:
                body = await answer.json(content_type=None)
                self.answers[f"{what} {answer.status}"] += 1
                self._done += answer.status < 300
                if answer.status >= 500:
                    await asyncio.sleep(_AGAIN_S)  # it says so itself: try again later
                return answer.status, body
        self.answers[f"{what} no answer"] += 1
        await asyncio.sleep(_AGAIN_S)
        return None, None

    def _contested(self, ids: list[str]) -> str:
        """Return one of them; half of the time one that others are likely to change at this moment, too."""
        return ids[-1] if self.chance.random() < 0.5 else self.chance.choice(ids)

    def _any(self, kind: str) -> dict[str, Any] | None:
        known = self._known[kind]
        return self.chance.choice(list(known.values())).object if known else None

    def _targets(self, often: float) -> dict[str, Any]:
        if self.chance.random() >= often:
            return {}
        return {"targets": self.chance.sample(TARGETS, self.chance.choice((1, 1, 2, 3)))}

    def _name(self) -> str:
        return f"storm-{next(self._numbers)}"
