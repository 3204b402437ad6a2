"""Refusals, and the outside of every answer (GEN, PROBLEM)."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest
import structlog

from tests.vtn.conftest import StartVtn
from tests.vtn.harness import VtnUnderTest
from tests.vtn.test_limits import exchange, problem_of
from vtn.access import Role


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/programs", "GET,HEAD,POST"),
        ("DELETE", "/programs", "GET,HEAD,POST"),
        ("PATCH", "/events", "GET,HEAD,POST"),
        ("POST", "/programs/some-id", "DELETE,GET,HEAD,PUT"),
        ("POST", "/auth/server", "GET,HEAD"),
        ("GET", "/auth/token", "POST"),
    ],
)
async def test_a_method_that_a_path_does_not_have(vtn: VtnUnderTest, method: str, path: str, allow: str) -> None:
    """GEN-006, PROBLEM-006."""
    answer = await vtn.bl.ask(method, path)

    answer.problem(405)
    assert ",".join(sorted(answer.headers["Allow"].split(","))) == allow


@pytest.mark.parametrize(
    ("path", "status", "allow"),
    [
        ("/openadr3/3.1.0/vens", 405, "GET,HEAD,POST"),
        ("/openadr3/3.1.0/vens/some-id?x=1", 405, "DELETE,GET,HEAD,PUT"),
        ("/auth/token", 405, "POST"),
        ("/nothing", 404, None),
    ],
)
@pytest.mark.parametrize("method", ["FOO", "get", "GETT"])
async def test_a_method_that_nobody_knows(
    vtn: VtnUnderTest, method: str, path: str, status: int, allow: str | None
) -> None:
    """GEN-006, PROBLEM-006: is one that the path does not have."""
    answer = await exchange(vtn, f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert problem_of(answer)["status"] == status
    assert (f"\r\nAllow: {allow}\r\n" if allow else "\r\nServer: ").encode() in answer


async def test_body_header_and_log_have_one_and_the_same_id(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """PROBLEM-003, PROBLEM-005: one made here, one brought by the client, and one of what is not even HTTP."""
    talking = await start_vtn(log_requests=True)
    brought = {"X-Request-Id": "trace-1"}
    with structlog.testing.capture_logs() as logs:
        own = await talking.bl.get("/programs/none")
        given = await talking.bl.ask("GET", "/programs/none", headers=brought)
        raw = await exchange(talking, b"HELLO\r\n\r\n")

    assert own.body["instance"] == "urn:uuid:" + own.headers["X-Request-Id"]
    assert (given.headers["X-Request-Id"], given.body["instance"]) == ("trace-1", "urn:x-request-id:trace-1")
    instance = problem_of(raw)["instance"]
    assert f"\r\nX-Request-Id: {instance.removeprefix('urn:uuid:')}\r\n".encode() in raw
    told = [log["reference"] for log in logs if "reference" in log]
    assert told == [own.body["instance"], given.body["instance"], instance]


@pytest.mark.parametrize("path", ["/openadr3/3.1.0/nothing", "/openadr3/3.1.0", "/", "/openadr3/9.9/programs", "/%00"])
async def test_a_path_that_does_not_exist(vtn: VtnUnderTest, path: str) -> None:
    """GEN-007, PROBLEM-006, COMPAT-060."""
    answer = await vtn.ask("GET", vtn.origin + path)

    answer.problem(404)
    assert answer.headers["Content-Type"] == "application/json"


async def test_doubled_and_trailing_slashes_are_overlooked(vtn: VtnUnderTest) -> None:
    """COMPAT-022: without a redirect, and with the query."""
    bl = vtn.bl
    programs = [await bl.program() for _ in range(2)]

    assert await bl.ids("/programs/", {"limit": "1"}) == [programs[1]["id"]]
    assert (await bl.get(f"//programs//{programs[0]['id']}/")).ok() == programs[0]
    answer = await vtn.ask("POST", f"{vtn.origin}//openadr3/3.1.0//programs/", json={}, headers=bl.headers)
    answer.problem(400)
    assert (await vtn.ask("GET", f"{vtn.origin}//")).status == 404


async def test_the_body_says_what_is_wrong_and_the_log_has_the_same_reference(vtn: VtnUnderTest) -> None:
    """PROBLEM-001 … PROBLEM-005."""
    answer = await vtn.bl.post("/events", {"programID": "p", "intervals": [{"id": 0, "payloads": []}, {"id": 1}]})

    assert answer.problem(400) == "intervals[1].payloads: required, but missing"
    assert list(answer.body) == ["type", "title", "status", "detail", "instance"]


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("application/json, application/problem+json", "application/problem+json"),
    ],
)
async def test_the_media_type_of_a_problem(vtn: VtnUnderTest, accept: str, content_type: str) -> None:
    """PROBLEM-004, R-05."""
    answer = await vtn.bl.ask("GET", "/programs/unknown", headers={"Accept": accept})

    answer.problem(404)
    assert answer.headers["Content-Type"].partition(";")[0] == content_type


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("Application/JSON;charset=UTF-8", 201),
        (None, 201),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/merge-patch+json", 415),
    ],
)
async def test_the_content_type_of_a_body(vtn: VtnUnderTest, content_type: str | None, status: int) -> None:
    """GEN-003, GEN-004."""
    headers = {} if content_type is None else {"Content-Type": content_type}

    answer = await vtn.bl.ask("POST", "/programs", raw=b'{"programName":"P"}', headers=headers)

    assert answer.status == status
    if status == 415:
        answer.problem(415)


async def test_a_body_that_is_too_large(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """GEN-008: also one that is small only while it is packed; the next request is answered."""
    small = await start_vtn(body_limit_bytes=20_000)
    bl = small.bl
    large = json.dumps({"programName": "P", "x": "y" * 20_000}).encode()
    exact = json.dumps({"programName": "P", "x": ""}).encode()
    exact = exact.replace(b'""', b'"' + b"y" * (20_000 - len(exact)) + b'"')

    (await bl.ask("POST", "/programs", raw=large)).problem(413)
    packed = gzip.compress(b'{"programName":"P","x":"' + b"y" * 5_000_000 + b'"}')
    (await bl.ask("POST", "/programs", raw=packed, headers={"Content-Encoding": "gzip"})).problem(413)
    assert await bl.ids("/programs") == []
    (await bl.ask("POST", "/programs", raw=exact)).ok(201)


async def test_a_packed_body_is_read(vtn: VtnUnderTest) -> None:
    """COMP-004; one that is not really packed is refused."""
    headers = {"Content-Encoding": "gzip"}

    (await vtn.bl.ask("POST", "/programs", raw=gzip.compress(b'{"programName":"P"}'), headers=headers)).ok(201)
    (await vtn.bl.ask("POST", "/programs", raw=b'{"programName":"Q"}', headers=headers)).problem(400)


async def test_a_failure_of_the_server_tells_nothing_about_its_inside(
    vtn: VtnUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GEN-010, PROBLEM-006: and is logged with the reference that the caller has."""

    async def fail(*_: object, **__: object) -> Any:
        raise RuntimeError("secret detail of /srv/inside.py")

    monkeypatch.setattr("vtn.store.database.Database.rows", fail)
    with structlog.testing.capture_logs() as logs:
        answer = await vtn.bl.get("/programs")

    detail = answer.problem(500)
    assert "secret" not in answer.raw.decode()
    assert "reference" in detail
    failures = [log for log in logs if log["log_level"] == "error"]
    assert [log["reference"] for log in failures] == [answer.body["instance"]]
    assert isinstance(failures[0]["exc_info"], RuntimeError)


