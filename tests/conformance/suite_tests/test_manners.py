"""The suite is fair to other VTNs, and polite to the one it examines."""

import asyncio
import fnmatch
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Final

import pytest
from mutants.proxy import ProxiedAnswer, ProxiedRequest, Proxy, Upstream
from oadr_conformance import (
    ALL,
    INTERRUPTED,
    Check,
    Credential,
    Level,
    Misused,
    Outcome,
    Refused,
    Result,
    Run,
    Subject,
    Unreachable,
    profile_of,
    run,
    runner,
    select,
)
from oadr_conformance.bodies import COLLECTIONS, bl_resource, bl_ven
from oadr_conformance.probe import Probe
from oadr_conformance.rulings import RULINGS
from oadr_conformance.runner import opened
from oadr_conformance.session import PREFIX, Session
from oadr_conformance.wire import HttpClient, Obj, alike
from vtns.another import another_vtn
from yarl import URL

from bench.support.net import free_port
from tests.support import requirements

_NORMATIVE: Final = re.compile(r"\[[^\]]*\b(API|Def|RFC|Enum|Chg)\b(?! 3\.0\.1)")
_RULING: Final = re.compile(r"\(R-\d+")
_IN_DETAIL: Final = {
    "AUTH-006": "that it is refused is the standard's; with which status, ours",
    "PAGE-017": "an empty result is the standard's; 404 for a venID is allowed",
    "PAGE-027": "what has transpired is left out; the finer points are PAGE-028 and following",
    "EVT-005": "event names need not be unique",
    "EVT-007": "the schema has no least number of items",
    "VEN-004": "venName is unique; 400 is allowed, for the API description forgets 409",
    "VEN-012": "VENs delete their own",
    "SUBS-002": "business logic reads all; the other methods are marked",
    "SUBS-003": "only the owner; 403 is allowed",
    "SUBS-007": "the words of the schema; the others are marked",
    "SUBS-015": "a deleted subscription is no longer registered",
    "WEBHOOK-004": "the value itself as the whole body is included in it",
    "WEBHOOK-009": "the body is a JSON object",
    "MQTT-002": "WEBHOOK is true",
    "MQTT-024": "as PRIV-014",
    "MQTT-025": "targets decide who is told, and the topics are of what is targeted for a ven",
    "MQTT-018": "access is enforced by the policy of the API",
    "MQTT-021": "names of topics are those for operations; rows about which the documents differ are marked",
    "MQTT-028": "one JSON object; where rulings are not binding, with or without its notification",
    "MQTT-030": "dates are RFC 3339 and required; Z where rulings are binding",
    "MQTT-038": "clients connect by TLS; a switch for laboratories",
    "MQTT-042": "a broker that asks who one is admits nobody else",
}
"""Lines with a ruling that has to do with a detail only -> what of them the standard decides."""
_OPTIONAL: Final = {"COMP-001/gzip when asked"}
"""SHOULDs of the standard that the other VTN leaves out."""


def test_what_the_standard_does_not_decide_is_marked_as_ours() -> None:
    """Each check of a line that rests on a ruling, or on no text of the standard, says so; examples apart."""
    lines = requirements.catalogue()
    unmarked = {
        check.key
        for check in ALL
        if not check.ruling
        and "-EX-" not in check.requirement
        and (not _NORMATIVE.search(lines[check.requirement].text) or _RULING.search(lines[check.requirement].text))
        and check.requirement not in _IN_DETAIL
    }
    assert unmarked == set()


def test_every_ruling_names_a_check() -> None:
    """A pattern that names none is a ruling that got lost."""
    names = {name for check in ALL for name in (check.requirement, check.key)}
    assert [pattern for pattern in RULINGS if not fnmatch.filter(names, pattern)] == []


