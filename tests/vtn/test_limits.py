"""Limits on what a client may send, how much of it, how often, and how slowly (GEN-008)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vtn.conftest import StartVtn
from tests.vtn.harness import VtnUnderTest
from vtn.http.body import too_deep


def nested(depth: int, inside: Any = 1) -> Any:
    """Lists in lists."""
    for _ in range(depth):
        inside = [inside]
    return inside


async def exchange(vtn: VtnUnderTest, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """Return the bytes received on a plain connection until the server closes it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", vtn.server.port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)
        return await asyncio.wait_for(reader.read(), timeout=15)
    except ConnectionError:
        return b""
    finally:
        writer.close()


def problem_of(answer: bytes) -> Any:
    """The body of a raw answer."""
    return json.loads(answer.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize(("depth", "status"), [(31, 201), (32, 400), (2_000, 400), (100_000, 400)])
async def test_a_body_is_nested_only_so_deep(vtn: VtnUnderTest, depth: int, status: int) -> None:
    """GEN-008: even inside members that are ignored."""
    document = json.dumps({"programName": "P", "extra": "@"}).replace('"@"', "[" * depth + "]" * depth).encode()

    answer = await vtn.bl.ask("POST", "/programs", raw=document)

    assert answer.status == status, answer.raw
    if status == 400:
        assert "nested" in answer.problem(400)


async def test_brackets_in_texts_do_not_count(vtn: VtnUnderTest) -> None:
    """They nest nothing."""
    (await vtn.bl.post("/programs", {"programName": "P" + '[{"\\' * 30})).ok(201)


JSON = st.recursive(
    st.none() | st.booleans() | st.text(alphabet='[]{}"\\aé', max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='[{"a', max_size=2), inner, max_size=3)
    ),
    max_leaves=20,
)


@given(JSON, st.integers(1, 8))
def test_depth_is_what_the_document_has(document: Any, most: int) -> None:
    """For any document, whatever its texts contain."""

    def depth(value: Any) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return 0 if inner is None else 1 + max(map(depth, inner), default=0)

    assert too_deep(json.dumps(document).encode(), most) == (depth(document) > most)


async def test_a_header_is_only_so_long(vtn: VtnUnderTest) -> None:
    """GEN-008, PROBLEM-006: a problem body, although the request never was one."""
    for request in (
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 9000 + b"\r\n\r\n",
    ):
        answer = await exchange(vtn, request)
        assert b" 431 " in answer[:20]
        assert problem_of(answer)["status"] == 431
    many = b"".join(b"X-%d: 1\r\n" % number for number in range(200))
    answer = await exchange(vtn, b"GET / HTTP/1.1\r\nHost: x\r\n" + many + b"\r\n")
    assert answer[9:12] in {b"400", b"431"}
    assert problem_of(answer)["title"]


async def test_what_is_not_http_gets_a_problem_too(vtn: VtnUnderTest) -> None:
    """PROBLEM-006."""
    for garbage in (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"HELLO\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
        answer = await exchange(vtn, garbage)
        assert problem_of(answer)["status"] == 400
        assert b"Traceback" not in answer
        assert b"text/html" not in answer


async def test_a_header_must_come_in_time(start_vtn: StartVtn) -> None:
    """GEN-008: nothing at all, or drop by drop."""
    vtn = await start_vtn(limits={"header_s": 0.2})

    assert await exchange(vtn) == b""
    assert await exchange(vtn, b"GET / HT", b"TP/1.1\r\nHo", b"st: x\r\n", pause_s=0.15) == b""
    answer = await exchange(vtn, b"GET /health HTTP/1.1\r\nHost: x\r\n", b"Connection: close\r\n\r\n", pause_s=0.05)
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_a_second_header_must_come_in_time_too(start_vtn: StartVtn) -> None:
    """GEN-008: a connection may rest between requests, but not within one."""
    vtn = await start_vtn(limits={"header_s": 0.2, "idle_s": 30})
    whole = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"

    answer = await exchange(vtn, whole, b"", b"", whole, b"GET /hea", pause_s=0.15)

    assert answer.count(b"HTTP/1.1 200 ") == 2


async def test_a_connection_rests_only_so_long(start_vtn: StartVtn) -> None:
    """GEN-008."""
    vtn = await start_vtn(limits={"idle_s": 0.2})

    assert (await exchange(vtn, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("path", ["/openadr3/3.1.0/programs", "/auth/token"])
async def test_a_body_must_come_in_time(start_vtn: StartVtn, path: str) -> None:
    """GEN-008: 408, and the connection ends."""
    vtn = await start_vtn(limits={"body_s": 0.1})
    token = vtn.bl.headers["Authorization"]
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Length: 100\r\n\r\n".encode()

    answer = await exchange(vtn, head, b"{")

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert problem_of(answer)["status"] == 408


async def test_a_client_asks_only_so_often(start_vtn: StartVtn) -> None:
    """GEN-008: 429 with Retry-After, for this client only, and not for ever."""
    vtn = await start_vtn(limits={"requests_per_s": 0.5, "requests_burst": 3})
    busy, other = vtn.home(), vtn.home()

    for _ in range(3):
        (await busy.get("/events")).ok()
    answer = await busy.get("/events")
    answer.problem(429)
    assert answer.headers["Retry-After"] == "2"
    (await other.get("/events")).ok()
    vtn.now.pass_(seconds=2)
    (await busy.get("/events")).ok()


async def test_without_a_limit_there_is_none(vtn: VtnUnderTest) -> None:
    """GEN-021: as by default."""
    home = vtn.home()

    answers = await asyncio.gather(*(home.get("/events") for _ in range(300)))

    assert {answer.status for answer in answers} == {200}
