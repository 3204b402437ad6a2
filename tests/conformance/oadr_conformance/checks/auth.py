"""AUTH: bearer tokens on every request, and the token endpoint."""

from __future__ import annotations

import base64
import json
from urllib.parse import urlencode, urlsplit

from multidict import CIMultiDict

from oadr_conformance import bodies
from oadr_conformance.errors import Skipped
from oadr_conformance.kinds import KINDS, Kind
from oadr_conformance.probe import Actor, Probe
from oadr_conformance.registry import SHOULD, Area
from oadr_conformance.session import Credential
from oadr_conformance.wire import VtnAnswer

area = Area("Definition: OAuth 2.0; API description: security schemes and fetchToken")

_FORM = "application/x-www-form-urlencoded"


@area.check("AUTH-001")
async def scheme_in_any_case(t: Probe) -> None:
    """The scheme name Bearer compares without regard to case."""
    token = await t.bl.token()
    for scheme in ("bearer", "BEARER"):
        (await t.nobody.get("/programs", headers={"Authorization": f"{scheme} {token}"})).expect(200)


CREDENTIALS_OF_OTHER_KINDS = {
    "no header": {},
    "Basic": {"Authorization": "Basic YTpi"},
    "another scheme": {"Authorization": "Token abc"},
}


@area.each("AUTH-002", CREDENTIALS_OF_OTHER_KINDS)
async def other_schemes(t: Probe, headers: dict[str, str]) -> None:
    """Without a bearer token the answer is 401 and says with WWW-Authenticate that Bearer is wanted."""
    answer = await t.nobody.get("/reports", headers=headers)  # programs and events may be free
    answer.expect(401, allowed=(403,))
    if answer.status == 401 and answer.binding:  # the standard does not ask for it
        answer.header("WWW-Authenticate", 'Bearer realm="')


@area.check("AUTH-003", needs="expired")
async def expired_token(t: Probe) -> None:
    """An expired token is 401 with error="invalid_token"."""
    headers = {"Authorization": f"Bearer {t.session.subject.expired_token}"}
    answer = await t.nobody.get("/programs", headers=headers)
    answer.expect(401, allowed=(403,))
    if answer.binding:  # RFC 6750 recommends it
        answer.header("WWW-Authenticate", 'error="invalid_token"')


@area.check("AUTH-005", section="RFC 6750 section 2")
async def two_headers(t: Probe) -> None:
    """Two Authorization headers are refused, although each is valid."""
    bearer = f"Bearer {await t.bl.token()}"
    headers = CIMultiDict([("Authorization", bearer), ("Authorization", bearer)])
    (await t.nobody.get("/programs", headers=headers)).expect(400, 401, 403)


@area.check("AUTH-005", section="RFC 6750 section 2")
async def empty_token(t: Probe) -> None:
    """An empty bearer token is refused."""
    (await t.nobody.get("/reports", headers={"Authorization": "Bearer "})).expect(
        401, t.profile.invalid_token_status, allowed=(400, 403)
    )


@area.check("AUTH-005", section="RFC 6750 section 2.3")
async def token_in_the_query(t: Probe) -> None:
    """A token in the query string is no token: 401."""
    (await t.nobody.get("/programs", {"access_token": await t.bl.token()})).expect(401, allowed=(400, 403))


def _jwt(token: str) -> tuple[dict[str, object], str]:
    """Header and payload part of a JWT."""
    parts = token.split(".")
    if len(parts) != 3:
        raise Skipped("the tokens of this VTN are no JWTs")
    head = json.loads(base64.urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4)))
    return head, parts[1]


def _encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@area.check("AUTH-006 COMPAT-061")
async def garbage(t: Probe) -> None:
    """A token that cannot be verified is refused with the configured status, and a 401 says error="invalid_token"."""
    answer = await t.impostor.get("/programs")
    answer.expect(t.profile.invalid_token_status, allowed=(401, 403))
    if answer.status == 401 and answer.binding:
        answer.header("WWW-Authenticate", 'error="invalid_token"')


