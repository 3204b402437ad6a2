"""Checks of how a VEN reads: pages, polls, trouble."""

from __future__ import annotations

import itertools

from oadr_conformance.errors import Skipped
from oadr_conformance.registry import SHOULD
from oadr_conformance.ven31 import judging
from oadr_conformance.ven31.judging import VenEvidence
from oadr_conformance.ven31.scenario import TROUBLES

area = judging.area("duties of a VEN: reading")
_SLACK_S = 0.5
_FEWEST_POLLS = 3
_LEAST_PAUSE = 0.1
"""Share of the polling interval: less is no pause at all."""


@area.each("VENCLIENT-007", {"events": "/events", "programs": "/programs"})
async def reads_all_pages(ven: VenEvidence, path: str) -> None:
    """A list whose page is full goes on: the next page is read."""
    reads = ven.record.of("GET", path)
    if not reads and path == "/programs":
        raise Skipped("not applicable: the VEN reads no list of programs")
    ven.looked_at(*reads)
    if not reads:
        ven.fail("GET /events", "none")
    if path not in ven.record.first_pages:
        raise Skipped("not reached: no first page of what the VEN asked for was full")
    if path not in ven.record.last_pages:
        ven.fail(f"GET {path} with a skip, up to the end of the list", "only first pages", reads[0])


@area.check("VENCLIENT-010")
async def polls_as_often_as_configured(ven: VenEvidence) -> None:
    """Events are read again and again, and no faster than configured."""
    record, poll_s = ven.record, ven.pace.poll_s
    reads = [one for one in record.reads if not one.fault and one.status in {200, 304}]
    ven.looked_at(*reads)
    if len(reads) < _FEWEST_POLLS:
        ven.fail(f"at least {_FEWEST_POLLS} reads of events", str(len(reads)))
    if "end" not in record.marks:
        raise Skipped(judging.SILENT)
    begin, end = record.marks["events"], record.marks["end"]
    calm = [one for one in reads if begin < one.at < end]
    most = 2 * (end - begin) / poll_s + _FEWEST_POLLS
    if len(calm) > most:
        got = f"{len(calm)} reads in {end - begin:.0f} s"
        ven.fail(f"a read about every {poll_s:g} s, so at most {most:.0f} in {end - begin:.0f} s", got)


@area.check("VENCLIENT-010", SHOULD)
async def asks_for_changes_only(ven: VenEvidence) -> None:
    """Where the VTN gives an ETag, a list is read again with If-None-Match."""
    later = ven.record.reads[1:]
    ven.looked_at(*later)
    if not later:
        raise Skipped("not reached: events were read once only")
    if not any("If-None-Match" in one.exchange.request_headers for one in later):
        ven.fail("If-None-Match with the ETag of the list", "none", later[0])


@area.check("VENCLIENT-019")
async def ignores_what_it_does_not_know(ven: VenEvidence) -> None:
    """Unknown members and payload types do no harm: the VEN reads on after it has read them."""
    good = [one for one in ven.record.reads if one.status == 200 and not one.fault]
    ven.looked_at(*ven.record.reads)
    if not good:
        ven.fail("a read of events that is answered", "none")
    if not any(one.at > good[0].at for one in ven.record.reads):
        ven.fail("events are read again after unknown members and payload types", "no read any more", good[0])


@area.each("VENCLIENT-025 VENCLIENT-027", {name: name for name in TROUBLES})
async def reads_again_after(ven: VenEvidence, trouble: str) -> None:
    """An error of the VTN, or a body that is broken, ends nothing: the VEN reads events again."""
    last = ven.reads_were_made(trouble)
    if not any(one.at > last.at and not one.fault for one in ven.record.reads):
        ven.fail("events are read again", "no read any more", last)


@area.each("VENCLIENT-025", {name: name for name in TROUBLES[2:]}, SHOULD)
async def waits_as_long_as_asked(ven: VenEvidence, trouble: str) -> None:
    """Retry-After is honoured: the same request comes no sooner."""
    ven.reads_were_made(trouble)
    first = next(one for one in ven.record.requests if one.fault == trouble)
    until = first.at + ven.pace.pause_s - _SLACK_S
    early = [one for one in ven.record.reads if first.at < one.at < until]
    ven.looked_at(*early)
    if early:
        got = f"one after {early[0].at - first.at:.1f} s"
        ven.fail(f"no read of events for {ven.pace.pause_s} s", got, early[0])


@area.each("VENCLIENT-025", {TROUBLES[0]: TROUBLES[0]})
async def reads_again_later_after(ven: VenEvidence, trouble: str) -> None:
    """After an error of the VTN the VEN waits before it asks again."""
    ven.reads_were_made(trouble)
    reads = ven.record.reads
    for before, after in itertools.pairwise(reads):
        if before.fault == trouble and after.at - before.at < _LEAST_PAUSE * ven.pace.poll_s:
            ven.fail("a pause after an error", f"the next read {after.at - before.at:.3f} s later", after)
