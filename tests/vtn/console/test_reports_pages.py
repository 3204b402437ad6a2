"""Pages of reports: the list with its filters and chart, one report, late and missing ones, and files."""

from __future__ import annotations

import csv
import io
import sys
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.vtn.console.visitor import ConsoleUnderTest
from tests.vtn.harness import Session, VtnUnderTest
from vtn.access import Role
from vtn.console.console import Console

PERIOD = {"start": "2026-06-01T12:00:00Z", "duration": "PT15M"}


def usage(*values: float, quality: str | None = None, **members: Any) -> dict[str, Any]:
    """A report of energy, a quarter of an hour each."""
    flag = [{"type": "DATA_QUALITY", "values": [quality]}] if quality else []
    intervals = [
        {"id": place, "payloads": [{"type": "USAGE", "values": [value]}, *flag]} for place, value in enumerate(values)
    ]
    return {
        "reportName": "quarter hours",
        "payloadDescriptors": [{"payloadType": "USAGE", "units": "KWH", "readingType": "DIRECT_READ"}],
        "resources": [{"resourceName": "ev charger", "intervalPeriod": PERIOD, "intervals": intervals}],
    } | members


async def home(vtn: VtnUnderTest, name: str) -> Session:
    """A VEN that is enrolled."""
    client = vtn.caller(Role.VEN, client_id=f"client-{name}")
    await vtn.bl.ven_for(client, venName=name)
    return client


async def test_reports_are_found_by_event_ven_type_and_time(console: ConsoleUnderTest, vtn: VtnUnderTest) -> None:
    """Each filter alone and together; what is not known is said."""
    bl = vtn.bl
    program = await bl.program()
    peak, other = await bl.event(program, eventName="peak"), await bl.event(program, eventName="other")
    one, two = await home(vtn, "house 1"), await home(vtn, "house 2")
    await one.report(peak, **usage(1.5, 2.5))
    vtn.now.pass_(minutes=20)
    between = f"{vtn.now() - timedelta(minutes=5):%Y-%m-%dT%H:%M}"
    await two.report(peak, **usage(0.5, quality="ESTIMATED", reportName="estimates"))
    await two.report(other, **usage(9, reportName="<script>alert(1)</script>"))

    async def names(**query: str) -> list[str]:
        tree = await console.page("/reports", **query)
        return ["".join(cell.itertext()).strip() for cell in tree.xpath("//tbody/tr/th")]

    assert await names() == ["<script>alert(1)</script>", "estimates", "quarter hours"]
    assert await names(event="peak") == ["estimates", "quarter hours"]
    assert await names(event=peak["id"], ven="house 1") == ["quarter hours"]
    assert await names(ven="client-house 2") == ["<script>alert(1)</script>", "estimates"]
    assert await names(type="DATA_QUALITY") == ["estimates"]
    assert await names(type='USAGE","x') == []
    assert await names(until=between) == ["quarter hours"]
    assert len(await names(since=between)) == 2
    assert await names(since="2999-01-01T00:00") == []
    words = (await console.get("/reports", ven="house 1")).words
    assert "house 1" in words
    assert "ESTIMATED 1" in (await console.get("/reports", event="peak")).words
    assert "There is no VEN nobody" in (await console.get("/reports", ven="nobody")).words
    assert "No report is like this" in (await console.get("/reports", type="READING")).words


async def test_without_reports_there_is_a_checklist(console: ConsoleUnderTest) -> None:
    """Never an empty table."""
    page = (await console.get("/reports")).ok()
    assert page.tree.xpath("//table") == []
    assert "No VEN has reported yet" in page.words


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"since": "yesterday"}, "since: expected a time such as"),
        ({"since": "2026-06-02T00:00", "until": "2026-06-01T00:00"}, "until: expected a time after"),
        ({"since": "0001-01-01T00:00+23:00"}, "since: expected a time such as"),
        ({"type": "x" * 129}, "type: expected at most 128 characters"),
    ],
)
async def test_a_filter_that_cannot_be_is_named(console: ConsoleUnderTest, query: dict[str, Any], said: str) -> None:
    """And what was typed stays in the form."""
    page = (await console.get("/reports", **query)).ok(422)
    assert said in page.words
    name, text = next(iter(query.items()))
    assert page.tree.xpath(f"//input[@name='{name}']/@value") == [text]


async def test_a_chart_has_the_values_in_time_and_gaps(console: ConsoleUnderTest, vtn: VtnUnderTest) -> None:
    """A series for each resource; the report that changed last counts; nothing is drawn where nothing was said."""
    event = await vtn.bl.event(await vtn.bl.program())
    ven = await home(vtn, "house")
    await ven.report(event, **usage(1, 2))
    later = {"start": "2026-06-01T13:00:00Z", "duration": "PT15M"}
    gap = usage(7)
    gap["resources"][0]["intervalPeriod"] = later
    await ven.report(event, **gap)
    vtn.now.pass_(seconds=1)
    await ven.report(event, **usage(5))
    chart = await console.json("/reports/chart", type="USAGE", event=event["id"])
    (series,) = chart["series"]
    assert (series["label"], series["unit"]) == ("meter ev charger", "KWH")
    points = dict(zip(chart["times"], series["values"], strict=True))
    start = 1780315200.0
    assert (points[start], points[start + 900], points[start + 1800], points[start + 3600]) == (5, 2, None, 7)
    assert "UTC" in chart["source"]
    assert (await console.json("/reports/chart", type="DEMAND"))["series"] == []
    assert (await console.get("/reports/chart")).status == 400


