"""`oadr report export`: every value of every report as CSV, JSON or Parquet, page by page."""

from __future__ import annotations

import asyncio
import csv
import io
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from oadr.commands import report as command
from oadr.errors import Exit
from openadr_client.client import VtnClient
from openadr_profiles.fleet.report_values import EXPORTED
from openadr_profiles.v31 import ReportRequest, decode, encode
from tests.oadr.conftest import Operator

MANY = 120
"""More than two pages."""


def document(event_id: str, number: int) -> dict[str, Any]:
    """A report with two intervals, one of them estimated, and a text that a spreadsheet would act on."""
    period = {"start": "2026-06-01T12:00:00Z", "duration": "PT15M"}
    quality = {"type": "DATA_QUALITY", "values": ["ESTIMATED"]}
    return {
        "eventID": event_id,
        "clientName": "meter",
        "reportName": f"=1+{number}\x1b[2J",
        "payloadDescriptors": [{"payloadType": "USAGE", "units": "KWH", "readingType": "DIRECT_READ"}],
        "resources": [
            {
                "resourceName": "ev",
                "intervalPeriod": period,
                "intervals": [
                    {"id": 0, "payloads": [{"type": "USAGE", "values": [number + 0.5]}]},
                    {"id": 1, "payloads": [{"type": "USAGE", "values": [1e-3]}, quality]},
                ],
            }
        ],
    }


@pytest.fixture
def reported(operator: Operator) -> str:
    """The id of an event with reports, more than a page of them."""
    event = operator.ask("event", "create", "--shed", "1kW", "--yes")

    secret = operator.secrets["home-1"]

    async def report() -> None:
        async with VtnClient(base_url=operator.url, client_id="home-1", client_secret=secret) as client:
            for number in range(MANY):
                await client.reports.create(decode(encode(document(event["id"], number)), ReportRequest))

    asyncio.run(report())
    found: str = event["id"]
    return found


def test_csv_has_a_row_for_each_value(operator: Operator, reported: str) -> None:
    """With times, units and quality; texts do nothing in a spreadsheet or terminal."""
    done = operator.run("report", "export", "--event", reported[:10])
    assert done.exit_code == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == 3 * MANY
    assert len({row["report_id"] for row in rows}) == MANY
    first = next(row for row in rows if row["value"] == "7.5")
    assert first["report_name"] == "'=1+7\\x1b[2J"
    assert (first["start"], first["duration"]) == ("2026-06-01T12:00:00Z", "PT15M")
    assert (first["units"], first["reading_type"], first["quality"]) == ("KWH", "DIRECT_READ", "")
    second = [row for row in rows if row["report_id"] == first["report_id"] and row["interval_id"] == "1"]
    assert [(row["start"], row["type"], row["value"], row["quality"]) for row in second] == [
        ("2026-06-01T12:15:00Z", "USAGE", "0.001", "ESTIMATED"),
        ("2026-06-01T12:15:00Z", "DATA_QUALITY", "ESTIMATED", ""),
    ]


def test_json_and_parquet_have_the_same(operator: Operator, reported: str, tmp_path: Path) -> None:
    """JSON has whole reports, Parquet numbers and instants as what they are."""
    documents = operator.ask("report", "export", "--json", "--event", reported)
    assert len({each["id"] for each in documents}) == len(documents) == MANY
    file = tmp_path / "all.parquet"
    done = operator.run("report", "export", "--format", "parquet", "--out", str(file), "--event", reported)
    assert done.exit_code == 0, done.stderr
    assert done.stderr == f"{MANY} reports are in {file}\n"
    table = parquet.read_table(file)
    assert table.column_names == [*EXPORTED, "number"]
    assert str(table.schema.field("start").type) == "timestamp[us, tz=UTC]"
    numbers = [row["number"] for row in table.to_pylist() if row["type"] == "USAGE"]
    assert max(numbers) == MANY - 0.5
    assert {row["value"] for row in table.to_pylist() if row["type"] == "DATA_QUALITY"} == {"ESTIMATED"}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--csv", "--json"), Exit.USAGE, "exclude each other"),
        (("--format", "parquet"), Exit.USAGE, "name a file with --out"),
        (("--out", "/nowhere/at/all.csv"), Exit.USAGE, "cannot be written"),
        (("--format", "xml"), Exit.USAGE, "'xml' is not one of"),
        (("--event", "nothing-like-it", "--out", "{tmp}/new.csv"), Exit.REFUSED, "nothing-like-it"),
    ],
)
def test_what_cannot_be_exported_leaves_no_file(
    operator: Operator, tmp_path: Path, words: tuple[str, ...], code: Exit, said: str
) -> None:
    """Nor one that is half written; one that is there stays."""
    done = operator.run("report", "export", *(word.format(tmp=tmp_path) for word in words))
    assert (done.exit_code, said in done.stderr.replace("\n", " ")) == (code, True), done.stderr
    assert list(tmp_path.iterdir()) == []
    there = tmp_path / "there.csv"
    there.write_text("mine")
    assert operator.run("report", "export", "--out", str(there)).exit_code == Exit.USAGE
    assert there.read_text() == "mine"


def test_parquet_without_its_library_is_refused(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that installs it; other formats need nothing."""
    monkeypatch.setattr(command, "find_spec", lambda _: None)
    file = tmp_path / "all.parquet"
    done = operator.run("report", "export", "--format", "parquet", "--out", str(file))
    assert done.exit_code == Exit.CONFIGURATION
    assert "pip install 'openadr-fleet[parquet]'" in done.stderr
    assert not file.exists()