@area.each("AUTH-006", {"a changed signature": -1, "a changed payload": 1})
async def tampered(t: Probe, part: int) -> None:
    """A token whose signature or payload was changed is refused."""
    token = await t.bl.token()
    _jwt(token)
    parts = token.split(".")
    middle = len(parts[part]) // 2
    swapped = "A" if parts[part][middle] != "A" else "B"
    parts[part] = parts[part][:middle] + swapped + parts[part][middle + 1 :]
    answer = await t.nobody.get("/programs", headers={"Authorization": f"Bearer {'.'.join(parts)}"})
    answer.expect(t.profile.invalid_token_status, allowed=(401, 403))


@area.each("AUTH-008", {"alg none": "none", "alg None": "None", "alg HS512": "HS512"}, section="RFC 8725")
async def algorithm_confusion(t: Probe, algorithm: str) -> None:
    """The algorithm of a token is the server's choice: alg none or another algorithm is refused."""
    token = await t.bl.token()
    head, payload = _jwt(token)
    if head.get("alg") == algorithm:
        raise Skipped(f"{algorithm} is what this VTN uses")
    signature = "" if algorithm.lower() == "none" else token.rpartition(".")[2]
    forged = f"{_encoded(head | {'alg': algorithm})}.{payload}.{signature}"
    answer = await t.nobody.get("/programs", headers={"Authorization": f"Bearer {forged}"})
    answer.expect(t.profile.invalid_token_status, allowed=(401, 403))


@area.check("AUTH-009 PRIV-002", needs="ven callback", section="Definition: VEN created object privacy")
async def one_client_id(t: Probe) -> None:
    """The VTN writes the same client identifier, 1..128 characters, into everything a client creates."""
    ven = (await t.ven.post("/vens", bodies.ven_ven(t.name("ven")))).expect(201).object()
    report = (await t.ven.post("/reports", bodies.report((await t.event())["id"]))).expect(201).object()
    answer = await t.ven.post("/subscriptions", bodies.subscription(t.name("client"), t.callback_url))
    subscription = answer.expect(201).object()
    known = {ven["clientID"], report["clientID"], subscription["clientID"]}
    answer.true(len(known) == 1 and 0 < len(ven["clientID"]) <= 128, "one clientID in all three", sorted(known))


@area.check("AUTH-009", needs="ven ven2")
async def two_client_ids(t: Probe) -> None:
    """Two clients have two client identifiers."""
    answer = await t.ven.post("/vens", bodies.ven_ven(t.name("ven")))
    other = await t.ven2.post("/vens", bodies.ven_ven(t.name("ven")))
    first, second = answer.expect(201).object()["clientID"], other.expect(201).object()["clientID"]
    other.true(first != second, "another clientID than that of the first VEN", second)


async def _token_answer(t: Probe, actor: Actor, scope: str = "") -> VtnAnswer:
    credential = t.session.subject.bl if actor is t.bl else t.session.subject.ven
    return await ask_token(t, token_fields(credential) | ({"scope": scope} if scope else {}))


def token_fields(credential: Credential) -> dict[str, str]:
    """The form of a right token request.

    Raises:
        Skipped: the client came with a token only.
    """
    if not credential.client_secret:
        raise Skipped("needs a client id and secret")
    return {
        "grant_type": "client_credentials",
        "client_id": credential.client_id,
        "client_secret": credential.client_secret,
    }


async def ask_token(
    t: Probe,
    fields: dict[str, str] | list[tuple[str, str]] | bytes,
    headers: dict[str, str] | None = None,
    url: str = "",
    *,
    patient: bool = True,
) -> VtnAnswer:
    """POST to the token endpoint of the VTN, as a form.

    Raises:
        Skipped: tokens come from somewhere else.
    """
    if not t.session.token_url.startswith(t.session.origin):
        raise Skipped("the token endpoint is not the VTN's own")
    raw = fields if isinstance(fields, bytes) else urlencode(fields).encode()
    sent = {"Content-Type": _FORM} | (headers or {})
    answer = await t.nobody.send("POST", url or t.session.token_url, body=raw, headers=sent, patient=patient)
    if answer.status == 200:
        t.session.secrets.append(str(answer.object().get("access_token")))
    return answer


def _basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


