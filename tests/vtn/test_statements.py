"""Number of statements sent to the database: two at most for a request of the standard, few to write a subscription."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import pytest

from tests.vtn.conftest import StartVtn
from tests.vtn.harness import Answer, VtnUnderTest, child_of, unique
from tests.vtn.receiver import Receiver
from tests.vtn.statements import Statements
from vtn.counters import revisions


async def test_no_request_needs_more_than_two_statements(vtn: VtnUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The most are changes: one statement looks and locks, one writes; a VEN's read asks for its grants first."""
    monkeypatch.setattr(revisions, "MOMENT_S", 3600.0)  # a slow machine would ask for the grants again
    bl, home = vtn.bl, vtn.home()
    program = await bl.program(targets=["t"])
    ven = await bl.ven_for(home, ["t"])
    one = await bl.event(program, targets=["t"])
    other = await bl.event(program, targets=["t"])
    report, resource = await home.report(one), await home.resource(ven)
    for _ in range(5):
        await home.resource(ven)
    anything = {"If-Match": "*"}
    requests: list[Callable[[], Awaitable[Any]]] = [
        *(lambda who=who, path=path: who.get(path) for who in (bl, home) for path in
          ("/programs", "/events?targets=t&active=true", "/reports", "/vens", "/resources")),
        *(lambda who=who, path=path: who.get(path) for who in (bl, home) for path in
          (f"/programs/{program['id']}", f"/events/{one['id']}", f"/reports/{report['id']}", f"/vens/{ven['id']}",
           f"/resources/{resource['id']}")),
        lambda: bl.post("/programs", {"programName": unique("p")}),
        lambda: bl.post("/events", {"programID": program["id"], "targets": ["x", "y", "z"]}),
        lambda: home.post("/reports", {"eventID": one["id"], "clientName": "c", "resources": []}),
        lambda: vtn.home().post("/vens", {"venName": unique("v")}),
        lambda: home.post("/resources", {"resourceName": unique("r")}),
        lambda: bl.put(f"/programs/{program['id']}", {"programName": unique("p"), "targets": ["t"]}),
        lambda: bl.put(f"/events/{one['id']}", {"programID": program["id"], "targets": ["t", "u"]}),
        lambda: home.put(f"/reports/{report['id']}", {"eventID": other["id"], "clientName": "c", "resources": []}),
        lambda: home.put(f"/vens/{ven['id']}", {"venName": unique("v")}),
        lambda: home.put(f"/resources/{resource['id']}", {"resourceName": unique("r"), "venID": ven["id"]}),
        lambda: home.ask("DELETE", f"/reports/{report['id']}", headers=anything),
        lambda: home.delete(f"/resources/{resource['id']}"),
        lambda: home.ask("DELETE", f"/vens/{ven['id']}", headers=anything),
        lambda: bl.delete(f"/programs/{program['id']}"),
    ]  # fmt: skip

    for request in requests:
        with Statements(vtn) as statements:
            answer = await request()
        assert answer.status in {200, 201}, answer.raw
        assert 1 <= len(statements.sent) <= 2, statements.sent


@pytest.mark.parametrize("verify_echo", [True, False])
async def test_requests_about_subscriptions_need_few(start_vtn: StartVtn, verify_echo: bool) -> None:
    """Nothing is remembered of what the caller holds, and callbacks are verified between the two statements.

    A subscription that is written has statements for its endpoints on top, one that says who listens, and on
    PostgreSQL two that wait for older writes.
    """
    vtn = await start_vtn(webhook={"require_https": False, "allowed": ["127.0.0.1"], "verify_echo": verify_echo})
    receiver = Receiver()
    await receiver.start()
    bl, home = vtn.bl, vtn.home()
    program = await bl.program(targets=["t"])
    await bl.ven_for(home, ["t"])
    urls = count(1)

    def document() -> dict[str, Any]:
        entry = {"objects": ["EVENT"], "operations": ["CREATE"], "callbackUrl": f"{receiver.url}{next(urls)}"}
        return {"clientName": "c", "programID": program["id"], "objectOperations": [entry]}

    try:
        for who in (bl, home):
            sent = document()
            made = await _asking(vtn, lambda: who.post("/subscriptions", sent), 201, most=8)  # noqa: B023 (asked at once)
            assert made["programID"] == program["id"]
            path = f"/subscriptions/{made['id']}"
            await _asking(vtn, lambda: who.get(path))  # noqa: B023
            await _asking(vtn, lambda: who.get("/subscriptions?objects=EVENT"))  # noqa: B023
            for asking in (who, bl):
                await _asking(vtn, lambda: asking.put(path, document()), most=9)  # noqa: B023
                put: dict[str, Any] = {"json": document(), "headers": {"If-Match": "*"}}
                await _asking(vtn, lambda: asking.ask("PUT", path, **put), most=9)  # noqa: B023
            most = 5  # somebody listens: it is locked, announced with its deliveries, and removed
            await _asking(vtn, lambda: who.ask("DELETE", path, headers={"If-Match": "*"}), most=most)  # noqa: B023
    finally:
        await receiver.stop()
    assert len(receiver.requests) == (10 if verify_echo else 0)


