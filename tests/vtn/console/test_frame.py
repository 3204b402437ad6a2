"""The frame of all pages: headers, paths, errors, and what is never let through."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

import vtn.console
from tests.vtn.conftest import StartVtn
from tests.vtn.console.visitor import ConsoleUnderTest, console_of
from tests.vtn.harness import VtnUnderTest
from vtn.console.audit import AuditTrail
from vtn.console.pages import PAGES
from vtn.settings import Settings

TEMPLATES = sorted((Path(vtn.console.__file__).parent / "templates").glob("*.html"))
ROUTES = [route for page in PAGES for route in page.ROUTES]
OPEN = {"/login", "/oidc/start", "/oidc/callback"}


async def test_every_answer_is_guarded_by_its_headers(console: ConsoleUnderTest) -> None:
    """Pages, refusals and ways elsewhere: no source but this server, not in a frame, not kept by anybody."""
    stranger = console.stranger()
    for answer in (
        await console.get("/account"),
        await console.get("/no/such/page"),
        await stranger.get("/account"),
        await stranger.get("/login"),
    ):
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'self'; ")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"


async def test_nothing_is_shown_to_a_stranger(console: ConsoleUnderTest) -> None:
    """Prove that who is not signed in gets to the login, and a form that is posted does nothing."""
    stranger = console.stranger()
    for route in ROUTES:
        path = re.sub(r"\{\w+\}", "x", route.path)
        if path in OPEN:
            assert route.role is None
            continue
        answer = await stranger._ask(route.method, path, form={} if route.method == "POST" else None)
        assert answer.ok(303).leads_to.startswith("/console/login"), route


async def test_a_viewer_may_look_and_nothing_else(console: ConsoleUnderTest) -> None:
    """Refused before anything is read."""
    viewer = await console.as_role("viewer")
    for route in ROUTES:
        if route.role in {None, "viewer"}:
            continue
        path = re.sub(r"\{\w+\}", "x", route.path)
        answer = await viewer._ask(route.method, path, form={} if route.method == "POST" else None)
        assert f"this needs the role {route.role}" in answer.ok(403).words, route


def test_every_act_needs_more_than_a_viewer() -> None:
    """But for what one does to oneself."""
    own = {"/login", "/logout", "/account/password", "/account/sessions/{session_id}/end"}
    acts = {route.path for route in ROUTES if route.method == "POST" and route.role in {None, "viewer"}}

    assert acts == own


def test_no_page_has_a_style_or_script_inside() -> None:
    """The policy forbids both: a browser would ignore it and note an error."""
    found = [each.name for each in TEMPLATES if re.search(r"\sstyle=|\son[a-z]+=|<style|<script", each.read_text())]

    assert len(TEMPLATES) > 5
    assert found == []


def test_every_form_carries_the_proof() -> None:
    """A form that is posted has the macro in it, but for the login, before which there is no session."""
    found = {
        template.name
        for template in TEMPLATES
        for form in re.findall(r"<form[^>]*method=\"post\".*?</form>", template.read_text(), flags=re.DOTALL)
        if "csrf" not in form
    }

    assert found <= {"login.html"}


async def test_names_that_are_hostile_stay_names(console: ConsoleUnderTest) -> None:
    """In a page they are text."""
    trail = AuditTrail(console_of(console.vtn))
    evil = "<script>alert(1)</script>\u202e"
    request: Any = type("Request", (), {"headers": {}, "remote": "127.0.0.1"})()
    await trail.note(request, evil, evil, evil, before={"name": evil}, after=evil)

    page = (await console.get("/audit")).ok()

    assert page.tree.xpath("//script[not(@src)]") == []
    assert r"<script>alert(1)</script>\u202e" in page.words


@pytest.mark.parametrize("page", ["0", "-1", "1e3", "99999", "x", "1" * 400])
async def test_a_page_number_is_bounded(console: ConsoleUnderTest, page: str) -> None:
    """A list is narrowed by its search, not leafed through for ever."""
    answer = await console.get("/events", page=page)

    assert answer.status == 400
    assert "page: expected a number from 1 to 200" in answer.words


async def test_a_form_is_bounded_and_of_its_kind(console: ConsoleUnderTest) -> None:
    """Bytes, fields and type, each refused in words."""
    assert "at most 16384 bytes" in (await console.post("/logout", filler="x" * 20_000)).ok(413).words
    other = {"Content-Type": "application/json"}
    assert "Content-Type: expected" in (await console.post("/logout", headers=other)).ok(415).words
    (await console.get("/account")).ok()


async def test_an_error_is_a_page_without_its_inside(
    console: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a reference that the log has too."""

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the inside of the server")

    monkeypatch.setattr("vtn.store.console.audit.ActStore.newest", fail)

    page = (await console.get("/audit")).ok(500)

    assert "the inside" not in page.text
    assert "Traceback" not in page.text
    assert re.search(r"reference [0-9a-f]{32}", page.words)


