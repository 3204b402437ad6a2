"""Count what a poll costs while nothing happens."""

from __future__ import annotations

import pytest

from tests.support.waiting import wait_until
from tests.vtn.harness import VtnUnderTest
from tests.vtn.statements import Statements
from tests.vtn.v20b.conftest import Enrol
from tests.vtn.v20b.telling import levels, polled
from vtn.counters import revisions


async def test_an_empty_poll_asks_the_database_nothing(
    vtn20: VtnUnderTest, ven20: Enrol, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B-POL-002: all that it looks at is remembered until it changes, not only for a moment; a change is seen."""
    monkeypatch.setattr(revisions, "MOMENT_S", -1.0)  # what is remembered for a moment only is forgotten at once
    ven = await ven20(vtn20)
    await ven.poll()
    await ven.acknowledge_reports()

    async def nothing_is_asked() -> bool:
        with Statements(vtn20) as statements:
            reply = await ven.poll()
        assert (reply.name, reply.code) == ("oadrResponse", "200")
        return not statements.sent

    await wait_until(nothing_is_asked)  # on a busy machine other hosts may not be heard for a moment
    await vtn20.bl.event(await vtn20.bl.program(), **levels(vtn20, 1))
    assert len(await polled(ven)) == 1