@pytest.mark.parametrize(("given", "kept"), [("abc-123", True), ("x" * 65, False), ("a b", False), ("", False)])
async def test_a_request_keeps_the_id_that_its_sender_gave_it(vtn: VtnUnderTest, given: str, kept: bool) -> None:
    """X-Request-Id: taken over if it is harmless, made up otherwise; on answers and on refusals."""
    for path in ("/programs", "/programs/unknown"):
        answer = await vtn.bl.ask("GET", path, headers={"X-Request-Id": given})
        assert (answer.headers["X-Request-Id"] == given) is kept
        assert answer.headers["X-Request-Id"]


async def test_the_log_of_requests_has_no_secrets(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """AUTH-033: neither tokens nor queries nor bodies."""
    logging = await start_vtn(log_requests=True)
    credentials = await logging.server.clients.add("logged", Role.VEN)
    form = {"grant_type": "client_credentials", "client_id": "logged", "client_secret": credentials.secret}

    with structlog.testing.capture_logs() as logs:
        token = (await logging.ask("POST", f"{logging.base_url}/auth/token", form=form)).ok()["access_token"]
        await logging.with_token(token).get("/programs", {"token": token})
        await logging.ask("GET", f"{logging.base_url}/programs?access_token={token}")

    assert [(log["path"], log["status"]) for log in logs if log["event"] == "request"] == [
        ("/openadr3/3.1.0/auth/token", 200),
        ("/openadr3/3.1.0/programs", 200),
        ("/openadr3/3.1.0/programs", 401),
    ]
    assert logs[1]["client_id"] == "logged"
    written = repr(logs)
    assert token not in written
    assert credentials.secret not in written


async def test_head_is_get_without_the_body(vtn: VtnUnderTest) -> None:
    """RFC 9110 9.3.2: the same headers, and the same questions asked first."""
    assert (await vtn.nobody.ask("HEAD", "/programs")).status == 401
    get, head = await vtn.bl.get("/programs"), await vtn.bl.ask("HEAD", "/programs")

    assert head.raw == b""
    assert head.status == get.status == 200
    for name in ("ETag", "Content-Type", "Cache-Control", "Content-Length"):
        assert head.headers[name] == get.headers[name]


async def test_many_requests_on_few_and_on_many_connections(vtn: VtnUnderTest) -> None:
    """GEN-021: 200 callers at once, five times over, all answered."""
    bl = vtn.bl
    await bl.program()

    for _ in range(5):
        answers = await asyncio.gather(*(bl.get("/programs") for _ in range(200)))
        assert {answer.status for answer in answers} == {200}


async def test_the_server_says_that_it_lives_and_whether_it_is_ready(vtn: VtnUnderTest) -> None:
    """GEN-022: outside the prefixes, without a token."""
    assert (await vtn.ask("GET", f"{vtn.origin}/health")).ok() == {"status": "alive"}
    assert (await vtn.ask("GET", f"{vtn.origin}/ready")).ok() == {"status": "ready"}