async def test_the_console_works_below_a_path(start_vtn: StartVtn) -> None:
    """A proxy takes the path of public_url away; links, files, cookies and forms have it."""
    vtn: VtnUnderTest = await start_vtn(public_url="https://vtn.example/dr", behind_proxy=True)
    visitor = await ConsoleUnderTest.signed_in(vtn, "admin")

    page = (await visitor.get("/account")).ok()
    links = page.tree.xpath("//@href | //@src | //@action")
    assert links
    assert [link for link in links if not link.startswith(("/dr/console", "#"))] == []
    out = (await visitor.post("/logout")).ok(303)
    assert out.leads_to == "/dr/console/login"
    assert any("Path=/dr/console" in each and "Secure" in each for each in out.headers.getall("Set-Cookie"))
    await visitor.close()


@pytest.mark.parametrize(
    ("members", "served"),
    [
        ({}, True),
        ({"host": "0.0.0.0", "insecure_http": True}, False),
        ({"host": "0.0.0.0", "insecure_http": True, "console": {"enabled": True}}, True),
        ({"host": "0.0.0.0", "behind_proxy": True, "public_url": "https://vtn.example"}, True),
        ({"console": {"enabled": False}}, False),
    ],
)
def test_the_console_is_served_where_passwords_are_safe(members: dict[str, Any], served: bool) -> None:
    """Or where somebody says so."""
    assert Settings.model_validate(members).has_console is served


async def test_the_first_lines_of_the_log_say_where_the_console_is(start_vtn: StartVtn) -> None:
    """Prove that who starts a server for the first time finds its pages."""
    with capture_logs() as logs:
        vtn = await start_vtn()
    assert [line["console"] for line in logs if line["event"] == "VTN started"] == [f"{vtn.origin}/console"]


async def test_a_server_without_console_has_no_such_path(start_vtn: StartVtn) -> None:
    """It answers as for any other path that is not there."""
    with capture_logs() as logs:
        vtn = await start_vtn(console={"enabled": False})
    assert not any("console" in line for line in logs)
    assert "no such path" in (await vtn.ask("GET", f"{vtn.origin}/console/login")).problem(404)


@pytest.mark.parametrize(
    "console",
    [
        {"zone": "Mars/Olympus"},
        {"zone": "../../etc/passwd"},
        {"oidc": {"issuer": "http://idp.example", "client_id": "c", "admins": ["a"]}},
        {"oidc": {"issuer": "https://idp.example", "client_id": "c"}},
        {"oidc": {"issuer": "https://idp.example", "client_id": "c", "admins": ["a"], "scopes": ["email"]}},
    ],
)
def test_settings_that_cannot_be_are_refused(console: dict[str, Any]) -> None:
    """At the start, naming what was expected."""
    with pytest.raises(ValueError, match=r"expected|nobody could sign in"):
        Settings.model_validate({"console": console})


def test_every_page_that_is_named_is_there() -> None:
    """A link of a template, or a way that an act leads to, is by the name of a route."""
    folder = Path(vtn.console.__file__).parent
    names = {route.name for route in ROUTES}
    named = {
        (file.name, name)
        for file in (*TEMPLATES, *sorted(folder.glob("pages/*.py")))
        for name in re.findall(r"(?:\burl|redirect)\(\s*[\"']([a-z_]+)[\"']", file.read_text())
    }

    assert len(named) > 10
    assert {(file, name) for file, name in named if name not in names} == set()