async def _asking(
    vtn: VtnUnderTest, request: Callable[[], Awaitable[Answer]], status: int = 200, *, most: int = 2
) -> Any:
    """Return the answer to a request that may need one or two statements, or the most given."""
    with Statements(vtn) as statements:
        body = (await request()).ok(status)
    assert 1 <= len(statements.sent) <= most, statements.sent
    return body


@pytest.mark.parametrize("size", [2, 60])
async def test_what_resource_groups_cost_does_not_depend_on_their_size(vtn: VtnUnderTest, size: int) -> None:
    """COMPAT-088: one statement reads, however much is in and above a group; writing takes so many as it has steps."""
    bl, home = vtn.bl, vtn.home()
    ven = await home.ven()
    resources = [await home.resource(ven) for _ in range(size)]
    groups = [await bl.group(*resources[number:]) for number in range(size)]
    group = await bl.group(*resources, *groups)
    path, turn = f"/resource_groups/{group['id']}", 0 if vtn.server._database.is_sqlite else 1

    def document(*children: Any) -> dict[str, Any]:
        return {"resourceGroupName": unique("g"), "children": [child_of(child) for child in children]}

    async def sent(request: Awaitable[Answer], status: int = 200) -> int:
        with Statements(vtn) as statements:
            (await request).ok(status)
        return len(statements.sent)

    for who in (bl, home):
        for words in (path, "/resource_groups", "/resource_groups?limit=7&skip=1&targets=t&resourceGroupName=n"):
            assert await sent(who.get(words)) == 1
    assert await sent(bl.post("/resource_groups", document()), 201) == 1 + turn
    assert await sent(bl.post("/resource_groups", document(*resources, *groups)), 201) == 5 + turn
    assert await sent(bl.put(path, document(*resources, *groups))) == 2 + turn  # they are its children already
    assert await sent(bl.put(path, document(*groups, *resources))) == 7 + turn
    assert await sent(bl.delete(path)) == 2 + turn


@pytest.mark.parametrize("count", [1, 40])
async def test_what_a_write_costs_does_not_depend_on_how_many_vens_there_are(vtn: VtnUnderTest, count: int) -> None:
    """No work per VEN on a write path."""
    bl = vtn.bl
    for _ in range(count):
        await bl.ven_for(vtn.home(), ["t"])
    program = await bl.program()

    with Statements(vtn) as statements:
        await bl.event(program, targets=["t"])

    assert len(statements.sent) == 1


async def test_no_statement_gives_a_text_more_than_once(vtn: VtnUnderTest) -> None:
    """GEN-008: what a VEN holds comes beside a row, not as more rows; else its memory is the product of both."""
    bl, home = vtn.bl, vtn.home()
    program = await bl.program(targets=["t"], programLongName=LONG + "program")
    ven = await bl.ven_for(home, ["t"], attributes=[{"type": "NOTE", "values": [LONG + "ven"]}])
    event = await bl.event(program, targets=["t"], eventName=LONG + "event")
    resource = await home.resource(ven, attributes=[{"type": "NOTE", "values": [LONG + "resource"]}])
    for number in range(12):
        await home.resource(ven, attributes=[{"type": "NOTE", "values": [f"{LONG}resource-{number}"]}])
    document = {"eventID": event["id"], "clientName": "c", "resources": [], "reportName": LONG + "report"}
    report = (await home.post("/reports", document)).ok(201)
    subscription = {"clientName": LONG + "subscription", "programID": program["id"], "objectOperations": []}
    made = (await home.post("/subscriptions", subscription)).ok(201)
    named = {"resourceName": unique("r"), "venID": ven["id"]}

    with Statements(vtn) as statements:
        for who in (home, bl):
            for collection in ("programs", "events", "reports", "subscriptions", "vens", "resources"):
                for query in ("", "?limit=7&skip=1", "?active=true&targets=t"):
                    await who.get(f"/{collection}{query}")
            for headers in ({}, {"If-Match": "*"}):
                for path, body in (
                    (f"/reports/{report['id']}", document),
                    (f"/subscriptions/{made['id']}", subscription),
                    (f"/resources/{resource['id']}", named),
                ):
                    (await home.ask("PUT", path, json=body, headers=headers)).ok()
        (await home.post("/reports", document | {"reportName": LONG + "another report"})).ok(201)
        (await home.post("/subscriptions", subscription | {"clientName": LONG + "another"})).ok(201)

    asked = {(sql, repr(values)): values for sql, values in statements.sent if sql.startswith(("SELECT", "WITH"))}
    assert len(asked) > 20
    for (sql, _), values in asked.items():
        rows = [tuple(row) for row in await _again(vtn, sql, values)]
        texts = [value for row in rows for value in row if isinstance(value, str) and LONG in value]
        assert len(texts) == len(set(texts)), sql
        assert len(rows) < 50, sql


LONG = "a text that is stored " * 4


async def _again(vtn: VtnUnderTest, sql: str, values: Any) -> Any:
    """The rows that a statement gave, from the driver itself."""
    database = vtn.server._database
    async with database._connections.reader.driver() as driver:
        if database.is_sqlite:
            return await driver.execute_fetchall(sql, values)
        return await driver.fetch(sql, *values)
