"""Bodies of requests: unpacked within bounds, counted while they are in hand, and forgotten when a client hangs up."""

from __future__ import annotations

import asyncio
import gc
import gzip
import zlib
from typing import Any

import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn
from tests.vtn.harness import Session, VtnUnderTest, unique
from tests.vtn.test_limits import exchange, problem_of
from vtn.access import Role
from vtn.errors import Overloaded, TooManyRequests
from vtn.http.body import Budget

MIB = 1024 * 1024
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def number(vtn: VtnUnderTest, name: str) -> float:
    """A number without labels from /metrics."""
    text = (await vtn.ask("GET", f"{vtn.origin}/metrics")).raw.decode()
    samples = [each for family in text_string_to_metric_families(text) for each in family.samples]
    return next(each.value for each in samples if each.name == name)


def head(caller: Session, *lines: str) -> bytes:
    """The header of a POST of a program."""
    fixed = ("POST /openadr3/3.1.0/programs HTTP/1.1", "Host: x", f"Authorization: {caller.headers['Authorization']}")
    return "\r\n".join((*fixed, *lines, "", "")).encode()


def requests() -> dict[int, web.BaseRequest]:
    """Return every request that this process holds, by its identity."""
    return {id(each): each for each in gc.get_objects() if isinstance(each, web.BaseRequest)}


def document() -> bytes:
    """A program."""
    return b'{"programName":"%s"}' % unique("p").encode()