def test_another_conformant_vtn_has_no_failure(tmp_path: Path) -> None:
    """Whatever the standard leaves open may be otherwise; only a SHOULD that is left out shows."""

    async def examine() -> tuple[Run, dict[str, int]]:
        async with another_vtn(tmp_path) as (subject, handler):
            return await run(subject, ALL), dict(handler.met)

    result, met = asyncio.run(examine())
    failed = {one.check.key: f"expected {one.expected}, got {one.got}" for one in result.results if _is(one, "fail")}
    assert failed.keys() == _OPTIONAL, failed
    assert result.conforms()
    assert result.leftovers == []
    ruled = [one for one in result.results if one.check.ruling]
    assert {one.outcome for one in ruled} == {Outcome.NOT_ASKED}
    about_telling = {check.key for check in ALL if check.needs & {"receiver", "notifiers"} and not check.ruling}
    assert {one.check.key for one in result.results if _is(one, "skip")} == {"AUTH-003/expired token"} | about_telling
    assert [one.check.key for one in result.results if _is(one, "blocked")] == []
    assert {"asked for patience", "403 for 404", "400 for 409", "hid what was not asked for"} <= met.keys()
    assert met["issued a token"] > 10  # they were renewed before they ran out
    assert "refused an expired token" not in met


def _is(result: Result, outcome: str) -> bool:
    return result.outcome == outcome


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (1, 1.0, True),
        (1, True, False),
        ("2030-01-01T00:00:00Z", "2030-01-01T01:00:00.000+01:00", True),
        ("2030-01-01T00:00:00Z", "2030-01-01T00:00:01Z", False),
        ("2030-01-01T00:00:00.123456Z", "2030-01-01T00:00:00.123456789Z", True),
        ({"a": 1, "more": 2}, {"a": 1}, True),
        ({}, {"targets": []}, True),
        ({}, {"a": 1}, False),
        ({"a": 2}, {"a": 1}, False),
        ([1], [1, 2], False),
        ("PT1H", "PT2H", False),
    ],
)
def test_another_way_of_writing_is_the_same_and_another_value_is_not(left: object, right: object, same: bool) -> None:
    """What a VTN says is compared, not how it writes it."""
    assert alike(left, right) is same


def test_a_run_that_is_stopped_cleans_up_and_skips_the_rest(vtn_on_sqlite: Subject) -> None:
    """Ctrl-C in the middle of a check leaves nothing behind and is no verdict."""
    reached = asyncio.Event()

    async def body(t: Probe) -> None:
        await t.event()
        await t.enrol(t.ven)
        reached.set()
        await asyncio.Event().wait()

    async def examine() -> Run:
        stop = asyncio.Event()

        async def interrupt() -> None:
            await reached.wait()
            stop.set()

        checks = [*select(ALL, ["PAGE-007/*event"]), _check(body), *select(ALL, ["PAGE-005"])]
        task = asyncio.create_task(interrupt())
        result = await run(vtn_on_sqlite, checks, stop=stop)
        await task
        return result

    result = asyncio.run(examine())
    assert [(one.outcome, one.why) for one in result.results[1:]] == [(Outcome.SKIP, INTERRUPTED)] * 2
    assert result.verdict() == "incomplete"
    assert not result.conforms()
    assert asyncio.run(_stored(vtn_on_sqlite)) == []


