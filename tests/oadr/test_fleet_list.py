"""``oadr fleet list``: VENs and panels as a table, JSON and CSV."""

from __future__ import annotations

import asyncio
import csv
import io
from typing import Any

from oadr.errors import Exit
from openadr_client.client import VtnClient
from openadr_profiles.v31 import ValuesMap, VenResourceRequest
from tests.oadr.conftest import Operator


async def with_a_bridge(operator: Operator) -> None:
    """Let home-2 be a bridge with one panel, and home-1 be there without anything."""
    await asyncio.to_thread(operator.ask, "vens", "add", "home-1", "--target", "group:north")
    await asyncio.to_thread(operator.ask, "vens", "add", "home-2", "--target", "group:south")
    async with VtnClient(base_url=operator.url, client_id="home-2", client_secret=operator.secrets["home-2"]) as bridge:
        (ven,) = await bridge.vens.search()
        for name, kw in (("panel-1", None), ("panel-1/ac", 3.5), ("up/down", 1)):
            attributes = None if kw is None else (ValuesMap(type="MAX_POWER_CONSUMPTION", values=(kw,)),)
            await bridge.resources.create(VenResourceRequest(ven_id=ven.id, resource_name=name, attributes=attributes))


async def test_panels_are_rows_with_the_facts_of_the_vtn_and_are_narrowed(operator: Operator) -> None:
    await with_a_bridge(operator)
    rows: dict[str, Any] = {row["name"]: row for row in await asyncio.to_thread(operator.ask, "fleet", "list")}
    assert sorted(rows) == ["home-1", "home-2", "panel-1"]
    panel, bridge = rows["panel-1"], rows["home-2"]
    assert (panel["language"], panel["bridge"], panel["canShed"], panel["resourceCount"]) == ("panel", "home-2", 3.5, 1)
    assert (bridge["language"], bridge["software"].startswith("openadr-fleet/")) == ("OpenADR 3.1", True)
    assert abs(bridge["clockOffset"]) < 30
    assert (rows["home-1"]["lastContact"], rows["home-1"]["clockOffset"]) == (None, None)
    assert "never seen" in rows["home-1"]["problems"]
    assert panel["problems"] == []

    def names(*words: str) -> list[str]:
        return sorted(row["name"] for row in operator.ask("fleet", "list", *words))

    assert await asyncio.to_thread(names, "--problems") == ["home-1", "home-2"]
    south = await asyncio.to_thread(names, "--group", "group:south")
    assert south == ["home-2", "panel-1"]
    assert await asyncio.to_thread(names, "--group", "group:typo", "--group", "group:north") == ["home-1"]


def test_the_list_as_csv_is_harmless(operator: Operator) -> None:
    operator.ask("vens", "add", "=1+2\x1b[2J", "--target", "group:north")
    done = operator.run("fleet", "list", "--format", "csv")
    assert done.exit_code == Exit.OK, done.stderr
    (row,) = csv.DictReader(io.StringIO(done.stdout))
    assert row["name"] == "'=1+2\\x1b[2J"
    assert (row["groups"], row["lastContact"], row["canShed"]) == ("group:north", "", "")
    assert "never seen" in row["problems"]
    wrong = operator.run("fleet", "list", "--format", "xml")
    assert (wrong.exit_code, "--format" in wrong.stderr) == (Exit.USAGE, True)
