"""Show what an operator sees of VENs of OpenADR 2.0b that do not do as they should: lists, log lines and /metrics."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from oadr.commands.vens_20b import state as state_20b
from openadr_profiles.fleet.problems import VenCondition, problems
from openadr_profiles.v31 import decode
from openadr_profiles.ven_20b import EnrolledVen
from tests.vtn.harness import VtnUnderTest
from tests.vtn.v20b.conftest import Enrol
from tests.vtn.v20b.telling import levels, polled
from tests.vtn.v20b.test_reports import NOW, data, interval, update, with_telemetry
from vtn.api.v20b.counts import Counts20b
from vtn.api.v20b.overdue import OverdueReports


async def listed(vtn: VtnUnderTest) -> EnrolledVen:
    """The only VEN, as business logic sees it."""
    (known,) = (await vtn.bl.get("/vens_20b")).ok()
    return decode(json.dumps(known).encode(), EnrolledVen)


def problems_of(ven: EnrolledVen | None, seen: datetime | None, *, now: datetime) -> list[str]:
    """The words about what only 2.0b has."""
    state = VenCondition(
        seen=seen, of_20b=state_20b(ven), resources=1, holds_target=True, contacts_known=False, reports_known=False
    )
    return [each.text for each in problems(state, now=now)]


async def numbers(vtn: VtnUnderTest) -> dict[tuple[str, ...], float]:
    """The numbers of 2.0b in /metrics, by name and value of the label."""
    answer = await vtn.ask("GET", f"{vtn.origin}/metrics")
    return {
        (sample.name.removeprefix("oadr_vtn_20b_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.raw.decode())
        for sample in family.samples
        if sample.name.startswith("oadr_vtn_20b_")
    }


async def test_who_does_not_poll_is_offline_and_keeps_its_queue(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-POL-007: after six polls, and the time that contacts are stored in; a poll ends it."""
    ven = await ven20(vtn20)
    await vtn20.server._contacts.store()
    vtn20.now.pass_(seconds=119)
    before = await listed(vtn20)
    vtn20.now.pass_(seconds=2)
    known = await listed(vtn20)
    assert (before.offline, known.offline, known.waiting) == (False, True, 1)
    now = vtn20.now()
    said = problems_of(known, now - timedelta(minutes=2), now=now)
    assert said == ["offline, last heard of 2 min ago"]
    assert (await ven.poll()).name == "oadrRegisterReport"
    await vtn20.server._contacts.store()
    assert not (await listed(vtn20)).offline
    assert (await ven.cancel()).code == "200"
    vtn20.now.pass_(hours=1)
    assert problems_of(await listed(vtn20), None, now=now) == ["not registered"]


def test_problems_of_a_ven_have_words() -> None:
    """B-REG-013, B-RPT-024: each on its own, and nothing of a VEN of OpenADR 3."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    plain: dict[str, Any] = {
        "ven_id": "v",
        "ven_name": "home",
        "client_id": "oadr20b-1",
        "wire_id": "v",
        "fingerprints": (),
        "registered": True,
        "push": False,
        "report_only": False,
        "xml_signature": False,
        "disabled": False,
        "waiting": 0,
    }

    def said(**changed: Any) -> list[str]:
        return problems_of(EnrolledVen(**plain | changed), None, now=now)

    assert problems_of(None, None, now=now) == []
    assert said() == []
    assert said(disabled=True, registered=False) == ["disabled", "not registered"]
    assert said(offline=True) == ["offline"]
    assert said(overdue=1) == ["values of 1 report are missing"]
    assert said(overdue=2) == ["values of 2 reports are missing"]
    assert said(cancel_refused_at=now - timedelta(hours=2)) == ["refused 2 h ago to end its registration"]


async def test_values_that_do_not_come_are_told_once_until_they_come(
    vtn20: VtnUnderTest, ven20: Enrol, capsys: Any
) -> None:
    """B-RPT-024: after twice the interval of the reports, by one of several processes."""
    ven, request_id = await with_telemetry(vtn20, ven20)
    stores = vtn20.server.stores
    assert stores is not None
    watch = OverdueReports(stores.v20b.reports, Counts20b(vtn20.server._metrics), every_s=3600)

    async def told() -> list[str]:
        capsys.readouterr()
        await watch.look()
        said = capsys.readouterr()
        return [line for line in (said.out + said.err).splitlines() if request_id in line]

    before = (await numbers(vtn20))["telemetry_missing_total",]
    vtn20.now.pass_(seconds=599)
    assert await told() == []
    vtn20.now.pass_(seconds=2)
    (line,) = await told()
    assert "home20b" in line
    assert await told() == []
    assert (await listed(vtn20)).overdue == 1
    assert (await update(ven, data(request_id, interval(NOW, ("p", 1.5))))).code == "200"
    assert (await listed(vtn20)).overdue == 0
    vtn20.now.pass_(seconds=601)
    assert len(await told()) == 1
    assert (await numbers(vtn20))["telemetry_missing_total",] == before + 2


async def test_the_door_counts_what_it_refuses_and_what_is_lost(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """4.7: labels are fixed sets of words, whatever VENs send."""
    ven, stranger = await ven20(vtn20), await ven20(vtn20, enrolled=False)
    before = await numbers(vtn20)
    assert (await stranger.query()).code == "463"
    assert (await ven.create(profile="2.0a")).code == "459"
    program = await vtn20.bl.program()
    await vtn20.bl.event(program, **levels(vtn20, 7))
    await vtn20.bl.event(program, **levels(vtn20, 1, eventName="peak"))
    assert len(await polled(ven)) == 1
    after = await numbers(vtn20)
    assert before.keys() == after.keys()
    more = {key: after[key] - before[key] for key in after if after[key] != before[key]}
    assert more == {
        ("unknown_certificates_total",): 1,
        ("refused_total", "463"): 1,
        ("refused_total", "459"): 1,
        ("events_refused_total", "LEVEL"): 1,
        ("losses_total", "EVENT_NAME"): 1,
    }


async def test_the_log_names_a_stranger_and_the_command_that_enrols_it(
    vtn20: VtnUnderTest, ven20: Enrol, pki: Any, capsys: Any
) -> None:
    """B-SEC-006: a name that could be anything in a shell does not stand in the command."""
    for name, written in (("home-7", "home-7"), ("$(reboot)", "NAME")):
        stranger = await ven20(vtn20, files=pki.client(name), enrolled=False)
        capsys.readouterr()
        assert (await stranger.poll("x")).code == "463"
        assert (await stranger.poll("x")).code == "463"
        said = capsys.readouterr()
        (line,) = [each for each in (said.out + said.err).splitlines() if "nobody has enrolled" in each]
        assert f"oadr vens add {written} --fingerprint " in line
        assert f"CN={name}" in line
