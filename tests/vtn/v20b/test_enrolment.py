"""/vens_20b: enrolling VENs of OpenADR 2.0b, and what business logic sees of them."""

from __future__ import annotations

import hashlib
import ssl

import pytest

from tests.support.pki import Pki
from tests.vtn.harness import VtnUnderTest, unique
from tests.vtn.v20b.conftest import Enrol, fingerprint_of


async def test_a_ven_is_enrolled_by_its_fingerprint_in_either_spelling(
    vtn20: VtnUnderTest, ven20: Enrol, pki: Pki
) -> None:
    """B-REG-016, B-SEC-005, B-SEC-013: another certificate may be added before the first is dropped."""
    first, second, third = (pki.client(unique("cert")) for _ in range(3))
    bl, name = vtn20.bl, unique("home")
    long = hashlib.sha256(ssl.PEM_cert_to_DER_cert(first.certificate.read_text())).hexdigest()
    made = (await bl.post("/vens_20b", {"venName": name, "addFingerprint": long, "targets": ["group:north"]})).ok()
    assert made["fingerprints"] == [fingerprint_of(first)]
    assert made["registered"] is False
    assert (await bl.get(f"/vens/{made['venID']}")).ok()["targets"] == ["group:north"]
    ven = await ven20(vtn20, files=first, enrolled=False)
    assert (await ven.create()).code == "200"
    await bl.post("/vens_20b", {"venName": name, "addFingerprint": fingerprint_of(second)})
    assert "drop one" in (
        await bl.post("/vens_20b", {"venName": name, "addFingerprint": fingerprint_of(third)})
    ).problem(409)
    renewed = await ven20(vtn20, files=second, enrolled=False)
    assert (await renewed.poll(ven.ven_id)).code != "463"
    await bl.post("/vens_20b", {"venName": name, "dropFingerprint": fingerprint_of(first)})
    assert (await ven.poll()).code == "463"
    (now,) = (await bl.get("/vens_20b", {"venName": name})).ok()
    assert (now["registered"], now["fingerprints"], now["waiting"]) == (True, [fingerprint_of(second)], 1)


@pytest.mark.parametrize(
    ("given", "status", "words"),
    [
        ({"addFingerprint": "x" * 20}, 400, "addFingerprint"),
        ({"addFingerprint": "AA:BB"}, 400, "addFingerprint"),
        ({}, 400, "addFingerprint"),
        ({"addFingerprint": "00:" * 9 + "00", "venName": "a\x00b"}, 400, "NUL"),
        ({"addFingerprint": "taken"}, 409, "another VEN"),
        ({"addFingerprint": "00:" * 9 + "00", "venName": "of OpenADR 3"}, 409, "OpenADR 3"),
    ],
)
async def test_what_cannot_be_enrolled_is_refused(
    vtn20: VtnUnderTest, pki: Pki, given: dict[str, str], status: int, words: str
) -> None:
    """B-REG-016: in words that name the member, and nothing is half made."""
    bl, taken = vtn20.bl, pki.client(unique("taken"))
    await bl.post("/vens_20b", {"venName": unique("home"), "addFingerprint": fingerprint_of(taken)})
    await vtn20.bl.ven_for(vtn20.home(), venName="of OpenADR 3")
    before = await bl.ids("/vens")
    given = {"venName": unique("new")} | given
    if given.get("addFingerprint") == "taken":
        given["addFingerprint"] = fingerprint_of(taken)
    assert words in (await bl.post("/vens_20b", given)).problem(status)
    assert await bl.ids("/vens") == before
    assert (await vtn20.home().post("/vens_20b", given)).status == 403
    assert (await vtn20.home().get("/vens_20b")).status == 403


async def test_a_registered_ven_keeps_its_venid(vtn20: VtnUnderTest, ven20: Enrol, pki: Pki) -> None:
    """B-GEN-005: under another one it would be a stranger; unregistered it may get one."""
    files, name, wire_id = pki.client(unique("cert")), unique("home"), unique("V")
    await vtn20.bl.post("/vens_20b", {"venName": name, "addFingerprint": fingerprint_of(files)})
    ven = await ven20(vtn20, files=files, enrolled=False)
    await ven.create()
    given = {"venName": name, "wireID": wire_id}
    assert "unregister" in (await vtn20.bl.post("/vens_20b", given)).problem(409)
    assert (await vtn20.bl.post("/vens_20b", given | {"wireID": ven.ven_id})).ok()["registered"]
    assert (await ven.poll()).code != "463"
    assert (await ven.cancel()).code == "200"
    await vtn20.bl.post("/vens_20b", given)
    await ven.create()
    assert ven.ven_id == wire_id


async def test_business_logic_orders_a_registration_again_and_its_end(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-REG-010, B-REG-013: told at the next poll; who is not registered cannot be told."""
    ven, bl = await ven20(vtn20), vtn20.bl
    (known,) = (await bl.get("/vens_20b")).ok()
    for order, message in (("REREGISTER", "oadrRequestReregistration"), ("CANCEL", "oadrCancelPartyRegistration")):
        (await bl.post("/vens_20b/orders", {"venName": known["venName"], "order": order})).ok()
        assert (await ven.poll()).name == message
        await ven.respond("EiRegisterParty", "oadrResponse")
    assert "no VEN" in (await bl.post("/vens_20b/orders", {"venName": "nobody", "order": "CANCEL"})).problem(400)
    (await bl.delete(f"/vens/{known['venID']}")).ok()
    assert (await ven.poll()).code == "463"
