"""The token endpoint (AUTH-018 … AUTH-035, COMPAT-001 … COMPAT-012)."""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections.abc import Mapping
from urllib.parse import quote_plus

import jwt
import pytest
import pytest_asyncio
from sqlalchemy import select

from openadr_profiles.v31 import Invalid
from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn
from tests.vtn.harness import Answer, Parameters, Session, VtnUnderTest, unique
from tests.vtn.test_limits import exchange, problem_of
from vtn.access import DEFAULT_SCOPES, Role, Scope
from vtn.auth.clients import Credentials
from vtn.store.tables import clients

GRANT = {"grant_type": "client_credentials"}


@pytest_asyncio.fixture(loop_scope="session")
async def home(vtn: VtnUnderTest) -> Credentials:
    """A VEN's credentials, with characters that some clients escape and others do not."""
    return await vtn.server.clients.add(unique("home"), Role.VEN, secret="s+e/c r%41et=€:x")


def form_of(credentials: Credentials, **members: str) -> dict[str, str]:
    """A complete form."""
    return GRANT | {"client_id": credentials.client_id, "client_secret": credentials.secret} | members


def basic(client_id: str, secret: str) -> dict[str, str]:
    """A Basic header."""
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


async def ask(
    vtn: VtnUnderTest,
    form: Parameters | None = None,
    headers: Mapping[str, str] | None = None,
    raw: bytes | None = None,
) -> Answer:
    """A token request below the prefix."""
    return await vtn.ask("POST", f"{vtn.base_url}/auth/token", form=form, headers=headers, raw=raw)


def error(answer: Answer, status: int) -> str:
    """The word of RFC 6749, after making sure that the body is a problem as well (AUTH-029, COMPAT-011)."""
    body = answer.ok(status)
    assert body["status"] == status
    assert body["title"]
    assert body["detail"] == body["error_description"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Pragma"] == "no-cache"
    assert answer.headers["Content-Type"] == "application/json"
    word: str = body["error"]
    return word


async def test_credentials_in_the_form_give_a_token(vtn: VtnUnderTest, home: Credentials) -> None:
    """AUTH-020 … AUTH-022, AUTH-027, TOKEN-001, COMPAT-003, COMPAT-005, COMPAT-008: with all scopes of the client."""
    answer = await ask(vtn, form_of(home, audience="ignored"))

    body = answer.ok()
    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}
    assert 1 <= len(body["access_token"]) <= 4096
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 3600
    assert set(body["scope"].split()) == DEFAULT_SCOPES[Role.VEN]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Pragma"] == "no-cache"
    (await vtn.with_token(body["access_token"]).get("/events")).ok()


@pytest.mark.parametrize("encode", [str, quote_plus], ids=["raw", "percent-encoded"])
async def test_credentials_in_the_header_give_a_token(vtn: VtnUnderTest, home: Credentials, encode: type[str]) -> None:
    """AUTH-023, COMPAT-003, COMPAT-004: as they are, or percent-encoded as RFC 6749 asks."""
    answer = await ask(vtn, GRANT, basic(encode(home.client_id), encode(home.secret)))

    assert answer.ok()["token_type"] == "Bearer"


async def test_a_client_id_may_need_escaping_too(vtn: VtnUnderTest) -> None:
    """COMPAT-004."""
    client = await vtn.server.clients.add("a client+%41", Role.VEN)

    for encode in (str, quote_plus):
        (await ask(vtn, GRANT, basic(encode(client.client_id), client.secret))).ok()


async def test_the_endpoint_is_below_every_prefix_and_at_the_origin(vtn: VtnUnderTest, home: Credentials) -> None:
    """COMPAT-002, GEN-001, AUTH-018: each prefix names its own."""
    for prefix in ("/openadr3/3.1.0", "/openadr3/3.1.1", ""):
        (await vtn.ask("POST", f"{vtn.origin}{prefix}/auth/token", form=form_of(home))).ok()
    alias = await vtn.ask("GET", f"{vtn.origin}/openadr3/3.1.1/auth/server")
    assert alias.ok() == {"tokenURL": f"{vtn.origin}/openadr3/3.1.1/auth/token"}