def _percent_encoded(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def oauth_error(answer: VtnAnswer, status: int, error: str, *, allowed: tuple[int, ...] = ()) -> None:
    """The answer is this OAuth error; where rulings are not binding a problem body without `error` will do (R-04)."""
    answer.expect(status, allowed=allowed)
    if answer.binding or "error" in answer.object():
        answer.has(error=error)


DEFAULT_SCOPES = {
    "BL": ["read_all", "read_bl", "write_programs", "write_events", "write_subscriptions", "write_vens"],
    "VEN": ["read_targets", "read_ven_objects", "write_reports", "write_subscriptions", "write_vens"],
}


@area.each("AUTH-011 AUTH-027 COMPAT-005", {role: role for role in DEFAULT_SCOPES}, needs="ven secret")
async def default_scopes(t: Probe, role: str) -> None:
    """Without a scope in the request the token holds all scopes of the client, and the answer lists them."""
    answer = await _token_answer(t, t.bl if role == "BL" else t.ven)
    scopes = str(answer.expect(200).object().get("scope", "")).split()
    missing = sorted(set(DEFAULT_SCOPES[role]) - set(scopes))
    answer.true(not missing, f"the scopes {' '.join(DEFAULT_SCOPES[role])}", " ".join(scopes))


@area.each(
    "AUTH-012 AUTH-013",
    {f"{scope} {kind}": (scope, KINDS[kind]) for scope in ("read_all", "read_bl") for kind in KINDS},
    needs=lambda case: f"secret {case[1].needs}",
)
async def reading_scopes_of_business_logic(t: Probe, case: tuple[str, Kind]) -> None:
    """Business logic reads every collection with read_all or with read_bl alone."""
    scope, kind = case
    obj = await kind.make(t)
    reader = t.scoped(t.bl, scope)
    (await reader.get(kind.path)).expect(200)
    (await reader.get(kind.at(obj))).expect(200)


@area.each("AUTH-015", {kind: KINDS[kind] for kind in KINDS}, needs=lambda kind: f"secret {kind.needs}")
async def reading_scopes_write_nothing(t: Probe, kind: Kind) -> None:
    """A token that may only read creates nothing: 403."""
    client = t.ven if kind.name == "report" else t.bl
    scope = "read_targets" if kind.name == "report" else "read_all"
    (await t.scoped(client, scope).post(kind.path, await kind.plain(t))).expect(403)


@area.check("AUTH-039 AUTH-010 V301-036", needs="ven2 secret")
async def scopes_make_no_role(t: Probe) -> None:
    """Scopes open operations, the role decides what is seen: a VEN with a token for read_all sees as a VEN."""
    reader = t.scoped(t.stranger, "read_all")
    hidden, event = await t.event(targets=[t.name("target")]), await t.event()
    (await reader.get(f"/events/{event['id']}")).expect(200)
    (await reader.get(f"/events/{hidden['id']}")).expect(404, allowed=(403,))
    answer = await reader.get("/events", {"programID": hidden["programID"]})
    answer.same("the search", answer.expect(200).json(), [])


@area.check("AUTH-039", needs="ven2 secret notifiers")
async def scopes_open_no_collections(t: Probe) -> None:
    """A VEN whose token holds read_all is still refused the topics of whole collections."""
    (await t.scoped(t.stranger, "read_all").get("/notifiers/mqtt/topics/events")).expect(403)


@area.check("AUTH-018 AUTH-019 COMPAT-001", section="Definition: Token endpoint discovery")
async def token_endpoint_discovery(t: Probe) -> None:
    """GET /auth/server names the token endpoint as an absolute URL, https where the API is https."""
    answer = await t.nobody.get("/auth/server")
    url = answer.expect(200).object().get("tokenURL")
    parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
    answer.true(parts.scheme in {"http", "https"} and parts.netloc, "an absolute tokenURL", url)
    secure = parts.scheme == "https" or t.session.base.startswith("http://")
    answer.true(secure and 2 <= len(str(url)) <= 8000, "an https tokenURL of 2..8000 characters", url)


@area.check("AUTH-020 AUTH-022 COMPAT-003 COMPAT-008", needs="secret")
async def a_token(t: Probe) -> None:
    """Client credentials in a form give 200: access_token (1..4096), token_type Bearer, a whole expires_in, scope."""
    answer = await _token_answer(t, t.bl)
    body = answer.expect(200).object()
    token = body.get("access_token")
    answer.true(isinstance(token, str) and 1 <= len(token) <= 4096, "an access_token of 1..4096 characters", token)
    kind = str(body.get("token_type"))
    answer.same("token_type", kind if answer.binding else kind.title(), "Bearer")
    lifetime = body.get("expires_in")
    if answer.binding or lifetime is not None:  # the schema does not require it
        answer.true(type(lifetime) is int and lifetime > 0, "a whole positive expires_in", lifetime)
    told = isinstance(body.get("scope"), str) or not answer.binding  # RFC 6749 5.1: optional when it is what was asked
    answer.true(told, "a scope", body.get("scope"))
    if answer.binding:  # RFC 6749 4.4.3 advises against it, the schema has it
        answer.true("refresh_token" not in body, "no refresh_token", "one")


@area.check("AUTH-020", needs="secret")
async def the_token_works(t: Probe) -> None:
    """The token that was given opens the API."""
    token = (await _token_answer(t, t.bl)).expect(200).object()["access_token"]
    (await t.nobody.get("/programs", headers={"Authorization": f"Bearer {token}"})).expect(200)


@area.check("AUTH-023 COMPAT-003", needs="secret", section="RFC 6749 section 2.3.1")
async def basic_credentials(t: Probe) -> None:
    """Client id and secret may come in a Basic header instead of the form, percent-encoded or raw."""
    fields = token_fields(t.session.subject.bl)
    for encode in (str, _percent_encoded):
        headers = _basic(encode(fields["client_id"]), encode(fields["client_secret"]))
        (await ask_token(t, {"grant_type": "client_credentials"}, headers)).expect(200)


@area.check("AUTH-023", needs="secret", section="RFC 6749 section 2.3")
async def both_credentials(t: Probe) -> None:
    """Credentials in the header and in the form at once are 400 invalid_request."""
    fields = token_fields(t.session.subject.bl)
    answer = await ask_token(t, fields, _basic(fields["client_id"], fields["client_secret"]))
    oauth_error(answer, 400, "invalid_request")


INCOMPLETE = {
    "no grant_type": ("grant_type",),
    "no client_id": ("client_id",),
    "no client_secret": ("client_secret",),
    "nothing": ("grant_type", "client_id", "client_secret"),
}


@area.each("AUTH-024", INCOMPLETE, needs="secret", section="RFC 6749 section 5.2")
async def incomplete_token_request(t: Probe, left_out: tuple[str, ...]) -> None:
    """A token request without grant_type, client_id or client_secret is 400 invalid_request."""
    fields = {key: value for key, value in token_fields(t.session.subject.bl).items() if key not in left_out}
    answer = await ask_token(t, fields)
    unproven = left_out != ("grant_type",) and not answer.binding
    if unproven and answer.status in {400, 401} and answer.object().get("error") in {None, "invalid_client"}:
        return  # a client that does not prove who it is is also an invalid_client
    oauth_error(answer, 400, "invalid_request")


@area.each(
    "AUTH-024",
    {f"{name} twice": name for name in ("grant_type", "client_id", "scope")},
    needs="secret",
    section="RFC 6749 section 5.2",
)
async def repeated_token_parameter(t: Probe, name: str) -> None:
    """A parameter given twice is 400 invalid_request."""
    fields = token_fields(t.session.subject.bl) | {"scope": "read_all"}
    answer = await ask_token(t, [*fields.items(), (name, fields[name])])
    oauth_error(answer, 400, "invalid_request")


@area.check("AUTH-024", needs="secret", section="RFC 6749 section 5.2")
async def unreadable_form(t: Probe) -> None:
    """A form that cannot be read is 400 invalid_request."""
    oauth_error(await ask_token(t, b"\xff\xfe=%ZZ&&&"), 400, "invalid_request")


@area.each(
    "AUTH-025",
    {word: word for word in ("password", "authorization_code", "nonsense")},
    needs="secret",
    section="RFC 6749 section 5.2",
)
async def other_grants(t: Probe, grant: str) -> None:
    """Any grant_type but client_credentials is 400 unsupported_grant_type."""
    answer = await ask_token(t, token_fields(t.session.subject.bl) | {"grant_type": grant})
    if grant != "nonsense" and not answer.binding:  # the server may know it, and miss what belongs to it
        answer.expect(400, 401)
        return
    oauth_error(answer, 400, "unsupported_grant_type")


@area.check("AUTH-026 COMPAT-011", needs="secret", section="RFC 6749 section 5.2")
async def wrong_credentials(t: Probe) -> None:
    """An unknown client and a wrong secret give the same answer: 401 invalid_client."""
    fields = token_fields(t.session.subject.bl)
    unknown = await ask_token(t, fields | {"client_id": t.name("client")})
    oauth_error(unknown, 401, "invalid_client", allowed=(400,))
    wrong = await ask_token(t, fields | {"client_secret": "wrong"})
    oauth_error(wrong, 401, "invalid_client", allowed=(400,))
    if not wrong.binding:
        return
    varying = {"instance"}
    left = {key: value for key, value in unknown.object().items() if key not in varying}
    right = {key: value for key, value in wrong.object().items() if key not in varying}
    wrong.same("the body for a wrong secret", right, left)


@area.check("AUTH-026", needs="secret", section="RFC 6749 section 5.2")
async def wrong_basic_credentials(t: Probe) -> None:
    """Wrong credentials in a Basic header are 401 with WWW-Authenticate: Basic."""
    fields = token_fields(t.session.subject.bl)
    answer = await ask_token(t, {"grant_type": "client_credentials"}, _basic(fields["client_id"], "wrong"))
    oauth_error(answer, 401, "invalid_client")
    answer.header("WWW-Authenticate", "Basic")


@area.each(
    "AUTH-027 COMPAT-007",
    {"an unknown scope": "rule_the_world", "a scope of the other role": "write_programs"},
    needs="ven secret",
    section="RFC 6749 section 5.2",
)
async def scopes_beyond(t: Probe, scope: str) -> None:
    """A scope that is unknown or that the client may not have is 400 invalid_scope.

    Beside one that it has, the server may also ignore it, and then says in scope what it gave (RFC 6749 section 3.3).
    """
    oauth_error(await _token_answer(t, t.ven, scope), 400, "invalid_scope")
    beside = await _token_answer(t, t.ven, f"read_targets {scope}")
    if beside.status == 200:
        beside.same("the scopes", str(beside.object().get("scope")).split(), ["read_targets"])
    else:
        oauth_error(beside, 400, "invalid_scope")


@area.check("AUTH-027 COMPAT-006", needs="secret")
async def fewer_scopes(t: Probe) -> None:
    """A token asked for with fewer scopes holds exactly those."""
    answer = await _token_answer(t, t.bl, "write_events read_all")
    scopes = sorted(str(answer.expect(200).object().get("scope")).split())
    answer.same("the scopes", scopes, ["read_all", "write_events"])


@area.check("AUTH-029", needs="secret")
async def token_errors_are_problems_too(t: Probe) -> None:
    """Errors of the token endpoint have error and error_description, and also title, status and detail."""
    answer = await ask_token(t, token_fields(t.session.subject.bl) | {"client_secret": "wrong"})
    body = answer.expect(401).object()
    for name in ("error", "error_description", "title", "detail"):
        answer.true(isinstance(body.get(name), str) and body[name], f"a text {name}", body)
    answer.same("status", body.get("status"), 401)
    answer.header("Content-Type", "application/json")


@area.check("AUTH-030", needs="secret")
async def json_token_request(t: Probe) -> None:
    """A token request in JSON is 400 invalid_request, in a body that OAuth clients understand."""
    raw = json.dumps(token_fields(t.session.subject.bl)).encode()
    oauth_error(await ask_token(t, raw, {"Content-Type": "application/json"}), 400, "invalid_request")


@area.each("AUTH-030", {name: name for name in ("client_id", "client_secret")}, needs="secret")
async def long_credentials(t: Probe, name: str) -> None:
    """A client_id or client_secret of more than 4096 characters is 400 invalid_request."""
    answer = await ask_token(t, token_fields(t.session.subject.bl) | {name: "x" * 4097})
    oauth_error(answer, 400, "invalid_request")


@area.check("AUTH-032", needs="secret")
async def bearer_on_the_token_endpoint(t: Probe) -> None:
    """A bearer header on a token request is ignored, even a bad one."""
    answer = await ask_token(t, token_fields(t.session.subject.bl), {"Authorization": "Bearer bad_token"})
    answer.expect(200)


@area.check("AUTH-034 COMPAT-009", SHOULD, needs="secret")
async def lifetime(t: Probe) -> None:
    """Tokens live for two minutes at least and are short-lived (a day at most): the answer says how long."""
    answer = await _token_answer(t, t.bl)
    lifetime = answer.expect(200).object().get("expires_in")
    good = type(lifetime) is int and 120 <= lifetime <= 86_400
    answer.true(good, "an expires_in of 120 to 86400", lifetime)
