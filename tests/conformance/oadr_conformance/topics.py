"""The twelve endpoints that name topics, each for a client that reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from oadr_conformance.changes import CHANGES, Change
from oadr_conformance.probe import Actor, Probe
from oadr_conformance.wire import Obj, VtnAnswer

PATH: Final = "/notifiers/mqtt/topics"


@dataclass(frozen=True)
class TopicsRow:
    """One endpoint as one client asks it, and what is told on its topics."""

    path: str
    kind: str
    ven: bool
    """True if the first VEN asks, False if business logic does."""
    targeted: bool = False
    """True if what is told there has a target that the VEN was granted."""
    disputed: bool = False
    """True if Definition and API description differ about who may ask (R-02, R-33)."""

    @property
    def name(self) -> str:
        """`programs/{program} for BL`."""
        what = " of what is targeted" if self.targeted and not self.path.startswith("vens") else ""
        return f"{self.path}{what} for {'a VEN' if self.ven else 'BL'}"

    @property
    def of_one_object(self) -> bool:
        """Return True if the topics are about one object, which exists already."""
        return self.path.endswith("}")

    def reader(self, t: Probe) -> Actor:
        """Return who asks and listens."""
        return t.ven if self.ven else t.bl

    def changes(self) -> list[Change]:
        """Return what is told there."""
        operations = ("UPDATE", "DELETE") if self.of_one_object else ("CREATE", "UPDATE", "DELETE")
        return [CHANGES[f"{self.kind} {operation}"] for operation in operations]


def _rows() -> list[TopicsRow]:
    rows = [
        TopicsRow("programs", "program", ven=False),
        TopicsRow("programs/{program}", "program", ven=False),
        TopicsRow("programs/{program}/events", "event", ven=False),
        *(TopicsRow(f"{kind}s", kind, ven=False) for kind in ("event", "report", "subscription", "ven", "resource")),
        TopicsRow("vens/{ven}", "ven", ven=True),
        TopicsRow("vens/{ven}/events", "event", ven=True, targeted=True),
        TopicsRow("vens/{ven}/programs", "program", ven=True, targeted=True),
        TopicsRow("vens/{ven}/resources", "resource", ven=True),
    ]
    disputed = [
        TopicsRow("programs", "program", ven=True, disputed=True),
        TopicsRow("programs/{program}", "program", ven=True, disputed=True),
        TopicsRow("programs/{program}", "program", ven=True, targeted=True, disputed=True),
        TopicsRow("programs/{program}/events", "event", ven=True, disputed=True),
        TopicsRow("vens/{ven}", "ven", ven=False, disputed=True),
        TopicsRow("vens/{ven}/events", "event", ven=False, targeted=True, disputed=True),
        TopicsRow("vens/{ven}/programs", "program", ven=False, targeted=True, disputed=True),
        TopicsRow("vens/{ven}/resources", "resource", ven=False, disputed=True),
    ]
    return rows + disputed


TOPICS: Final = {topics.name: topics for topics in _rows()}


async def topics_of(
    t: Probe, topics: TopicsRow, *, program: Obj | None = None, ven: Obj | None = None
) -> tuple[VtnAnswer, dict[str, Any]]:
    """Return the answer of the endpoint and its topics; without them, for a new program and the first VEN's ven.

    Raises:
        Skipped: the VTN announces no broker.
    """
    reader = topics.reader(t)
    await t.binding(reader)
    path = topics.path
    if "{program}" in path:
        path = path.replace("{program}", (program or await t.program())["id"])
    if "{ven}" in path:
        path = path.replace("{ven}", (ven or await t.own_ven(t.ven))["id"])
    answer = await reader.get(f"{PATH}/{path}")
    found = answer.expect(200).object().get("topics")
    answer.true(isinstance(found, dict), "topics: an object", found)
    return answer, found or {}