async def test_the_public_address_is_named_where_there_is_one(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """AUTH-018, TLS-007: in tokenURL and Location."""
    public = await start_vtn(public_url="https://vtn.example", behind_proxy=True)
    url = f"http://127.0.0.1:{public.server.port}/openadr3/3.1.0"

    assert public.base_url == "https://vtn.example/openadr3/3.1.0"
    assert (await public.ask("GET", f"{url}/auth/server")).ok()["tokenURL"] == f"{public.base_url}/auth/token"
    made = await public.ask("POST", f"{url}/programs", json={"programName": "P"}, headers=public.bl.headers)
    assert made.headers["Location"] == f"{public.base_url}/programs/{made.ok(201)['id']}"


INVALID_FORMS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "invalid_request"),
    "empty grant": (b"grant_type=&client_id=a&client_secret=b", "invalid_request"),
    "no grant": (b"client_id=a&client_secret=b", "invalid_request"),
    "no id": (b"grant_type=client_credentials&client_secret=b", "invalid_request"),
    "no secret": (b"grant_type=client_credentials&client_id=a", "invalid_request"),
    "empty secret": (b"grant_type=client_credentials&client_id=a&client_secret=", "invalid_request"),
    "repeated": (b"grant_type=client_credentials&client_id=a&client_id=a&client_secret=b", "invalid_request"),
    "no form": (b"grant_type", "invalid_request"),
    "no text": (b"grant_type=client_credentials&client_id=\xff&client_secret=b", "invalid_request"),
    "nul": (b"grant_type=client_credentials&client_id=%00&client_secret=b", "invalid_request"),
    "long id": (b"grant_type=client_credentials&client_id=" + b"a" * 4097 + b"&client_secret=b", "invalid_request"),
    "long secret": (b"grant_type=client_credentials&client_id=a&client_secret=" + b"b" * 4097, "invalid_request"),
    "many fields": (b"&".join(b"f%d=1" % number for number in range(60)), "invalid_request"),
    "other grant": (b"grant_type=password&client_id=a&client_secret=b", "unsupported_grant_type"),
    "unknown grant": (b"grant_type=whatever", "unsupported_grant_type"),
}


