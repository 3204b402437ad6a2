"""Tags, conditional requests and packing (rulings on ETag, COMP)."""

from __future__ import annotations

import asyncio
import gzip
import json
import selectors
from asyncio.selector_events import _SelectorSocketTransport  # type: ignore[attr-defined]
from collections.abc import Iterable

import pytest

from tests.support.waiting import wait_until
from tests.vtn.harness import VtnUnderTest, unique
from vtn.http.conditional import accepts_gzip

COLLECTIONS = ("programs", "events", "reports", "vens", "resources")


@pytest.mark.parametrize("path", [f"/{name}" for name in COLLECTIONS])
async def test_every_answer_to_a_get_has_a_strong_tag(vtn: VtnUnderTest, path: str) -> None:
    """ETAG-001."""
    answer = await vtn.bl.get(path)

    answer.ok()
    assert answer.headers["ETag"].startswith('"')
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.headers["Vary"] == "Authorization, Accept-Encoding"


async def test_an_unchanged_answer_is_not_sent_again(vtn: VtnUnderTest) -> None:
    """ETAG-002: for lists and objects, with the tag alone, in a list, weak, or `*`."""
    bl = vtn.bl
    program = await bl.program()

    for path in ("/programs", f"/programs/{program['id']}"):
        first = await bl.get(path)
        tag = first.headers["ETag"]
        for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
            answer = await bl.get(path, if_none_match=known)
            assert answer.status == 304
            assert answer.raw == b""
            for name in ("ETag", "Cache-Control", "Vary"):
                assert answer.headers[name] == first.headers[name]
        for unknown in ('"other"', tag[:-2] + '"', ""):
            assert (await bl.get(path, if_none_match=unknown)).ok() == first.ok()


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_an_answer_without_body_leaves_nothing_to_send(
    vtn: VtnUnderTest, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    """ETAG-002: asyncio's own loop keeps an empty buffer for ever from Python 3.12 on, and the connection with it."""
    buffers: list[bytes] = []
    writelines = _SelectorSocketTransport.writelines

    def recorded(transport: _SelectorSocketTransport, parts: Iterable[bytes]) -> None:
        parts = list(parts)
        buffers.extend(parts)
        writelines(transport, parts)

    monkeypatch.setattr(_SelectorSocketTransport, "writelines", recorded)
    program = await vtn.bl.program()
    path = f"/openadr3/3.1.0/programs/{program['id']}"
    tag = (await vtn.bl.get(f"/programs/{program['id']}")).headers["ETag"]
    loop = asyncio.get_running_loop()
    assert isinstance(loop, asyncio.SelectorEventLoop)
    assert vtn.server._runner is not None
    assert vtn.server._runner.server is not None
    before = set(vtn.server._runner.server.connections)

    reader, writer = await asyncio.open_connection("127.0.0.1", vtn.server.port)
    headers = f"Host: x\r\nAuthorization: {vtn.bl.headers['Authorization']}\r\nAccept-Encoding: {encoding}\r\n"
    writer.write(f"GET {path} HTTP/1.1\r\n{headers}If-None-Match: {tag}\r\n\r\n".encode())
    answer = await reader.readuntil(b"\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 304 ")
    assert b"" not in buffers
    (connection,) = set(vtn.server._runner.server.connections) - before
    transport = connection.transport
    assert isinstance(transport, _SelectorSocketTransport)
    assert transport.get_write_buffer_size() == 0
    assert not loop._selector.get_key(transport._sock_fd).events & selectors.EVENT_WRITE  # type: ignore[attr-defined]
    writer.close()
    await writer.wait_closed()
    runner = vtn.server._runner
    await wait_until(lambda: runner.server is not None and connection not in runner.server.connections)
    await wait_until(lambda: transport._sock is None, what="the end of the server closed")


async def test_a_tag_ends_with_the_first_change(vtn: VtnUnderTest) -> None:
    """ETAG-003: a created, changed or deleted object, and a grant, show in the next answer."""
    bl, home = vtn.bl, vtn.home()
    program = await bl.program()
    await bl.event(program, targets=["g"])
    ven = await bl.ven_for(home)
    tags = [(await home.get("/events")).headers["ETag"]]

    async def next_tag() -> str:
        answer = await home.get("/events", if_none_match=tags[-1])
        answer.ok()
        tags.append(answer.headers["ETag"])
        return tags[-1]

    document = {"objectType": "BL_VEN_REQUEST", "clientID": home.client_id, "venName": ven["venName"]}
    (await bl.put(f"/vens/{ven['id']}", document | {"targets": ["g"]})).ok()
    await next_tag()
    event = await bl.event(program)
    await next_tag()
    (await bl.put(f"/events/{event['id']}", {"programID": program["id"]})).ok()
    await next_tag()
    (await bl.delete(f"/events/{event['id']}")).ok()
    assert await next_tag() == tags[1]


async def test_readers_who_see_different_targets_get_different_tags(vtn: VtnUnderTest) -> None:
    """ETAG-001: the tag is over the bytes of this reader."""
    bl, one, other = vtn.bl, vtn.home(), vtn.home()
    await bl.ven_for(one, ["a"])
    await bl.ven_for(other, ["b"])
    event = await bl.event(await bl.program(), targets=["a", "b"])

    tags = {(await caller.get(f"/events/{event['id']}")).headers["ETag"] for caller in (bl, one, other)}

    assert len(tags) == 3
    assert (await one.get(f"/events/{event['id']}", if_none_match=tags.pop())).status in {200, 304}


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_change_can_be_tied_to_the_version_that_was_read(vtn: VtnUnderTest, method: str) -> None:
    """ETAG-004: 412 when it is not the present one; never required."""
    bl = vtn.bl
    program = await bl.program()
    document = {"programName": unique("new")}
    path = f"/programs/{program['id']}"
    read = (await bl.get(path)).headers["ETag"]

    for stale in ('"other"', f"W/{read}", "", "nonsense"):
        answer = await bl.ask(method, path, json=document, headers={"If-Match": stale})
        answer.problem(412)
    assert (await bl.get(path)).ok() == program

    (await bl.ask(method, path, json=document, headers={"If-Match": read})).ok()
    (await bl.ask(method, path, json=document, headers={"If-Match": read})).problem(412 if method == "PUT" else 404)


@pytest.mark.parametrize("collection", COLLECTIONS)
async def test_the_tag_of_what_was_written_is_that_of_what_is_read(vtn: VtnUnderTest, collection: str) -> None:
    """ETAG-004: an operator can go on from a POST or PUT without reading again; a `*` means any version."""
    bl, home = vtn.bl, vtn.home()
    program = await bl.program()
    event = await bl.event(program)
    ven = await home.ven()
    resource, report = await home.resource(ven), await home.report(event)
    caller, one, document = {
        "programs": (bl, program, {"programName": "new"}),
        "events": (bl, event, {"programID": program["id"]}),
        "reports": (home, report, {"eventID": event["id"], "clientName": "new", "resources": []}),
        "vens": (home, ven, {"venName": "new"}),
        "resources": (home, resource, {"resourceName": "new"}),
    }[collection]
    path = f"/{collection}/{one['id']}"

    written = await caller.ask("PUT", path, json=document, headers={"If-Match": "*"})
    written.ok()
    assert (await caller.get(path, if_none_match=written.headers["ETag"])).status == 304
    (await caller.ask("PUT", path, json=document, headers={"If-Match": '"no"'})).problem(412)
    (await caller.ask("DELETE", path, headers={"If-Match": '"no"'})).problem(412)
    (await caller.ask("DELETE", path, headers={"If-Match": written.headers["ETag"]})).ok()


async def test_answers_are_packed_when_that_is_welcome_and_worth_it(vtn: VtnUnderTest) -> None:
    """COMP-001, COMP-002; the packed answer has a tag of its own, which is good for either form."""
    bl = vtn.bl
    small = await bl.program()
    plain_small = await bl.get(f"/programs/{small['id']}", accept_encoding="gzip")
    assert "Content-Encoding" not in plain_small.headers
    await bl.program(attributes=[{"type": "x", "values": ["y" * 1000]}])

    plain = await bl.get("/programs")
    identity = await bl.get("/programs", accept_encoding="identity")
    packed = await bl.get("/programs", accept_encoding="gzip")

    assert "Content-Encoding" not in plain.headers
    assert "Content-Encoding" not in identity.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.raw) == plain.raw
    assert len(packed.raw) < len(plain.raw)
    assert packed.headers["ETag"] != plain.headers["ETag"]
    assert packed.headers["Vary"] == plain.headers["Vary"]
    for tag in (packed.headers["ETag"], plain.headers["ETag"]):
        again = await bl.get("/programs", accept_encoding="gzip", if_none_match=tag)
        assert again.status == 304
        assert again.headers["ETag"] == packed.headers["ETag"]


async def test_what_is_written_is_packed_too_and_tokens_never_are(vtn: VtnUnderTest) -> None:
    """COMP-001, COMP-005."""
    document = {"programName": "P", "attributes": [{"type": "x", "values": ["y" * 2000]}]}

    answer = await vtn.bl.ask("POST", "/programs", json=document, headers={"Accept-Encoding": "gzip"})
    assert json.loads(gzip.decompress(answer.raw))["programName"] == "P"
    url = f"{vtn.base_url}/auth/token"
    form = {"grant_type": "client_credentials", "client_id": "x", "client_secret": "y" * 2000}
    refused = await vtn.ask("POST", url, form=form, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in refused.headers


@pytest.mark.parametrize(
    ("header", "welcome"),
    [
        ("gzip", True),
        ("deflate, gzip;q=1.0, *;q=0.5", True),
        ("GZIP", True),
        ("*", True),
        ("br, gzip; q=0.001", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("br, zstd", False),
    ],
)
def test_whether_gzip_is_welcome(header: str, welcome: bool) -> None:
    """COMP-001 … COMP-003, RFC 9110 12.5.3: unknown codings are ignored."""
    assert accepts_gzip(header) is welcome