async def test_one_report_is_a_table(console: ConsoleUnderTest, vtn: VtnUnderTest) -> None:
    """With units, quality, times in the zone and UTC, and its values as CSV."""
    event = await vtn.bl.event(await vtn.bl.program(), eventName="peak")
    ven = await home(vtn, "house")
    report = await ven.report(event, **usage(1.5, "NaN?", quality="MISSING"))  # type: ignore[arg-type] # a value that is no number
    page = (await console.get(f"/reports/{report['id']}")).ok()
    rows = [
        [cell.text_content().strip() for cell in row] for row in page.tree.xpath("//table")[-1].xpath(".//tbody/tr")
    ]
    assert rows[0][0] == "ev charger"
    assert rows[0][3:] == ["USAGE", "1.5", "KWH", "MISSING"]
    assert len(rows) == 4
    lines = list(csv.DictReader(io.StringIO((await console.get(f"/reports/{report['id']}/csv")).text)))
    assert [line["value"] for line in lines] == ["1.5", "MISSING", "NaN?", "MISSING"]
    assert (await console.json(f"/reports/{report['id']}/chart", type="USAGE"))["series"][0]["values"][0] == 1.5
    assert "there is no such report" in (await console.get("/reports/nothing")).ok(404).words


async def test_all_of_a_selection_is_a_file(console: ConsoleUnderTest, vtn: VtnUnderTest) -> None:
    """Of more than one page; CSV and Parquet have the same rows."""
    from pyarrow import parquet

    event, other = [await vtn.bl.event(await vtn.bl.program()) for _ in range(2)]
    ven = await home(vtn, "house")
    for number in range(60):
        await ven.report(event, **usage(number))
    await ven.report(other, **usage(1))
    answer = (await console.get("/reports.csv", event=event["id"])).ok()
    assert answer.headers["Content-Disposition"] == 'attachment; filename="reports.csv"'
    assert answer.headers["Content-Security-Policy"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [float(row["value"]) for row in rows] == [*range(59, -1, -1)]
    async with console._session.get(
        console._url("/reports.parquet", {"event": event["id"]}), headers=console._sent()
    ) as response:
        table = parquet.read_table(io.BytesIO(await response.read()))
    assert table.column("number").to_pylist() == [*range(59, -1, -1)]
    assert len((await console.get("/reports.csv", event="no such event")).text.splitlines()) == 1


async def test_late_and_missing_reports_by_ven(console: ConsoleUnderTest, vtn: VtnUnderTest) -> None:
    """RDESC-004: against the event's descriptors, for the VENs that see it."""
    bl = vtn.bl
    program = await bl.program()
    good, bad = await home(vtn, "a good house"), await home(vtn, "a mute house")
    start = vtn.now()
    vtn.now.pass_(seconds=1)
    event = await bl.event(
        program,
        eventName="peak",
        intervalPeriod={"start": start.isoformat().replace("+00:00", "Z"), "duration": "PT15M"},
        intervals=[{"id": number, "payloads": [{"type": "SIMPLE", "values": [1]}]} for number in range(3)],
        reportDescriptors=[
            {"payloadType": "USAGE", "startInterval": 0, "numIntervals": 1, "frequency": 1, "repeat": -1}
        ],
    )
    for minutes, number in ((15, 0), (35, 1)):
        vtn.now.at = start
        vtn.now.pass_(minutes=minutes)
        report = usage(1)
        report["resources"][0] = {
            "resourceName": "r",
            "intervals": [{"id": number, "payloads": [{"type": "USAGE", "values": [1]}]}],
        }
        await good.report(event, **report)
    vtn.now.at = start
    vtn.now.pass_(minutes=51)
    tree = await console.page("/reports/checks", event="peak")
    rows = [[cell.text_content().strip() for cell in row] for row in tree.xpath("//table")[-1].xpath(".//tbody/tr")]
    assert [row[:5] for row in rows] == [["a good house", "2", "0", "1", "0"], ["a mute house", "0", "0", "3", "0"]]
    strict = await console.page("/reports/checks", event="peak", grace="4")
    assert [row[2].text_content().strip() for row in strict.xpath("//table")[-1].xpath(".//tbody/tr")] == ["1", "0"]
    assert bad.client_id
    assert "There is no event nothing" in (await console.get("/reports/checks", event="nothing")).words
    for grace in ("-1", "0" * 8 + "1" + "9" * 4400):
        refused = (await console.get("/reports/checks", event="peak", grace=grace)).ok(400)
        assert "grace: expected minutes" in refused.words
    silent = await bl.event(program)
    assert "asks for no reports" in (await console.get("/reports/checks", event=silent["id"])).words


async def test_parquet_without_its_library_is_refused(
    console: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that installs it."""
    monkeypatch.delitem(sys.modules, "vtn.console.parquet_file", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install 'openadr-fleet[parquet]'" in (await console.get("/reports.parquet")).ok(422).words


async def test_a_time_that_utc_does_not_have_is_refused(
    console: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last hours of the calendar in the zone of the console are in the year 10000."""
    monkeypatch.setattr(Console, "zone", ZoneInfo("America/New_York"))
    for path, status in (("/reports", 422), ("/reports.csv", 400)):
        refused = (await console.get(path, until="9999-12-31T23:59")).ok(status)
        assert "until: expected a time such as" in refused.words
