"""A small VEN that does what a VEN has to, and has a switch for each fault that the suite is to see."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import aiohttp
from oadr_conformance.ven31.server import PREFIX

_PAGE: Final = 50
_RESOURCES: Final = ("heater", "charger")
FAULTS: Final = frozenset(
    {
        "token with JSON",
        "no token",
        "no renewal",
        "stops at 401",
        "ven without objectType",
        "resource without objectType",
        "registers blindly",
        "subscription without clientName",
        "first page only",
        "polls too fast",
        "no validators",
        "stops at unknown words",
        "stops at 500",
        "stops at a broken body",
        "stops at 429",
        "stops at 503",
        "ignores Retry-After",
        "hammers",
        "report without clientName",
        "reports nothing",
        "another payload type",
        "reports early",
        "own interval ids",
        "aggregates always",
        "never aggregates",
        "reports twice",
        "no units",
        "reports for others",
        "reports what is deleted",
        "gives reports up",
    }
)


class _Stopped(Exception):
    """The VEN has met what ends it."""


class ModelVen:
    """One VEN; `faults` are names of `FAULTS`."""

    def __init__(self, origin: str, secret: str, poll_s: float, faults: Iterable[str] = ()) -> None:
        self._url = origin + PREFIX
        self._secret = secret
        self._poll_s = poll_s
        self._faults = frozenset(faults)
        if unknown := self._faults - FAULTS:
            raise ValueError(f"unknown faults {sorted(unknown)}")
        self._token = ""
        self._renew_at = 0.0
        self._etags: dict[str, tuple[str, list[Any]]] = {}
        self._known: dict[str, dict[str, Any]] = {}
        self._sent: set[str] = set()

    async def live(self) -> None:
        """Register, then poll and report until cancelled, or until a fault ends it."""
        async with aiohttp.ClientSession() as session:
            self._session = session
            with suppress(_Stopped):
                await self._register()
                while True:
                    pause_s = await self._poll()
                    if "polls too fast" in self._faults:
                        pause_s = self._poll_s / 20 if pause_s == self._poll_s else pause_s
                    await asyncio.sleep(pause_s)

    def _has(self, *faults: str) -> bool:
        return bool(self._faults.intersection(faults))

    async def _fetch_token(self) -> None:
        form = {"grant_type": "client_credentials", "client_id": "conformance-ven", "client_secret": self._secret}
        if self._has("token with JSON"):
            async with self._session.post(f"{self._url}/auth/token", json=form):
                pass
        async with self._session.post(f"{self._url}/auth/token", data=form) as answer:
            told = await answer.json()
        self._token = told["access_token"]
        self._renew_at = time.monotonic() + 0.5 * told["expires_in"]

    async def _ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, str, Mapping[str, str]]:
        if not self._token or (time.monotonic() > self._renew_at and not self._has("no renewal")):
            await self._fetch_token()
        for last in (False, True):
            bearer = {} if self._has("no token") else {"Authorization": f"Bearer {self._token}"}
            async with self._session.request(method, self._url + path, json=body, headers=headers | bearer) as answer:
                text = await answer.text()
            if answer.status != 401 or last:
                break
            if self._has("stops at 401"):
                raise _Stopped
            await self._fetch_token()
        return answer.status, text, answer.headers

    async def _register(self) -> None:
        ven = {"objectType": "VEN_VEN_REQUEST", "venName": "model"}
        if self._has("ven without objectType"):
            del ven["objectType"]
        if not self._has("registers blindly"):
            await self._ask("GET", "/vens?skip=0&limit=50")
        _, text, _ = await self._ask("POST", "/vens", ven)
        ven_id = json.loads(text).get("id", "none")
        for name in _RESOURCES:
            resource = {"objectType": "VEN_RESOURCE_REQUEST", "resourceName": name, "venID": ven_id}
            if self._has("resource without objectType"):
                del resource["objectType"]
            await self._ask("POST", "/resources", resource)
        entry = {"objects": ["EVENT"], "operations": ["CREATE"], "callbackUrl": "https://127.0.0.1:1/"}
        subscription = {"clientName": "model", "objectOperations": [entry]}
        if self._has("subscription without clientName"):
            del subscription["clientName"]
        await self._ask("POST", "/subscriptions", subscription)

    async def _list(self, path: str) -> list[Any] | float:
        """All objects, or how long to wait before the next attempt, in seconds."""
        found: list[Any] = []
        while True:
            place = f"{path}?skip={len(found)}&limit={_PAGE}"
            tag, kept = self._etags.get(place, ("", []))
            headers = {"If-None-Match": tag} if tag and not self._has("no validators") else {}
            status, text, told = await self._ask("GET", place, None, **headers)
            if status >= 400:
                if self._has("hammers"):
                    await asyncio.gather(self._ask("GET", place), self._ask("GET", place))
                return self._pause(status, told)
            try:
                page = kept if status == 304 else json.loads(text)
            except ValueError:
                if self._has("stops at a broken body"):
                    raise _Stopped from None
                return self._poll_s
            self._etags[place] = (told.get("ETag", ""), page)
            found += page
            if len(page) < _PAGE or self._has("first page only"):
                return found

    def _pause(self, status: int, told: Mapping[str, str]) -> float:
        if self._has(f"stops at {status}"):
            raise _Stopped
        if self._has("hammers"):
            return 0.0
        return self._poll_s if self._has("ignores Retry-After") else float(told.get("Retry-After", self._poll_s))

    async def _poll(self) -> float:
        events: dict[str, dict[str, Any]] = {}
        for path in ("/programs", "/events"):
            found = await self._list(path)
            if isinstance(found, float):
                return found
            events = {event["id"]: event for event in found}
        if self._has("stops at unknown words") and events:
            raise _Stopped
        if not self._has("reports what is deleted"):
            self._known = {}
        self._known |= events
        for id_, event in self._known.items():
            if event.get("reportDescriptors") and id_ not in self._sent and not self._has("reports nothing"):
                await self._report(event)
        return self._poll_s

    async def _report(self, event: dict[str, Any]) -> None:
        descriptor = event["reportDescriptors"][0]
        start = datetime.fromisoformat(event["intervalPeriod"]["start"])
        part = timedelta(seconds=int(event["intervalPeriod"]["duration"].strip("PTS")))
        early = timedelta(days=1) if self._has("reports early") else timedelta()
        over = datetime.now(UTC) + early >= start + part * len(event["intervals"])
        if not over or (descriptor.get("targets") and not self._has("reports for others")):
            return
        body = self._body(event, descriptor)
        status, _, told = await self._ask("POST", "/reports", body)
        if status == 201 or self._has("gives reports up"):
            self._sent.add(event["id"])
        elif status == 503:
            await asyncio.sleep(float(told["Retry-After"]))
        if status == 201 and self._has("reports twice"):
            await self._ask("POST", "/reports", body)

    def _body(self, event: dict[str, Any], descriptor: dict[str, Any]) -> dict[str, Any]:
        wanted = descriptor["payloadType"]
        together = (descriptor.get("aggregate") or self._has("aggregates always")) and not self._has("never aggregates")
        intervals = [
            {
                "id": number if self._has("own interval ids") else one["id"],
                "payloads": [{"type": wanted, "values": [1]}],
            }
            for number, one in enumerate(event["intervals"])
        ]
        if self._has("another payload type"):
            intervals[0]["payloads"] = [{"type": "DEMAND", "values": [1]}]
        period = {"intervalPeriod": event["intervalPeriod"]}
        told = {"payloadType": wanted, "units": descriptor["units"], "readingType": descriptor["readingType"]}
        body = {
            "eventID": event["id"],
            "clientName": "model",
            "reportName": event["eventName"],
            "payloadDescriptors": [told],
            "resources": [
                {"resourceName": name, **period, "intervals": intervals}
                for name in (("AGGREGATED_REPORT",) if together else _RESOURCES)
            ],
        }
        if self._has("no units"):
            del told["units"]
        if self._has("report without clientName"):
            del body["clientName"]
        return body