def raw_deflate(data: bytes) -> bytes:
    """Deflate without the header of RFC 1950, as some clients send it."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("gzip", lambda data: gzip.compress(data[:7]) + gzip.compress(data[7:])),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("identity", bytes),
    ],
)
async def test_a_body_is_unpacked(vtn: VtnUnderTest, coding: str, pack: Any) -> None:
    """COMP-004: several members and both readings of deflate included."""
    (await vtn.bl.ask("POST", "/programs", raw=pack(document()), headers={"Content-Encoding": coding})).ok(201)


@pytest.mark.parametrize(
    ("coding", "raw", "status"),
    [
        ("deflate", b"x\x9c", 400),
        ("gzip", gzip.compress(b"{}")[:-1], 400),
        ("gzip", gzip.compress(b"{}") + b"more", 400),
        ("deflate", zlib.compress(b"{}") + b"more", 400),
        ("deflate", b"\x00\x01", 400),
        ("gzip, gzip", gzip.compress(gzip.compress(b"{}")), 415),
        ("br", b"{}", 415),
    ],
    ids=["cut", "cut gzip", "more after gzip", "more after deflate", "not deflate", "twice", "unknown"],
)
async def test_what_cannot_be_unpacked_is_refused_at_once(
    vtn: VtnUnderTest, coding: str, raw: bytes, status: int
) -> None:
    """COMP-004: nobody waits for the rest of a body that is at its end."""
    async with asyncio.timeout(10):  # a third of the time that a body may take
        (await vtn.bl.ask("POST", "/programs", raw=raw, headers={"Content-Encoding": coding})).problem(status)


async def test_a_transfer_coding_that_is_not_known_is_refused(vtn: VtnUnderTest) -> None:
    """RFC 9112 6.1: it is not taken for one that is."""
    body = gzip.compress(document())
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)

    answer = await exchange(vtn, head(vtn.bl, "Transfer-Encoding: gzip, chunked", "Connection: close") + chunks)

    assert answer.split()[1] in {b"400", b"501"}, answer
    assert "Transfer-Encoding" in problem_of(answer)["detail"]


async def test_a_form_for_a_token_is_small_and_plain(vtn: VtnUnderTest) -> None:
    """AUTH-029, GEN-008: it is read before anybody is known; the error is that of RFC 6749 and a problem at once."""
    url = f"{vtn.origin}/auth/token"
    form = b"grant_type=client_credentials&client_id=nobody&client_secret=wrong"

    large = await vtn.ask("POST", url, raw=form + b"&x=" + b"y" * 16_384, headers=FORM)
    assert (large.ok(413)["error"], large.body["status"]) == ("invalid_request", 413)
    packed = await vtn.ask("POST", url, raw=gzip.compress(form), headers={**FORM, "Content-Encoding": "gzip"})
    assert (packed.ok(415)["error"], packed.body["status"]) == ("invalid_request", 415)
    assert (await vtn.ask("POST", url, raw=form, headers=FORM)).ok(401)["error"] == "invalid_client"


async def test_a_declared_length_counts_at_once_and_keeps_only_its_own_address_out(start_vtn: StartVtn) -> None:
    """GEN-008: 429 with Retry-After, until the one who declared it is gone."""
    limits = {"bodies_bytes": 3 * MIB, "bodies_per_address_bytes": MIB}
    vtn = await start_vtn(limits=limits, body_limit_bytes=MIB)
    _, writer = await asyncio.open_connection("127.0.0.1", vtn.server.port)
    writer.write(head(vtn.bl, f"Content-Length: {MIB}"))

    async def in_hand() -> float:
        return await number(vtn, "oadr_vtn_bodies_bytes")

    await wait_until(in_hand)
    refused = await vtn.bl.ask("POST", "/programs", raw=document())
    refused.problem(429)
    assert refused.headers["Retry-After"] == "2"
    body = document()
    reader, other = await asyncio.open_connection("127.0.0.1", vtn.server.port, local_addr=("127.0.0.2", 0))
    other.write(head(vtn.bl, f"Content-Length: {len(body)}") + body)
    assert (await reader.readline()).split()[1] == b"201"
    other.close()
    assert await number(vtn, "oadr_vtn_bodies_refused_total") == 1

    writer.transport.abort()

    async def is_free() -> bool:
        return await in_hand() == 0

    await wait_until(is_free)
    (await vtn.bl.ask("POST", "/programs", raw=document())).ok(201)


async def test_what_is_unpacked_counts_as_it_grows(start_vtn: StartVtn) -> None:
    """GEN-008: a small body that becomes a large one is refused when there is no room for it, and counts no more."""
    vtn = await start_vtn(
        limits={"bodies_bytes": 2 * MIB, "bodies_per_address_bytes": 2 * MIB}, body_limit_bytes=2 * MIB
    )
    _, writer = await asyncio.open_connection("127.0.0.1", vtn.server.port)
    writer.write(head(vtn.bl, f"Content-Length: {MIB}"))

    async def in_hand() -> float:
        return await number(vtn, "oadr_vtn_bodies_bytes")

    await wait_until(in_hand)
    packed = gzip.compress(b'{"programName":"' + b"x" * (MIB + MIB // 2) + b'"}')

    answer = await vtn.bl.ask("POST", "/programs", raw=packed, headers={"Content-Encoding": "gzip"})

    answer.problem(503)
    assert answer.headers["Retry-After"] == "2"
    assert await in_hand() == MIB
    writer.transport.abort()


def test_strangers_cannot_take_the_room_of_those_who_are_known() -> None:
    """GEN-008: they share a quarter of it."""
    budget = Budget(most=1000, most_per_address=None)
    for number_ in range(5):
        budget.take(50, f"192.0.2.{number_}", known=False)
    with pytest.raises(Overloaded):
        budget.take(1, "192.0.2.9", known=False)
    budget.take(750, "192.0.2.1", known=True)
    with pytest.raises(Overloaded):
        budget.take(1, "192.0.2.1", known=True)
    for number_ in range(5):
        budget.release(50, f"192.0.2.{number_}", known=False)
    budget.take(250, "192.0.2.9", known=False)
    assert (budget.held, budget.refused) == (1000, 2)


def test_an_address_has_a_part_of_the_room() -> None:
    """GEN-008."""
    budget = Budget(most=1000, most_per_address=500)
    budget.take(500, "192.0.2.1", known=True)
    with pytest.raises(TooManyRequests):
        budget.take(1, "192.0.2.1", known=True)
    budget.take(500, "192.0.2.2", known=True)


@pytest.mark.parametrize("framing", ["Content-Length: 10000", "Transfer-Encoding: chunked"])
async def test_a_client_that_hangs_up_in_its_body_is_no_error_and_leaves_nothing(
    vtn: VtnUnderTest, framing: str
) -> None:
    """GEN-010: it is counted by itself, nothing is logged as an error, and no request waits for the collector."""
    before = await number(vtn, "oadr_vtn_uploads_abandoned_total")

    async def abandoned() -> bool:
        return await number(vtn, "oadr_vtn_uploads_abandoned_total") == before + 20

    async def hang_up() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", vtn.server.port)
        writer.write(head(vtn.bl, framing) + b"3e8\r\n" + b"x" * 500)
        await writer.drain()
        writer.transport.abort()

    gc.collect()
    gc.disable()
    try:
        earlier = requests()  # connections of other tests may rest, and each keeps its last request
        with capture_logs() as logs:
            await asyncio.gather(*(hang_up() for _ in range(20)))
            await wait_until(abandoned)
        left = requests().keys() - earlier.keys()
        assert len(left) <= 2  # at most those of the connection that asked for /metrics
        del earlier
    finally:
        gc.enable()
    assert [each for each in logs if each["log_level"] in {"warning", "error"}] == []
    assert await number(vtn, "oadr_vtn_requests_under_way") == 1
    assert await number(vtn, "oadr_vtn_bodies_bytes") == 0


async def test_a_client_that_hangs_up_is_in_the_log_without_an_answer(start_vtn: StartVtn) -> None:
    """Its line has 499 in the place of a status."""
    vtn = await start_vtn(log_requests=True)
    caller = vtn.caller(Role.BL)

    with capture_logs() as logs:
        _, writer = await asyncio.open_connection("127.0.0.1", vtn.server.port)
        writer.write(head(caller, "Content-Length: 1000"))
        await writer.drain()
        writer.transport.abort()
        line = await wait_until(lambda: next((each for each in logs if each["event"] == "request"), None))

    assert line is not None
    assert (line["status"], line["client_id"]) == (499, caller.client_id)
