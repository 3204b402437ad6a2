"""Signing in and out of the console, and what keeps others out."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import Select, select

from tests.vtn.conftest import StartVtn
from tests.vtn.console.visitor import ConsoleUnderTest, console_of
from tests.vtn.harness import VtnUnderTest
from vtn.access import UserRole
from vtn.console.sessions import COOKIE
from vtn.console.users import ConsoleUsers
from vtn.store.console.audit import ActStore
from vtn.store.console.tables import console_sessions
from vtn.store.console.users import UserStore

PASSWORD = "wind-over-the-fields-7"


@pytest.fixture
def users(vtn: VtnUnderTest) -> ConsoleUsers:
    """The users of the console."""
    return ConsoleUsers(UserStore(vtn.server._database), vtn.server._stamps, vtn.server._secrets)


async def test_a_user_signs_in_and_out(console: ConsoleUnderTest, users: ConsoleUsers) -> None:
    """The session begins with the password and ends with the button, whatever cookie the browser keeps."""
    await users.add("anna", UserRole.OPERATOR, PASSWORD)
    anna = console.stranger()

    answer = (await anna.post("/login", name="anna", password=PASSWORD, to="/account")).ok(303)
    assert answer.leads_to == "/console/account"
    assert "anna operator" in (await anna.get("/account")).ok().words

    kept = anna.cookies[COOKIE]
    (await anna.post("/logout")).ok(303)
    anna.cookies[COOKIE] = kept
    assert (await anna.get("/account")).ok(303).leads_to == "/console/login?to=%2Faccount"


async def test_the_cookie_is_kept_from_scripts_and_other_sites(console: ConsoleUnderTest, users: ConsoleUsers) -> None:
    """HttpOnly, SameSite, its path; what the database has of it opens nothing."""
    await users.add("anna", UserRole.VIEWER, PASSWORD)
    anna = console.stranger()

    answer = await anna.post("/login", name="anna", password=PASSWORD)

    cookie = next(each for each in answer.headers.getall("Set-Cookie") if each.startswith(COOKIE))
    assert {"HttpOnly", "SameSite=Lax", "Path=/console"} <= {each.strip() for each in cookie.split(";")}
    (stored,) = await console.vtn.server._database.rows(_sessions_of("anna"))
    assert anna.cookies[COOKIE] not in str(dict(stored))
    anna.cookies[COOKIE] = stored["token_hash"]
    (await anna.get("/")).ok(303)


@pytest.mark.parametrize(("name", "password"), [("anna", "not the right password"), ("nobody", PASSWORD)])
async def test_a_wrong_name_or_password_is_refused_in_the_same_words(
    console: ConsoleUnderTest, users: ConsoleUsers, name: str, password: str
) -> None:
    """And what was typed is kept, without the password."""
    await users.add("anna", UserRole.VIEWER, PASSWORD)
    somebody = console.stranger()

    answer = (await somebody.post("/login", name=name, password=password)).ok(422)

    assert "The name or the password is wrong." in answer.words
    assert answer.tree.xpath("//input[@name='name']/@value") == [name]
    assert password not in answer.text
    assert not somebody.cookies.get(COOKIE)


async def test_who_guesses_is_slowed_down_and_others_are_not(console: ConsoleUnderTest, users: ConsoleUsers) -> None:
    """After ten wrong ones the right one has to wait too, for this user only; time helps."""
    await users.add("anna", UserRole.VIEWER, PASSWORD)
    await users.add("bert", UserRole.VIEWER, PASSWORD)
    somebody = console.stranger()
    console.vtn.now.pass_(seconds=3601)  # what other tests have guessed is another series

    for number in range(10):
        (await somebody.post("/login", name="anna", password=f"guess number {number}")).ok(422)
    slow = (await somebody.post("/login", name="anna", password=PASSWORD)).ok(429)
    assert int(slow.headers["Retry-After"]) >= 1
    (await somebody.post("/login", name="bert", password=PASSWORD)).ok(303)

    console.vtn.now.pass_(seconds=11)
    (await somebody.post("/login", name="anna", password=PASSWORD)).ok(303)
    noted = await ActStore(console.vtn.server._database).newest(act="sign-in refused", limit=50)
    numbers = [each.what.partition("; ")[2] for each in reversed(noted)]  # of ten refusals, six are noted
    assert numbers == ["", *(f"number {number} from this address" for number in (2, 3, 4, 5, 10))]


@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example", "/\\evil.example", "\t//evil.example"])
async def test_signing_in_leads_to_pages_of_ours_only(console: ConsoleUnderTest, users: ConsoleUsers, to: str) -> None:
    """Hold it true, whatever a link to the login says."""
    await users.add("anna", UserRole.VIEWER, PASSWORD)

    answer = await console.stranger().post("/login", name="anna", password=PASSWORD, to=to)

    assert answer.ok(303).leads_to == "/console"


async def test_without_users_the_login_says_how_to_make_one(vtn: VtnUnderTest) -> None:
    """The first user is made by the command and nowhere else."""
    stranger = ConsoleUnderTest(vtn)

    page = (await stranger.get("/login")).ok()

    assert "oadr vtn user add NAME --role admin" in page.words
    assert page.tree.xpath("//form") == []
    await stranger.close()


async def test_a_form_without_our_proof_is_refused(console: ConsoleUnderTest) -> None:
    """From another site, or with the token of another session."""
    other = await console.as_role("admin")
    (await console.get("/account")).ok()

    for headers in ({"X-CSRF-Token": "x" * 86}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        answer = (await console.post("/logout", headers=headers)).ok(403)
        assert "Not allowed" in answer.words
    (await other.get("/account")).ok()
    (await console.get("/account")).ok()


async def test_a_session_ends_by_time_and_a_role_by_the_admin(console: ConsoleUnderTest, users: ConsoleUsers) -> None:
    """A role that was taken away is gone with the next request."""
    (await console.get("/audit")).ok()
    await users._store.change(console.name, role="viewer")
    refused = (await console.get("/audit")).ok(403)
    assert "this needs the role admin" in refused.words

    console.vtn.now.pass_(hours=12)
    (await console.get("/account")).ok(303)


async def test_a_new_password_ends_all_other_sessions(console: ConsoleUnderTest, users: ConsoleUsers) -> None:
    """The one that changed it goes on."""
    await users.add("anna", UserRole.VIEWER, PASSWORD)
    one, two = console.stranger(), console.stranger()
    for each in (one, two):
        (await each.post("/login", name="anna", password=PASSWORD)).ok(303)
    new = "rain-on-a-tin-roof-9"

    fields: dict[str, Any] = {"new_password": new, "new_password_again": new}
    assert "wrong" in (await one.post("/account/password", password="something else 1", **fields)).ok(422).words
    short: dict[str, Any] = {"new_password": "short", "new_password_again": "short"}
    assert "expected 12 to" in (await one.post("/account/password", password=PASSWORD, **short)).ok(422).words
    (await one.post("/account/password", password=PASSWORD, **fields)).ok(303)

    (await one.get("/account")).ok()
    (await two.get("/account")).ok(303)
    (await two.post("/login", name="anna", password=new)).ok(303)


async def test_one_ends_a_session_on_another_machine(console: ConsoleUnderTest, users: ConsoleUsers) -> None:
    """One's own only."""
    await users.add("anna", UserRole.VIEWER, PASSWORD)
    one, two = console.stranger(), console.stranger()
    for each in (one, two):
        (await each.post("/login", name="anna", password=PASSWORD)).ok(303)
    (ends,) = (await one.page("/account")).xpath("//form[contains(@action, '/end')]/@action")
    path = ends.removeprefix("/console")

    assert "no such session" in (await console.post(path)).ok(404).words
    (await one.post(path)).ok(303)

    (await two.get("/account")).ok(303)
    (await one.get("/account")).ok()


