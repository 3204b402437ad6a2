"""Endpoints about the server itself, beside the API."""

from __future__ import annotations

import asyncio
import re

from sqlalchemy import text

from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn, settings_for
from tests.vtn.harness import VtnUnderTest
from tests.vtn.test_ingestion import Gate


async def numbers(vtn: VtnUnderTest) -> dict[str, float]:
    """Return the samples of /metrics."""
    answer = await vtn.ask("GET", f"{vtn.origin}/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in answer.raw.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


async def test_requests_are_counted_by_route_and_status(start_vtn: StartVtn) -> None:
    """By the path with its variables: no ven, client or object has a number of its own."""
    vtn = await start_vtn()
    home = vtn.home()
    ven = await home.ven()
    for _ in range(2):
        await home.get(f"/vens/{ven['id']}")
    await home.get("/vens/unknown")
    await vtn.nobody.ask("PURGE", "/nowhere/at-all")

    found = await numbers(vtn)

    one = '{method="GET",route="/openadr3/3.1.0/vens/{id}",status="%s"}'
    assert found["oadr_vtn_requests_total" + one % 200] == 2
    assert found["oadr_vtn_requests_total" + one % 404] == 1
    assert found['oadr_vtn_requests_total{method="other",route="none",status="404"}'] == 1
    assert found['oadr_vtn_request_duration_seconds_count{method="GET",route="/openadr3/3.1.0/vens/{id}"}'] == 3
    assert found["oadr_vtn_requests_under_way"] == 1
    assert not any(ven["id"] in name or home.client_id in name or "at-all" in name for name in found)


async def test_what_is_kept_and_what_waits_is_told(start_vtn: StartVtn) -> None:
    """Metrics count cached answers, rows that wait for a commit, and connections."""
    vtn = await start_vtn()
    home, event = vtn.home(), await vtn.bl.event(await vtn.bl.program())
    before = await numbers(vtn)

    for _ in range(5):
        await home.get(f"/events/{event['id']}")
    gate = Gate(vtn.server._database)
    sent = [asyncio.create_task(home.report(event)) for _ in range(4)]
    await wait_until(lambda: gate.batches)

    async def waiting() -> bool:
        return (await numbers(vtn))["oadr_vtn_reports_waiting"] == 4 - gate.batches[0]

    await wait_until(waiting)
    found = await numbers(vtn)
    assert found["oadr_vtn_answers_made_total"] - before["oadr_vtn_answers_made_total"] == 1
    assert found["oadr_vtn_answers_kept_bytes"] > before["oadr_vtn_answers_kept_bytes"]
    assert found["oadr_vtn_connections"] == 5
    gate.open.set()
    await asyncio.gather(*sent)
    assert (await numbers(vtn))["oadr_vtn_reports_waiting"] == 0


async def test_the_numbers_can_be_kept_private(start_vtn: StartVtn) -> None:
    """The setting `metrics`."""
    vtn = await start_vtn(metrics=False)

    assert (await vtn.ask("GET", f"{vtn.origin}/metrics")).problem(404)


async def test_a_server_is_ready_while_its_tables_are_those_it_needs(migrated_url: str) -> None:
    """/ready: not with the tables of another version; /health all the same (GEN-022)."""
    vtn = VtnUnderTest(settings_for(migrated_url))
    await vtn.start()
    try:
        assert (await vtn.ask("GET", f"{vtn.origin}/ready")).ok() == {"status": "ready"}
        async with vtn.server._database.write() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = 'later'"))
        answer = await vtn.ask("GET", f"{vtn.origin}/ready")
        assert "tables" in answer.problem(503)
        assert (await vtn.ask("GET", f"{vtn.origin}/health")).ok() == {"status": "alive"}
    finally:
        await vtn.stop()


async def test_every_answer_has_the_id_of_its_request(vtn: VtnUnderTest) -> None:
    """X-Request-Id: the caller's if it is one, else a new one; also on errors."""
    for path in ("/events", "/nowhere"):
        answer = await vtn.bl.get(path, x_request_id="trace-1.2:3")
        assert answer.headers["X-Request-Id"] == "trace-1.2:3"
        for unusable in ("", "a b", "x" * 65, "é"):
            found = (await vtn.bl.get(path, x_request_id=unusable)).headers["X-Request-Id"]
            assert re.fullmatch(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", found)


async def test_resources_can_be_listed_at_the_origin(vtn: VtnUnderTest) -> None:
    """COMPAT-021: as one client asks; with a token like everywhere."""
    home = vtn.home()
    made = await home.resource(await home.ven())

    assert (await vtn.ask("GET", f"{vtn.origin}/resources", headers=home.headers)).ok() == [made]
    (await vtn.ask("GET", f"{vtn.origin}/resources")).problem(401)


async def test_the_word_of_an_answer_counts_like_none(vtn: VtnUnderTest) -> None:
    """OBJ-013, VEN-008, COMPAT-029: vens and resources can be put back as they were read, by either role."""
    bl, home = vtn.bl, vtn.home()
    ven = await bl.ven_for(home, ["g"])
    resource = await home.resource(ven)

    for caller in (home, bl):
        for path, one in ((f"/vens/{ven['id']}", ven), (f"/resources/{resource['id']}", resource)):
            put = (await caller.put(path, one)).ok()
            assert put | {"modificationDateTime": ""} == one | {"modificationDateTime": ""}
    assert "objectType" in (await home.put(f"/vens/{ven['id']}", ven | {"objectType": "RESOURCE"})).problem(400)
