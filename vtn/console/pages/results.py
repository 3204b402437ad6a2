"""Frozen results of all events, also of those that are gone: a list, and the settlement of each."""

from __future__ import annotations

from aiohttp import web

from vtn.console.pages.asked import id_of
from vtn.console.routes import ConsoleRoute
from vtn.console.visit import CSV, Visit
from vtn.errors import NotFound
from vtn.performance.told import result_of
from vtn.settlements import settlement_pieces
from vtn.store.console.events import ConsoleEvents
from vtn.store.performance.results import ResultState
from vtn.store.query import Page


async def show(visit: Visit) -> web.StreamResponse:
    """Show frozen results, the newest first."""
    asked = visit.page_asked()
    rows = await visit.console.stores.performance.search(Page(asked.skip, asked.limit), frozen=True)
    found = [result_of(row) for row in rows]
    there = await visit.console.store(ConsoleEvents).there({one.event_id for one in found})
    return visit.render("results.html", page=asked.of(found), there=there)


async def send_settlement(visit: Visit) -> web.StreamResponse:
    """Send the settlement of a frozen result as CSV; raises NotFound."""
    row = await visit.console.stores.performance.get(id_of(visit, "result_id"))
    if row["state"] != ResultState.FROZEN:
        raise NotFound
    return await visit.send_file(
        f"settlement-{row['id']}.csv", CSV, settlement_pieces(visit.console.stores.performance, row)
    )


ROUTES = (
    ConsoleRoute("GET", "/results", show, name="results", title="Frozen results"),
    ConsoleRoute("GET", "/results/{result_id}/settlement.csv", send_settlement, name="result_csv"),
)