def _sessions_of(name: str) -> Select[Any]:
    return select(console_sessions).where(console_sessions.c.user_name == name)


def test_the_parts_of_a_console_are_those_of_the_server(vtn: VtnUnderTest) -> None:
    """Prove that what tests prepare beside the pages is what the pages see."""
    assert console_of(vtn).base == "/console"


async def test_the_very_first_request_may_be_for_the_console(start_vtn: Any) -> None:
    """Its path without anything behind it is a usual one, which the server could answer past its router."""
    vtn = await start_vtn()
    stranger = ConsoleUnderTest(vtn)
    try:
        assert (await stranger.get("/")).ok(303).leads_to.startswith("/console/login")
    finally:
        await stranger.close()


async def test_behind_a_proxy_who_guesses_locks_nobody_out(start_vtn: StartVtn) -> None:
    """Wrong passwords count by the address that the proxy adds; what a client says of itself before it does not."""
    vtn = await start_vtn(behind_proxy=True, public_url="https://vtn.example")
    await ConsoleUsers(UserStore(vtn.server._database), vtn.server._stamps, vtn.server._secrets).add(
        "anna", UserRole.VIEWER, PASSWORD
    )
    somebody = ConsoleUnderTest(vtn)
    for number in range(10):
        guesser = {"X-Forwarded-For": f"198.51.100.{number}, 203.0.113.1"}
        guess = {"name": "anna", "password": f"no {number}"}
        (await somebody._ask("POST", "/login", form=guess, headers=guesser)).ok(422)

    for address, status in (("203.0.113.2, 203.0.113.1", 429), ("203.0.113.2", 303)):
        form = {"name": "anna", "password": PASSWORD}
        (await somebody._ask("POST", "/login", form=form, headers={"X-Forwarded-For": address})).ok(status)
    await somebody.close()


async def test_headers_that_are_no_text_keep_nobody_out(console: ConsoleUnderTest, users: ConsoleUsers) -> None:
    """A browser with bytes in its name that are no UTF-8 signs in; no database would take them."""
    await users.add("anna", UserRole.VIEWER, PASSWORD)
    form = urlencode({"name": "anna", "password": PASSWORD})
    lines = (
        *("POST /console/login HTTP/1.1", "Host: 127.0.0.1", "User-Agent: caf\xe9", "Connection: close"),
        *("Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(form)}", "", form),
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", console.vtn.server.port)
    writer.write("\r\n".join(lines).encode("latin-1"))

    assert (await reader.readline()).startswith(b"HTTP/1.1 303")
    writer.close()


async def test_a_zero_character_is_refused(console: ConsoleUnderTest) -> None:
    """In forms and paths; PostgreSQL has no such text."""
    refused = (await console.stranger().post("/login", name="a\0", password=PASSWORD)).ok(400)
    assert "zero character" in refused.words
    (await console.post("/account/sessions/%00/end")).ok(404)
    for path in ("/audit", "/reports", "/settings/clients"):
        (await console.get(path, user="\0", event="\0", client="\0")).ok()


@pytest.mark.parametrize("page", ["00000000" + "19999999", "0" * 8 + "1" + "9" * 4400, "201", "0"])
async def test_pages_are_bounded(console: ConsoleUnderTest, page: str) -> None:
    """Hold it true, whatever the number looks like."""
    assert "expected a number from 1 to 200" in (await console.get("/fleet", page=page)).ok(400).words