@pytest.mark.parametrize(("raw", "word"), INVALID_FORMS.values(), ids=INVALID_FORMS)
async def test_a_form_that_is_not_right_is_refused(vtn: VtnUnderTest, raw: bytes, word: str) -> None:
    """AUTH-024, AUTH-025, AUTH-030."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    assert error(await ask(vtn, headers=headers, raw=raw), 400) == word


async def test_json_is_refused_in_the_words_of_oauth(vtn: VtnUnderTest, home: Credentials) -> None:
    """AUTH-030: 400, not 415."""
    answer = await vtn.ask("POST", f"{vtn.base_url}/auth/token", json=form_of(home))

    assert error(answer, 400) == "invalid_request"


async def test_credentials_in_two_places_are_refused(vtn: VtnUnderTest, home: Credentials) -> None:
    """AUTH-023."""
    answer = await ask(vtn, form_of(home), basic(home.client_id, home.secret))

    assert error(answer, 400) == "invalid_request"


@pytest.mark.parametrize(
    "header",
    ["Basic", "Basic !!!"]
    + ["Basic " + base64.b64encode(text).decode() for text in (b"no colon", b"%00:%00", b"\0:x", b"a:%00")],
)
async def test_a_header_that_cannot_be_read_is_refused(vtn: VtnUnderTest, header: str) -> None:
    """AUTH-024."""
    assert error(await ask(vtn, GRANT, {"Authorization": header}), 400) == "invalid_request"


async def test_an_unknown_client_and_a_wrong_secret_are_answered_alike(vtn: VtnUnderTest, home: Credentials) -> None:
    """AUTH-026, COMPAT-011."""
    wrong = await ask(vtn, form_of(home, client_secret="wrong"))
    unknown = await ask(vtn, form_of(home, client_id="nobody"))

    assert error(wrong, 401) == error(unknown, 401) == "invalid_client"
    assert wrong.raw == unknown.raw
    assert "WWW-Authenticate" not in wrong.headers
    by_header = await ask(vtn, GRANT, basic(home.client_id, "wrong"))
    assert error(by_header, 401) == "invalid_client"
    assert by_header.headers["WWW-Authenticate"].startswith("Basic")


async def test_a_client_asks_for_some_of_its_scopes(vtn: VtnUnderTest, home: Credentials) -> None:
    """AUTH-027, AUTH-040, COMPAT-006, COMPAT-015: the answer repeats what was asked for, the token opens only that."""
    body = (await ask(vtn, form_of(home, scope="read_targets  write_vens_ven"))).ok()

    assert body["scope"] == "read_targets write_vens_ven"
    caller = vtn.with_token(body["access_token"], home.client_id)
    (await caller.get("/events")).ok()
    (await caller.get("/vens")).problem(403)
    await caller.ven()


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("read_all read_targets", "read_targets"),
        ("write_reports write_users read_ven_objects", "write_reports read_ven_objects"),
        ("write_vens_bl write_vens_ven", "write_vens_ven"),
    ],
)
async def test_of_more_scopes_than_it_has_a_client_gets_those_it_has(
    vtn: VtnUnderTest, home: Credentials, asked: str, granted: str
) -> None:
    """AUTH-027, COMPAT-015, RFC 6749 3.3: and is told which; the token opens nothing else."""
    body = (await ask(vtn, form_of(home, scope=asked))).ok()

    assert body["scope"] == granted
    claims = jwt.decode(body["access_token"], options={"verify_signature": False})
    assert set(claims["scope"].split()) == {word.removesuffix("_ven") for word in granted.split()}
    (await vtn.with_token(body["access_token"]).post("/programs", {"programName": "P"})).problem(403)


@pytest.mark.parametrize("scope", ["write_events", "read_all write_programs", "nonsense", "write_vens_bl"])
async def test_scopes_of_which_the_client_has_none_are_refused(
    vtn: VtnUnderTest, home: Credentials, scope: str
) -> None:
    """AUTH-027, COMPAT-007."""
    assert error(await ask(vtn, form_of(home, scope=scope)), 400) == "invalid_scope"


async def test_an_empty_scope_asks_for_all(vtn: VtnUnderTest, home: Credentials) -> None:
    """AUTH-027."""
    body = (await ask(vtn, form_of(home, scope=""))).ok()

    assert set(body["scope"].split()) == DEFAULT_SCOPES[Role.VEN]


async def test_a_bearer_token_on_the_endpoint_is_ignored(vtn: VtnUnderTest, home: Credentials) -> None:
    """AUTH-032."""
    (await ask(vtn, form_of(home), {"Authorization": "Bearer nonsense"})).ok()


async def test_a_client_may_have_a_lifetime_of_its_own(vtn: VtnUnderTest) -> None:
    """AUTH-034, COMPAT-009, COMPAT-010."""
    client = await vtn.server.clients.add(unique("slow"), Role.VEN, token_lifetime_s=90 * 86400)

    body = (await ask(vtn, form_of(client))).ok()

    assert body["expires_in"] == 90 * 86400
    caller = vtn.with_token(body["access_token"])
    vtn.now.pass_(days=89)
    (await caller.get("/events")).ok()
    vtn.now.pass_(days=1)
    (await caller.get("/events")).problem(401)


async def test_a_suspended_client_gets_no_token_and_loses_those_it_has(vtn: VtnUnderTest, home: Credentials) -> None:
    """AUTH-028, AUTH-034: until it is allowed back, and then with new tokens only."""
    old = await token(vtn, home)
    vtn.now.pass_(seconds=1)

    await vtn.server.clients.suspend(home.client_id)
    assert error(await ask(vtn, form_of(home)), 400) == "unauthorized_client"
    (await old.get("/events")).problem(401)

    await vtn.server.clients.resume(home.client_id)
    (await (await token(vtn, home)).get("/events")).ok()
    (await old.get("/events")).problem(401)


async def test_a_new_secret_ends_the_old_one_and_its_tokens(vtn: VtnUnderTest, home: Credentials) -> None:
    """AUTH-034."""
    old = await token(vtn, home)
    vtn.now.pass_(seconds=1)

    new = await vtn.server.clients.rotate(home.client_id)

    assert error(await ask(vtn, form_of(home)), 401) == "invalid_client"
    (await old.get("/events")).problem(401)
    (await (await token(vtn, new)).get("/events")).ok()


async def test_another_process_hears_of_a_revocation(vtn: VtnUnderTest, home: Credentials, start_vtn: StartVtn) -> None:
    """AUTH-034: within the time it asks again; also one that starts later."""
    other = await start_vtn(auth={"revocation_poll_s": 0.05})
    caller = await token(vtn, home)
    elsewhere = other.with_token(caller.headers["Authorization"].removeprefix("Bearer "))
    (await elsewhere.get("/events")).ok()

    vtn.now.pass_(seconds=1)
    await vtn.server.clients.suspend(home.client_id)

    async def refused() -> bool:
        return (await elsewhere.get("/events")).status == 401

    await wait_until(refused)
    later = await start_vtn()
    (await later.with_token(caller.headers["Authorization"].removeprefix("Bearer ")).get("/events")).problem(401)


async def test_secrets_are_kept_as_slow_hashes_only(vtn: VtnUnderTest, home: Credentials) -> None:
    """AUTH-033."""
    rows = await vtn.server._database.rows(select(clients))

    assert [row["secret_hash"].startswith("$argon2id$") for row in rows] == [True]
    assert home.secret not in repr(rows)
    assert home.secret not in repr(home)


async def test_bursts_are_tolerated_and_floods_are_not(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """AUTH-035, COMPAT-012: per client; another client is not affected, and time heals."""
    strict = await start_vtn(auth={"client_burst": 10, "client_per_s": 0.5})
    busy = await strict.server.clients.add(unique("busy"), Role.VEN)
    calm = await strict.server.clients.add(unique("calm"), Role.VEN)

    for _ in range(10):
        (await ask(strict, form_of(busy))).ok()
    flood = await ask(strict, form_of(busy))
    assert error(flood, 429)
    assert flood.headers["Retry-After"] == "2"
    (await ask(strict, form_of(calm))).ok()
    strict.now.pass_(seconds=2)
    (await ask(strict, form_of(busy))).ok()


async def test_an_address_is_limited_as_a_whole(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """AUTH-035: guessing many client ids from one place."""
    strict = await start_vtn(auth={"address_burst": 10, "address_per_s": 1})

    for number in range(10):
        assert (await ask(strict, GRANT | {"client_id": f"c{number}", "client_secret": "x"})).status == 401
    assert error(await ask(strict, GRANT | {"client_id": "c", "client_secret": "x"}), 429)


async def test_wrong_secrets_for_a_client_are_limited(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """AUTH-035: those of another client are not counted with them, and time heals."""
    strict = await start_vtn(auth={"failure_burst": 3, "failure_per_s": 0.5})
    home, other = [await strict.server.clients.add(unique("home"), Role.VEN) for _ in range(2)]

    for number in range(3):
        assert (await ask(strict, form_of(home, client_secret=f"wrong {number}"))).status == 401
    refused = await ask(strict, form_of(home, client_secret="wrong"))
    assert error(refused, 429) == "temporarily_unavailable"
    assert refused.headers["Retry-After"] == "2"
    assert (await ask(strict, form_of(other, client_secret="wrong"))).status == 401
    strict.now.pass_(seconds=2)
    assert (await ask(strict, form_of(home, client_secret="wrong"))).status == 401


@pytest.mark.parametrize("proxy", [False, True], ids=["direct", "behind a proxy"])
async def test_a_storm_of_wrong_secrets_never_stops_the_right_one(
    vtn: VtnUnderTest, start_vtn: StartVtn, proxy: bool
) -> None:
    """AUTH-035: strangers at the client's own address, in a process that has never seen the client before."""
    behind = {"behind_proxy": True, "public_url": "https://vtn.example"} if proxy else {}
    stormy = await start_vtn(auth={"failure_burst": 5, "failure_per_s": 0.001, "address_burst": 10}, **behind)
    url = f"http://127.0.0.1:{stormy.server.port}/auth/token"
    home, newcomer = [await stormy.server.clients.add(unique("home"), Role.VEN) for _ in range(2)]
    seen: list[int] = []
    over = asyncio.Event()

    async def storm(number: int, client_id: str) -> None:
        for attempt in itertools.count():
            form = GRANT | {"client_id": client_id, "client_secret": f"wrong {number} {attempt}"}
            seen.append((await stormy.ask("POST", url, form=form)).status)
            if over.is_set():
                return

    strangers = [asyncio.create_task(storm(number, (home, newcomer)[number % 2].client_id)) for number in range(8)]
    await wait_until(lambda: seen.count(429) > 8)
    for credentials in (home, newcomer):
        for _ in range(15):
            (await stormy.ask("POST", url, form=form_of(credentials))).ok()
    over.set()
    await asyncio.gather(*strangers)

    assert set(seen) == {401, 429}
    assert seen.count(401) <= 2 * (5 + 8)


