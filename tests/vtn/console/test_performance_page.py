"""The pages of what an event delivered by meters: evaluate, look, freeze, compare, and who may."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from tests.support.waiting import wait_until
from tests.vtn.console.event_seed import WILD
from tests.vtn.console.visitor import ConsoleUnderTest, Page
from tests.vtn.performance.stored import START, StoredReadings, hours, usual_days
from vtn.store.performance.results import ResultOrder

BEFORE = usual_days(3.0) + hours({12: 3, 13: 3, 14: 3})


@pytest_asyncio.fixture(loop_scope="session")
async def stored(console: ConsoleUnderTest) -> StoredReadings:
    """The tables of readings, empty."""
    found = StoredReadings(console.vtn)
    await found.empty()
    return found


@pytest_asyncio.fixture(loop_scope="session")
async def event(console: ConsoleUnderTest) -> Any:
    """An event of an hour in the past, of a program of its own."""
    bl = console.vtn.bl
    return await bl.event(
        await bl.program(),
        eventName=WILD[:120],
        intervalPeriod={"start": START.isoformat(), "duration": "PT1H"},
        intervals=[{"id": 0, "payloads": [{"type": "DISPATCH_SETPOINT_RELATIVE", "values": [-2]}]}],
    )


async def home(console: ConsoleUnderTest, stored: StoredReadings, event: Any, kwh: float, name: str) -> int:
    """Make a home that drew so many kWh in the event; return the number of its meter."""
    client = console.vtn.home()
    await console.vtn.bl.ven_for(client, venName=name)
    number = await stored.meter(client.client_id)
    await stored.put(number, BEFORE + hours({16: kwh}))
    await stored.ask(event["id"], client.client_id, 2.0)
    return number


async def evaluated(console: ConsoleUnderTest, event: Any, **fields: str) -> str:
    """Evaluate by the form, and return the path of the result, once it is there."""
    asked: dict[str, Any] = {"method": "10-of-10", "step": "3600", "zone": "UTC", "holidays": ""} | fields
    page = (await console.post(f"/events/{event['id']}/performance", **asked)).ok(303)
    return await there(console, page)


async def there(console: ConsoleUnderTest, page: Page) -> str:
    """Follow to a result and wait for it."""
    path = page.leads_to.removeprefix("/console")

    async def done() -> bool:
        return 'id="progress"' not in (await console.get(path)).ok().text

    await wait_until(done, timeout_s=30, what="the result")
    return path


async def test_an_event_is_evaluated_looked_at_and_frozen(
    console: ConsoleUnderTest, stored: StoredReadings, event: Any
) -> None:
    """Sums with units, a row for each participant, the curve in kW, and the CSV; who froze it is told and audited."""
    await home(console, stored, event, 1.5, WILD[:100])
    await console.vtn.bl.ven_for(console.vtn.home(), venName="silent")
    empty = (await console.get(f"/events/{event['id']}/performance")).ok()
    assert "No result yet" in empty.words

    path = await evaluated(console, event)
    page = (await console.get(path)).ok()
    look = (await console.block(path, "progress")).ok()
    assert look.headers["HX-Refresh"] == "true"  # who waited for it is shown the result

    for said in ("Delivered 1.50 kWh", "Short 0.50 kWh", "Factor 0.750", "Known 1 of 2", "no readings", "draft"):
        assert said in page.words
    curve = await console.json(f"{path}/curve")
    assert {each["kind"]: each["values"] for each in curve["series"]} == {
        "requested": [2.0, 2.0],  # at the beginning of the step and at its end
        "baseline": [3.0, 3.0],
        "other": [1.5, 1.5],
        "delivered": [1.5, 1.5],
    }
    assert "at least 1 of 2" in curve["source"]
    csv_file = (await console.get(f"{path}/settlement.csv")).ok()
    assert csv_file.headers["Content-Disposition"].startswith("attachment")
    assert len(csv_file.text.splitlines()) == 3
    (await console.post(f"{path}/freeze")).ok(303)
    frozen = (await console.get(path)).ok()
    assert f"by {console.name}" in frozen.words
    assert not frozen.tree.xpath("//form[contains(@action, '/remove')]")
    assert "frozen" in (await console.post(f"{path}/remove")).ok(409).words
    acts = (await console.get("/audit")).ok().words
    assert "freeze result" in acts
    assert "evaluate event" in acts

    result = path.rpartition("/")[2]
    assert (await console.page("/results")).xpath("//tbody//a/@href")[0].endswith(path)
    (await console.vtn.bl.delete(f"/events/{event['id']}")).ok()
    assert "event removed" in (await console.get("/results")).ok().words
    assert (await console.get(f"/results/{result}/settlement.csv")).ok().text == csv_file.text
    assert (await console.get("/results/none/settlement.csv")).status == 404


async def test_what_a_frozen_result_would_be_now_is_another(
    console: ConsoleUnderTest, stored: StoredReadings, event: Any
) -> None:
    """REPORT-006: nothing new says so; a correction shows of whom it differs."""
    meter = await home(console, stored, event, 1.5, "a")
    await home(console, stored, event, 1.0, "b")
    path = await evaluated(console, event)
    (await console.post(f"{path}/freeze")).ok(303)

    same = await there(console, (await console.post(f"{path}/compare")).ok(303))
    assert "Nothing has changed since" in (await console.get(same)).ok().words

    await stored.put(meter, BEFORE + hours({16: 2.5}))
    now = await there(console, (await console.post(f"{path}/compare")).ok(303))
    page = (await console.get(now)).ok()
    assert "says 3.50 kWh delivered; it would now be 2.50 kWh" in page.words
    (link,) = page.tree.xpath("//a[contains(@href, '/differences')]/@href")
    differs = (await console.get(link.removeprefix("/console"))).ok()
    (row,) = differs.tree.xpath("//tbody/tr")
    assert " ".join(row.text_content().split()).startswith("a meter 1.500 kWh 0.500 kWh")
    (await console.post(f"{now.partition('?')[0]}/remove")).ok(303)
    assert (await console.get(now)).status == 404


@pytest.mark.parametrize("order", list(ResultOrder))
async def test_participants_are_ordered_searched_and_paged(
    console: ConsoleUnderTest, stored: StoredReadings, event: Any, order: ResultOrder
) -> None:
    """The most short, the least factor or the most gaps first; a search that finds nobody says so."""
    for name, kwh in (("ax", 1.5), ("bx", 2.5), ("cx", 1.0)):
        await home(console, stored, event, kwh, name)
    path = await evaluated(console, event)
    page = (await console.get(path, order=order.value)).ok()
    names = [cell.text_content().split()[0] for cell in page.tree.xpath("//section[@id='participants']//tbody//th")]
    assert sorted(names) == ["ax", "bx", "cx"]
    if order in {ResultOrder.SHORT, ResultOrder.FACTOR}:
        assert names[0] == "bx"
    assert "Nobody found" in (await console.get(path, search="%")).ok().words
    assert "bx meter" in (await console.get(path, search="BX")).ok().words


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"method": "best"}, "method"),
        ({"method": ""}, "method"),
        ({"step": "x"}, "step: expected a number of seconds"),
        ({"step": "420"}, "stepS"),
        ({"zone": "Nowhere"}, "zone: expected the name of a time zone"),
        ({"holidays": "christmas"}, "holidays: expected days such as"),
    ],
)
async def test_what_makes_no_sense_is_said_and_what_was_typed_stays(
    console: ConsoleUnderTest, stored: StoredReadings, event: Any, fields: dict[str, str], said: str
) -> None:
    """The field is named; nothing is evaluated."""
    asked: dict[str, Any] = {"method": "5-of-10", "step": "3600", "zone": "UTC", "holidays": ""} | fields
    page = (await console.post(f"/events/{event['id']}/performance", **asked)).ok(422)
    assert said in page.words
    (typed,) = page.tree.xpath("//input[@name='zone']/@value")
    assert typed == asked["zone"]
    assert "No result yet" in page.words


async def test_a_viewer_looks_and_changes_nothing(
    console: ConsoleUnderTest, stored: StoredReadings, event: Any
) -> None:
    """And another event's result is not found."""
    path = await evaluated(console, event)
    viewer = await console.as_role("viewer")
    page = (await viewer.get(path)).ok()
    assert not page.tree.xpath("//main//form[@method='post']")
    for act in ("freeze", "remove", "compare"):
        assert (await viewer.post(f"{path}/{act}")).status == 403
    assert (
        await viewer.post(f"/events/{event['id']}/performance", method="10-of-10", step="900", zone="UTC")
    ).status == 403
    other = await console.vtn.bl.event({"id": event["programID"]})
    result = path.rpartition("/")[2]
    assert (await viewer.get(f"/events/{other['id']}/performance/{result}")).status == 404
    assert "The event is not over" in (await viewer.get(f"/events/{other['id']}/performance")).ok().words