def test_what_a_lost_answer_may_have_created_is_swept_up(vtn_on_sqlite: Subject) -> None:
    """A connection that breaks after the VTN has stored hides the id, but not the name."""

    async def lose(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        return ProxiedAnswer(0) if asked.method == "POST" else told

    async def body(t: Probe) -> None:
        await t.bl.post("/programs", {"programName": t.name("lost")})

    async def examine() -> Run:
        async with _proxied(vtn_on_sqlite) as (subject, proxy):
            proxy.handler = lose
            return await run(subject, [_check(body)])

    result = asyncio.run(examine())
    assert [one.outcome for one in result.results] == [Outcome.FAIL]
    assert result.warnings == ()
    assert asyncio.run(_stored(vtn_on_sqlite)) == []


def test_a_vtn_that_dies_ends_the_run(vtn_on_sqlite: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check on which it died fails; the others are skipped, for nobody was asked."""
    monkeypatch.setattr(runner, "_GRACE_S", 1)

    async def examine() -> Run:
        async with _proxied(vtn_on_sqlite) as (subject, proxy):

            async def die(t: Probe) -> None:
                await proxy.stop()
                await t.bl.get("/programs")

            return await run(subject, [_check(die), *select(ALL, ["PAGE-007"])])

    result = asyncio.run(examine())
    assert result.total == "0 passed, 1 failed, 6 skipped"
    assert result.cut_short.startswith("the VTN no longer answers")


def test_a_token_that_runs_out_ends_the_run_and_fails_nothing(vtn_on_sqlite: Subject) -> None:
    """Without a secret it cannot be renewed, which is not the VTN's failure."""

    async def examine() -> Run:
        async with _proxied(vtn_on_sqlite, plain=False) as (subject, proxy):
            async with HttpClient() as wire:
                token = await Session(subject, wire).token(subject.ven)

            async def expired(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
                return (
                    ProxiedAnswer(401)
                    if token in asked.headers.get("Authorization", "")
                    else await upstream.send(asked)
                )

            async def body(t: Probe) -> None:
                proxy.handler = expired
                (await t.ven.get("/programs")).expect(200)

            bare = replace(subject, ven=Credential(token=token))
            result = await run(bare, [_check(body), *select(ALL, ["PAGE-007"])])
            proxy.handler = None
            return result

    result = asyncio.run(examine())
    assert result.total == "0 passed, 0 failed, 7 skipped"
    assert "the token of VEN 1 is no longer accepted" in result.cut_short


def test_resources_of_a_ven_that_is_set_aside_are_put_back(vtn_on_sqlite: Subject) -> None:
    """They go with their ven and come back with it."""
    subject = replace(vtn_on_sqlite, ven=vtn_on_sqlite.ven2, ven2=_stranger(vtn_on_sqlite), stranger=None)
    client = vtn_on_sqlite.ven.client_id

    async def with_desk(what: Callable[[Probe], Awaitable[list[Obj]]]) -> list[Obj]:
        async with opened(subject) as session:
            return await what(Probe(session, "-", frozenset({"bl"})))

    async def enrol(t: Probe) -> list[Obj]:
        ven = (await t.bl.post("/vens", bl_ven(client, "somebody's", targets=["feeder-7"]))).expect(201).object()
        body = bl_resource(client, ven["id"], "their heat pump", targets=["pumps"])
        return [(await t.bl.post("/resources", body)).expect(201).object()]

    async def taken_away(t: Probe) -> list[Obj]:
        resources = (await t.bl.get("/resources")).expect(200).array()
        for ven in (await t.bl.get("/vens")).expect(200).array():
            await t.bl.delete(f"/vens/{ven['id']}")
        return resources

    asyncio.run(with_desk(enrol))
    result = asyncio.run(run(vtn_on_sqlite, select(ALL, ["VEN-001"])))
    (resource,) = asyncio.run(with_desk(taken_away))
    assert (resource["resourceName"], resource["targets"]) == ("their heat pump", ["pumps"])
    assert result.warnings == ()


def test_credentials_of_the_wrong_client_are_said_before_the_run(vtn_on_sqlite: Subject) -> None:
    """Otherwise checks would fail, or pass, for no reason."""
    with pytest.raises(Misused, match="--ven and --ven2 are the same client"):
        asyncio.run(run(replace(vtn_on_sqlite, ven2=vtn_on_sqlite.ven), ALL))
    swapped = replace(vtn_on_sqlite, bl=vtn_on_sqlite.ven, ven=vtn_on_sqlite.bl)
    with pytest.raises(Refused, match="--bl"):
        asyncio.run(run(swapped, ALL))


def test_two_tokens_of_one_client_are_found_out(vtn_on_sqlite: Subject) -> None:
    """The VTN writes the client's identifier into what it creates."""

    async def token() -> Credential:
        async with HttpClient() as wire:
            return Credential(token=await Session(vtn_on_sqlite, wire).token(vtn_on_sqlite.ven))

    with pytest.raises(Misused, match="same client"):
        asyncio.run(run(replace(vtn_on_sqlite, ven2=asyncio.run(token())), ALL))


@pytest.mark.parametrize("url", ["http://vtn.example/x?tenant=1", "http://me@vtn.example/x", "vtn.example", "ftp://x"])
def test_a_url_that_is_no_prefix_is_a_mistake(vtn_on_sqlite: Subject, url: str) -> None:
    """It would be put together to something that nobody meant."""
    with pytest.raises(Misused, match=re.escape(url)):
        asyncio.run(run(replace(vtn_on_sqlite, url=url), ALL))


@pytest.mark.parametrize("body", [b"<html>Welcome</html>", b"\xff\xfe", b"[]", b"{}"])
def test_a_server_that_is_no_vtn_is_unreachable(vtn_on_sqlite: Subject, body: bytes) -> None:
    """Not a VTN that fails every check."""
    bl, ven, ven2 = (Credential(token=text) for text in ("token-1", "token-2", "token-3"))
    with _answering(body) as url:
        for subject in (replace(vtn_on_sqlite, url=url), Subject(url, bl=bl, ven=ven, ven2=ven2)):
            if body == b"[]" and subject.bl.token:
                continue  # an empty list is what a VTN without programs answers
            with pytest.raises(Unreachable):
                asyncio.run(run(subject, ALL))


def test_our_rulings_count_where_a_run_asks_for_them(vtn_on_sqlite: Subject) -> None:
    """A VTN without them conforms, also strictly; the report says what was not asked."""
    checks = select(ALL, ["PAGE-010", "PAGE-003"])
    plain = asyncio.run(run(replace(vtn_on_sqlite, profile=profile_of("default")), checks))
    assert plain.total == "6 passed, 0 failed, 0 skipped, 7 not asked"
    assert plain.conforms(strict=True)
    bound = profile_of("default", ["rulings.binding=true"])
    assert asyncio.run(run(replace(vtn_on_sqlite, profile=bound), checks)).total == "13 passed, 0 failed, 0 skipped"


def _check(body: Callable[[Probe], Awaitable[None]]) -> Check:
    needs = frozenset({"bl", "ven", "ven2"})
    return Check("X-001", "a check of this test", (), Level.MUST, "sentence", "section", needs, body)


def _stranger(subject: Subject) -> Credential:
    assert subject.stranger is not None
    return subject.stranger


class _proxied:  # noqa: N801 - used like a function
    """The VTN behind a proxy, which is transparent until the test sets its handler."""

    def __init__(self, subject: Subject, *, plain: bool = True) -> None:
        base = URL(subject.base)
        self._port = free_port()
        self._proxy = Proxy(str(base.origin()), base.path, plain=plain)
        self._subject = replace(subject, url=str(base.with_port(self._port)))

    async def __aenter__(self) -> tuple[Subject, Proxy]:
        await self._proxy.start(self._port)
        return self._subject, self._proxy

    async def __aexit__(self, *_: object) -> None:
        await self._proxy.stop()


@contextmanager
def _answering(body: bytes) -> Iterator[str]:
    """A server that says the same to everybody, with status 200."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the name is the library's

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/openadr3"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def _stored(subject: Subject) -> list[str]:
    async with opened(subject) as session:
        probe = Probe(session, "-", frozenset({"bl"}))
        found = [obj for path in COLLECTIONS.values() for obj in await probe.all(probe.bl, path)]
        return [obj["id"] for obj in found if PREFIX in str(obj)]
