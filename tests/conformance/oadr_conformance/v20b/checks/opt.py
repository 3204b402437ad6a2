"""Opts: EiOpt (B-OPT)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from oadr_conformance.registry import Area
from oadr_conformance.v20b import messages
from oadr_conformance.v20b.answers import OPT
from oadr_conformance.v20b.probe import Probe20b, StrangerVen
from oadr_conformance.v20b.reply import VtnReply
from oadr_conformance.v20b.tree import Element, el

area = Area("2.0b, EiOpt", always="")

CREATED: Final = "oadrCreatedOpt"
_REASONS: Final = (
    "economic",
    "emergency",
    "mustRun",
    "notParticipating",
    "outageRunStatus",
    "overrideStatus",
    "participating",
    "x-schedule",
    "x-conformance",
)


def _schedule(hours: float = 3, duration: str = "PT1H") -> Element:
    return messages.available(messages.instant(hours=hours), duration)


async def _opt(ven: StrangerVen, **parts: Any) -> VtnReply:
    return await ven.ask(OPT, messages.create_opt(ven.id, ven.opt_id(), **parts))


@area.check("B-OPT-010")
async def served(probe: Probe20b) -> None:
    """The VTN serves EiOpt: a VEN may say when it does not take part."""
    ven = await probe.registered()
    (await _opt(ven, availability=_schedule())).ok(CREATED).valid()


@area.each("B-OPT-001", {"both": True, "neither": False})
async def one_of_two(probe: Probe20b, both: bool) -> None:
    """An opt is about one event or about a schedule, not about both or nothing."""
    ven = await probe.registered()
    parts = {"availability": _schedule(), "event": messages.qualified("conformance-unknown", 0)} if both else {}
    (await _opt(ven, **parts)).refused(CREATED, "454")


@area.check("B-OPT-002")
async def opt_of_an_unknown_event(probe: Probe20b) -> None:
    """An opt about an event that the VTN does not know is refused."""
    ven = await probe.registered()
    (await _opt(ven, event=messages.qualified("conformance-unknown", 0))).refused(CREATED, "452")


@area.check("B-OPT-002", needs="operator")
async def opt_of_an_event(probe: Probe20b) -> None:
    """An opt about an event names its modificationNumber; another one is refused."""
    ven = await probe.registered()
    view = await probe.new_event(ven)
    await ven.drain()
    (await _opt(ven, event=messages.qualified(view.id, view.number + 5))).refused(CREATED, "454", "452")
    (await _opt(ven, event=messages.qualified(view.id, view.number))).ok(CREATED)


@area.check("B-OPT-003")
async def foreign_target(probe: Probe20b) -> None:
    """The target of an opt is this VEN or a part of it; another VEN is refused."""
    ven = await probe.registered()
    to = messages.target(venID="conformance-another")
    (await _opt(ven, availability=_schedule(), to=to)).refused(CREATED, "452", "462")


_TIMES: Final[Mapping[str, tuple[float, str]]] = {"no length": (3, "PT0S"), "long ago": (-24 * 365, "PT1H")}


@area.each("B-OPT-004", _TIMES)
async def senseless_schedules(probe: Probe20b, case: tuple[float, str]) -> None:
    """A stretch of a schedule lies ahead and has a length."""
    ven = await probe.registered()
    (await _opt(ven, availability=_schedule(*case))).refused(CREATED, "454")


@area.check("B-OPT-004")
async def unknown_market(probe: Probe20b) -> None:
    """A market context that the VTN does not know is refused."""
    ven = await probe.registered()
    (await _opt(ven, availability=_schedule(), market=messages.MARKET)).refused(CREATED, "453", "452")


@area.check("B-OPT-005", needs="operator")
async def schedules_hide_nothing(probe: Probe20b) -> None:
    """An opt-out schedule does not keep events from a VEN."""
    ven = await probe.registered()
    (await _opt(ven, availability=_schedule(1, "PT9H"))).ok(CREATED)
    await probe.new_event(ven)


@area.each("B-OPT-006", {"a class": ("power:endDeviceAsset", True), "a group": ("ei:groupID", False)})
async def device_class(probe: Probe20b, case: tuple[str, bool]) -> None:
    """oadrDeviceClass names a class of devices and nothing else."""
    name, good = case
    ven = await probe.registered()
    part = el(name, el("power:mrid", "Thermostat")) if good else el(name, "group-1")
    reply = await _opt(ven, availability=_schedule(), device_class=part)
    if good:
        reply.ok(CREATED)
    else:
        reply.refused(CREATED, "454", "453", "459")


@area.check("B-OPT-007")
async def replaced(probe: Probe20b) -> None:
    """An opt under a known optID replaces the earlier one."""
    ven = await probe.registered()
    name = ven.opt_id()
    for hours in (3, 5):
        root = messages.create_opt(ven.id, name, availability=_schedule(hours))
        reply = (await ven.ask(OPT, root)).ok(CREATED)
        reply.same("optID", reply.value("ei:optID"), name)
    (await ven.ask(OPT, messages.cancel_opt(ven.id, name))).ok("oadrCanceledOpt")


@area.check("B-OPT-008")
async def cancel(probe: Probe20b) -> None:
    """A known opt can be cancelled once; an unknown one is refused with its optID."""
    ven = await probe.registered()
    name = ven.opt_id()
    (await ven.ask(OPT, messages.create_opt(ven.id, name, availability=_schedule()))).ok(CREATED)
    reply = (await ven.ask(OPT, messages.cancel_opt(ven.id, name))).ok("oadrCanceledOpt")
    reply.same("optID", reply.value_or_none("ei:optID"), name)
    reply = (await ven.ask(OPT, messages.cancel_opt(ven.id, "unknown"))).refused("oadrCanceledOpt", "452")
    if reply.status == 200 and reply.name == "oadrCanceledOpt":
        reply.same("optID", reply.value_or_none("ei:optID"), "unknown")


@area.each("B-OPT-009", {reason: reason for reason in _REASONS})
async def reasons(probe: Probe20b, reason: str) -> None:
    """Every reason of the profile is taken, and those that begin with x-."""
    ven = await probe.registered()
    (await _opt(ven, availability=_schedule(), reason=reason)).ok(CREATED)


@area.check("B-OPT-009")
async def unknown_reason(probe: Probe20b) -> None:
    """Another reason is refused."""
    ven = await probe.registered()
    (await _opt(ven, availability=_schedule(), reason="bored")).refused(CREATED, "454", "453", "459")