async def test_a_suite_of_tests_may_ask_for_a_token_each_time(vtn: VtnUnderTest, home: Credentials) -> None:
    """COMPAT-012: 80 requests, and nobody's room is that of somebody who only claims to be the client."""
    await vtn.server.clients.remove(home.client_id)
    home = await vtn.server.clients.add(unique("suite"), Role.VEN)

    for _ in range(80):
        (await ask(vtn, form_of(home))).ok()


async def test_a_secret_that_is_known_is_not_hashed_again(
    vtn: VtnUnderTest, home: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AUTH-035: neither the right one of a client that renews, nor a wrong one that is sent again and again."""
    (await ask(vtn, form_of(home))).ok()
    assert (await ask(vtn, form_of(home, client_secret="wrong"))).status == 401
    new = await vtn.server.clients.rotate(home.client_id)
    (await ask(vtn, form_of(new))).ok()
    assert (await ask(vtn, form_of(home))).status == 401
    hashed: list[str] = []

    def compare(_: object, secret: str, __: str) -> bool:
        hashed.append(secret)
        return False

    monkeypatch.setattr("vtn.auth.secrets.Secrets._compare", compare)

    (await ask(vtn, form_of(new))).ok()
    assert (await ask(vtn, form_of(home))).status == 401
    assert hashed == []
    assert (await ask(vtn, form_of(home, client_secret="never sent"))).status == 401
    assert hashed == ["never sent"]


async def test_a_client_that_is_resumed_elsewhere_is_let_in_at_once(
    vtn: VtnUnderTest, home: Credentials, start_vtn: StartVtn
) -> None:
    """AUTH-034: long before the server asks for revocations again, whichever process gives the token."""
    other, third = [await start_vtn(auth={"revocation_poll_s": 60}) for _ in range(2)]
    await vtn.server.clients.suspend(home.client_id)
    for each in (other, third):
        await each.server.clients.read_revocations()
    vtn.now.pass_(seconds=1)
    await vtn.server.clients.resume(home.client_id)

    given = (await token(other, home)).headers["Authorization"].removeprefix("Bearer ")
    for each in (other, third, vtn):
        (await each.with_token(given).get("/events")).ok()


async def test_a_token_says_when_it_was_issued_in_whole_seconds(vtn: VtnUnderTest, home: Credentials) -> None:
    """RFC 7519 allows fractions, some readers do not; what was taken back in that second stays taken back."""
    vtn.now.pass_(milliseconds=600)
    old = await token(vtn, home)
    claims = jwt.decode(old.headers["Authorization"].removeprefix("Bearer "), options={"verify_signature": False})
    assert {type(claims[name]) for name in ("iat", "exp")} == {int}

    vtn.now.pass_(milliseconds=100)
    new = await vtn.server.clients.rotate(home.client_id)
    vtn.now.pass_(milliseconds=100)

    (await old.get("/events")).problem(401)
    (await (await token(vtn, new)).get("/events")).ok()


@pytest.mark.parametrize("claim", ["nbf", "iat"])
async def test_a_token_of_ours_that_is_not_valid_yet_is_refused(
    vtn: VtnUnderTest, home: Credentials, claim: str
) -> None:
    """AUTH-003, AUTH-008: signed with our key, as another program that has it may do."""
    given = (await token(vtn, home)).headers["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(given, options={"verify_signature": False})
    kid, secret = vtn.server._tokens._keys.newest
    for later_s, status in ((20, 200), (40, 401)):
        moment = int(vtn.now().timestamp()) + later_s
        forged = jwt.encode(claims | {claim: moment}, secret, algorithm="HS256", headers={"kid": kid})
        assert (await vtn.with_token(forged).get("/events")).status == status


@pytest.mark.parametrize("host", ["a:b:c", "x:99999", "attacker.example", "attacker.example:443", "", "[::1"])
async def test_the_token_address_is_never_somebody_elses(vtn: VtnUnderTest, host: str) -> None:
    """AUTH-018: without a public address, a Host that is not this server's is answered with where it arrived."""
    answer = await exchange(
        vtn, f"GET /openadr3/3.1.0/auth/server HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    )

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert problem_of(answer) == {"tokenURL": f"http://127.0.0.1:{vtn.server.port}/openadr3/3.1.0/auth/token"}


async def test_checking_secrets_never_takes_more_than_its_room(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """AUTH-033, AUTH-035: who does not fit is told to come back, and meanwhile other requests are answered."""
    slow = {"time_cost": 20, "memory_kib": 8192, "parallelism": 1}
    narrow = await start_vtn(auth={"hash_workers": 1, "hash_queue": 1, "argon2": slow})
    home = await narrow.server.clients.add(unique("home"), Role.VEN)

    answers = await asyncio.gather(*(ask(narrow, form_of(home)) for _ in range(6)), narrow.bl.get("/events"))

    statuses = [answer.status for answer in answers]
    assert statuses.pop() == 200
    assert sorted(set(statuses)) == [200, 429]
    assert statuses.count(200) >= 2


async def test_a_ven_cannot_be_given_what_only_business_logic_may(vtn: VtnUnderTest) -> None:
    """AUTH-010, AUTH-039: and what cannot be registered is not."""
    add = vtn.server.clients.add
    for scopes in ({Scope.WRITE_EVENTS}, {Scope.READ_BL, Scope.READ_TARGETS}):
        with pytest.raises(Invalid, match="scopes"):
            await add("greedy", Role.VEN, scopes=scopes)
    with pytest.raises(Invalid, match="client_id"):
        await add("i" * 129, Role.VEN)
    with pytest.raises(Invalid, match="secret"):
        await add("short", Role.VEN, secret="12345")
    with pytest.raises(Invalid, match="token_lifetime_s"):
        await add("hasty", Role.VEN, token_lifetime_s=60)
    assert await vtn.server.clients.list() == []


async def test_clients_are_listed_without_secrets(vtn: VtnUnderTest) -> None:
    """The list shows no secrets to the operator."""
    made = await vtn.server.clients.add("utility", Role.BL)
    await vtn.server.clients.add("home", Role.VEN, scopes={Scope.READ_TARGETS})

    listed = await vtn.server.clients.list()

    assert [(client.client_id, client.role, client.suspended) for client in listed] == [
        ("home", Role.VEN, False),
        ("utility", Role.BL, False),
    ]
    assert listed[0].scopes == {Scope.READ_TARGETS}
    assert made.secret not in repr(listed)


async def token(vtn: VtnUnderTest, credentials: Credentials) -> Session:
    """Somebody with a token from the endpoint."""
    return vtn.with_token((await ask(vtn, form_of(credentials))).ok()["access_token"], credentials.client_id)
