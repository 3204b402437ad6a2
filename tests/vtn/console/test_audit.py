"""The audit trail: what somebody did, and what was there before and after."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from tests.vtn.console.visitor import ConsoleUnderTest, console_of
from vtn.console.audit import AuditTrail
from vtn.store.console.tables import console_acts

REQUEST: Any = type("Request", (), {"headers": {}, "remote": "192.0.2.7"})()


@pytest.fixture
def trail(console: ConsoleUnderTest) -> AuditTrail:
    """The trail of the server."""
    return AuditTrail(console_of(console.vtn))


async def test_acts_are_shown_newest_first_with_before_and_after(console: ConsoleUnderTest, trail: AuditTrail) -> None:
    """Show who, what, when and from where; by user and by act."""
    await trail.note(REQUEST, "anna", "event ended", "event peak", before={"ends": "18:00"}, after={"ends": "17:10"})
    await trail.note(REQUEST, "bert", "ven added", "ven home-1", after={"name": "home-1"})

    rows = (await console.page("/audit")).xpath("//tbody/tr")
    texts = [" ".join(row.text_content().split()) for row in rows]
    assert "bert ven added ven home-1" in texts[0]
    assert '{"ends":"18:00"}' in texts[1]
    assert '{"ends":"17:10"}' in texts[1]
    assert "192.0.2.7" in texts[1]

    assert len((await console.page("/audit", user="anna")).xpath("//tbody/tr")) == 1
    assert len((await console.page("/audit", act="ven added")).xpath("//tbody/tr")) == 1
    assert "No act found" in (await console.get("/audit", user="nobody")).words


async def test_a_long_trail_is_read_in_parts(console: ConsoleUnderTest, trail: AuditTrail) -> None:
    """Each act once, oldest last."""
    for number in range(60):
        await trail.note(REQUEST, "anna", "event ended", f"event {number}")

    first = await console.page("/audit")
    (older,) = first.xpath("//a[@rel='next']/@href")
    rest = await console.page(older.removeprefix("/console"))

    names = [cell.text_content() for tree in (first, rest) for cell in tree.xpath("//tbody/tr/td[3]")]
    assert names == [f"event {number}" for number in reversed(range(60))]
    assert rest.xpath("//a[@rel='next']") == []
    assert "older: expected the number" in (await console.get("/audit", older="x")).ok(400).words


async def test_what_is_too_long_is_cut_off(console: ConsoleUnderTest, trail: AuditTrail) -> None:
    """An event of many intervals is in the trail with its beginning."""
    await trail.note(REQUEST, "anna", "event ended", "w" * 1000, before={"text": "b" * 100_000})

    row = await console.vtn.server._database.row(select(console_acts))
    assert row is not None
    assert len(row["what"]) == 400
    assert len(row["before"]) < 20_000


async def test_acts_older_than_is_kept_are_forgotten(console: ConsoleUnderTest, trail: AuditTrail) -> None:
    """Now and then, when one is noted."""
    await trail.note(REQUEST, "anna", "event ended", "long ago")
    long_ago = console.vtn.server._stamps.ago(timedelta(days=1100))  # the clock is that of all tests
    async with console.vtn.server._database.write() as connection:
        await connection.execute(update(console_acts).values(done_at=long_ago))

    await AuditTrail(console_of(console.vtn)).note(REQUEST, "anna", "event ended", "now")

    row = await console.vtn.server._database.row(select(func.count().label("acts")).select_from(console_acts))
    assert row is not None
    assert row["acts"] == 1
