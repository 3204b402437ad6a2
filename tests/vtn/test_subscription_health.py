"""GET /subscription_health: who may read it, what it says, and what it leaves out."""

from __future__ import annotations

from tests.vtn.harness import VtnUnderTest
from tests.vtn.outbox_rows import OutboxRows
from vtn.access import Role, Scope
from vtn.store.outbox.queue import Ended, Outcome, TurnEnd


async def test_business_logic_reads_how_callbacks_fare(vtn: VtnUnderTest) -> None:
    rows = OutboxRows(vtn)
    new, broken = await rows.endpoint("home-1"), await rows.endpoint("home-2")
    dead = await rows.delivery(broken)
    await rows.delivery(broken)
    await rows.outbox.record([Ended(dead, Outcome.DEAD, "answered 404")])
    await rows.leave(TurnEnd(broken, failures=1, error="answered 500", retry_in_s=60, broken=True, failed=True))

    first, second = (await vtn.bl.get("/subscription_health")).ok()
    assert first == {
        "subscriptionID": f"of-{new}",
        "clientID": "home-1",
        "clientName": "Name of home-1",
        "callbackUrl": f"https://{new}.example/hook",
        "protocol": "OpenADR 3.1",
        "state": "NEW",
        "pending": 0,
        "dead": 0,
        "failures": 0,
    }
    times = {"oldestPending", "brokenSince", "nextAttempt", "lastFailure"}
    assert {key: second[key] for key in second.keys() - times} == {
        "subscriptionID": f"of-{broken}",
        "clientID": "home-2",
        "clientName": "Name of home-2",
        "callbackUrl": f"https://{broken}.example/hook",
        "protocol": "OpenADR 3.1",
        "state": "BROKEN",
        "pending": 1,
        "dead": 1,
        "failures": 1,
        "lastError": "answered 500",
    }
    assert times < second.keys()
    for query in ({"clientID": "home-2"}, {"subscriptionID": f"of-{broken}"}, {"skip": "1"}):
        assert (await vtn.bl.get("/subscription_health", query)).ok() == [second]
    assert (await vtn.bl.get("/subscription_health", {"limit": "0"})).ok() == []
    assert "subscriptionID" in (await vtn.bl.get("/subscription_health", {"subscriptionID": "a/b"})).problem(400)


async def test_the_health_of_subscriptions_is_for_business_logic(vtn: VtnUnderTest) -> None:
    """Also what a VEN's own callback fares like: an error could tell it what stands where in the VTN's network."""
    reads_all = vtn.caller(Role.VEN, scopes={Scope.READ_ALL})
    assert "business logic" in (await reads_all.get("/subscription_health")).problem(403)
    assert "scopes" in (await vtn.home().get("/subscription_health")).problem(403)
    assert (await vtn.nobody.get("/subscription_health")).status == 401
