"""Notifications as a client gets them, through a webhook or from a broker, and what a right one looks like."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Final

from oadr_conformance.errors import Mismatch
from oadr_conformance.wire import HttpExchange, Obj, VtnAnswer

OPERATIONS: Final = ("CREATE", "UPDATE", "DELETE")
_HTTP_WORDS: Final = {"CREATE": "POST", "READ": "GET", "UPDATE": "PUT", "DELETE": "DELETE"}
_FORMS: Final = {name: {f"BL_{name}_REQUEST", f"VEN_{name}_REQUEST"} for name in ("VEN", "RESOURCE")}
"""Words of requests, to which the schemas of ven and resource lead too (R-21)."""
_FLEETING: Final = "modificationDateTime"
QUIET_S: Final = 0.5
"""Time, in seconds, for what should not come to come, after something that should has come."""


class Told(VtnAnswer):
    """One notification. Its body is that of the VTN's request, or the payload of a message."""

    bare_will_do = False
    """True where the standard can be read as if the object came without its notification (R-34)."""

    @property
    def text(self) -> str:
        """Return the body as text."""
        return self.exchange.request_body.decode("utf-8", "replace")

    def notification(self) -> Obj:
        """Return the notification: a JSON object with objectType, operation and object."""
        value = self.object()
        if self.bare_will_do and not self.binding and "operation" not in value and "id" in value:
            return {"objectType": value.get("objectType"), "object": value}
        missing = [name for name in ("objectType", "operation", "object") if name not in value]
        if missing or not isinstance(value["object"], dict):
            raise self.fail("a notification with objectType, operation and object", value)
        return value

    def subject(self) -> Obj:
        """Return the object that it is about."""
        found: Obj = self.notification()["object"]
        return found

    def is_of(self, object_type: str, operation: str) -> Obj:
        """Return its object; it has to be of this type (`EVENT`), and to say that this happened."""
        value = self.notification()
        found: Obj = value["object"]
        self.same("objectType of the notification", value["objectType"], object_type)
        if self.binding or object_type not in _FORMS or found.get("objectType") not in _FORMS[object_type]:
            self.same("objectType of the object", found.get("objectType"), object_type)
        if "operation" in value:
            self.true(value["operation"] in self._words(operation), f"operation {operation}", value["operation"])
        return found

    def has_object(self, expected: Obj, operation: str) -> None:
        """Expect that its object is this one."""
        got, wanted = dict(self.subject()), dict(expected)
        if operation == "DELETE" and not self.binding:  # deleting may count as a change
            got.pop(_FLEETING, None)
            wanted.pop(_FLEETING, None)
        self.same("the object", got, wanted)

    def is_about(self, object_id: str, operation: str = "") -> bool:
        """Return True if it tells of this object, also if it is badly made."""
        try:
            value = json.loads(self.text)
            obj = value.get("object", value)
            found, word = obj["id"], value.get("operation", operation)
        except (ValueError, KeyError, TypeError, AttributeError):
            return re.search(rf"[\"\\]{re.escape(object_id)}[\"\\]", self.text) is not None
        return bool(found == object_id) and (not operation or word in _words_of(operation))

    def _words(self, operation: str) -> Sequence[str]:
        """Figure 6 of the Definition has the words of HTTP, the API description others; either will do."""
        return (operation,) if self.binding else _words_of(operation)


def _words_of(operation: str) -> tuple[str, ...]:
    return operation, _HTTP_WORDS[operation]


class ToldInbox:
    """Notifications that came to one place, in their order."""

    def __init__(self, *, binding: bool, patience_s: float, bare_will_do: bool = False) -> None:
        self.told: list[Told] = []
        self._binding = binding
        self.patience_s = patience_s
        self._bare_will_do = bare_will_do
        self._arrived = asyncio.Event()

    def put(self, exchange: HttpExchange) -> None:
        """Take what arrived."""
        told = Told(exchange, binding=self._binding)
        told.bare_will_do = self._bare_will_do
        self.told.append(told)
        self._arrived.set()

    def about(self, object_id: str, operation: str = "") -> list[Told]:
        """Return what tells of this object, so far."""
        return [one for one in self.told if one.is_about(object_id, operation)]

    async def told_of(self, object_id: str, operation: str = "", number: int = 1) -> Told:
        """Return the n-th notification about this object, once it is there.

        Raises:
            Mismatch: it does not come in time.
        """
        try:
            async with asyncio.timeout(self.patience_s):
                while len(found := self.about(object_id, operation)) < number:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            what = f"a notification{f' of {operation}' if operation else ''} about object {object_id}"
            came = f"none; {len(self.told)} others came" if self.told else "none"
            raise Mismatch(f"{what} within {self.patience_s:g} s", came) from None
        return found[number - 1]

    async def quiet_about(self, *object_ids: str) -> None:
        """Expect that nothing tells of these objects, a moment from now.

        Raises:
            Mismatch: something does.
        """
        await asyncio.sleep(QUIET_S)
        for object_id in object_ids:
            for told in self.about(object_id):
                raise told.fail(f"no notification about object {object_id}", told.text[:300])
